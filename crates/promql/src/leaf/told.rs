//! What computing a block has to tell besides its rows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Columns;
use crate::eval::annotation::AnnotationSet;
use crate::eval::steps::Steps;
use crate::eval::tally::Tally;

/// What computing a block has to tell besides its rows.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Told {
    pub(crate) annotations: AnnotationSet,
    /// Samples that steps used.
    pub(crate) tally: Tally,
    /// The most samples that a step used.
    pub(crate) widest: u64,
    /// Series that were read, and their samples, or buckets in their place.
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// Rows before they were filtered and brought together, and their values.
    pub(crate) rows: u64,
    pub(crate) points: u64,
    /// What filters left of them.
    pub(crate) kept_rows: u64,
    pub(crate) kept_points: u64,
    /// Time that reading, computing and grouping took, if it was measured.
    pub(crate) read_time: Duration,
    pub(crate) compute_time: Duration,
    pub(crate) group_time: Duration,
}

impl Told {
    /// Nothing yet, counted for each step if that is wanted.
    pub(crate) fn counting(counts_steps: bool, steps: Steps) -> Self {
        Self { tally: Tally::of_steps(if counts_steps { steps.count } else { 0 }), ..Self::default() }
    }

    /// Counts a series that was read.
    pub(crate) fn read(&mut self, columns: &Columns, took: Duration) {
        self.series += 1;
        self.samples += columns.size_in_samples();
        self.read_time += took;
    }

    /// Counts a row.
    pub(crate) fn gave(&mut self, points: u64) {
        self.rows += 1;
        self.points += points;
    }

    /// Counts a row that filters left, or a part of it.
    pub(crate) fn kept(&mut self, points: u64) {
        self.kept_rows += 1;
        self.kept_points += points;
    }
}
