//! Writes what senders send, for tests and benches of this crate and of those above it.

pub mod families;
pub mod otlp;

use std::collections::HashMap;

use base::{CounterResetHint, Histogram, Span};

use crate::put;

/// A `prometheus.WriteRequest` that is being written. A series gets what is added until the next one begins.
#[derive(Debug, Default, Clone)]
pub struct RequestWriter {
    message: Vec<u8>,
    series: Vec<u8>,
}

impl RequestWriter {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a series with labels as given: in that order, sound or not.
    pub fn series<'a, B: AsRef<[u8]> + 'a>(
        &mut self,
        labels: impl IntoIterator<Item = &'a (B, B)>,
    ) -> &mut Self {
        self.end();
        for (name, value) in labels {
            let mut label = Vec::new();
            put::bytes(&mut label, 1, name.as_ref());
            put::bytes(&mut label, 2, value.as_ref());
            put::bytes(&mut self.series, 1, &label);
        }
        self
    }

    /// Adds a sample.
    pub fn sample(&mut self, t_ms: i64, value: f64) -> &mut Self {
        let mut sample = Vec::new();
        put::double(&mut sample, 1, value);
        put::number(&mut sample, 2, t_ms as u64);
        put::bytes(&mut self.series, 2, &sample);
        self
    }

    /// Adds an exemplar without labels.
    pub fn exemplar(&mut self, t_ms: i64, value: f64) -> &mut Self {
        self.exemplar_with(&[], t_ms, value)
    }

    /// Adds an exemplar.
    pub fn exemplar_with(&mut self, labels: &[(&str, &str)], t_ms: i64, value: f64) -> &mut Self {
        let mut exemplar = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            put::bytes(&mut label, 1, name.as_bytes());
            put::bytes(&mut label, 2, value.as_bytes());
            put::bytes(&mut exemplar, 1, &label);
        }
        put::double(&mut exemplar, 2, value);
        put::number(&mut exemplar, 3, t_ms as u64);
        put::bytes(&mut self.series, 3, &exemplar);
        self
    }

    /// Adds a histogram: its counts as floats if it is one of floats, else as whole numbers and differences.
    pub fn histogram(&mut self, t_ms: i64, h: &Histogram) -> &mut Self {
        put::bytes(&mut self.series, 4, &histogram(t_ms, h));
        self
    }

    /// Adds the description of a metric.
    pub fn metadata(&mut self, metric: &str, help: &str) -> &mut Self {
        self.end();
        let mut out = Vec::new();
        put::number(&mut out, 1, 2);
        put::bytes(&mut out, 2, metric.as_bytes());
        put::bytes(&mut out, 4, help.as_bytes());
        put::bytes(&mut self.message, 3, &out);
        self
    }

    /// The message.
    pub fn message(&mut self) -> Vec<u8> {
        self.end();
        std::mem::take(&mut self.message)
    }

    /// The body of the request.
    pub fn body(&mut self) -> Vec<u8> {
        compress(&self.message())
    }

    fn end(&mut self) {
        if !self.series.is_empty() {
            put::bytes(&mut self.message, 1, &self.series);
            self.series.clear();
        }
    }
}

/// A histogram message, which both versions of remote write share.
fn histogram(t_ms: i64, h: &Histogram) -> Vec<u8> {
    let mut out = Vec::new();
    if h.is_float {
        put::double(&mut out, 2, h.count);
        put::double(&mut out, 7, h.zero_count);
    } else {
        put::number(&mut out, 1, h.count as u64);
        put::number(&mut out, 6, h.zero_count as u64);
    }
    put::double(&mut out, 3, h.sum);
    put::number(&mut out, 4, put::zigzag(h.schema.into()));
    put::double(&mut out, 5, h.zero_threshold);
    put_side(&mut out, [8, 9, 10], &h.negative_spans, &h.negative, h.is_float);
    put_side(&mut out, [11, 12, 13], &h.positive_spans, &h.positive, h.is_float);
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    put::number(&mut out, 14, hint);
    put::number(&mut out, 15, t_ms as u64);
    put::doubles(&mut out, 16, &h.custom_bounds);
    out
}

/// An `io.prometheus.write.v2.Request` that is being written.
#[derive(Debug, Clone)]
pub struct RequestWriterV2 {
    symbols: Vec<Vec<u8>>,
    known: HashMap<Vec<u8>, u64>,
    message: Vec<u8>,
    series: Vec<u8>,
}

impl Default for RequestWriterV2 {
    fn default() -> Self {
        let known = HashMap::from([(Vec::new(), 0)]);
        Self { symbols: vec![Vec::new()], known, message: Vec::new(), series: Vec::new() }
    }
}

