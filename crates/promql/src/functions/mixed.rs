//! Range functions over windows that have native histograms, alone or beside floats.
//!
//! What windows without any yield comes from the functions of floats; here only the steps whose window has histograms are settled.

use std::sync::Arc;

use base::{CounterResetHint, Histogram, Result};

use super::rate::Ends;
use super::rollup::{Rolled, Series};
use super::starts::{self, Stamp};
use super::{extended, rate};
use crate::Function;
use crate::HistogramColumns;
use crate::eval::annotation::Bringing;
use crate::eval::column::{ABSENT, Item};
use crate::eval::select::Notes;
use crate::eval::tally::StepTally;
use crate::histogram::{
    Incompatible, Mean, Noted, Sum, compact, divide, is_equal, is_reset, multiply, size_in_samples,
};

/// The samples of a window, of both kinds.
#[derive(Clone, Copy)]
pub(crate) struct Both<'c> {
    pub(crate) times: &'c [i64],
    pub(crate) values: &'c [f64],
    pub(crate) starts: &'c [i64],
    pub(crate) histograms: Window<'c>,
}

/// The native histograms of a window.
#[derive(Clone, Copy)]
pub(crate) struct Window<'c> {
    pub(crate) times: &'c [i64],
    pub(crate) values: &'c [Arc<Histogram>],
    pub(crate) starts: &'c [i64],
    /// Whether a counter was reset just before each.
    pub(crate) resets: &'c [bool],
}

impl<'c> Window<'c> {
    fn slice(self, from: usize, to: usize) -> Self {
        let starts = if self.starts.is_empty() { self.starts } else { &self.starts[from..to] };
        let resets = if self.resets.is_empty() { self.resets } else { &self.resets[from..to] };
        Window { times: &self.times[from..to], values: &self.values[from..to], starts, resets }
    }
}

/// Settles the steps whose window has histograms.
pub(crate) fn overlay(
    function: Function,
    series: &Series<'_>,
    histograms: &HistogramColumns,
    mode: extended::Mode,
    rolled: &mut Rolled,
    notes: &mut Notes<'_>,
) -> Result<()> {
    let starts = if series.uses_starts { &histograms.starts_ms[..] } else { &[] };
    let looks_for_resets =
        matches!(function, Function::Rate | Function::Increase | Function::Irate | Function::Resets);
    let (times, values) = (&histograms.timestamps_ms[..], &histograms.values[..]);
    let resets: Vec<bool> = match looks_for_resets {
        true => (0..values.len())
            .map(|i| i > 0 && (starts::is_reset(times, starts, i) || is_reset(&values[i], &values[i - 1])))
            .collect(),
        false => Vec::new(),
    };
    let all = Window { times, values, starts, resets: &resets };
    rolled.histograms = vec![None; series.steps.count];
    let (mut from, mut to, mut float_from, mut float_to) = (0, 0, 0, 0);
    for step in 0..series.steps.count {
        let (open, close) = series.bounds(step);
        let seen = to;
        forward(times, open, close, &mut from, &mut to);
        forward(series.times, open, close, &mut float_from, &mut float_to);
        if from == to {
            continue;
        }
        let size = |of: &[Arc<Histogram>]| of.iter().map(|h| size_in_samples(h)).sum::<u64>();
        let used = size(&values[from..to]);
        let tally = StepTally { used, read: size(&values[seen.max(from)..to]) };
        rolled.count(step, tally, (float_to - float_from) as u64 + used);
        let both = Both {
            times: &series.times[float_from..float_to],
            values: &series.values[float_from..float_to],
            starts: series.starts.get(float_from..float_to).unwrap_or_default(),
            histograms: all.slice(from, to),
        };
        let (start_ms, end_ms) = series.range(step);
        let range = Range { start_ms, end_ms, seconds: series.window.range_ms as f64 / 1000.0 };
        match settle(function, &both, range, mode, notes) {
            Settled::Floats => {
                if !both.values.is_empty() {
                    notes.annotations.ignored_in_range(notes.metric, notes.span);
                }
            }
            Settled::Nothing => rolled.values[step] = ABSENT,
            Settled::Item(Item::Float(v)) => rolled.values[step] = v,
            Settled::Item(Item::Histogram(h)) => {
                rolled.values[step] = ABSENT;
                rolled.histograms[step] = Some(h);
            }
        }
    }
    Ok(())
}

