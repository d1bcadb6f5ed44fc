//! Integration tests of the metric store.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, helpers included, and prints its seed"
)]

mod support;

mod backfill;
mod basics;
mod blocks;
mod checkpoints;
mod chunks;
mod compaction;
mod deletion;
mod exemplars;
mod faults;
mod fixture;
mod handover;
mod import;
mod memory;
mod model;
mod rollup;
mod rollup_passes;
mod starts;
mod tail;
