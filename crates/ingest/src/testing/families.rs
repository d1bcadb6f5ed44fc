//! Writes the protobuf messages that a scraped target answers with, `io.prometheus.client.MetricFamily`, each after its length.

use base::Span;

use crate::put;

/// Numbers of the types of families.
pub const COUNTER: u64 = 0;
/// See [`COUNTER`].
pub const GAUGE: u64 = 1;
/// See [`COUNTER`].
pub const SUMMARY: u64 = 2;
/// See [`COUNTER`].
pub const UNTYPED: u64 = 3;
/// See [`COUNTER`].
pub const HISTOGRAM: u64 = 4;
/// See [`COUNTER`].
pub const GAUGE_HISTOGRAM: u64 = 5;

/// A family that is being written.
#[derive(Debug, Default, Clone)]
pub struct FamilyWriter {
    message: Vec<u8>,
}

impl FamilyWriter {
    /// A family of a type.
    pub fn new(name: &str, kind: u64) -> Self {
        let mut message = Vec::new();
        put::bytes(&mut message, 1, name.as_bytes());
        put::number(&mut message, 3, kind);
        Self { message }
    }

    /// Says what it is about, and in which unit. Clients write the unit behind the metrics.
    #[must_use]
    pub fn about(mut self, help: &str, unit: &str) -> Self {
        put::bytes(&mut self.message, 2, help.as_bytes());
        put::bytes(&mut self.message, 5, unit.as_bytes());
        self
    }

    /// Adds a metric.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "what is written in place reads better so")]
    pub fn metric(mut self, metric: MetricWriter) -> Self {
        put::bytes(&mut self.message, 4, &metric.0);
        self
    }

    /// Appends the family to a page.
    pub fn put(&self, page: &mut Vec<u8>) {
        put::varint(page, self.message.len() as u64);
        page.extend_from_slice(&self.message);
    }
}

/// An exemplar with one label.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// The value of the label `trace_id`.
    pub trace: &'a str,
    /// The value.
    pub value: f64,
    /// When it was measured.
    pub t_ms: Option<i64>,
}

impl Example<'_> {
    fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put::message(&mut out, 1, |out| {
            put::bytes(out, 1, b"trace_id");
            put::bytes(out, 2, self.trace.as_bytes());
        });
        put::double(&mut out, 2, self.value);
        if let Some(t_ms) = self.t_ms {
            put::bytes(&mut out, 3, &time(t_ms));
        }
        out
    }
}

/// A metric that is being written.
#[derive(Debug, Default, Clone)]
pub struct MetricWriter(Vec<u8>);

impl MetricWriter {
    /// A metric with labels.
    pub fn new(labels: &[(&str, &str)]) -> Self {
        let mut out = Vec::new();
        for (name, value) in labels {
            put::message(&mut out, 1, |out| {
                put::bytes(out, 1, name.as_bytes());
                put::bytes(out, 2, value.as_bytes());
            });
        }
        Self(out)
    }

    /// Adds a timestamp.
    #[must_use]
    pub fn at(mut self, t_ms: i64) -> Self {
        put::number(&mut self.0, 6, t_ms as u64);
        self
    }

    /// Adds the value of a gauge.
    #[must_use]
    pub fn gauge(mut self, value: f64) -> Self {
        put::message(&mut self.0, 2, |out| put::double(out, 1, value));
        self
    }

    /// Adds the value of what has no type.
    #[must_use]
    pub fn untyped(mut self, value: f64) -> Self {
        put::message(&mut self.0, 5, |out| put::double(out, 1, value));
        self
    }

    /// Adds the value of a counter.
    #[must_use]
    pub fn counter(mut self, value: f64, start_ms: Option<i64>, example: Option<Example<'_>>) -> Self {
        put::message(&mut self.0, 3, |out| {
            put::double(out, 1, value);
            if let Some(example) = example {
                put::bytes(out, 2, &example.message());
            }
            if let Some(start_ms) = start_ms {
                put::bytes(out, 3, &time(start_ms));
            }
        });
        self
    }

