//! Integration tests of the lake.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

mod any_rows;
mod bucket;
mod catalog_page;
mod compact;
mod export;
mod other_engines;
mod row_faults;
mod row_fixture;
mod rows;
mod table;
mod verify;
mod wal;
mod wal_readers;
mod wal_refuses;
