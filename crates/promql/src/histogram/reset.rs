//! Counter resets between two histograms of a series.

use base::{CounterResetHint, Histogram};

use super::arithmetic::{same_bounds, side_of};
use super::bounds::exponential;
use super::bucket::outwards;
use super::layout::{common_bounds, onto_bounds, reduced};
use super::zero::widened;

/// Whether a counter was reset between a histogram and the one before: what is known of it, or that any count fell, but for the sum.
/// What can only come with a reset counts as one: a finer schema, a narrower zero bucket, or one that ends within a bucket.
pub(crate) fn is_reset(h: &Histogram, before: &Histogram) -> bool {
    match h.counter_reset_hint {
        CounterResetHint::Reset => return true,
        CounterResetHint::NotReset => return false,
        CounterResetHint::Unknown | CounterResetHint::Gauge => {}
    }
    if h.count < before.count {
        return true;
    }
    if h.has_custom_bounds() {
        if !before.has_custom_bounds() {
            return true;
        }
        if !same_bounds(&h.custom_bounds, &before.custom_bounds) {
            return falls_in_common_bounds(h, before);
        }
    } else if before.has_custom_bounds() {
        // The schema of custom bounds is the coarsest.
        return true;
    }
    if h.schema > before.schema || h.zero_threshold < before.zero_threshold {
        return true;
    }
    let (zero_count, threshold, _) = widened(before, None, h.zero_threshold);
    if threshold != h.zero_threshold || h.zero_count < zero_count {
        return true;
    }
    [true, false].into_iter().any(|positive| falls(h, before, positive))
}

/// Whether a bucket of one side that held anything holds less.
fn falls(h: &Histogram, before: &Histogram, positive: bool) -> bool {
    let of = |of: &Histogram| {
        let (spans, counts) = side_of(of, positive);
        let from = of.schema;
        let (schema, threshold, custom) = (h.schema, h.zero_threshold, h.has_custom_bounds());
        // Buckets within the zero bucket are part of it.
        let inside =
            move |b: &(i32, f64)| threshold > 0.0 && !custom && exponential(b.0, schema) <= threshold;
        let buckets: Vec<(i32, f64)> = if custom || from == schema {
            outwards(spans, counts).skip_while(inside).collect()
        } else {
            reduced(outwards(spans, counts), from, schema, |a, b| a + b).skip_while(inside).collect()
        };
        buckets
    };
    let mut now = of(h).into_iter().peekable();
    of(before).into_iter().any(|(index, count)| {
        while now.next_if(|(i, _)| *i < index).is_some() {}
        match now.peek() {
            Some((i, now)) if *i == index => *now < count,
            _ => count != 0.0,
        }
    })
}

fn falls_in_common_bounds(h: &Histogram, before: &Histogram) -> bool {
    let bounds = common_bounds(&h.custom_bounds, &before.custom_bounds);
    let counts = |of: &Histogram| {
        let mut counts = vec![0.0; bounds.len() + 1];
        let buckets = outwards(&of.positive_spans, &of.positive);
        onto_bounds(buckets, &of.custom_bounds, &bounds, |at, count| counts[at] += count);
        counts
    };
    counts(h).iter().zip(counts(before)).any(|(now, before)| *now < before)
}

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    fn histogram(schema: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 1, length: counts.len() as u32 }],
            positive: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn a_bucket_that_falls_is_a_reset() {
        let before = histogram(0, &[1.0, 2.0]);
        assert!(!is_reset(&histogram(0, &[1.0, 2.0]), &before));
        assert!(!is_reset(&histogram(0, &[1.0, 2.0, 1.0]), &before));
        assert!(is_reset(&histogram(0, &[0.5, 5.0]), &before));
        assert!(is_reset(&histogram(0, &[5.0]), &before));
        assert!(is_reset(&histogram(1, &[5.0, 5.0]), &before));
        // Two buckets of the finer schema are one of the coarser.
        assert!(!is_reset(&histogram(0, &[7.0]), &histogram(1, &[3.0, 4.0])));
        assert!(is_reset(&histogram(0, &[6.0, 5.0]), &histogram(1, &[3.0, 4.0])));
    }

    #[test]
    fn what_is_known_decides() {
        let (low, high) = (histogram(0, &[1.0]), histogram(0, &[2.0]));
        let with = |counter_reset_hint, h: &Histogram| Histogram { counter_reset_hint, ..h.clone() };
        assert!(is_reset(&with(CounterResetHint::Reset, &high), &low));
        assert!(!is_reset(&with(CounterResetHint::NotReset, &low), &high));
        assert!(is_reset(&with(CounterResetHint::Gauge, &low), &high));
    }

    #[test]
    fn a_wider_zero_bucket_may_take_buckets_in() {
        let wide = Histogram { zero_threshold: 2.0, zero_count: 3.0, ..histogram(0, &[]) };
        let before = histogram(0, &[3.0]);
        assert!(!is_reset(&Histogram { count: 3.0, ..wide.clone() }, &before));
        assert!(is_reset(&Histogram { count: 3.0, zero_count: 2.0, ..wide.clone() }, &before));
        assert!(is_reset(&Histogram { count: 3.0, zero_threshold: 1.5, ..wide }, &before));
    }

    #[test]
    fn custom_bounds_compare_where_they_agree() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            custom_bounds: bounds.into(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            ..histogram(base::CUSTOM_BUCKETS_SCHEMA, counts)
        };
        let before = custom(&[1.0, 2.0], &[1.0, 1.0, 1.0]);
        assert!(!is_reset(&custom(&[2.0], &[2.0, 1.0]), &before));
        assert!(is_reset(&custom(&[2.0], &[1.0, 2.0]), &before));
        assert!(is_reset(&before, &histogram(0, &[1.0])));
    }
}
