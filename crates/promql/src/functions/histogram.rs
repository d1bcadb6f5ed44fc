//! Histograms, classic and native: `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`.
//!
//! The series of one classic histogram differ in `le` only. They are brought together and ordered by their bound once; each
//! step then works on the counts alone.

use base::{Labels, METRIC_NAME, Result};
use rustc_hash::FxHashMap;

use super::label::text;
use crate::ast::Span;
use crate::eval::annotation::Forced;
use crate::eval::column::{ABSENT, Column, Frame, is_present, merge_same_labels, without_metadata};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;
use crate::histogram::{self as native_histogram, NanNote};
use crate::number::format_openmetrics;

/// Differences between the counts of neighbouring buckets below this share are taken for rounding errors.
const SMALL_DELTA: f64 = 1e-12;

const BUCKET_LABEL: &str = "le";

/// The series of one histogram, in order of their bounds.
struct Histogram {
    labels: Labels,
    /// Upper bound, and the counts at each step.
    buckets: Vec<(f64, Vec<f64>)>,
}

/// Count of the values up to a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// `histogram_quantile(q, v)`.
pub(crate) fn quantile(ev: &mut Evaluator<'_>, node: &Node<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let quantiles = ev.scalar(&args[0])?;
    note_invalid(ev, &quantiles, args[0].span);
    let (classic, native) = read(ev, &args[1])?;
    let mut out = Frame::new();
    for histogram in &native {
        ev.check_interrupt()?;
        let values = native_quantiles(ev, histogram, &quantiles, args[1].span);
        out.push(column(ev, histogram.labels.clone(), values));
    }
    for histogram in &classic {
        ev.check_interrupt()?;
        let values = quantile_column(ev, node, histogram, &quantiles, args[1].span);
        out.push(column(ev, histogram.labels.clone(), values));
    }
    finish(ev, out)
}

/// `histogram_quantiles(v, label, q…)`.
pub(crate) fn quantiles(ev: &mut Evaluator<'_>, node: &Node<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let label = text(args, 1)?.to_owned();
    let mut asked = Vec::new();
    for arg in &args[2..] {
        let quantiles = ev.scalar(arg)?;
        note_invalid(ev, &quantiles, arg.span);
        asked.push(quantiles);
    }
    let (classic, native) = read(ev, &args[0])?;
    let mut out = Frame::new();
    for quantiles in &asked {
        for at in 0..native.len() + classic.len() {
            ev.check_interrupt()?;
            let (of, values) = match at.checked_sub(native.len()) {
                None => (&native[at].labels, native_quantiles(ev, &native[at], quantiles, args[0].span)),
                Some(at) => {
                    let histogram = &classic[at];
                    (&histogram.labels, quantile_column(ev, node, histogram, quantiles, args[0].span))
                }
            };
            // A quantile that changes from step to step makes a series of each value.
            let mut rest = values;
            while let Some(first) = rest.iter().position(|v| is_present(*v)) {
                let q = quantiles[first];
                let mut of_q = vec![ABSENT; rest.len()];
                for step in first..rest.len() {
                    if quantiles[step].to_bits() == q.to_bits() {
                        of_q[step] = std::mem::replace(&mut rest[step], ABSENT);
                    }
                }
                let mut labels = of.to_builder();
                labels.set(&label, &format_openmetrics(q));
                out.push(column(ev, labels.build(), of_q));
            }
        }
    }
    finish(ev, out)
}

/// `histogram_fraction(lower, upper, v)`.
pub(crate) fn fraction(ev: &mut Evaluator<'_>, node: &Node<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let (lower, upper) = (ev.scalar(&args[0])?, ev.scalar(&args[1])?);
    let (classic, native) = read(ev, &args[2])?;
    let (mut out, mut buckets) = (Frame::new(), Vec::new());
    for histogram in &native {
        ev.check_interrupt()?;
        let mut has_nan = false;
        let mut values = vec![ABSENT; node.steps.count];
        for (step, v) in values.iter_mut().enumerate() {
            if let Some(h) = histogram.histogram(step) {
                let (fraction, nan) = native_histogram::fraction(lower[step], upper[step], h);
                has_nan |= nan;
                *v = fraction;
            }
        }
        if has_nan {
            let metric = metric(ev, &histogram.labels).to_owned();
            ev.annotations.nan_in_fraction(&metric, args[2].span);
        }
        out.push(column(ev, histogram.labels.clone(), values));
    }
    for histogram in &classic {
        ev.check_interrupt()?;
        let mut values = vec![ABSENT; node.steps.count];
        for (step, v) in values.iter_mut().enumerate() {
            histogram.at(step, &mut buckets);
            if !buckets.is_empty() {
                *v = fraction_between(lower[step], upper[step], &mut buckets);
            }
        }
        out.push(column(ev, histogram.labels.clone(), values));
    }
    finish(ev, out)
}

