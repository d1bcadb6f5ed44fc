//! How a series changes: `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`.

use std::sync::Arc;

use base::{CounterResetHint, Histogram};

use super::mixed::{self, Range, Window};
use super::rollup::{Rolled, Series};
use super::starts;
use crate::eval::annotation::Bringing;
use crate::eval::column::ABSENT;
use crate::eval::select::Notes;
use crate::histogram::{Incompatible, Noted, add, compact, in_schema, subtract};

/// `rate`, `increase` and `delta`: the difference between the last and the first sample, corrected for counter resets
/// and extrapolated to the ends of the range where the samples come close to them.
pub(crate) fn extrapolated(series: &Series<'_>, is_counter: bool, is_rate: bool) -> Rolled {
    let (times, values) = (series.times, series.values);
    // Resets are rare; those in a window are found by two more indexes.
    let resets = if is_counter { resets_of(series) } else { Vec::new() };
    let mut first_reset = 0;
    let divisor = if is_rate { series.window.range_ms as f64 / 1000.0 } else { 1.0 };
    let reach = |from: usize, to: usize, step, begun_ms| {
        let (start_ms, end_ms) = series.range(step);
        let (first_ms, last_ms, samples) = (times[from], times[to - 1], to - from);
        Ends { start_ms, end_ms, first_ms, last_ms, samples, begun_ms }.reach(divisor)
    };
    series.with_windows(|windows| {
        let reaches = windows.reaches(is_rate, |from, to, step| reach(from, to, step, None));
        windows.map(|from, to, step| {
            let begun_ms = match is_counter && !series.starts.is_empty() {
                true => starts::begun_within(times, series.starts, from, series.range(step).0),
                false => None,
            };
            if to - from < 2 && begun_ms.is_none() {
                return ABSENT;
            }
            let mut result = values[to - 1] - values[from];
            while first_reset < resets.len() && resets[first_reset] <= from {
                first_reset += 1;
            }
            for reset in resets[first_reset..].iter().take_while(|r| **r < to) {
                result += values[reset - 1];
            }
            if begun_ms.is_some() {
                result += values[from];
            }
            let counter = is_counter.then_some((values[from], result));
            result
                * match begun_ms {
                    None => reaches.of(step).factor(counter),
                    begun_ms => reach(from, to, step, begun_ms).factor(counter),
                }
        })
    })
}

/// The samples before which a counter began anew.
fn resets_of(series: &Series<'_>) -> Vec<usize> {
    let (times, values, starts) = (series.times, series.values, series.starts);
    // Without branches: hardly any series has one.
    let falls: usize = values.windows(2).map(|pair| usize::from(is_reset(pair[0], pair[1]))).sum();
    if falls == 0 && starts.is_empty() {
        return Vec::new();
    }
    let begins_anew = |i: &usize| is_reset(values[i - 1], values[*i]) || starts::is_reset(times, starts, *i);
    (1..values.len()).filter(begins_anew).collect()
}

/// A range, and the samples in it.
pub(crate) struct Ends {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) samples: usize,
    /// When the counting of the first sample began, if that was within the range: at zero.
    pub(crate) begun_ms: Option<i64>,
}

/// How far the samples of a range reach, in seconds, and how far they are taken to reach.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    sampled: f64,
    to_start: f64,
    to_end: f64,
    /// What results are divided by: the seconds of a rate, or one.
    divisor: f64,
    /// The factor of what is no counter.
    factor: f64,
}

impl Ends {
    /// By what to multiply a difference between the first and last samples to cover the range; of a counter, its first
    /// value and the difference are given, as it cannot have been below zero.
    pub(crate) fn factor(&self, counter: Option<(f64, f64)>) -> f64 {
        self.reach(1.0).factor(counter)
    }

    fn reach(&self, divisor: f64) -> Reach {
        let sampled = (self.last_ms - self.first_ms) as f64 / 1000.0;
        let average = if self.samples > 1 { sampled / (self.samples - 1) as f64 } else { 0.0 };
        let threshold = average * 1.1;
        let within = |distance_ms: i64| {
            let seconds = distance_ms as f64 / 1000.0;
            if seconds >= threshold { average / 2.0 } else { seconds }
        };
        let (to_start, to_end) = (within(self.first_ms - self.start_ms), within(self.end_ms - self.last_ms));
        let (sampled, to_start) = match self.begun_ms {
            Some(begun_ms) => ((self.last_ms - begun_ms) as f64 / 1000.0, 0.0),
            None => (sampled, to_start),
        };
        let reach = Reach { sampled, to_start, to_end, divisor, factor: 0.0 };
        Reach { factor: reach.factor_from(to_start), ..reach }
    }
}

impl Reach {
    /// As [`Ends::factor`], by the divisor.
    #[inline]
    fn factor(&self, counter: Option<(f64, f64)>) -> f64 {
        match counter {
            // One that begins above what it grew by was at zero before the samples began to reach.
            Some((first, difference))
                if difference > 0.0
                    && first >= 0.0
                    && (first < difference || self.to_start > self.sampled) =>
            {
                self.factor_from(self.to_start.min(self.sampled * (first / difference)))
            }
            _ => self.factor,
        }
    }

