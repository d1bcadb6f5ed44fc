//! Rules and alerts with a store and a network of the test, in paused time.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not there")]

mod fixture;
mod rules;
mod sending;
