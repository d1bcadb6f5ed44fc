//! Rules and alerts with a store and a network of the test, in paused time.
#![expect(clippy::disallowed_methods, reason = "the clock of the tests is that of the paused runtime")]

mod fixture;
mod rules;
mod sending;
