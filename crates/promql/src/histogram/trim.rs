//! The operators `</` and `>/`: what of a histogram lies below or above a number.

use base::Histogram;

use super::bucket::{Bucket, negative, positive, zero};
use super::layout::compact;

/// What is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What lies above the number.
    Upper,
    /// What lies below it.
    Lower,
}

/// Keeps what lies on one side of a number. A bucket around it is divided as if its observations were spread evenly; the sum
/// becomes an estimate from the middles of buckets.
pub(crate) fn trim(h: &mut Histogram, at: f64, cut: Side) {
    let linear = h.has_custom_bounds();
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut populated = [false; 2];
    for is_positive in [true, false] {
        let buckets: Vec<Bucket> = if is_positive { positive(h).collect() } else { negative(h).collect() };
        let counts = if is_positive { &mut h.positive } else { &mut h.negative };
        for (bucket, own) in buckets.iter().zip(counts).filter(|(b, _)| b.count != 0.0) {
            populated[usize::from(is_positive)] = true;
            let (inside, crossing) = match cut {
                Side::Upper => (bucket.upper <= at, bucket.lower < at),
                Side::Lower => (bucket.lower >= at, bucket.upper > at),
            };
            let (kept, middle) = if inside {
                (bucket.count, middle(bucket.lower, bucket.upper, is_positive, linear))
            } else if crossing {
                divide(bucket, at, cut, is_positive, linear)
            } else {
                (0.0, 0.0)
            };
            if inside || crossing {
                count += kept;
                sum += middle * kept;
            }
            if *own != kept {
                *own = kept;
                changed = true;
            }
        }
    }
    if h.zero_count > 0.0 {
        let [has_negative, has_positive] = populated;
        let (kept, middle) = divide_zero(zero(h), at, has_negative, has_positive, cut);
        changed |= h.zero_count != kept;
        h.zero_count = kept;
        sum += middle * kept;
        count += kept;
    }
    if changed {
        h.is_float = true;
        (h.count, h.sum) = (count, sum);
        compact(h);
    }
}

/// What remains of a bucket around the number, and where that lies.
fn divide(b: &Bucket, at: f64, cut: Side, is_positive: bool, linear: bool) -> (f64, f64) {
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return divide_infinite(b, at, cut);
    }
    let below = if at <= b.lower {
        0.0
    } else if at >= b.upper {
        b.count
    } else {
        b.count * b.fraction_below(at, linear)
    };
    match cut {
        Side::Upper => (below, middle(b.lower, at, is_positive, linear)),
        Side::Lower => (b.count - below, middle(at, b.upper, is_positive, linear)),
    }
}

/// Where the observations of an infinite bucket lie is not known: all that could be on the wrong side go, unless its other bound and
/// zero say more.
fn divide_infinite(b: &Bucket, at: f64, cut: Side) -> (f64, f64) {
    let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    let is_bounded = b.upper != f64::INFINITY;
    if b.lower == f64::NEG_INFINITY {
        return match cut {
            Side::Upper if at >= b.upper => (b.count, 0.0),
            // A positive bound makes the bucket begin at zero.
            Side::Upper if at > 0.0 && b.upper > 0.0 && is_bounded => (b.count * at / b.upper, at / 2.0),
            Side::Upper if b.upper <= 0.0 => (b.count, at),
            Side::Lower if at <= b.lower => (b.count, 0.0),
            Side::Lower if at >= 0.0 && b.upper > at && is_bounded => {
                (b.count * (1.0 - at / b.upper), (at + b.upper) / 2.0)
            }
            _ => (0.0, finite(b.upper)),
        };
    }
    match cut {
        Side::Lower if at >= b.lower => (b.count, at),
        _ => (0.0, finite(b.lower)),
    }
}

fn divide_zero(b: Bucket, at: f64, has_negative: bool, has_positive: bool, cut: Side) -> (f64, f64) {
    let (mut lower, mut upper) = (b.lower, b.upper);
    match (has_negative, has_positive) {
        (true, false) => upper = 0.0,
        (false, true) => lower = 0.0,
        _ => {}
    }
    let whole = (b.count, (lower + upper) / 2.0);
    match cut {
        Side::Upper if at <= lower => (0.0, 0.0),
        Side::Upper if at >= upper => whole,
        Side::Upper => (b.count * ((at - lower) / (upper - lower)), (lower + at) / 2.0),
        Side::Lower if at <= lower => whole,
        Side::Lower if at >= upper => (0.0, 0.0),
        Side::Lower => (b.count * ((upper - at) / (upper - lower)), (at + upper) / 2.0),
    }
}

/// The middle of an interval: arithmetic, or geometric in exponential buckets.
fn middle(lower: f64, upper: f64, is_positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if is_positive { mean } else { -mean }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    #[test]
    fn a_bucket_is_divided_in_proportion() {
        let mut h = Histogram {
            schema: base::CUSTOM_BUCKETS_SCHEMA,
            count: 6.0,
            sum: 20.0,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive: vec![1.0, 2.0, 3.0],
            custom_bounds: [1.0, 3.0].into(),
            ..Histogram::default()
        };
        let mut lower = h.clone();
        trim(&mut h, 2.0, Side::Upper);
        assert_eq!((h.count, h.sum, h.positive), (2.0, 0.5 + 1.5, vec![1.0, 1.0]));
        trim(&mut lower, 2.0, Side::Lower);
        assert_eq!((lower.count, lower.positive), (4.0, vec![1.0, 3.0]));
    }

    #[test]
    fn what_lies_inside_stays_as_it_is() {
        let h =
            Histogram { count: 1.0, sum: 0.25, zero_count: 1.0, zero_threshold: 1.0, ..Histogram::default() };
        let mut trimmed = h.clone();
        trim(&mut trimmed, 2.0, Side::Upper);
        assert_eq!(trimmed, h);
        trim(&mut trimmed, 0.5, Side::Upper);
        assert_eq!((trimmed.zero_count, trimmed.sum), (0.75, 0.75 * -0.25));
    }
}
