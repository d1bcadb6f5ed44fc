//! Rollups: a series' samples in buckets of five minutes and of an hour, kept when the samples themselves are gone.
//!
//! `kernel.rs` computes buckets, `table.rs` and `codec.rs` say how they lie on disk, `decide.rs` which spans are to be rolled up,
//! `run.rs` does it with `write.rs`, `select.rs` reads, `lookup.rs` finds series, and `export.rs` has all of it for other programs. Five minutes are made from raw segments, hours from five minutes. Owns the tables
//! `metrics_5m` and `metrics_1h`; does not know which queries they answer. `docs/format/rollup-segment.md` is the specification.

mod codec;
mod decide;
mod export;
pub mod kernel;
mod lookup;
mod merge;
mod run;
mod select;
mod table;
mod write;

use std::time::Duration;

pub use export::BucketExport;
pub use run::RollupReport;
pub use select::{Coverage, RollupCoverage, SamplesFrom, SelectedBuckets};

use crate::limits::{ROLLUP_1H_AGE, ROLLUP_5M_AGE};

pub(crate) use run::Rollups;
pub(crate) use table::{decode_row, spec};

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    OneHour,
}

impl Resolution {
    /// All, the finest first.
    pub const ALL: [Self; 2] = [Self::FiveMinutes, Self::OneHour];

    /// The length of a bucket in milliseconds.
    pub fn millis(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000,
            Self::OneHour => 3_600_000,
        }
    }

    /// Its name in configurations, requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// The resolution of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == name)
    }

    /// The table of its buckets.
    pub fn table(self) -> &'static str {
        match self {
            Self::FiveMinutes => "metrics_5m",
            Self::OneHour => "metrics_1h",
        }
    }

    /// What one segment covers, and one row at most: a day of 288 buckets, and seven days of 24.
    pub(crate) fn span_ms(self) -> i64 {
        const DAY_MS: i64 = 86_400_000;
        match self {
            Self::FiveMinutes => DAY_MS,
            Self::OneHour => 7 * DAY_MS,
        }
    }
}

/// Rollups of one resolution, and how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupOptions {
    /// The length of a bucket.
    pub resolution: Resolution,
    /// How long buckets are kept.
    pub age: Duration,
}

impl RollupOptions {
    /// Five minutes for ninety days, hours for two years.
    pub fn defaults() -> Vec<Self> {
        vec![
            Self { resolution: Resolution::FiveMinutes, age: ROLLUP_5M_AGE },
            Self { resolution: Resolution::OneHour, age: ROLLUP_1H_AGE },
        ]
    }
}

/// The end of the bucket that a time lies in: buckets are open on the left and closed on the right, as ranges of PromQL are.
pub(crate) fn bucket_end(t_ms: i64, resolution_ms: i64) -> i64 {
    (t_ms - 1).div_euclid(resolution_ms).saturating_add(1).saturating_mul(resolution_ms)
}
