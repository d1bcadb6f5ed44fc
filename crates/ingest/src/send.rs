//! What a remote-write sender writes: `prometheus.WriteRequest` and `io.prometheus.write.v2.Request`.
//!
//! Owns the bytes of both messages. Each sample goes into a series of its own, as Prometheus sends
//! them. So does an exemplar of version 1; one of version 2 goes along with a sample of its series, without which receivers refuse it.

use std::collections::HashMap;

use base::{Error, Histogram, Labels, Metadata, MetricType, Result};

use crate::messages::{put_histogram, put_labels};
use crate::put;

/// One value to send.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The series that it belongs to.
    pub labels: &'a Labels,
    /// When, in milliseconds since 1970.
    pub t_ms: i64,
    /// When its counting began, in milliseconds since 1970, 0 if that is unknown; sent by version 2 only.
    pub start_ms: i64,
    /// The value.
    pub value: OutgoingValue<'a>,
    /// What is known of the metric; sent by version 2 only.
    pub metadata: Option<&'a Metadata>,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy)]
pub enum OutgoingValue<'a> {
    /// A sample.
    Float(f64),
    /// A native histogram.
    Histogram(&'a Histogram),
    /// An exemplar.
    Exemplar {
        /// Its own labels.
        labels: &'a Labels,
        /// Its value.
        value: f64,
    },
}

/// The media type of version 1, as Prometheus says it.
pub const CONTENT_TYPE_V1: &str = "application/x-protobuf";

/// The media type of version 2.
pub const CONTENT_TYPE_V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Appends a `prometheus.WriteRequest`.
pub fn write_v1<'a>(values: impl IntoIterator<Item = Outgoing<'a>>, out: &mut Vec<u8>) {
    let (mut series, mut inner) = (Vec::new(), Vec::new());
    for value in values {
        series.clear();
        put_labels(&mut series, 1, value.labels);
        inner.clear();
        match value.value {
            OutgoingValue::Float(v) => {
                put::double(&mut inner, 1, v);
                put::number(&mut inner, 2, value.t_ms as u64);
                put::bytes(&mut series, 2, &inner);
            }
            OutgoingValue::Exemplar { labels, value: v } => {
                put_labels(&mut inner, 1, labels);
                put::double(&mut inner, 2, v);
                put::number(&mut inner, 3, value.t_ms as u64);
                put::bytes(&mut series, 3, &inner);
            }
            OutgoingValue::Histogram(h) => {
                put_histogram(&mut inner, value.t_ms, h);
                put::bytes(&mut series, 4, &inner);
            }
        }
        put::bytes(out, 1, &series);
    }
}

/// Appends a `prometheus.WriteRequest` that describes metrics and has no samples.
pub fn write_v1_metadata<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a Metadata)>, out: &mut Vec<u8>) {
    let mut one = Vec::new();
    for (metric, m) in metadata {
        one.clear();
        put::number(&mut one, 1, metric_type(m.metric_type));
        put::bytes(&mut one, 2, metric.as_bytes());
        put::bytes(&mut one, 4, m.help.as_bytes());
        put::bytes(&mut one, 5, m.unit.as_bytes());
        put::bytes(out, 3, &one);
    }
}

/// Appends an `io.prometheus.write.v2.Request`.
pub fn write_v2<'a>(values: impl IntoIterator<Item = Outgoing<'a>>, out: &mut Vec<u8>) {
    let values: Vec<Outgoing<'a>> = values.into_iter().collect();
    let carried = carried(&values);
    let mut symbols = Symbols::default();
    let (mut all, mut series, mut inner) = (Vec::new(), Vec::new(), Vec::new());
    for (at, value) in values.iter().enumerate() {
        let own = carried.get(value.labels);
        if matches!(value.value, OutgoingValue::Exemplar { .. }) && own.is_some_and(|c| c.by.is_some()) {
            continue;
        }
        series.clear();
        put_refs(&mut series, value.labels, &mut symbols);
        inner.clear();
        match value.value {
            OutgoingValue::Float(v) => {
                put::double(&mut inner, 1, v);
                put::number(&mut inner, 2, value.t_ms as u64);
                put_start(&mut inner, 3, value.start_ms);
                put::bytes(&mut series, 2, &inner);
            }
            OutgoingValue::Histogram(h) => {
                put_histogram(&mut inner, value.t_ms, h);
                put_start(&mut inner, 17, value.start_ms);
                put::bytes(&mut series, 3, &inner);
            }
            OutgoingValue::Exemplar { .. } => put_exemplar_v2(&mut series, value, &mut symbols),
        }
        if let Some(carried) = own.filter(|c| c.by == Some(at)) {
            carried.exemplars.iter().for_each(|e| put_exemplar_v2(&mut series, e, &mut symbols));
        }
        if let Some(m) = value.metadata {
            inner.clear();
            put::number(&mut inner, 1, metric_type(m.metric_type));
            put::number(&mut inner, 3, symbols.of(&m.help));
            put::number(&mut inner, 4, symbols.of(&m.unit));
            put::bytes(&mut series, 5, &inner);
        }
        put::bytes(&mut all, 5, &series);
    }
    // The first symbol is the empty string, by which an absent text is said.
    put::bytes(out, 4, b"");
    symbols.list.iter().for_each(|symbol| put::bytes(out, 4, symbol.as_bytes()));
    out.extend_from_slice(&all);
}

