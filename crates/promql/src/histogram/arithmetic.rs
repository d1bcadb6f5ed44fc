//! Adding, subtracting and scaling histograms.

use std::sync::Arc;

use base::{CounterResetHint, Histogram, Span};

use super::bucket::outwards;
use super::layout::{Side, beyond_zero, common_bounds, merged, onto_bounds, reduced, side};
use super::zero::reconcile;

/// Histograms with exponential and with custom buckets cannot be brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What there is to tell about bringing histograms together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// One was known to follow a counter reset, and the other not to.
    pub(crate) collision: bool,
    /// Their custom bounds differed; those that both have remained.
    pub(crate) reconciled: bool,
}

/// Adds a histogram, in the coarser of both layouts.
pub(crate) fn add(h: &mut Histogram, other: &Histogram) -> Result<Noted, Incompatible> {
    combine(h, other, 1.0)
}

/// Subtracts a histogram, likewise. The hint is that of an addition.
pub(crate) fn subtract(h: &mut Histogram, other: &Histogram) -> Result<Noted, Incompatible> {
    combine(h, other, -1.0)
}

fn combine(h: &mut Histogram, other: &Histogram, sign: f64) -> Result<Noted, Incompatible> {
    check(h, other)?;
    let collision = settle_hint(h, other);
    h.is_float = true;
    h.count += sign * other.count;
    if h.has_custom_bounds() {
        h.sum += sign * other.sum;
        let reconciled = combine_custom(h, other, sign);
        return Ok(Noted { collision, reconciled });
    }
    let zero_count = reconcile(h, None, other);
    h.zero_count += sign * zero_count;
    h.sum += sign * other.sum;
    let (from, schema, threshold) = (h.schema, h.schema.min(other.schema), h.zero_threshold);
    for positive in [true, false] {
        let (spans, counts) = side_of(other, positive);
        let own = side_of_mut(h, positive);
        if from == other.schema && is_same_layout(own.0, spans) && starts_beyond(spans, schema, threshold) {
            own.1.iter_mut().zip(counts).for_each(|(c, more)| *c += sign * more);
            continue;
        }
        let plus = |a, b| a + b;
        let a = reduced(outwards(own.0, own.1), from, schema, plus);
        let b = reduced(outwards(spans, counts), other.schema, schema, plus);
        let b = beyond_zero(b, schema, threshold).map(|(index, count)| (index, sign * count));
        let sum = merged(a, b, plus);
        (*own.0, *own.1) = side(&sum);
    }
    h.schema = schema;
    Ok(Noted { collision, reconciled: false })
}

fn combine_custom(h: &mut Histogram, other: &Histogram, sign: f64) -> bool {
    if !same_bounds(&h.custom_bounds, &other.custom_bounds) {
        let bounds = common_bounds(&h.custom_bounds, &other.custom_bounds);
        let mut counts = vec![(0.0, 0.0); bounds.len() + 1];
        for (from, sign) in [(&*h, 1.0), (other, sign)] {
            let buckets = outwards(&from.positive_spans, &from.positive);
            onto_bounds(buckets, &from.custom_bounds, &bounds, |at, count| {
                let (sum, lost) = counts[at];
                counts[at] = crate::number::kahan_add(sign * count, sum, lost);
            });
        }
        (h.positive_spans, h.positive) = side(&filled(&counts).map(|(i, (c, _))| (i, c)).collect::<Vec<_>>());
        h.custom_bounds = bounds.into();
        return true;
    }
    if is_same_layout(&h.positive_spans, &other.positive_spans) {
        h.positive.iter_mut().zip(&other.positive).for_each(|(c, more)| *c += sign * more);
        return false;
    }
    let a = outwards(&h.positive_spans, &h.positive);
    let b = outwards(&other.positive_spans, &other.positive).map(|(index, count)| (index, sign * count));
    let sum = merged(a, b, |a, b| a + b);
    (h.positive_spans, h.positive) = side(&sum);
    false
}

/// The buckets that hold anything.
pub(super) fn filled(counts: &[(f64, f64)]) -> impl Iterator<Item = (i32, (f64, f64))> + '_ {
    (0..).zip(counts.iter().copied()).filter(|(_, (count, lost))| *count != 0.0 || *lost != 0.0)
}

/// Multiplies every count and the sum.
pub(crate) fn multiply(h: &mut Histogram, factor: f64) {
    scale(h, factor < 0.0, |v| v * factor);
}

/// Divides every count and the sum; nothing remains in buckets of a division by zero.
pub(crate) fn divide(h: &mut Histogram, divisor: f64) {
    if divisor == 0.0 {
        h.positive_spans.clear();
        h.positive.clear();
        h.negative_spans.clear();
        h.negative.clear();
    }
    scale(h, divisor < 0.0, |v| v / divisor);
}

