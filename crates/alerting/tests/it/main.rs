//! Rules and alerts with a store and a network of the test, in paused time.

mod fixture;
mod rules;
mod sending;