    /// Adds a summary with quantiles and their values.
    #[must_use]
    pub fn summary(mut self, count: u64, sum: f64, quantiles: &[(f64, f64)], start_ms: Option<i64>) -> Self {
        put::message(&mut self.0, 4, |out| {
            put::number(out, 1, count);
            put::double(out, 2, sum);
            for (quantile, value) in quantiles {
                put::message(out, 3, |out| {
                    put::double(out, 1, *quantile);
                    put::double(out, 2, *value);
                });
            }
            if let Some(start_ms) = start_ms {
                put::bytes(out, 4, &time(start_ms));
            }
        });
        self
    }

    /// Adds a histogram.
    #[must_use]
    pub fn histogram(mut self, histogram: &HistogramWriter) -> Self {
        put::bytes(&mut self.0, 7, &histogram.0);
        self
    }
}

/// A histogram that is being written.
#[derive(Debug, Default, Clone)]
pub struct HistogramWriter(Vec<u8>);

impl HistogramWriter {
    /// A histogram with a whole count.
    pub fn new(count: u64, sum: f64) -> Self {
        let mut out = Vec::new();
        put::number(&mut out, 1, count);
        put::double(&mut out, 2, sum);
        Self(out)
    }

    /// A histogram with a count that may be a fraction.
    pub fn float(count: f64, sum: f64) -> Self {
        let mut out = Vec::new();
        put::double(&mut out, 2, sum);
        put::double(&mut out, 4, count);
        Self(out)
    }

    /// Adds a classic bucket.
    #[must_use]
    pub fn bucket(mut self, bound: f64, count: u64, example: Option<Example<'_>>) -> Self {
        put::message(&mut self.0, 3, |out| {
            put::number(out, 1, count);
            put::double(out, 2, bound);
            if let Some(example) = example {
                put::bytes(out, 3, &example.message());
            }
        });
        self
    }

    /// Says how wide native buckets are, and what is around zero.
    #[must_use]
    pub fn schema(mut self, schema: i32, zero_threshold: f64, zero_count: u64) -> Self {
        put::number(&mut self.0, 5, put::zigzag(schema.into()));
        put::double(&mut self.0, 6, zero_threshold);
        put::number(&mut self.0, 7, zero_count);
        self
    }

    /// Adds positive native buckets by the differences of their counts, not packed as Go's client writes them.
    #[must_use]
    pub fn positive(mut self, spans: &[Span], deltas: &[i64]) -> Self {
        self.spans(12, spans);
        deltas.iter().for_each(|d| put::number(&mut self.0, 13, put::zigzag(*d)));
        self
    }

    /// Adds negative ones, packed.
    #[must_use]
    pub fn negative(mut self, spans: &[Span], deltas: &[i64]) -> Self {
        self.spans(9, spans);
        put::varints(&mut self.0, 10, deltas.iter().map(|d| put::zigzag(*d)));
        self
    }

    /// Adds positive ones by their counts, which may be fractions.
    #[must_use]
    pub fn positive_floats(mut self, spans: &[Span], counts: &[f64]) -> Self {
        self.spans(12, spans);
        put::doubles(&mut self.0, 14, counts);
        self
    }

    /// Says when counting began.
    #[must_use]
    pub fn since(mut self, start_ms: i64) -> Self {
        put::bytes(&mut self.0, 15, &time(start_ms));
        self
    }

    /// Adds an exemplar of the histogram as a whole.
    #[must_use]
    pub fn example(mut self, example: Example<'_>) -> Self {
        put::bytes(&mut self.0, 16, &example.message());
        self
    }

    fn spans(&mut self, field: u64, spans: &[Span]) {
        for span in spans {
            put::message(&mut self.0, field, |out| {
                put::number(out, 1, put::zigzag(span.offset.into()));
                put::number(out, 2, span.length.into());
            });
        }
    }
}

/// A `google.protobuf.Timestamp`.
fn time(t_ms: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put::number(&mut out, 1, t_ms.div_euclid(1000) as u64);
    put::number(&mut out, 2, t_ms.rem_euclid(1000) as u64 * 1_000_000);
    out
}
