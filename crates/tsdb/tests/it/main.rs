//! Integration tests of the metric store.

mod support;

mod basics;