fn note_invalid(ev: &mut Evaluator<'_>, quantiles: &[f64], span: Span) {
    let mut last = None;
    for q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        if last.replace(q.to_bits()) != Some(q.to_bits()) {
            ev.annotations.invalid_quantile(*q, span);
        }
    }
}

fn column(ev: &Evaluator<'_>, labels: Labels, values: Vec<f64>) -> Column {
    let labels = if ev.options.delayed_name_removal { labels } else { without_metadata(&labels) };
    Column::floats(labels, true, values)
}

/// The name of a metric, as far as annotations know it.
fn metric<'l>(ev: &Evaluator<'_>, labels: &'l Labels) -> &'l str {
    if ev.options.delayed_name_removal { labels.metric() } else { "" }
}

/// The quantiles of a native histogram.
fn native_quantiles(ev: &mut Evaluator<'_>, histogram: &Column, quantiles: &[f64], span: Span) -> Vec<f64> {
    let mut notes = [false; 2];
    let values = (0..quantiles.len())
        .map(|step| {
            let Some(h) = histogram.histogram(step) else { return ABSENT };
            let (v, note) = native_histogram::quantile(quantiles[step], h);
            match note {
                Some(NanNote::Result) => notes[0] = true,
                Some(NanNote::Skew) => notes[1] = true,
                None => {}
            }
            v
        })
        .collect();
    let metric = metric(ev, &histogram.labels).to_owned();
    for (note, _) in [NanNote::Result, NanNote::Skew].into_iter().zip(notes).filter(|(_, noted)| *noted) {
        ev.annotations.nan_in_quantile(note, &metric, span);
    }
    values
}

fn finish(ev: &Evaluator<'_>, frame: Frame) -> Result<Frame> {
    if ev.options.delayed_name_removal { Ok(frame) } else { merge_same_labels(frame) }
}

/// Brings the series of each classic histogram together; native ones stay as they are. Where a series is both at a step, it is
/// neither.
fn read(ev: &mut Evaluator<'_>, arg: &Node<'_>) -> Result<(Vec<Histogram>, Frame)> {
    let mut by_labels: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut classic: Vec<Histogram> = Vec::new();
    let mut native = Frame::new();
    let frame = ev.frame(arg)?;
    ev.release_all(&frame);
    for mut column in frame {
        if column.has_histograms() {
            let values = vec![ABSENT; column.values.len()];
            let labels = column.labels.clone();
            let floats = std::mem::replace(&mut column.values, values);
            native.push(column);
            column = Column::floats(labels, false, floats);
            if column.is_empty() {
                continue;
            }
        }
        let le = column.labels.get_or_empty(BUCKET_LABEL);
        let Ok(bound) = le.parse::<f64>() else {
            let metric = metric(ev, &column.labels);
            ev.annotations.bad_bucket_label(metric, le, arg.span);
            continue;
        };
        let labels = column.labels.filtered(|n| n != BUCKET_LABEL);
        let at = *by_labels.entry(labels).or_insert_with_key(|labels| {
            classic.push(Histogram { labels: labels.clone(), buckets: Vec::new() });
            classic.len() - 1
        });
        classic[at].buckets.push((bound, column.values));
    }
    for h in &mut classic {
        h.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    for column in &mut native {
        let Some(at) = by_labels.get(&column.labels) else { continue };
        for step in 0..column.values.len() {
            let buckets = &mut classic[*at].buckets;
            if column.histogram(step).is_none() || !buckets.iter().any(|(_, c)| is_present(c[step])) {
                continue;
            }
            let metric = metric(ev, &column.labels).to_owned();
            ev.annotations.mixed_classic_native(&metric, arg.span);
            column.clear(step);
            buckets.iter_mut().for_each(|(_, counts)| counts[step] = ABSENT);
        }
    }
    Ok((classic, native))
}

impl Histogram {
    /// The buckets at a step.
    fn at(&self, step: usize, buckets: &mut Vec<Bucket>) {
        buckets.clear();
        let present = self.buckets.iter().filter(|(_, counts)| is_present(counts[step]));
        buckets.extend(present.map(|(bound, counts)| Bucket { bound: *bound, count: counts[step] }));
    }
}

fn quantile_column(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    histogram: &Histogram,
    quantiles: &[f64],
    span: Span,
) -> Vec<f64> {
    let mut buckets = Vec::new();
    let mut values = vec![ABSENT; node.steps.count];
    for (step, v) in values.iter_mut().enumerate() {
        histogram.at(step, &mut buckets);
        if buckets.is_empty() {
            continue;
        }
        let (quantile, forced) = bucket_quantile(quantiles[step], &mut buckets);
        *v = quantile;
        if let Some((min_bucket, max_bucket, max_diff)) = forced {
            let metric =
                if ev.options.delayed_name_removal { histogram.labels.get_or_empty(METRIC_NAME) } else { "" };
            let t_ms = node.steps.at(step);
            let forced =
                Forced { first_ms: t_ms, last_ms: t_ms, min_bucket, max_bucket, max_diff, samples: 1 };
            ev.annotations.forced_monotonicity(metric, span, forced);
        }
    }
    values
}

/// The `q`-quantile of a histogram, its values taken as evenly spread in each bucket; with lowest and highest bound and
/// the largest difference where counts had to be raised to be monotonic. The buckets are in order of their bounds.
fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<(f64, f64, f64)>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.bound != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let forced = force_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * observations;
    let at = buckets[..last].partition_point(|b| b.count < rank || b.count.is_nan() || rank.is_nan());
    if at == last {
        return (buckets[last - 1].bound, forced);
    }
    if at == 0 && buckets[0].bound <= 0.0 {
        return (buckets[0].bound, forced);
    }
    let (mut start, end, mut count) = (0.0, buckets[at].bound, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].bound;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// Adds up buckets of the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
}

