//! Metrics on top of the lake: chunk codecs, the head with its series index, sealing, and selection across head and segments.
//!
//! Owns the table `metrics` and what of it is in memory. Knows no query language and no wire format.

pub mod at_rest;
mod blocks;
mod checkpoint;
pub mod chunk;
mod compact;
mod complete;
mod delete;
mod exemplars;
pub mod export;
mod head;
mod hidden;
pub mod import;
mod inspect;
pub mod limits;
mod log;
mod maintain;
mod metrics;
mod read;
mod record;
mod retention;
pub mod rollup;
mod rows;
mod seal;
mod select;
mod snapshot;
mod starts;
mod stats;
mod store;
mod table;
pub mod tail;
mod tombstones;

pub use delete::Deletion;
pub use exemplars::{
    ExemplarOptions, ExemplarOutcome, ExemplarSeries, ExemplarStore, ExemplarTail, SelectedExemplars,
};
pub use head::SeriesLimits;
pub use lake::{MemoryBudget, Pool, Reservation};
pub use maintain::Maintenance;
pub use retention::Retention;
pub use select::SelectedSeries;
pub use stats::{NameCount, SegmentStats, StoreStats};
pub use store::{AppendOutcome, MetricStore, Refusal, StoreOptions, Tunable};
pub use table::METRICS_TABLE;