fn put_start(out: &mut Vec<u8>, number: u64, start_ms: i64) {
    if start_ms != 0 {
        put::number(out, number, start_ms as u64);
    }
}

/// The exemplars of a series, and the place of the sample that they go along with.
#[derive(Default)]
struct Carried<'v, 'a> {
    exemplars: Vec<&'v Outgoing<'a>>,
    by: Option<usize>,
}

/// Which exemplars go along with what: the last sample of their series.
fn carried<'v, 'a>(values: &'v [Outgoing<'a>]) -> HashMap<&'a Labels, Carried<'v, 'a>> {
    let mut out: HashMap<&Labels, Carried<'_, '_>> = HashMap::new();
    let is_exemplar = |v: &Outgoing<'_>| matches!(v.value, OutgoingValue::Exemplar { .. });
    for value in values.iter().filter(|v| is_exemplar(v)) {
        out.entry(value.labels).or_default().exemplars.push(value);
    }
    if !out.is_empty() {
        for (at, value) in values.iter().enumerate().filter(|(_, v)| !is_exemplar(v)) {
            if let Some(carried) = out.get_mut(value.labels) {
                carried.by = Some(at);
            }
        }
    }
    out
}

fn put_exemplar_v2(series: &mut Vec<u8>, of: &Outgoing<'_>, symbols: &mut Symbols) {
    if let OutgoingValue::Exemplar { labels, value } = of.value {
        let mut inner = Vec::new();
        put_refs(&mut inner, labels, symbols);
        put::double(&mut inner, 2, value);
        put::number(&mut inner, 3, of.t_ms as u64);
        put::bytes(series, 4, &inner);
    }
}

fn put_refs(out: &mut Vec<u8>, labels: &Labels, symbols: &mut Symbols) {
    let mut refs = Vec::with_capacity(2 * 12);
    for (name, value) in labels {
        put::varint(&mut refs, symbols.of(name));
        put::varint(&mut refs, symbols.of(value));
    }
    put::bytes(out, 1, &refs);
}

/// The table of texts of a request.
#[derive(Default)]
struct Symbols {
    numbers: HashMap<String, u64>,
    list: Vec<String>,
}