impl RequestWriterV2 {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    fn symbol(&mut self, text: &[u8]) -> u64 {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let reference = self.symbols.len() as u64;
        self.symbols.push(text.to_vec());
        self.known.insert(text.to_vec(), reference);
        reference
    }

    /// Begins a series with labels as given: in that order, sound or not.
    pub fn series<'a, B: AsRef<[u8]> + 'a>(
        &mut self,
        labels: impl IntoIterator<Item = &'a (B, B)>,
    ) -> &mut Self {
        let mut refs = Vec::new();
        for (name, value) in labels {
            refs.push(self.symbol(name.as_ref()));
            refs.push(self.symbol(value.as_ref()));
        }
        self.series_of_refs(&refs)
    }

    /// Begins a series with references as given.
    pub fn series_of_refs(&mut self, refs: &[u64]) -> &mut Self {
        self.end();
        let mut packed = Vec::new();
        refs.iter().for_each(|r| put::varint(&mut packed, *r));
        put::bytes(&mut self.series, 1, &packed);
        self
    }

    /// Adds a sample.
    pub fn sample(&mut self, t_ms: i64, value: f64) -> &mut Self {
        self.sample_since(t_ms, value, 0)
    }

    /// Adds a sample of what began at a time.
    pub fn sample_since(&mut self, t_ms: i64, value: f64, start_ms: i64) -> &mut Self {
        let mut sample = Vec::new();
        put::double(&mut sample, 1, value);
        put::number(&mut sample, 2, t_ms as u64);
        if start_ms != 0 {
            put::number(&mut sample, 3, start_ms as u64);
        }
        put::bytes(&mut self.series, 2, &sample);
        self
    }

    /// Adds a histogram of what began at a time; 0 says nothing.
    pub fn histogram(&mut self, t_ms: i64, h: &Histogram, start_ms: i64) -> &mut Self {
        let mut message = histogram(t_ms, h);
        if start_ms != 0 {
            put::number(&mut message, 17, start_ms as u64);
        }
        put::bytes(&mut self.series, 3, &message);
        self
    }

    /// Adds an exemplar with a trace's id.
    pub fn exemplar(&mut self, t_ms: i64, value: f64, trace_id: &str) -> &mut Self {
        let (name, id) = (self.symbol(b"trace_id"), self.symbol(trace_id.as_bytes()));
        let (mut exemplar, mut refs) = (Vec::new(), Vec::new());
        [name, id].iter().for_each(|r| put::varint(&mut refs, *r));
        put::bytes(&mut exemplar, 1, &refs);
        put::double(&mut exemplar, 2, value);
        put::number(&mut exemplar, 3, t_ms as u64);
        put::bytes(&mut self.series, 4, &exemplar);
        self
    }

    /// Describes the metric of the series: the number of its type, help and unit.
    pub fn metadata(&mut self, metric_type: u64, help: &str, unit: &str) -> &mut Self {
        let (help, unit) = (self.symbol(help.as_bytes()), self.symbol(unit.as_bytes()));
        self.metadata_refs(metric_type, help, unit)
    }

    /// The same with references as given.
    pub fn metadata_refs(&mut self, metric_type: u64, help: u64, unit: u64) -> &mut Self {
        let mut out = Vec::new();
        put::number(&mut out, 1, metric_type);
        put::number(&mut out, 3, help);
        put::number(&mut out, 4, unit);
        put::bytes(&mut self.series, 5, &out);
        self
    }

    /// The message: the table of texts, then the series.
    pub fn message(&mut self) -> Vec<u8> {
        self.end();
        let mut message = Vec::new();
        self.symbols.iter().for_each(|s| put::bytes(&mut message, 4, s));
        message.append(&mut self.message);
        message
    }

    /// The body of the request.
    pub fn body(&mut self) -> Vec<u8> {
        compress(&self.message())
    }

    fn end(&mut self) {
        if !self.series.is_empty() {
            put::bytes(&mut self.message, 5, &self.series);
            self.series.clear();
        }
    }
}

/// A snappy block.
pub fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a test's message is below 4 GiB")
}

fn put_side(out: &mut Vec<u8>, [spans, deltas, counts]: [u64; 3], of: &[Span], buckets: &[f64], float: bool) {
    for span in of {
        let mut message = Vec::new();
        put::number(&mut message, 1, put::zigzag(span.offset.into()));
        put::number(&mut message, 2, span.length.into());
        put::bytes(out, spans, &message);
    }
    if float {
        return put::doubles(out, counts, buckets);
    }
    let (mut packed, mut last) = (Vec::new(), 0);
    for count in buckets {
        put::varint(&mut packed, put::zigzag(*count as i64 - last));
        last = *count as i64;
    }
    put::bytes(out, deltas, &packed);
}
