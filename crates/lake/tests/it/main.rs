//! Integration tests of the lake.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod bucket;
mod compact;
mod table;
mod wal;
