//! A classic histogram, whose buckets are counted up to their bounds, as a native one with these bounds.
//!
//! Owns what makes the numbers of a histogram contradict each other. Does not know how they were exposed.

use std::cmp::Ordering;

use base::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};
use ingest::limits::HISTOGRAM_BUCKETS;
use ingest::native;

/// Empty buckets between others that are written out where all counts are whole, as Prometheus does.
const FILLED_GAP: u32 = 2;

/// What was exposed of one histogram. Forgotten by [`Classic::clear`].
#[derive(Debug, Default)]
pub(super) struct Classic {
    /// Upper bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    pub(super) fn clear(&mut self) {
        self.buckets.clear();
        self.count = None;
        self.sum = 0.0;
    }

    pub(super) fn set_count(&mut self, count: f64) {
        self.count = Some(count);
    }

    pub(super) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// Adds a bucket, in any order. Of several with one bound the first counts.
    pub(super) fn add_bucket(&mut self, bound: f64, count: f64) {
        // One too many is enough to be refused.
        if self.buckets.len() <= HISTOGRAM_BUCKETS {
            self.buckets.push((bound, count));
        }
    }

    /// The native histogram, or why there is none.
    pub(super) fn convert(&mut self) -> Result<Histogram, String> {
        self.sort()?;
        let known = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(known);
        if count < 0.0 {
            return Err(format!("count must be non-negative: count={count}"));
        }
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let last = self.buckets.last().map_or(0.0, |(_, count)| *count);
        if last != count {
            return Err(format!("count mismatch: count={count} != le=+Inf count={last}"));
        }
        let whole = |v: f64| v == v.trunc() && v.abs() < i64::MAX as f64;
        let is_float = !(whole(count) && self.buckets.iter().all(|(_, count)| whole(*count)));
        let mut below = 0.0;
        let own = |(_, count): &(f64, f64)| {
            let own = count - below;
            below = *count;
            own
        };
        let positive: Vec<f64> = self.buckets.iter().map(own).collect();
        let mut histogram = Histogram {
            is_float,
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: positive.len() as u32 }],
            positive,
            custom_bounds: self.buckets[..self.buckets.len() - 1].iter().map(|(bound, _)| *bound).collect(),
            ..Histogram::default()
        };
        native::compact(&mut histogram, if is_float { 0 } else { FILLED_GAP });
        histogram.validate().map_err(|e| e.message().to_owned())?;
        Ok(histogram)
    }

    /// Puts the buckets in order and checks them.
    fn sort(&mut self) -> Result<(), String> {
        if self.buckets.len() > HISTOGRAM_BUCKETS {
            return Err(format!("it has more than {HISTOGRAM_BUCKETS} buckets (limit histogram_buckets)"));
        }
        if self.buckets.iter().any(|(bound, _)| bound.is_nan()) {
            return Err("bucket boundary must not be NaN".into());
        }
        if let Some((bound, count)) = self.buckets.iter().find(|(_, count)| *count < 0.0) {
            return Err(format!("bucket count must be non-negative: le={bound}, count={count}"));
        }
        // Stable, so that of equal bounds the first stays. Zero and its negative are equal.
        self.buckets.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        self.buckets.dedup_by(|b, a| a.0 == b.0);
        if let Some([a, b]) = self.buckets.array_windows::<2>().find(|[a, b]| b.1 < a.1) {
            return Err(format!("count is not cumulative: {} < {}", b.1, a.1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(buckets: &[(f64, f64)], count: Option<f64>) -> Result<Histogram, String> {
        let mut classic = Classic::default();
        buckets.iter().for_each(|(bound, count)| classic.add_bucket(*bound, *count));
        classic.set_sum(7.5);
        if let Some(count) = count {
            classic.set_count(count);
        }
        classic.convert()
    }

    #[test]
    fn buckets_become_their_own_counts() {
        const INF: f64 = f64::INFINITY;
        let h = native(&[(0.5, 1.0), (1.0, 3.0), (2.0, 3.0), (INF, 7.0)], Some(7.0)).unwrap();
        assert_eq!((h.is_float, h.schema, h.count, h.sum), (false, CUSTOM_BUCKETS_SCHEMA, 7.0, 7.5));
        assert_eq!(
            (&*h.custom_bounds, h.positive.as_slice()),
            (&[0.5, 1.0, 2.0][..], &[1.0, 2.0, 0.0, 4.0][..])
        );
        assert_eq!(h.positive_spans, [Span { offset: 0, length: 4 }]);
        // In any order, once, and without the last.
        assert_eq!(native(&[(2.0, 3.0), (0.5, 1.0), (1.0, 3.0), (2.0, 9.0)], Some(7.0)), Ok(h));
        let h = native(&[(0.5, 0.0), (1.0, 0.0), (2.0, 2.5)], None).unwrap();
        assert_eq!((h.is_float, h.count, h.positive.as_slice()), (true, 2.5, &[2.5][..]));
        assert_eq!(h.positive_spans, [Span { offset: 2, length: 1 }]);
        let none = native(&[], None).unwrap();
        assert_eq!((none.count, none.positive.len(), none.custom_bounds.len()), (0.0, 0, 0));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        type Case<'a> = (&'a [(f64, f64)], Option<f64>, &'a str);
        let cases: [Case<'_>; 7] = [
            (&[(1.0, 3.0), (2.0, 2.0)], Some(3.0), "count is not cumulative: 2 < 3"),
            (&[(f64::NAN, 3.0)], Some(3.0), "bucket boundary must not be NaN"),
            (&[(1.0, -3.0)], Some(3.0), "bucket count must be non-negative: le=1, count=-3"),
            (&[(f64::INFINITY, 2.0)], Some(3.0), "count mismatch: count=3 != le=+Inf count=2"),
            (&[], Some(-3.0), "count must be non-negative: count=-3"),
            (&[(f64::NEG_INFINITY, 2.0)], Some(3.0), "cannot take histogram: custom bounds must be finite"),
            (&[(1.0, f64::NAN)], Some(f64::NAN), "count mismatch"),
        ];
        for (buckets, count, want) in cases {
            let got = native(buckets, count).unwrap_err();
            assert!(got.contains(want), "{got} is not {want}");
        }
        let many: Vec<_> = (0..=HISTOGRAM_BUCKETS).map(|i| (i as f64, i as f64)).collect();
        assert!(native(&many, None).unwrap_err().contains("more than 16384 buckets"));
    }
}