fn scale(h: &mut Histogram, negative: bool, f: impl Fn(f64) -> f64) {
    h.is_float = true;
    for v in [&mut h.zero_count, &mut h.count, &mut h.sum] {
        *v = f(*v);
    }
    h.positive.iter_mut().chain(&mut h.negative).for_each(|v| *v = f(*v));
    if negative {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

/// The histogram in a coarser schema, or the same.
pub(crate) fn in_schema(h: &Histogram, schema: i32) -> Histogram {
    let mut h = h.clone();
    if schema < h.schema && !h.has_custom_bounds() {
        for positive in [true, false] {
            let from = h.schema;
            let (spans, counts) = side_of_mut(&mut h, positive);
            let buckets: Vec<_> = reduced(outwards(spans, counts), from, schema, |a, b| a + b).collect();
            (*spans, *counts) = side(&buckets);
        }
        h.schema = schema;
    }
    h
}

/// Whether two histograms are equal as data: bit by bit, whatever is known of counter resets, and however their buckets are spanned.
pub(crate) fn is_equal(a: &Histogram, b: &Histogram) -> bool {
    let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
    a.schema == b.schema
        && bits(a.count, b.count)
        && bits(a.sum, b.sum)
        && a.zero_threshold == b.zero_threshold
        && bits(a.zero_count, b.zero_count)
        && (!a.has_custom_bounds() || same_bounds(&a.custom_bounds, &b.custom_bounds))
        && [true, false].into_iter().all(|positive| {
            let ((spans, counts), (other_spans, other_counts)) = (side_of(a, positive), side_of(b, positive));
            let (a, b) = (outwards(spans, counts), outwards(other_spans, other_counts));
            counts.len() == other_counts.len() && a.zip(b).all(|(x, y)| x.0 == y.0 && bits(x.1, y.1))
        })
}

pub(super) fn check(h: &Histogram, other: &Histogram) -> Result<(), Incompatible> {
    if h.has_custom_bounds() == other.has_custom_bounds() { Ok(()) } else { Err(Incompatible) }
}

/// Makes the best of two hints, and tells whether they contradict each other.
pub(super) fn settle_hint(h: &mut Histogram, other: &Histogram) -> bool {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let (hint, collision) = match (h.counter_reset_hint, other.counter_reset_hint) {
        (Gauge, _) | (_, Gauge) => (Gauge, false),
        (Unknown, _) | (_, Unknown) => (Unknown, false),
        (NotReset, Reset) | (Reset, NotReset) => (Unknown, true),
        (same, _) => (same, false),
    };
    h.counter_reset_hint = hint;
    collision
}

pub(crate) fn same_bounds(a: &Arc<[f64]>, b: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

pub(super) fn is_same_layout(a: &[Span], b: &[Span]) -> bool {
    a == b
}

/// Whether none of the buckets lies in the bucket around zero.
pub(super) fn starts_beyond(spans: &[Span], schema: i32, threshold: f64) -> bool {
    spans.first().is_none_or(|s| super::bounds::exponential(s.offset, schema) > threshold)
}

pub(super) fn side_of(h: &Histogram, positive: bool) -> (&[Span], &[f64]) {
    if positive { (&h.positive_spans, &h.positive) } else { (&h.negative_spans, &h.negative) }
}

pub(super) fn side_of_mut(h: &mut Histogram, positive: bool) -> (&mut Vec<Span>, &mut Vec<f64>) {
    if positive { (&mut h.positive_spans, &mut h.positive) } else { (&mut h.negative_spans, &mut h.negative) }
}

/// Counts with what rounding took from each, and their spans.
pub(super) fn apart(buckets: &[(i32, (f64, f64))]) -> (Side, Vec<f64>) {
    let counts: Vec<(i32, f64)> = buckets.iter().map(|(index, (count, _))| (*index, *count)).collect();
    (side(&counts), buckets.iter().map(|(_, (_, lost))| *lost).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn histogram(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![Span { offset, length: counts.len() as u32 }],
            positive: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn the_coarser_layout_prevails() {
        let mut h = histogram(1, 1, &[1.0, 2.0, 4.0]);
        assert_eq!(add(&mut h, &histogram(0, 2, &[8.0])), Ok(Noted::default()));
        assert_eq!((h.schema, h.count, h.positive), (0, 15.0, vec![3.0, 12.0]));
        let mut h = histogram(0, 2, &[8.0]);
        subtract(&mut h, &histogram(1, 1, &[1.0, 2.0, 4.0])).unwrap();
        assert_eq!((h.schema, h.positive), (0, vec![-3.0, 4.0]));
    }

    #[test]
    fn a_larger_zero_bucket_takes_buckets_in() {
        let mut h = histogram(0, -1, &[1.0, 2.0, 4.0]);
        let other = Histogram { zero_threshold: 0.7, zero_count: 8.0, ..histogram(0, 1, &[1.0]) };
        add(&mut h, &other).unwrap();
        // 0.7 is within a bucket that holds something, so that the bucket around zero grows to 1.
        assert_eq!((h.zero_threshold, h.zero_count, h.positive), (1.0, 11.0, vec![5.0]));
    }

    #[test]
    fn custom_bounds_are_reconciled() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            custom_bounds: bounds.into(),
            ..histogram(base::CUSTOM_BUCKETS_SCHEMA, 0, counts)
        };
        let mut h = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0, 8.0]);
        let noted = add(&mut h, &custom(&[1.0, 3.0], &[1.0, 1.0, 1.0])).unwrap();
        assert!(noted.reconciled);
        assert_eq!((&*h.custom_bounds, &*h.positive), (&[1.0, 3.0][..], &[2.0, 7.0, 9.0][..]));
        assert_eq!(add(&mut h, &histogram(0, 0, &[1.0])), Err(Incompatible));
    }

    #[test]
    fn division_by_zero_empties_buckets() {
        let mut h = histogram(0, 0, &[1.0]);
        divide(&mut h, 0.0);
        assert_eq!((h.count, h.positive.len()), (f64::INFINITY, 0));
    }
}
