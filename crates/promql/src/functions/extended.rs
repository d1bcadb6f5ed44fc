//! `anchored` and `smoothed` range selectors: the range has a value at its very beginning, and `smoothed` at its end
//! too, taken or interpolated from samples outside of it.

use base::{Error, Result, Sample};

use super::rate::{is_change, is_reset};
use super::rollup::{Rolled, Series};
use crate::ast::VectorSelector;
use crate::eval::column::ABSENT;
use crate::eval::plan::Window;
use crate::{Columns, Function};

/// How a selector treats the ends of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    Anchored,
    Smoothed,
}

/// The mode of a selector, if the function can be used with it.
pub(crate) fn mode(function: Function, selector: &VectorSelector) -> Result<Mode> {
    let rates = matches!(function, Function::Rate | Function::Increase | Function::Delta);
    let refuse = |modifier: &str, list: &str| {
        let name = function.name();
        Err(Error::invalid(format!("{modifier} modifier can only be used with: {list} - not with {name}")))
    };
    match (selector.anchored, selector.smoothed) {
        (true, _) if rates || matches!(function, Function::Resets | Function::Changes) => Ok(Mode::Anchored),
        (true, _) => refuse("anchored", "changes, delta, increase, rate, resets"),
        (_, true) if rates => Ok(Mode::Smoothed),
        (_, true) => refuse("smoothed", "delta, increase, rate"),
        _ => Ok(Mode::Plain),
    }
}

/// Evaluates a function over an anchored or smoothed range.
pub(crate) fn roll(function: Function, series: &Series<'_>, mode: Mode) -> Rolled {
    let smoothed = mode == Mode::Smoothed;
    let seconds = series.window.range_ms as f64 / 1000.0;
    series.slide(|from, to, step| {
        let (start_ms, end_ms) = series.range(step);
        let view =
            View { times: &series.times[from..to], values: &series.values[from..to], start_ms, end_ms };
        match function {
            Function::Rate => view.difference(true, smoothed).map_or(ABSENT, |d| d / seconds),
            Function::Increase => view.difference(true, smoothed).unwrap_or(ABSENT),
            Function::Resets => view.count(is_reset),
            Function::Changes => view.count(is_change),
            _ => view.difference(false, smoothed).unwrap_or(ABSENT),
        }
    })
}

/// The samples of an anchored or smoothed range, with those that stand for its ends.
pub(crate) fn extend(columns: &Columns, window: &Window, end_ms: i64, smoothed: bool) -> Vec<Sample> {
    let start_ms = end_ms.saturating_sub(window.range_ms);
    let view = View { times: &columns.timestamps_ms, values: &columns.values, start_ms, end_ms };
    let Some(inner) = view.inner(smoothed) else { return Vec::new() };
    let (left, right) = (view.left(inner.0, smoothed, false), view.right(inner.1, smoothed, false));
    let (first, end) = view.strictly_inside(inner);
    let mut samples = vec![Sample { t_ms: start_ms, value: left }];
    for i in first..end.max(first) {
        samples.push(Sample { t_ms: view.times[i], value: view.values[i] });
    }
    samples.push(Sample { t_ms: end_ms, value: right });
    samples
}

/// A range with the samples in and around it; at least one.
struct View<'c> {
    times: &'c [i64],
    values: &'c [f64],
    start_ms: i64,
    end_ms: i64,
}

impl View<'_> {
    /// The samples that decide the ends: the last one at or before the beginning, else the first; and the last one, or
    /// with `smoothed` the first at or after the end. `None` if the range holds nothing.
    fn inner(&self, smoothed: bool) -> Option<(usize, usize)> {
        let mut last = self.times.len().checked_sub(1)?;
        let first = self.times[..last].partition_point(|t| *t <= self.start_ms).saturating_sub(1);
        if smoothed {
            last = self.times[..last].partition_point(|t| *t < self.end_ms);
        }
        let nothing = self.times[last] <= self.start_ms || (smoothed && self.times[first] > self.end_ms);
        (!nothing).then_some((first, last))
    }

    /// From the first sample after the beginning to the last before the end, that one excluded.
    fn strictly_inside(&self, (first, last): (usize, usize)) -> (usize, usize) {
        let first = if self.times[first] <= self.start_ms { first + 1 } else { first };
        let end = if self.times[last] >= self.end_ms { last } else { last + 1 };
        (first, end)
    }

    fn left(&self, first: usize, smoothed: bool, is_counter: bool) -> f64 {
        if smoothed && self.times[first] < self.start_ms {
            return self.interpolate(first, first + 1, self.start_ms, is_counter);
        }
        self.values[first]
    }

    fn right(&self, last: usize, smoothed: bool, is_counter: bool) -> f64 {
        if smoothed && last > 0 && self.times[last] > self.end_ms {
            return self.interpolate(last - 1, last, self.end_ms, is_counter);
        }
        self.values[last]
    }

    /// The value at a time between two samples; a counter that was reset between them started from zero.
    fn interpolate(&self, a: usize, b: usize, t_ms: i64, is_counter: bool) -> f64 {
        let (mut before, after) = (self.values[a], self.values[b]);
        if is_counter && after < before {
            before = 0.0;
        }
        before + (after - before) * (t_ms - self.times[a]) as f64 / (self.times[b] - self.times[a]) as f64
    }

    fn difference(&self, is_counter: bool, smoothed: bool) -> Option<f64> {
        let inner = self.inner(smoothed)?;
        let left = self.left(inner.0, smoothed, is_counter);
        let right = self.right(inner.1, smoothed, is_counter);
        let mut result = right - left;
        if is_counter {
            let (first, end) = self.strictly_inside(inner);
            let mut before = left;
            for v in self.values[first..end.max(first)].iter().chain([&right]) {
                if *v < before {
                    result += before;
                }
                before = *v;
            }
        }
        Some(result)
    }

    /// Counts the pairs of neighbours from the last sample at or before the beginning on.
    fn count(&self, counts: fn(f64, f64) -> bool) -> f64 {
        let after = self.times.partition_point(|t| *t <= self.start_ms);
        if after == self.times.len() {
            return ABSENT;
        }
        let pairs = self.values[after.saturating_sub(1)..].windows(2);
        pairs.filter(|p| counts(p[0], p[1])).count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'c>(times: &'c [i64], values: &'c [f64]) -> View<'c> {
        View { times, values, start_ms: 10, end_ms: 20 }
    }

    #[test]
    fn anchored_starts_from_the_sample_before_the_range() {
        let v = view(&[5, 12, 18], &[1.0, 4.0, 2.0]);
        assert_eq!(v.difference(true, false), Some(5.0));
        assert_eq!(v.difference(false, false), Some(1.0));
        assert_eq!(v.count(is_reset), 1.0);
        assert_eq!(view(&[5], &[1.0]).difference(true, false), None);
    }

    #[test]
    fn smoothed_interpolates_at_both_ends() {
        let v = view(&[5, 15, 25], &[0.0, 10.0, 20.0]);
        assert_eq!(v.difference(true, true), Some(10.0));
    }
}