impl Symbols {
    fn of(&mut self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.list.push(text.to_owned());
        let number = self.list.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

fn metric_type(of: MetricType) -> u64 {
    match of {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::Stateset => 7,
    }
}

/// The body of a request: a snappy block.
pub fn compress(message: &[u8]) -> Result<Vec<u8>> {
    snap::raw::Encoder::new()
        .compress_vec(message)
        .map_err(|e| Error::internal(format!("cannot compress a remote-write request: {e}")))
}

#[cfg(test)]
mod tests {
    use base::{CounterResetHint, Span};

    use super::*;
    use crate::protobuf::{Reader, Value};

    fn fields(message: &[u8]) -> Vec<(u64, Value<'_>)> {
        let mut reader = Reader::new(message);
        std::iter::from_fn(|| reader.field().unwrap()).collect()
    }

    fn bytes<'a>(fields: &[(u64, Value<'a>)], number: u64) -> Vec<&'a [u8]> {
        fields.iter().filter(|(n, _)| *n == number).map(|(_, v)| v.bytes().unwrap()).collect()
    }

    fn histogram() -> Histogram {
        Histogram {
            schema: 1,
            count: 9.0,
            sum: 4.5,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive_spans: vec![Span { offset: -2, length: 3 }],
            positive: vec![1.0, 5.0, 1.0],
            counter_reset_hint: CounterResetHint::NotReset,
            ..Histogram::default()
        }
    }

    #[test]
    fn version_1_is_read_back_by_our_receiver() {
        let a = Labels::from_pairs([("__name__", "a"), ("x", "1")]);
        let b = Labels::from_pairs([("__name__", "b")]);
        let h = histogram();
        let of = |labels, t_ms, value| Outgoing { labels, t_ms, start_ms: 0, value, metadata: None };
        let mut message = Vec::new();
        let stale = f64::from_bits(base::STALE_NAN);
        write_v1(
            [
                of(&a, 1000, OutgoingValue::Float(1.5)),
                of(&b, -5, OutgoingValue::Histogram(&h)),
                of(&a, 2000, OutgoingValue::Float(stale)),
            ],
            &mut message,
        );
        let found = bytes(&fields(&message), 1);
        assert_eq!(found.len(), 3);
        let first = fields(found[0]);
        assert_eq!(bytes(&first, 1), [&b"\x0a\x08__name__\x12\x01a"[..], b"\x0a\x01x\x12\x011"]);
        let sample = fields(bytes(&first, 2)[0]);
        assert_eq!((sample[0].1.double(), sample[1].1.int64()), (Ok(1.5), Ok(1000)));
        let third = fields(found[2]);
        let sample = fields(bytes(&third, 2)[0]);
        assert_eq!(sample[0].1.double().unwrap().to_bits(), base::STALE_NAN, "the marker keeps its bits");
        let second = fields(found[1]);
        let read = fields(bytes(&second, 4)[0]);
        let field = |n| read.iter().find(|(number, _)| *number == n).unwrap().1;
        assert_eq!((field(1).varint(), field(6).varint(), field(15).int64()), (Ok(9), Ok(2), Ok(-5)));
        assert_eq!((field(4).sint32(), field(14).varint()), (Ok(1), Ok(2)));
        assert_eq!(field(12).bytes().unwrap(), [2, 8, 7], "differences 1, 4, -4");
    }

    #[test]
    fn version_2_says_each_text_once() {
        let a = Labels::from_pairs([("__name__", "a"), ("x", "a")]);
        let metadata = Metadata { metric_type: MetricType::Counter, help: "Help.".into(), unit: "".into() };
        let exemplar = Labels::from_pairs([("trace", "a")]);
        let value = |value| Outgoing { labels: &a, t_ms: 7, start_ms: 5, value, metadata: Some(&metadata) };
        let mut message = Vec::new();
        let values = [
            value(OutgoingValue::Float(2.0)),
            value(OutgoingValue::Exemplar { labels: &exemplar, value: 3.0 }),
        ];
        write_v2(values, &mut message);
        let all = fields(&message);
        assert_eq!(bytes(&all, 4), [&b""[..], b"__name__", b"a", b"x", b"trace", b"Help."]);
        let series = bytes(&all, 5);
        let first = fields(series[0]);
        assert_eq!(bytes(&first, 1), [[1, 2, 3, 2]]);
        assert_eq!(bytes(&first, 5), [[0x08, 1, 0x18, 5, 0x20, 0]]);
        let sample = fields(bytes(&first, 2)[0]);
        assert_eq!((sample[0].1.double(), sample[1].1.int64()), (Ok(2.0), Ok(7)));
        assert_eq!((sample[2].0, sample[2].1.int64()), (3, Ok(5)), "when its counting began");
        assert_eq!(series.len(), 1, "the exemplar goes along with the sample");
        let read = fields(bytes(&first, 4)[0]);
        assert_eq!((read[0].1.bytes(), read[1].1.double()), (Ok(&[4, 2][..]), Ok(3.0)));
        let b = Labels::from_pairs([("__name__", "b")]);
        let alone =
            Outgoing { labels: &b, ..value(OutgoingValue::Exemplar { labels: &exemplar, value: 4.0 }) };
        message.clear();
        write_v2([value(OutgoingValue::Float(1.0)), alone, value(OutgoingValue::Float(2.0))], &mut message);
        let kinds = |series: &[u8]| fields(series).iter().map(|(n, _)| *n).collect::<Vec<_>>();
        let all = fields(&message);
        let of_each: Vec<_> = bytes(&all, 5).into_iter().map(kinds).collect();
        assert_eq!(of_each, [[1, 2, 5], [1, 4, 5], [1, 2, 5]]);
    }

    #[test]
    fn metadata_is_described_by_name() {
        let m = Metadata { metric_type: MetricType::Stateset, help: "H".into(), unit: "s".into() };
        let mut message = Vec::new();
        write_v1_metadata([("m", &m)], &mut message);
        assert_eq!(message, b"\x1a\x0b\x08\x07\x12\x01m\x22\x01H\x2a\x01s");
    }
}
