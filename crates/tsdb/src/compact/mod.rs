//! Compaction of the table `metrics`: the chunks of one series from several segments become few, and what is hidden goes.
//!
//! Owns merging ([`merge`]) and joining ([`join`]). What to compact is decided in `lake::compact`; when, in `maintain.rs`.

mod join;
mod merge;

pub(crate) use merge::{merge_chunks, merge_runs};