/// Makes counts grow with the bounds: those that differ by rounding only become equal, those that fall are raised, and
/// of these the bounds and the largest difference are given.
fn force_monotonic(buckets: &mut [Bucket]) -> Option<(f64, f64, f64)> {
    let (mut min_bucket, mut max_bucket, mut max_diff) = (f64::INFINITY, f64::NEG_INFINITY, 0.0f64);
    let mut forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if nearly_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            forced = true;
            min_bucket = min_bucket.min(bucket.bound);
            max_bucket = max_bucket.max(bucket.bound);
            max_diff = max_diff.max(before - count);
        } else {
            before = count;
        }
    }
    forced.then_some((min_bucket, max_bucket, max_diff))
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The share of a histogram's values between two bounds. The buckets are in order of theirs.
fn fraction_between(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.bound != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |v: f64| rank_of(v, buckets).map_or(count, |r| if r > count { count } else { r });
    (rank(upper) - rank(lower)) / count
}

/// How many values lie below `v`; `None` if `v` is beyond all buckets.
fn rank_of(v: f64, buckets: &[Bucket]) -> Option<f64> {
    // Without a bucket at or below zero, the values are taken to be positive.
    let mut start = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut below = 0.0;
    for bucket in buckets {
        if start >= v {
            return Some(below);
        }
        if bucket.bound > v {
            // Within a bucket without end nothing can be interpolated.
            if start == f64::NEG_INFINITY {
                return Some(bucket.count);
            }
            return Some(below + (bucket.count - below) * (v - start) / (bucket.bound - start));
        }
        (start, below) = (bucket.bound, bucket.count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_interpolate_within_a_bucket() {
        let of = |q| bucket_quantile(q, &mut buckets(&[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)])).0;
        assert_eq!((of(0.25), of(0.5), of(0.75)), (0.5, 1.0, 1.5));
        assert_eq!((of(-1.0), of(2.0)), (f64::NEG_INFINITY, INF));
        assert!(bucket_quantile(0.5, &mut buckets(&[(1.0, 10.0)])).0.is_nan());
    }

    #[test]
    fn falling_counts_are_raised_and_told() {
        let mut b = buckets(&[(1.0, 10.0), (2.0, 8.0), (3.0, 10.0 + 1e-13), (INF, 12.0)]);
        assert_eq!(force_monotonic(&mut b), Some((2.0, 2.0, 2.0)));
        assert_eq!(b, buckets(&[(1.0, 10.0), (2.0, 10.0), (3.0, 10.0), (INF, 12.0)]));
    }

    #[test]
    fn fractions_interpolate_at_both_ends() {
        let of = |l, u| fraction_between(l, u, &mut buckets(&[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)]));
        assert_eq!((of(0.5, 1.5), of(0.0, INF), of(1.0, 1.0)), (0.5, 1.0, 0.0));
    }
}
