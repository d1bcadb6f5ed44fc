//! Integration tests of the lake.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod any_rows;
mod bucket;
mod compact;
mod row_faults;
mod rows;
mod table;
mod wal;
