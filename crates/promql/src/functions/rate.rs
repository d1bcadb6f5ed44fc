//! How a series changes: `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`.

use super::rollup::{Rolled, Series};
use crate::eval::column::ABSENT;

/// `rate`, `increase` and `delta`: the difference between the last and the first sample, corrected for counter resets
/// and extrapolated to the ends of the range where the samples come close to them.
pub(crate) fn extrapolated(series: &Series<'_>, is_counter: bool, is_rate: bool) -> Rolled {
    let (times, values) = (series.times, series.values);
    // Resets are rare; those in a window are found by two more indexes.
    let resets: Vec<usize> = if is_counter {
        (1..values.len()).filter(|i| values[*i] < values[i - 1]).collect()
    } else {
        Vec::new()
    };
    let mut first_reset = 0;
    series.slide(|from, to, step| {
        if to - from < 2 {
            return ABSENT;
        }
        let last = to - 1;
        let mut result = values[last] - values[from];
        while first_reset < resets.len() && resets[first_reset] <= from {
            first_reset += 1;
        }
        for reset in resets[first_reset..].iter().take_while(|r| **r < to) {
            result += values[reset - 1];
        }
        let (start_ms, end_ms) = series.range(step);
        let ends = Ends { start_ms, end_ms, first_ms: times[from], last_ms: times[last], samples: to - from };
        let factor = ends.factor(is_counter.then_some((values[from], result)));
        result * if is_rate { factor / (series.window.range_ms as f64 / 1000.0) } else { factor }
    })
}

/// A range, and the samples in it.
pub(crate) struct Ends {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) samples: usize,
}

impl Ends {
    /// By what to multiply a difference between the first and last samples to cover the range; of a counter, its first
    /// value and the difference are given, as it cannot have been below zero.
    pub(crate) fn factor(&self, counter: Option<(f64, f64)>) -> f64 {
        let sampled = (self.last_ms - self.first_ms) as f64 / 1000.0;
        let average = sampled / (self.samples - 1) as f64;
        let threshold = average * 1.1;
        let mut to_start = (self.first_ms - self.start_ms) as f64 / 1000.0;
        let mut to_end = (self.end_ms - self.last_ms) as f64 / 1000.0;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if let Some((first, difference)) = counter
            && difference > 0.0
            && first >= 0.0
        {
            to_start = to_start.min(sampled * (first / difference));
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
    }
}

/// `irate` and `idelta`: between the last two samples.
pub(crate) fn last_two(series: &Series<'_>, is_rate: bool) -> Rolled {
    let (times, values) = (series.times, series.values);
    series.slide(|from, to, _| {
        if to - from < 2 {
            return ABSENT;
        }
        let (before, last) = (values[to - 2], values[to - 1]);
        let elapsed_ms = times[to - 1] - times[to - 2];
        if !is_rate {
            return last - before;
        }
        let increase = if last < before { last } else { last - before };
        increase / (elapsed_ms as f64 / 1000.0)
    })
}

/// `resets`: how often the value falls.
pub(crate) fn resets(series: &Series<'_>) -> Rolled {
    count_between(series, is_reset)
}

/// `changes`: how often the value becomes another.
pub(crate) fn changes(series: &Series<'_>) -> Rolled {
    count_between(series, is_change)
}

pub(crate) fn is_reset(before: f64, after: f64) -> bool {
    after < before
}

pub(crate) fn is_change(before: f64, after: f64) -> bool {
    after != before && !(after.is_nan() && before.is_nan())
}

/// Counts the pairs of neighbours in each window by running sums.
fn count_between(series: &Series<'_>, counts: fn(f64, f64) -> bool) -> Rolled {
    let mut sums = Vec::with_capacity(series.values.len());
    sums.push(0u32);
    for pair in series.values.windows(2) {
        sums.push(sums[sums.len() - 1] + u32::from(counts(pair[0], pair[1])));
    }
    series.slide(|from, to, _| f64::from(sums[to - 1] - sums[from]))
}

#[cfg(test)]
mod tests {
    use super::super::rollup::roll_seconds;
    use super::*;
    use crate::eval::column::is_present;

    #[test]
    fn a_rate_corrects_resets_and_extrapolates() {
        let out = roll_seconds(&[10.0, 20.0, 5.0, 15.0], 4000, |s| extrapolated(s, true, false));
        assert!(!is_present(out[0]));
        // 10 before the reset, 15 after it, over 3 of 4 seconds.
        assert!((out[3] - 25.0 * 4.0 / 3.0).abs() < 1e-9, "{}", out[3]);
    }

    #[test]
    fn a_counter_is_not_extrapolated_below_zero() {
        let out = roll_seconds(&[0.0, 10.0], 10_000, |s| extrapolated(s, true, false));
        assert_eq!(out[1], 10.0);
    }

    #[test]
    fn neighbours_are_counted_per_window() {
        let v = [1.0, 1.0, 0.0, 2.0, f64::NAN, f64::NAN];
        assert_eq!(roll_seconds(&v, 3000, changes), [0.0, 0.0, 1.0, 2.0, 2.0, 1.0]);
        assert_eq!(roll_seconds(&v, 3000, resets), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_last_two_samples_decide() {
        let v = [1.0, 5.0, 2.0];
        assert_eq!(roll_seconds(&v, 9000, |s| last_two(s, true))[1..], [4.0, 2.0]);
        assert_eq!(roll_seconds(&v, 9000, |s| last_two(s, false))[1..], [4.0, -3.0]);
    }
}
