//! `anchored` and `smoothed` range selectors: the range has a value at its very beginning, and `smoothed` at its end
//! too, taken or interpolated from samples outside of it.

use base::{CounterResetHint, Error, Histogram, Result, Sample};
use serde::{Deserialize, Serialize};

use super::mixed::{self, Range};
use super::rate::{is_change, is_reset};
use super::rollup::{Rolled, Series};
use super::starts;
use crate::ast::VectorSelector;
use crate::eval::column::ABSENT;
use crate::eval::plan::Window;
use crate::eval::select::Notes;
use crate::histogram::{self, compact, divide, multiply};
use crate::{Columns, Function};

/// How a selector treats the ends of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Plain,
    Anchored,
    Smoothed,
}

impl Mode {
    /// Whether a function can be used with it.
    pub(crate) fn is_for(self, function: Function) -> bool {
        let rates = matches!(function, Function::Rate | Function::Increase | Function::Delta);
        match self {
            Self::Plain => true,
            Self::Anchored => rates || matches!(function, Function::Resets | Function::Changes),
            Self::Smoothed => rates,
        }
    }
}

/// The mode of a selector, if the function can be used with it.
pub(crate) fn mode(function: Function, selector: &VectorSelector) -> Result<Mode> {
    let refuse = |modifier: &str, list: &str| {
        let name = function.name();
        Err(Error::invalid(format!("{modifier} modifier can only be used with: {list} - not with {name}")))
    };
    match (selector.anchored, selector.smoothed) {
        (true, _) if Mode::Anchored.is_for(function) => Ok(Mode::Anchored),
        (true, _) => refuse("anchored", "changes, delta, increase, rate, resets"),
        (_, true) if Mode::Smoothed.is_for(function) => Ok(Mode::Smoothed),
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
        let starts = series.starts.get(from..to).unwrap_or_default();
        let (times, values) = (&series.times[from..to], &series.values[from..to]);
        let view = View { times, values, starts, start_ms, end_ms };
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
    let (times, values) = (&columns.timestamps_ms[..], &columns.values[..]);
    let view = View { times, values, starts: &[], start_ms, end_ms };
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
    starts: &'c [i64],
    start_ms: i64,
    end_ms: i64,
}

/// The samples that decide the ends of a range: the last one at or before the beginning, else the first; and the last one, or with
/// `smoothed` the first at or after the end. `None` if the range holds nothing.
fn ends(times: &[i64], start_ms: i64, end_ms: i64, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= start_ms).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|t| *t < end_ms);
    }
    let nothing = times[last] <= start_ms || (smoothed && times[first] > end_ms);
    (!nothing).then_some((first, last))
}

/// `rate`, `increase` and `delta` of an anchored or smoothed window of native histograms.
pub(crate) fn rate_of_histograms(
    h: &mixed::Window<'_>,
    range: Range,
    smoothed: bool,
    is_counter: bool,
    seconds: Option<f64>,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    let (first, last) = ends(h.times, range.start_ms, range.end_ms, smoothed)?;
    let is_gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let inner = &h.values[first..=last];
    if inner.iter().any(|i| i.has_custom_bounds() != inner[0].has_custom_bounds()) {
        notes.annotations.mixed_schemas(notes.metric, notes.span);
        return None;
    }
    if is_counter && inner.iter().any(|h| is_gauge(h)) {
        notes.annotations.not_a_counter(notes.metric, notes.span);
    }
    let at = |i: usize| (h.times[i], &*h.values[i]);
    let left = if smoothed && h.times[first] < range.start_ms {
        interpolate_histograms([at(first), at(first + 1)], range.start_ms, is_counter, notes)?
    } else {
        (*h.values[first]).clone()
    };
    let right = if smoothed && last > 0 && h.times[last] > range.end_ms {
        interpolate_histograms([at(last - 1), at(last)], range.end_ms, is_counter, notes)?
    } else {
        (*h.values[last]).clone()
    };
    let are_gauges = is_gauge(&left) && is_gauge(&right);
    if !is_counter && !are_gauges {
        notes.annotations.not_a_gauge(notes.metric, notes.span);
    }
    let mut result = right.clone();
    notes.subtract(&mut result, &left)?;
    if is_counter {
        let interpolated_left = smoothed && h.times[first] < range.start_ms;
        if let Some(lost) = lost_by_resets(h, (first, last), interpolated_left, (&left, &right), notes)? {
            notes.add(&mut result, &lost)?;
        }
    }
    if let Some(seconds) = seconds {
        divide(&mut result, seconds);
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    compact(&mut result);
    Some(result)
}

/// What a counter lost by resets within a range whose ends are given: the sum of the histograms before them. The outer `None` is
/// that they cannot be added.
#[expect(clippy::option_option, reason = "one is failure, the other is nothing lost")]
fn lost_by_resets(
    h: &mixed::Window<'_>,
    (first, last): (usize, usize),
    interpolated_left: bool,
    (left, right): (&Histogram, &Histogram),
    notes: &mut Notes<'_>,
) -> Option<Option<Histogram>> {
    let (mut next, mut before) = (first + 1, left);
    // A reset between the first two samples is part of what was interpolated between them.
    if interpolated_left && histogram::is_reset(&h.values[first + 1], &h.values[first]) {
        before = &h.values[first + 1];
        next += 1;
    }
    if next > last {
        return Some(None);
    }
    let mut lost: Option<Histogram> = None;
    // The last sample is what the right end is made of, with its hint.
    for now in h.values[next..last].iter().map(|h| &**h).chain([right]) {
        if histogram::is_reset(now, before) {
            match &mut lost {
                None => lost = Some(before.clone()),
                Some(lost) => notes.add(lost, before)?,
            }
        }
        before = now;
    }
    Some(lost)
}

/// The histogram at a time between two; a counter that was reset between them started from nothing.
pub(crate) fn interpolate_histograms(
    [(before_ms, before), (after_ms, after)]: [(i64, &Histogram); 2],
    t_ms: i64,
    is_counter: bool,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    if t_ms == before_ms {
        return Some(before.clone());
    }
    let mut result = after.clone();
    if t_ms == after_ms {
        return Some(result);
    }
    if before.has_custom_bounds() != after.has_custom_bounds() {
        notes.annotations.mixed_schemas(notes.metric, notes.span);
        return None;
    }
    let fraction = (t_ms - before_ms) as f64 / (after_ms - before_ms) as f64;
    if is_counter && histogram::is_reset(after, before) {
        multiply(&mut result, fraction);
        return Some(result);
    }
    notes.subtract(&mut result, before)?;
    multiply(&mut result, fraction);
    notes.add(&mut result, before)?;
    Some(result)
}

impl View<'_> {
    fn inner(&self, smoothed: bool) -> Option<(usize, usize)> {
        ends(self.times, self.start_ms, self.end_ms, smoothed)
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
        let first = after.saturating_sub(1);
        let counted = |i: &usize| {
            counts(self.values[i - 1], self.values[*i]) || starts::is_reset(self.times, self.starts, *i)
        };
        (first + 1..self.values.len()).filter(counted).count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'c>(times: &'c [i64], values: &'c [f64]) -> View<'c> {
        View { times, values, starts: &[], start_ms: 10, end_ms: 20 }
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
