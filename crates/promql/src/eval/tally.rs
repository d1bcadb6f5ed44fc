//! How many samples an evaluation used and read, in all and at each step, as Prometheus counts them.
//!
//! A sample is used by each step that sees it, and read by the first of them. Owns the sums; what a selector or a function counts is
//! decided where it looks at samples.

use serde::{Deserialize, Serialize};

use super::column::{Column, is_present};
use super::plan::Window;
use super::steps::Steps;
use crate::StepStats;
use crate::histogram::size_in_samples;

/// Samples that a part of a query used and read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Samples, each time a step used them.
    pub(crate) used: u64,
    /// Samples, once for all steps whose windows overlap.
    pub(crate) read: u64,
    /// The same at each step; empty if steps are not counted.
    pub(crate) steps: Vec<StepTally>,
}

/// Samples that a step used, and that it was the first to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepTally {
    pub(crate) used: u64,
    pub(crate) read: u64,
}

impl Tally {
    /// One that counts so many steps.
    pub(crate) fn of_steps(count: usize) -> Self {
        Self { steps: vec![StepTally::default(); count], ..Self::default() }
    }

    /// What the samples of a column with so many points cost, one at each step that has any.
    pub(crate) fn of_column(column: &Column, points: u64, counts_steps: bool) -> Self {
        let samples = if column.has_histograms() { column.count_samples() } else { points };
        let size = |step: usize| match column.histogram(step) {
            Some(h) => size_in_samples(h),
            None => u64::from(is_present(column.values[step])),
        };
        let count = if counts_steps { column.values.len() } else { 0 };
        let steps = (0..count).map(|step| StepTally { used: size(step), read: size(step) }).collect();
        Self { used: samples, read: samples, steps }
    }

    /// Whether steps are counted.
    pub(crate) fn counts_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Adds what a part with the same steps cost; if its steps were not counted, for the first one.
    pub(crate) fn add(&mut self, other: &Self) {
        if !other.counts_steps() {
            return self.add_first(other.used, other.read);
        }
        self.used += other.used;
        self.read += other.read;
        for (to, from) in self.steps.iter_mut().zip(&other.steps) {
            to.used += from.used;
            to.read += from.read;
        }
    }

    /// Adds what an evaluation at one time cost, for the first step.
    pub(crate) fn add_first(&mut self, used: u64, read: u64) {
        self.used += used;
        self.read += read;
        if let Some(first) = self.steps.first_mut() {
            first.used += used;
            first.read += read;
        }
    }

    /// Adds what was evaluated once and holds for so many steps: each of them used it, the first one read it.
    pub(crate) fn add_repeated(&mut self, once: &Self, steps: usize) {
        self.add_first(0, once.read);
        self.used += once.used.saturating_mul(steps as u64);
        self.steps.iter_mut().for_each(|step| step.used += once.used);
    }

    /// Adds what the steps of a subquery read, each to the first step whose window it is in, if any. What is used of a subquery is
    /// what the windows over its result hold.
    pub(crate) fn add_subquery(&mut self, within: &Self, inner: Steps, outer: Steps, window: &Window) {
        if outer.count <= 1 || !within.counts_steps() {
            return self.add_first(0, within.read);
        }
        for (t, step) in inner.times().zip(&within.steps).filter(|(_, step)| step.read > 0) {
            let t = t.saturating_add(window.offset_ms);
            let after = t.saturating_sub(outer.start_ms).max(0);
            let at = usize::try_from((after + outer.step_ms - 1) / outer.step_ms).unwrap_or(usize::MAX);
            let at = at.min(outer.count - 1);
            if t > outer.at(at).saturating_sub(window.range_ms) {
                self.read += step.read;
                if let Some(to) = self.steps.get_mut(at) {
                    to.read += step.read;
                }
            }
        }
    }

    /// What a later part of the steps cost, after this one.
    pub(crate) fn append(&mut self, later: Self) {
        self.used += later.used;
        self.read += later.read;
        self.steps.extend(later.steps);
    }

    /// What each step cost, for a result.
    pub(crate) fn into_stats(self, steps: Steps) -> Vec<StepStats> {
        let of = |(t_ms, step): (i64, StepTally)| StepStats { t_ms, samples: step.used, read: step.read };
        steps.times().zip(self.steps).map(of).collect()
    }
}
