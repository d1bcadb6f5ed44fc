//! The buckets of a histogram, one after the other.

use base::{Histogram, Span};

use super::bounds::bound;

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: f64,
}

impl Bucket {
    /// The share of the bucket that lies below a number strictly within its finite bounds: of its width, or in exponential buckets
    /// of its width on a logarithmic scale.
    pub(crate) fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, v_log) = (self.lower.abs().log2(), self.upper.abs().log2(), v.abs().log2());
        if v > 0.0 { (v_log - lower) / (upper - lower) } else { 1.0 - (v_log - upper) / (lower - upper) }
    }
}

/// Index and count of the buckets of one side, from zero outwards.
pub(crate) fn outwards<'h>(spans: &'h [Span], counts: &'h [f64]) -> impl Iterator<Item = (i32, f64)> + 'h {
    let mut end = 0i32;
    let indexes = spans.iter().flat_map(move |span| {
        let start = end.wrapping_add(span.offset);
        end = start.wrapping_add_unsigned(span.length);
        (0..span.length).map(move |i| start.wrapping_add_unsigned(i))
    });
    indexes.zip(counts.iter().copied())
}

/// As [`outwards`], towards zero.
fn inwards<'h>(spans: &'h [Span], counts: &'h [f64]) -> impl Iterator<Item = (i32, f64)> + 'h {
    let mut end = spans.iter().fold(0i32, |e, s| e.wrapping_add(s.offset).wrapping_add_unsigned(s.length));
    let indexes = spans.iter().rev().flat_map(move |span| {
        let start = end.wrapping_sub_unsigned(span.length);
        end = start.wrapping_sub(span.offset);
        (0..span.length).rev().map(move |i| start.wrapping_add_unsigned(i))
    });
    indexes.zip(counts.iter().rev().copied())
}

/// The positive buckets, ascending.
pub(crate) fn positive(h: &Histogram) -> impl Iterator<Item = Bucket> + '_ {
    outwards(&h.positive_spans, &h.positive).map(|(index, count)| positive_bucket(h, index, count))
}

/// The negative buckets, descending.
pub(crate) fn negative(h: &Histogram) -> impl Iterator<Item = Bucket> + '_ {
    outwards(&h.negative_spans, &h.negative).map(|(index, count)| negative_bucket(h, index, count))
}

/// All buckets, ascending. Next to the bucket around zero, bounds are clipped to that one's.
pub fn buckets(h: &Histogram) -> impl Iterator<Item = Bucket> + '_ {
    inwards(&h.negative_spans, &h.negative)
        .map(|(index, count)| clipped(h, negative_bucket(h, index, count)))
        .chain((h.zero_count > 0.0).then(|| zero(h)))
        .chain(positive(h).map(|b| clipped(h, b)))
}

/// As [`buckets`], descending.
pub(crate) fn descending(h: &Histogram) -> impl Iterator<Item = Bucket> + '_ {
    inwards(&h.positive_spans, &h.positive)
        .map(|(index, count)| clipped(h, positive_bucket(h, index, count)))
        .chain((h.zero_count > 0.0).then(|| zero(h)))
        .chain(negative(h).map(|b| clipped(h, b)))
}

/// The bucket around zero.
pub(crate) fn zero(h: &Histogram) -> Bucket {
    let (lower, upper) = (-h.zero_threshold, h.zero_threshold);
    Bucket { lower, upper, lower_inclusive: true, upper_inclusive: true, count: h.zero_count }
}

fn positive_bucket(h: &Histogram, index: i32, count: f64) -> Bucket {
    let of = |index| bound(index, h.schema, &h.custom_bounds);
    bucket(h, index, of(index.wrapping_sub(1)), of(index), count)
}

fn negative_bucket(h: &Histogram, index: i32, count: f64) -> Bucket {
    let of = |index| -bound(index, h.schema, &h.custom_bounds);
    bucket(h, index, of(index), of(index.wrapping_sub(1)), count)
}

fn bucket(h: &Histogram, index: i32, lower: f64, upper: f64, count: f64) -> Bucket {
    let (lower_inclusive, upper_inclusive) =
        if h.has_custom_bounds() { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
    Bucket { lower, upper, lower_inclusive, upper_inclusive, count }
}

fn clipped(h: &Histogram, mut bucket: Bucket) -> Bucket {
    if bucket.upper < 0.0 && bucket.upper > -h.zero_threshold {
        bucket.upper = -h.zero_threshold;
    } else if bucket.lower > 0.0 && bucket.lower < h.zero_threshold {
        bucket.lower = h.zero_threshold;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram {
        Histogram {
            zero_threshold: 0.5,
            zero_count: 1.0,
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
            positive: vec![2.0, 3.0],
            negative_spans: vec![Span { offset: 1, length: 2 }],
            negative: vec![4.0, 5.0],
            ..Histogram::default()
        }
    }

    #[test]
    fn buckets_come_in_order_either_way() {
        let h = histogram();
        let bounds = |b: Bucket| (b.lower, b.upper, b.count);
        let up: Vec<_> = buckets(&h).map(bounds).collect();
        assert_eq!(
            up,
            [(-4.0, -2.0, 5.0), (-2.0, -1.0, 4.0), (-0.5, 0.5, 1.0), (0.5, 1.0, 2.0), (2.0, 4.0, 3.0)]
        );
        let mut down: Vec<_> = descending(&h).map(bounds).collect();
        down.reverse();
        assert_eq!(up, down);
    }

    #[test]
    fn buckets_overlapping_with_zero_are_clipped() {
        let h = Histogram { zero_threshold: 0.75, ..histogram() };
        assert_eq!(buckets(&h).nth(3).map(|b| (b.lower, b.upper)), Some((0.75, 1.0)));
    }
}
