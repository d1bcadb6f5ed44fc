//! Samples as rows that any program understands: a time and a value each, with the series' labels.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base::{CounterResetHint, Error, Histogram, Labels, METRIC_NAME, Result, Span, is_stale};
use lake::catalog::{AttributesBuilder, Kind, attributes_builder};
use serde_json::{Value, json};

/// Collects rows of the columns `metric`, `labels` (without the metric's name), `timestamp`, `value`, `histogram` and `stale`.
///
/// A native histogram has no value, but is JSON in its column. `stale` says that a series ends with this row, whose value is the
/// NaN that marks it, or whose histogram has it for a sum.
pub struct SampleRows {
    schema: SchemaRef,
    metric: StringBuilder,
    labels: AttributesBuilder,
    timestamp: TimestampMillisecondBuilder,
    value: Float64Builder,
    histogram: StringBuilder,
    stale: BooleanBuilder,
    rows: usize,
}

impl SampleRows {
    /// Without rows.
    pub fn new() -> Self {
        Self {
            schema: Self::schema(),
            metric: StringBuilder::new(),
            labels: attributes_builder(),
            timestamp: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            value: Float64Builder::new(),
            histogram: StringBuilder::new(),
            stale: BooleanBuilder::new(),
            rows: 0,
        }
    }

    /// The columns.
    pub fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("metric", DataType::Utf8, false),
            Field::new("labels", Kind::Attributes.data_type(), false),
            Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Field::new("value", DataType::Float64, true),
            Field::new("histogram", DataType::Utf8, true),
            Field::new("stale", DataType::Boolean, false),
        ]))
    }

    /// Adds a float.
    pub fn float(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<()> {
        self.series(labels, t_ms)?;
        self.value.append_value(value);
        self.histogram.append_null();
        self.stale.append_value(is_stale(value));
        Ok(())
    }

    /// Adds a native histogram.
    pub fn histogram(&mut self, labels: &Labels, t_ms: i64, histogram: &Histogram) -> Result<()> {
        self.series(labels, t_ms)?;
        self.value.append_null();
        self.histogram.append_value(json_of(histogram).to_string());
        self.stale.append_value(histogram.is_stale());
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes the rows out.
    pub fn take(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.histogram.finish()),
            Arc::new(self.stale.finish()),
        ];
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| Error::internal(format!("cannot build rows of samples: {e}")))
    }

    fn series(&mut self, labels: &Labels, t_ms: i64) -> Result<()> {
        self.rows += 1;
        self.metric.append_value(labels.metric());
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            self.labels.keys().append_value(name);
            self.labels.values().append_value(value);
        }
        self.timestamp.append_value(t_ms);
        self.labels.append(true).map_err(|e| Error::internal(format!("cannot build rows of samples: {e}")))
    }
}

impl Default for SampleRows {
    fn default() -> Self {
        Self::new()
    }
}

/// A histogram with all that it has. Counts of buckets are absolute; JSON has no infinities and no NaN, which are text.
fn json_of(h: &Histogram) -> Value {
    let number = |v: f64| match v.is_finite() {
        true => json!(v),
        false => {
            let mut text = String::new();
            base::format_float(v, &mut text);
            json!(text)
        }
    };
    let numbers = |of: &[f64]| of.iter().map(|v| number(*v)).collect::<Vec<_>>();
    let spans = |of: &[Span]| of.iter().map(|s| json!([s.offset, s.length])).collect::<Vec<_>>();
    json!({
        "schema": h.schema,
        "count": number(h.count),
        "sum": number(h.sum),
        "zero_threshold": number(h.zero_threshold),
        "zero_count": number(h.zero_count),
        "positive_spans": spans(&h.positive_spans),
        "positive_buckets": numbers(&h.positive),
        "negative_spans": spans(&h.negative_spans),
        "negative_buckets": numbers(&h.negative),
        "custom_bounds": numbers(&h.custom_bounds),
        "float": h.is_float,
        "counter_reset": match h.counter_reset_hint {
            CounterResetHint::Unknown => "unknown",
            CounterResetHint::Reset => "reset",
            CounterResetHint::NotReset => "not_reset",
            CounterResetHint::Gauge => "gauge",
        },
    })
}
