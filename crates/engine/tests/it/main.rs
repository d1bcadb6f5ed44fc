//! The engine over a real store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod abandoned;
mod latest;
mod rollups;
