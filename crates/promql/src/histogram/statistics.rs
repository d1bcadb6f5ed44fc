//! Quantiles, fractions and deviations of a histogram.

use base::Histogram;

use super::bucket::{Bucket, buckets, descending};
use crate::number::kahan_add;

/// What there is to tell about observations of NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NanNote {
    /// The quantile is one of them.
    Result,
    /// They count as the largest.
    Skew,
}

/// The `q`-quantile. Observations of a bucket are taken to be spread evenly: over its width if the bounds are given or it is the one
/// around zero, else over its width on a logarithmic scale. Those of NaN count as the largest.
pub(crate) fn quantile(q: f64, h: &Histogram) -> (f64, Option<NanNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    let upwards = h.sum.is_nan() || q < 0.5;
    let rank = if upwards { q * h.count } else { (1.0 - q) * h.count };
    let (mut up, mut down) = (upwards.then(|| buckets(h)), (!upwards).then(|| descending(h)));
    let mut next = || match (&mut up, &mut down) {
        (Some(up), _) => up.next(),
        (_, Some(down)) => down.next(),
        _ => None,
    };
    let nothing =
        Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let (mut bucket, mut count) = (nothing, 0.0);
    while let Some(b) = next() {
        bucket = b;
        count += b.count;
        if b.count != 0.0 && count >= rank {
            break;
        }
    }
    if let Some(bound) = settle_ends(h, &mut bucket) {
        return (bound, None);
    }
    if count > h.count {
        count = h.count;
    }
    if count < rank {
        return if h.sum.is_nan() { (f64::NAN, Some(NanNote::Result)) } else { (bucket.upper, None) };
    }
    let rank = if upwards { rank - (count - bucket.count) } else { count - rank };
    let mut note = None;
    if h.sum.is_nan() {
        let mut rest = count;
        while let Some(b) = next() {
            bucket = b;
            rest += b.count;
        }
        if rest < h.count {
            note = Some(NanNote::Skew);
        }
    }
    (interpolated(h, &bucket, rank / bucket.count), note)
}

/// Gives a bucket that reaches to zero or to infinity the bound that is meant; `Some` if the quantile is that bound.
fn settle_ends(h: &Histogram, bucket: &mut Bucket) -> Option<f64> {
    if h.has_custom_bounds() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return Some(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return Some(bucket.lower);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        clip_zero(h, bucket);
    }
    None
}

/// Without buckets on one side of zero, the one around it is taken to reach to zero only.
fn clip_zero(h: &Histogram, bucket: &mut Bucket) {
    match (h.negative.is_empty(), h.positive.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

fn interpolated(h: &Histogram, bucket: &Bucket, fraction: f64) -> f64 {
    if h.has_custom_bounds() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        return (lower + (upper - lower) * fraction).exp2();
    }
    -(upper + (lower - upper) * (1.0 - fraction)).exp2()
}

/// The share of all observations that lie between two numbers; and whether some are of NaN, which lie nowhere.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, bool) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    for mut b in buckets(h) {
        let around_zero = b.lower <= 0.0 && b.upper >= 0.0;
        if around_zero {
            clip_zero(h, &mut b);
        }
        let linear = h.has_custom_bounds() || around_zero;
        for (v, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_some() {
                continue;
            }
            if b.lower >= v {
                *found = Some(rank);
            } else if b.lower < v && b.upper > v {
                // In a bucket without end nothing can be interpolated.
                let endless = linear && b.lower == f64::NEG_INFINITY;
                *found = Some(if endless { b.count } else { rank + b.count * b.fraction_below(v, linear) });
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += b.count;
    }
    let (mut count, mut has_nan) = (h.count, false);
    if h.sum.is_nan() {
        count = buckets(h).map(|b| b.count).sum();
        has_nan = count < h.count;
    }
    let settled = |rank: Option<f64>| rank.filter(|r| *r <= count).unwrap_or(count);
    ((settled(upper_rank) - settled(lower_rank)) / h.count, has_nan)
}

/// The estimated variance of the observations: each in the middle of its bucket, those around zero at zero.
pub(crate) fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let (mut sum, mut lost) = (0.0, 0.0);
    for b in buckets(h).filter(|b| b.count != 0.0) {
        let middle = if h.has_custom_bounds() {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let mean = (b.upper * b.lower).sqrt();
            if b.upper < 0.0 { -mean } else { mean }
        };
        let delta = middle - mean;
        (sum, lost) = kahan_add(b.count * delta * delta, sum, lost);
    }
    (sum + lost) / h.count
}

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    fn exponential(counts: &[f64]) -> Histogram {
        Histogram {
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 1, length: counts.len() as u32 }],
            positive: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn quantiles_interpolate_exponentially() {
        let h = exponential(&[4.0, 4.0]);
        assert_eq!(quantile(0.25, &h), (2f64.sqrt(), None));
        assert_eq!(quantile(0.75, &h), (8f64.sqrt(), None));
        assert_eq!((quantile(-1.0, &h).0, quantile(2.0, &h).0), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(fraction(2.0, 8f64.sqrt(), &h), (0.25, false));
    }

    #[test]
    fn observations_of_nan_are_told() {
        let h = Histogram { sum: f64::NAN, count: 10.0, ..exponential(&[4.0, 4.0]) };
        assert_eq!(quantile(0.5, &h).1, Some(NanNote::Skew));
        assert!(matches!(quantile(0.9, &h), (v, Some(NanNote::Result)) if v.is_nan()));
        assert_eq!(fraction(0.0, f64::INFINITY, &h), (0.8, true));
    }

    #[test]
    fn custom_bounds_interpolate_linearly() {
        let h = Histogram {
            schema: base::CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            custom_bounds: [10.0, 20.0].into(),
            ..exponential(&[1.0, 2.0, 1.0])
        };
        assert_eq!((quantile(0.5, &h).0, quantile(1.0, &h).0, quantile(0.125, &h).0), (15.0, 20.0, 5.0));
        assert_eq!(fraction(f64::NEG_INFINITY, 15.0, &h), (0.5, false));
    }
}
