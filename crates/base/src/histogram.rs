//! Native histograms, as Prometheus defines them: exponential buckets by schema, or custom bounds.

use std::sync::Arc;

use crate::{Error, Labels, Result, is_stale};

/// The schema of histograms whose bounds are given one by one.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// The coarsest and the finest exponential schema: a power of two is divided into 2^schema buckets.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// What is known of a counter reset between a histogram and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterResetHint {
    /// Nothing: compare the two.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// The histogram is a gauge and has none.
    Gauge,
}

/// A run of neighbouring buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Empty buckets since the end of the run before; for the first run the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// A native histogram. Counts are absolute.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// What is known of a counter reset.
    pub counter_reset_hint: CounterResetHint,
    /// Whether counts may be fractions: the histogram was calculated, or its source counts in fractions.
    pub is_float: bool,
    /// The width of buckets, from -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// Observations in the bucket around zero.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of the observations; the staleness marker ends the series.
    pub sum: f64,
    /// Which positive buckets there are.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets there are.
    pub negative_spans: Vec<Span>,
    /// Observations in the positive buckets.
    pub positive: Vec<f64>,
    /// Observations in the negative buckets.
    pub negative: Vec<f64>,
    /// Ascending upper bounds, if the schema is [`CUSTOM_BUCKETS_SCHEMA`]. Shared by the histograms of a series.
    pub custom_bounds: Arc<[f64]>,
}

impl Histogram {
    /// The marker that ends a series of histograms.
    pub fn stale() -> Self {
        Self { sum: f64::from_bits(crate::STALE_NAN), ..Self::default() }
    }

    /// Whether it is the marker that ends a series.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    /// Whether the bounds are given one by one.
    pub fn has_custom_bounds(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Checks that buckets, spans, bounds and counts fit together. Rounding of fractions is allowed for.
    pub fn validate(&self) -> Result<()> {
        if self.has_custom_bounds() {
            self.validate_custom()?;
        } else if !EXPONENTIAL_SCHEMAS.contains(&self.schema) {
            return Err(invalid(&format!("schema {} is none", self.schema)));
        } else if !self.custom_bounds.is_empty() {
            return Err(invalid("custom bounds need schema -53"));
        }
        for (side, spans, buckets) in [
            ("positive", &self.positive_spans, &self.positive),
            ("negative", &self.negative_spans, &self.negative),
        ] {
            validate_side(side, spans, buckets)?;
        }
        if !(self.zero_count >= 0.0 && self.count >= 0.0) {
            return Err(invalid("a count is negative"));
        }
        let in_buckets: f64 = self.positive.iter().chain(&self.negative).sum::<f64>() + self.zero_count;
        // Observations of NaN are counted and lie in no bucket.
        let fits = if self.is_float {
            in_buckets <= self.count * (1.0 + 1e-9) + f64::MIN_POSITIVE
        } else if self.sum.is_nan() {
            in_buckets <= self.count
        } else {
            in_buckets == self.count
        };
        if fits || self.is_stale() {
            return Ok(());
        }
        Err(invalid(&format!("its buckets have {in_buckets} observations, its count is {}", self.count)))
    }

    fn validate_custom(&self) -> Result<()> {
        let bounds = &self.custom_bounds;
        let ascending = bounds.windows(2).all(|w| w[0] < w[1]) && bounds.iter().all(|b| b.is_finite());
        if !ascending {
            return Err(invalid("custom bounds must be finite and ascend"));
        }
        if self.zero_count != 0.0 || self.zero_threshold != 0.0 || !self.negative_spans.is_empty() {
            return Err(invalid("custom bounds allow neither negative buckets nor a zero bucket"));
        }
        let mut end = 0i64;
        for span in &self.positive_spans {
            if span.offset < 0 {
                return Err(invalid("a span of custom buckets begins below the first"));
            }
            end += i64::from(span.offset) + i64::from(span.length);
        }
        if end > bounds.len() as i64 + 1 {
            return Err(invalid(&format!("it has {end} buckets and {} custom bounds", bounds.len())));
        }
        Ok(())
    }
}

fn validate_side(side: &str, spans: &[Span], buckets: &[f64]) -> Result<()> {
    if spans.iter().skip(1).any(|s| s.offset < 0) {
        return Err(invalid(&format!("a {side} span begins before the end of the one before")));
    }
    let want: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if want != buckets.len() as u64 {
        return Err(invalid(&format!("its {side} spans have {want} buckets, it has {}", buckets.len())));
    }
    if buckets.iter().all(|c| *c >= 0.0) {
        return Ok(());
    }
    Err(invalid(&format!("a {side} bucket has a negative count")))
}

fn invalid(what: &str) -> Error {
    Error::invalid(format!("cannot take histogram: {what}"))
}

/// A histogram at a time, with the series that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesHistogram {
    /// The series.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The histogram.
    pub histogram: Histogram,
    /// When its counting began, in milliseconds since the epoch; 0 if that is unknown.
    pub start_ms: i64,
}

/// Equal bit by bit, so that NaN equals itself and a stored histogram equals what was stored.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let bits = |v: &[f64]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
        let scalars = |h: &Self| [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
        self.counter_reset_hint == other.counter_reset_hint
            && self.is_float == other.is_float
            && self.schema == other.schema
            && scalars(self) == scalars(other)
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(&self.positive) == bits(&other.positive)
            && bits(&self.negative) == bits(&other.negative)
            && bits(&self.custom_bounds) == bits(&other.custom_bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Histogram {
        Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 9.0,
            sum: 12.5,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
            positive: vec![1.0, 2.0, 3.0],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative: vec![1.0],
            ..Histogram::default()
        }
    }

    #[test]
    fn accepts_what_fits_together() {
        sound().validate().unwrap();
        Histogram::stale().validate().unwrap();
        Histogram { is_float: true, count: 9.5, ..sound() }.validate().unwrap();
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            positive: vec![1.0, 2.0],
            custom_bounds: [0.5, 1.0].into(),
            ..Histogram::default()
        };
        custom.validate().unwrap();
    }

    #[test]
    fn refuses_what_does_not() {
        let cases: [(&str, Histogram); 7] = [
            ("schema 9", Histogram { schema: 9, ..sound() }),
            ("count is 10", Histogram { count: 10.0, ..sound() }),
            ("positive spans have 3 buckets, it has 2", Histogram { positive: vec![1.0, 2.0], ..sound() }),
            ("negative bucket has a negative", Histogram { negative: vec![-1.0], ..sound() }),
            ("need schema -53", Histogram { custom_bounds: [1.0].into(), ..sound() }),
            ("neither negative", Histogram { schema: CUSTOM_BUCKETS_SCHEMA, ..sound() }),
            (
                "before the end",
                Histogram {
                    positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: -1, length: 1 }],
                    ..sound()
                },
            ),
        ];
        for (want, histogram) in cases {
            let error = histogram.validate().unwrap_err();
            assert!(error.message().contains(want), "{error}");
        }
    }
}
