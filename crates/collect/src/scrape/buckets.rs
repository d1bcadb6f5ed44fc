//! How many buckets a scraped native histogram may have, and how narrow they may be.

use base::{EXPONENTIAL_SCHEMAS, Histogram};
use ingest::native;

use crate::config::ScrapeConfig;

/// Bounds of one scrape configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketLimits {
    /// 0 is any number.
    buckets: usize,
    /// The finest schema that is stored.
    schema: i32,
}

impl BucketLimits {
    pub(super) fn of(config: &ScrapeConfig) -> Self {
        Self { buckets: config.limits.native_buckets, schema: schema_of(config.native_bucket_factor) }
    }

    /// Widens the buckets of a histogram until it is within the bounds. Returns whether that can be had.
    pub(super) fn fit(self, h: &mut Histogram) -> bool {
        if !h.has_custom_bounds() {
            native::reduce_to(h, self.schema);
        }
        while self.buckets > 0 && h.positive.len() + h.negative.len() > self.buckets {
            if h.has_custom_bounds() || h.schema <= *EXPONENTIAL_SCHEMAS.start() {
                return false;
            }
            let wider = h.schema - 1;
            native::reduce_to(h, wider);
        }
        true
    }
}

/// The finest schema whose buckets grow at least by a factor: its buckets end at 2^(i · 2^-schema).
fn schema_of(factor: f64) -> i32 {
    if factor.is_nan() || factor <= 1.0 {
        return *EXPONENTIAL_SCHEMAS.end();
    }
    let schema = (-factor.log2().log2()).floor();
    schema.clamp((*EXPONENTIAL_SCHEMAS.start()).into(), (*EXPONENTIAL_SCHEMAS.end()).into()) as i32
}

#[cfg(test)]
mod tests {
    use base::Span;

    use super::*;

    #[test]
    fn schemas_are_those_of_prometheus() {
        for (factor, schema) in [
            (0.0, 8),
            (1.0, 8),
            (1.00271, 8),
            (1.0028, 7),
            (1.1, 2),
            (2.0, 0),
            (4.0, -1),
            (65536.0, -4),
            (1e9, -4),
            (f64::INFINITY, -4),
            (f64::NAN, 8),
        ] {
            assert_eq!(schema_of(factor), schema, "{factor}");
        }
    }

    #[test]
    fn buckets_become_wider_until_they_are_few_enough() {
        let fine = Histogram {
            schema: 3,
            count: 8.0,
            positive_spans: vec![Span { offset: 1, length: 8 }],
            positive: vec![1.0; 8],
            ..Histogram::default()
        };
        let fit = |buckets, schema, h: &Histogram| {
            let mut h = h.clone();
            BucketLimits { buckets, schema }.fit(&mut h).then_some((h.schema, h.positive))
        };
        assert_eq!(fit(0, 8, &fine), Some((3, vec![1.0; 8])));
        assert_eq!(fit(8, 8, &fine), Some((3, vec![1.0; 8])));
        assert_eq!(fit(7, 8, &fine), Some((2, vec![2.0; 4])));
        assert_eq!(fit(1, 8, &fine), Some((0, vec![8.0])));
        assert_eq!(fit(0, 1, &fine), Some((1, vec![4.0; 2])));
        let both_sides = Histogram {
            count: 16.0,
            negative_spans: fine.positive_spans.clone(),
            negative: fine.positive.clone(),
            ..fine
        };
        assert_eq!(fit(1, 8, &both_sides), None);
        let custom = Histogram {
            schema: base::CUSTOM_BUCKETS_SCHEMA,
            count: 2.0,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive: vec![1.0; 2],
            custom_bounds: [1.0].into(),
            ..Histogram::default()
        };
        assert_eq!((fit(1, 8, &custom), fit(2, -4, &custom).is_some()), (None, true));
    }
}
