//! Integration tests of the metric store.

mod support;

mod basics;
mod chunks;
mod faults;
mod fixture;
mod model;