    fn factor_from(&self, to_start: f64) -> f64 {
        let factor =
            if self.sampled == 0.0 { 1.0 } else { (self.sampled + to_start + self.to_end) / self.sampled };
        factor / self.divisor
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
        let reset = is_reset(before, last) || starts::is_reset(times, series.starts, to - 1);
        let increase = if reset { last } else { last - before };
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
    for (i, pair) in series.values.windows(2).enumerate() {
        let counted = counts(pair[0], pair[1]) || starts::is_reset(series.times, series.starts, i + 1);
        sums.push(sums[sums.len() - 1] + u32::from(counted));
    }
    series.slide(|from, to, _| f64::from(sums[to - 1] - sums[from]))
}

/// `rate`, `increase` and `delta` of a window of native histograms; `seconds` are what a rate is divided by.
pub(crate) fn of_histograms(
    h: &Window<'_>,
    range: Range,
    is_counter: bool,
    seconds: Option<f64>,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    let begun_ms = if is_counter { starts::begun_within(h.times, h.starts, 0, range.start_ms) } else { None };
    let first = &h.values[0];
    let mut result = match (h.values.len(), begun_ms) {
        (1, None) => return None,
        (1, Some(_)) => (**first).clone(),
        _ => {
            let mut result = difference(h, is_counter, notes)?;
            if begun_ms.is_some() {
                notes.add(&mut result, first)?;
            }
            result
        }
    };
    let ends = Ends {
        start_ms: range.start_ms,
        end_ms: range.end_ms,
        first_ms: h.times[0],
        last_ms: h.times[h.times.len() - 1],
        samples: h.times.len(),
        begun_ms,
    };
    mixed::extrapolate(&mut result, &ends, first.count, is_counter, seconds);
    Some(result)
}

/// The difference between the last and the first of at least two histograms, corrected for counter resets.
fn difference(h: &Window<'_>, is_counter: bool, notes: &mut Notes<'_>) -> Option<Histogram> {
    let [first, second, ..] = h.values else { return None };
    let last = &h.values[h.values.len() - 1];
    let is_gauge = |h: &Arc<Histogram>| h.counter_reset_hint == CounterResetHint::Gauge;
    if is_counter && (is_gauge(first) || is_gauge(last)) {
        notes.annotations.not_a_counter(notes.metric, notes.span);
    }
    // After a reset the first histogram has no part in the difference, whatever its buckets are.
    let nothing = Histogram {
        schema: second.schema,
        custom_bounds: Arc::clone(&second.custom_bounds),
        ..Histogram::default()
    };
    let begins_anew = is_counter && h.resets[1];
    let before: &Histogram = if begins_anew { &nothing } else { first };
    let custom = before.has_custom_bounds();
    let inner = if is_counter { &h.values[1..h.values.len() - 1] } else { &[] };
    if last.has_custom_bounds() != custom || inner.iter().any(|h| h.has_custom_bounds() != custom) {
        notes.annotations.mixed_schemas(notes.metric, notes.span);
        return None;
    }
    if inner.iter().any(is_gauge) {
        notes.annotations.not_a_counter(notes.metric, notes.span);
    }
    let schema = inner.iter().map(|h| h.schema).fold(last.schema.min(before.schema), i32::min);
    let mut result = in_schema(last, schema);
    notes.subtract(&mut result, before)?;
    if is_counter {
        if starts::has_overlap(h.times, h.starts, 0, h.times.len()) {
            notes.annotations.start_overlap(notes.metric, 1, notes.span);
        }
        for at in (1..h.values.len()).filter(|at| h.resets[*at]) {
            notes.add(&mut result, if at == 1 { before } else { &h.values[at - 1] })?;
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        notes.annotations.not_a_gauge(notes.metric, notes.span);
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    compact(&mut result);
    Some(result)
}

impl Notes<'_> {
    /// Tells that custom bounds were reconciled. Conflicting resets are what functions of counters look for, and not worth a word.
    pub(crate) fn reconciled(&mut self, noted: Noted, how: Bringing) {
        self.annotations.brought_together(Noted { collision: false, ..noted }, how, self.span);
    }

    /// Adds a histogram, and tells if that does not go.
    pub(crate) fn add(&mut self, h: &mut Histogram, other: &Histogram) -> Option<()> {
        let noted = add(h, other);
        self.settled(noted, Bringing::Addition)
    }

    /// Subtracts a histogram, likewise.
    pub(crate) fn subtract(&mut self, h: &mut Histogram, other: &Histogram) -> Option<()> {
        let noted = subtract(h, other);
        self.settled(noted, Bringing::Subtraction)
    }

    fn settled(&mut self, noted: Result<Noted, Incompatible>, how: Bringing) -> Option<()> {
        match noted {
            Ok(noted) => {
                self.reconciled(noted, how);
                Some(())
            }
            Err(Incompatible) => {
                self.annotations.mixed_schemas(self.metric, self.span);
                None
            }
        }
    }
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