/// Moves a window forward to samples in `(open, close]`.
fn forward(times: &[i64], open: i64, close: i64, from: &mut usize, to: &mut usize) {
    while *from < times.len() && times[*from] <= open {
        *from += 1;
    }
    *to = (*to).max(*from);
    while *to < times.len() && times[*to] <= close {
        *to += 1;
    }
}

/// The range of a step.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) seconds: f64,
}

/// What becomes of a step.
enum Settled {
    /// What its floats yield.
    Floats,
    Nothing,
    Item(Item),
}

impl From<Option<Histogram>> for Settled {
    fn from(h: Option<Histogram>) -> Self {
        h.map_or(Self::Nothing, |h| Self::Item(Item::Histogram(Arc::new(h))))
    }
}

impl From<f64> for Settled {
    fn from(v: f64) -> Self {
        Self::Item(Item::Float(v))
    }
}

fn settle(
    function: Function,
    both: &Both<'_>,
    range: Range,
    mode: extended::Mode,
    notes: &mut Notes<'_>,
) -> Settled {
    let h = &both.histograms;
    let histogram_first = both.times.first().is_none_or(|t| *t >= h.times[0]);
    let histogram_last = both.times.last().is_none_or(|t| *t <= h.times[h.times.len() - 1]);
    match function {
        Function::Rate
        | Function::Increase
        | Function::Delta
        | Function::SumOverTime
        | Function::AvgOverTime
            if !both.values.is_empty() =>
        {
            notes.annotations.mixed_range(notes.metric, notes.span);
            Settled::Nothing
        }
        Function::Rate | Function::Increase | Function::Delta => {
            let is_counter = function != Function::Delta;
            let seconds = (function == Function::Rate).then_some(range.seconds);
            match mode {
                extended::Mode::Plain => rate::of_histograms(h, range, is_counter, seconds, notes).into(),
                _ => {
                    let smoothed = mode == extended::Mode::Smoothed;
                    extended::rate_of_histograms(h, range, smoothed, is_counter, seconds, notes).into()
                }
            }
        }
        Function::Irate | Function::Idelta => last_two(both, function == Function::Irate, notes),
        Function::Resets => count_between(both, range, mode, |a, b| a.is_reset_before(b)),
        Function::Changes => count_between(both, range, mode, |a, b| a.is_changed_in(b)),
        Function::SumOverTime => fold(h.values, Sum::new, Sum::add, notes).map(Sum::finish).into(),
        Function::AvgOverTime => fold(h.values, Mean::new, Mean::add, notes).map(Mean::finish).into(),
        Function::CountOverTime => ((both.values.len() + h.values.len()) as f64).into(),
        Function::PresentOverTime | Function::AbsentOverTime => 1.0.into(),
        Function::FirstOverTime if histogram_first => {
            Settled::Item(Item::Histogram(Arc::clone(&h.values[0])))
        }
        Function::LastOverTime if histogram_last => {
            Settled::Item(Item::Histogram(Arc::clone(&h.values[h.values.len() - 1])))
        }
        Function::FirstOverTime => both.values[0].into(),
        Function::LastOverTime => both.values[both.values.len() - 1].into(),
        Function::TsOfFirstOverTime => {
            let first = both.times.first().map_or(h.times[0], |t| (*t).min(h.times[0]));
            (first as f64 / 1000.0).into()
        }
        Function::TsOfLastOverTime => {
            let last = h.times[h.times.len() - 1];
            (both.times.last().map_or(last, |t| (*t).max(last)) as f64 / 1000.0).into()
        }
        _ => Settled::Floats,
    }
}

/// Brings the histograms of a window together.
fn fold<T>(
    values: &[Arc<Histogram>],
    new: fn(&Histogram) -> T,
    add: fn(&mut T, &Histogram) -> Result<Noted, Incompatible>,
    notes: &mut Notes<'_>,
) -> Option<T> {
    let mut total = new(&values[0]);
    let seen = |hint| values.iter().any(|h| h.counter_reset_hint == hint);
    let collision = seen(CounterResetHint::Reset) && seen(CounterResetHint::NotReset);
    let mut noted = Noted { collision, reconciled: false };
    for h in &values[1..] {
        match add(&mut total, h) {
            Ok(now) => noted.reconciled |= now.reconciled,
            Err(Incompatible) => {
                notes.annotations.mixed_schemas(notes.metric, notes.span);
                return None;
            }
        }
    }
    notes.annotations.brought_together(noted, Bringing::Aggregation, notes.span);
    Some(total)
}

