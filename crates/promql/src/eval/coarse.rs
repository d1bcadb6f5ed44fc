//! Steps that are answered from buckets: which they are, and samples that stand for buckets.
//!
//! Owns no function: those that buckets answer are in `functions/buckets.rs`.

use base::NO_TIME;

use super::column::ABSENT;
use super::plan::Window;
use super::steps::Steps;
use crate::usage::Parts;
use crate::{Coarse, Columns};

impl Coarse {
    /// How many steps, from the first one on, need samples that are not there.
    pub(crate) fn steps(&self, window: &Window, steps: Steps) -> usize {
        let needs = |step: usize| window.open_ms(steps.at(step)).saturating_add(1) < self.samples_from_ms;
        let (mut from, mut to) = (0, steps.count);
        while from < to {
            let middle = from + (to - from) / 2;
            if needs(middle) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// The newest sample of each bucket, and the ends of the series.
    pub(crate) fn newest(&self) -> Columns {
        let mut columns = Columns::default();
        for at in 0..self.buckets.len() {
            let b = self.buckets.get(at);
            if b.count > 0 {
                columns.push(b.last_ms, b.last);
            }
            if b.stale_ms != NO_TIME {
                columns.push(b.stale_ms, ABSENT);
            }
        }
        columns
    }

    /// The window in which to look for the newest sample. At the end of a bucket that is the one of the query; elsewhere the newest
    /// sample that is known may be a bucket older than the newest one that was.
    pub(crate) fn lookback(&self, window: &Window, steps: Steps) -> Window {
        let moves = steps.count > 1 && window.at_ms.is_none();
        let aligned = window.end_ms(steps.start_ms).rem_euclid(self.bucket_ms) == 0
            && (!moves || steps.step_ms % self.bucket_ms == 0);
        if aligned && window.after_ms == 0 {
            return *window;
        }
        let after_ms = if window.after_ms > 0 { window.after_ms.saturating_add(self.bucket_ms) } else { 0 };
        Window { range_ms: window.range_ms.saturating_add(self.bucket_ms), after_ms, ..*window }
    }

    /// Samples that stand for those that are not there, for what buckets cannot tell exactly.
    pub(crate) fn stand_in(&self, parts: Parts) -> Columns {
        let mut columns = Columns::default();
        for at in 0..self.buckets.len() {
            let b = self.buckets.get(at);
            if b.count == 0 {
                continue;
            }
            match parts {
                Parts::Means => {
                    columns.push(b.first_ms + (b.last_ms - b.first_ms) / 2, b.sum / f64::from(b.count));
                }
                _ => {
                    columns.push(b.first_ms, b.first);
                    if b.count > 1 {
                        columns.push(b.last_ms, b.last);
                    }
                }
            }
        }
        columns
    }
}

/// Puts first and last samples of buckets in the place of the samples that are not there, for what needs samples.
pub(crate) fn fill_in(columns: &mut Columns, window: &Window, steps: Steps) {
    let Some(coarse) = columns.coarse.take() else { return };
    if coarse.steps(window, steps) == 0 {
        return;
    }
    let mut filled = coarse.stand_in(Parts::Ends);
    let known = columns.timestamps_ms.first().copied().unwrap_or(i64::MAX);
    let until = filled.timestamps_ms.partition_point(|t| *t < known);
    filled.timestamps_ms.truncate(until);
    filled.values.truncate(until);
    filled.timestamps_ms.append(&mut columns.timestamps_ms);
    filled.values.append(&mut columns.values);
    filled.histograms = std::mem::take(&mut columns.histograms);
    *columns = filled;
}

impl Columns {
    fn push(&mut self, t_ms: i64, value: f64) {
        self.timestamps_ms.push(t_ms);
        self.values.push(value);
    }
}
