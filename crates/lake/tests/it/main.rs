//! Integration tests of the lake.

mod wal;