/// A sample of either kind.
#[derive(Clone, Copy)]
enum Either<'c> {
    Float(f64),
    /// With its position among the window's histograms.
    Histogram(&'c Histogram, usize),
}

#[derive(Clone, Copy)]
struct Point<'c> {
    stamp: Stamp,
    value: Either<'c>,
}

impl Point<'_> {
    fn is_reset_before(self, next: Self) -> bool {
        match (self.value, next.value) {
            (Either::Float(a), Either::Float(b)) => b < a || next.stamp.is_reset_since(self.stamp),
            (Either::Histogram(a, _), Either::Histogram(b, _)) => {
                next.stamp.is_reset_since(self.stamp) || is_reset(b, a)
            }
            _ => true,
        }
    }

    fn is_changed_in(self, next: Self) -> bool {
        match (self.value, next.value) {
            (Either::Float(a), Either::Float(b)) => rate::is_change(a, b),
            (Either::Histogram(a, _), Either::Histogram(b, _)) => !is_equal(b, a),
            _ => true,
        }
    }
}

impl<'c> Both<'c> {
    /// All samples in order of time.
    fn points(&self) -> Vec<Point<'c>> {
        let h = self.histograms;
        let floats = (0..self.times.len()).map(|i| Point {
            stamp: Stamp::of(self.times, self.starts, i),
            value: Either::Float(self.values[i]),
        });
        let histograms = (0..h.times.len()).map(|i| Point {
            stamp: Stamp::of(h.times, h.starts, i),
            value: Either::Histogram(&h.values[i], i),
        });
        let mut points: Vec<_> = floats.chain(histograms).collect();
        points.sort_by_key(|p| p.stamp.t_ms);
        points
    }
}

/// Counts the pairs of neighbours; of an anchored range from the last sample at or before its beginning on.
fn count_between(
    both: &Both<'_>,
    range: Range,
    mode: extended::Mode,
    counts: fn(Point<'_>, Point<'_>) -> bool,
) -> Settled {
    let points = both.points();
    let mut first = 0;
    if mode == extended::Mode::Anchored {
        let after = points.partition_point(|p| p.stamp.t_ms <= range.start_ms);
        if after == points.len() {
            return Settled::Nothing;
        }
        first = after.saturating_sub(1);
    }
    (points[first..].windows(2).filter(|p| counts(p[0], p[1])).count() as f64).into()
}

/// `irate` and `idelta`: between the last two samples.
fn last_two(both: &Both<'_>, is_rate: bool, notes: &mut Notes<'_>) -> Settled {
    let points = both.points();
    let [.., before, last] = &points[..] else { return Settled::Nothing };
    let elapsed_ms = last.stamp.t_ms - before.stamp.t_ms;
    if elapsed_ms == 0 {
        return Settled::Nothing;
    }
    let seconds = elapsed_ms as f64 / 1000.0;
    match (before.value, last.value) {
        (Either::Float(a), Either::Float(b)) => {
            let reset = b < a || last.stamp.is_reset_since(before.stamp);
            let result = if is_rate && reset { b } else { b - a };
            if is_rate { (result / seconds).into() } else { result.into() }
        }
        (Either::Histogram(a, _), Either::Histogram(b, at)) => {
            let is_gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
            if is_rate && (is_gauge(a) || is_gauge(b)) {
                notes.annotations.not_a_counter(notes.metric, notes.span);
            }
            let are_gauges = is_gauge(a) && is_gauge(b);
            if !is_rate && !are_gauges {
                notes.annotations.not_a_gauge(notes.metric, notes.span);
            }
            let mut result = b.clone();
            let is_reset = is_rate && both.histograms.resets[at];
            if !is_reset && notes.subtract(&mut result, a).is_none() {
                return Settled::Nothing;
            }
            result.counter_reset_hint = CounterResetHint::Gauge;
            compact(&mut result);
            if is_rate {
                divide(&mut result, seconds);
            }
            Some(result).into()
        }
        _ => {
            notes.annotations.mixed_range(notes.metric, notes.span);
            Settled::Nothing
        }
    }
}

/// Extrapolates what histograms increased by.
pub(crate) fn extrapolate(
    h: &mut Histogram,
    ends: &Ends,
    first_count: f64,
    is_counter: bool,
    seconds: Option<f64>,
) {
    let counter = is_counter.then_some((first_count, h.count));
    let factor = ends.factor(counter);
    multiply(h, seconds.map_or(factor, |s| factor / s));
}
