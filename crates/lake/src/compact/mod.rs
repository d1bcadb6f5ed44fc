//! Compaction and retention of a table: what to do is decided purely, and done one job at a time.
//!
//! Owns the decision ([`decide`]), the frame in which a job runs ([`Table::replace`]), and the merge for tables whose rows stay as they
//! are ([`merge_rows`]). Does not know what a row means: who has something to drop from segments says so in [`SegmentState`].

mod all;
mod decide;
mod rows;
mod run;

pub use all::{Compacted, MergeRows, Merger, Step};
pub use decide::{Job, Policy, SegmentState, State, TOP_LEVEL, decide};
pub use rows::{RowFilter, merge_rows};
pub use run::Outcome;
