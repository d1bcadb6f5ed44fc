//! Writes what OTLP senders send.

use crate::put;

/// Sums and histograms that say what was added, or what there is in all.
pub const DELTA: u64 = 1;
/// See [`DELTA`].
pub const CUMULATIVE: u64 = 2;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum Value {
    None,
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Names and values.
pub type Attributes = Vec<(String, Value)>;

/// Attributes that are texts.
pub fn texts(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// An `ExportMetricsServiceRequest` that is being written; data points belong to the metric that was begun last.
#[derive(Debug, Clone, Default)]
pub struct OtlpWriter {
    request: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    metric: Vec<u8>,
    data: Vec<u8>,
    kind: u64,
}

/// Everything that data points of all kinds may have.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub struct Common {
    pub attributes: Attributes,
    pub start_ns: u64,
    pub time_ns: u64,
    pub flags: u64,
    pub exemplars: Vec<Exemplar>,
}

/// An exemplar.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub struct Exemplar {
    pub attributes: Attributes,
    pub time_ns: u64,
    pub value: Option<f64>,
    pub span_id: Vec<u8>,
    pub trace_id: Vec<u8>,
}

/// A side of an exponential histogram: the index of its first bucket, and counts.
pub type Side = (i32, Vec<u64>);

impl OtlpWriter {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a resource.
    pub fn resource(&mut self, attributes: &Attributes) -> &mut Self {
        self.end_resource();
        let mut message = Vec::new();
        put_attributes(&mut message, 1, attributes);
        put::bytes(&mut self.resource, 1, &message);
        self
    }

    /// Begins a scope.
    pub fn scope(&mut self, name: &str, version: &str, url: &str, attributes: &Attributes) -> &mut Self {
        self.end_scope();
        let mut message = Vec::new();
        put::bytes(&mut message, 1, name.as_bytes());
        put::bytes(&mut message, 2, version.as_bytes());
        put_attributes(&mut message, 3, attributes);
        put::bytes(&mut self.scope, 1, &message);
        put::bytes(&mut self.scope, 3, url.as_bytes());
        self
    }

    fn metric(&mut self, kind: u64, name: &str, unit: &str) -> &mut Self {
        self.end_metric();
        self.kind = kind;
        put::bytes(&mut self.metric, 1, name.as_bytes());
        put::bytes(&mut self.metric, 2, format!("Help of {name}.").as_bytes());
        put::bytes(&mut self.metric, 3, unit.as_bytes());
        self
    }

    /// Begins a gauge.
    pub fn gauge(&mut self, name: &str, unit: &str) -> &mut Self {
        self.metric(5, name, unit)
    }

    /// Begins a sum.
    pub fn sum(&mut self, name: &str, unit: &str, temporality: u64, monotonic: bool) -> &mut Self {
        self.metric(7, name, unit);
        put::number(&mut self.data, 2, temporality);
        put::number(&mut self.data, 3, monotonic.into());
        self
    }

    /// Begins a histogram with bounds.
    pub fn histogram(&mut self, name: &str, unit: &str, temporality: u64) -> &mut Self {
        self.metric(9, name, unit);
        put::number(&mut self.data, 2, temporality);
        self
    }

    /// Begins an exponential histogram.
    pub fn exponential(&mut self, name: &str, unit: &str, temporality: u64) -> &mut Self {
        self.metric(10, name, unit);
        put::number(&mut self.data, 2, temporality);
        self
    }

    /// Begins a summary.
    pub fn summary(&mut self, name: &str, unit: &str) -> &mut Self {
        self.metric(11, name, unit)
    }

    /// Adds a data point with a fraction.
    pub fn double(&mut self, common: &Common, value: f64) -> &mut Self {
        let mut point = Vec::new();
        put::double(&mut point, 4, value);
        self.point(point, common, 7, 8, 5)
    }

    /// Adds a data point with a whole number.
    pub fn int(&mut self, common: &Common, value: i64) -> &mut Self {
        let mut point = Vec::new();
        put::fixed64(&mut point, 6, value as u64);
        self.point(point, common, 7, 8, 5)
    }

    /// Adds a data point of a histogram with bounds; its count is that of its buckets.
    pub fn buckets(
        &mut self,
        common: &Common,
        sum: Option<f64>,
        counts: &[u64],
        bounds: &[f64],
    ) -> &mut Self {
        let mut point = Vec::new();
        put::fixed64(&mut point, 4, counts.iter().sum());
        if let Some(sum) = sum {
            put::double(&mut point, 5, sum);
        }
        let packed: Vec<u8> = counts.iter().flat_map(|n| n.to_le_bytes()).collect();
        put::bytes(&mut point, 6, &packed);
        put::doubles(&mut point, 7, bounds);
        self.point(point, common, 9, 10, 8)
    }

    /// Adds a data point of an exponential histogram; its count is that of its buckets.
    pub fn scaled(
        &mut self,
        common: &Common,
        sum: Option<f64>,
        (scale, zero_count, zero_threshold): (i32, u64, f64),
        [positive, negative]: [&Side; 2],
    ) -> &mut Self {
        let mut point = Vec::new();
        let in_buckets: u64 = positive.1.iter().chain(&negative.1).sum();
        put::fixed64(&mut point, 4, zero_count + in_buckets);
        if let Some(sum) = sum {
            put::double(&mut point, 5, sum);
        }
        put::number(&mut point, 6, put::zigzag(scale.into()));
        put::fixed64(&mut point, 7, zero_count);
        for (number, (offset, counts)) in [(8, positive), (9, negative)] {
            let (mut side, mut packed) = (Vec::new(), Vec::new());
            put::number(&mut side, 1, put::zigzag((*offset).into()));
            counts.iter().for_each(|n| put::varint(&mut packed, *n));
            put::bytes(&mut side, 2, &packed);
            put::bytes(&mut point, number, &side);
        }
        put::double(&mut point, 14, zero_threshold);
        self.point(point, common, 1, 10, 11)
    }

    /// Adds a data point of a summary.
    pub fn quantiles(
        &mut self,
        common: &Common,
        count: u64,
        sum: f64,
        quantiles: &[(f64, f64)],
    ) -> &mut Self {
        let mut point = Vec::new();
        put::fixed64(&mut point, 4, count);
        put::double(&mut point, 5, sum);
        for (quantile, value) in quantiles {
            let mut message = Vec::new();
            put::double(&mut message, 1, *quantile);
            put::double(&mut message, 2, *value);
            put::bytes(&mut point, 6, &message);
        }
        self.point(point, common, 7, 8, 0)
    }

    fn point(
        &mut self,
        own: Vec<u8>,
        common: &Common,
        attributes: u64,
        flags: u64,
        exemplars: u64,
    ) -> &mut Self {
        let mut point = Vec::new();
        put_attributes(&mut point, attributes, &common.attributes);
        put::fixed64(&mut point, 2, common.start_ns);
        put::fixed64(&mut point, 3, common.time_ns);
        point.extend(own);
        for exemplar in common.exemplars.iter().filter(|_| exemplars != 0) {
            put::bytes(&mut point, exemplars, &exemplar.message());
        }
        put::number(&mut point, flags, common.flags);
        put::bytes(&mut self.data, 1, &point);
        self
    }

    /// The message.
    pub fn message(&mut self) -> Vec<u8> {
        self.end_resource();
        std::mem::take(&mut self.request)
    }

    fn end_metric(&mut self) {
        if !self.metric.is_empty() {
            put::bytes(&mut self.metric, self.kind, &self.data);
            put::bytes(&mut self.scope, 2, &self.metric);
        }
        self.metric.clear();
        self.data.clear();
    }

    fn end_scope(&mut self) {
        self.end_metric();
        if !self.scope.is_empty() {
            put::bytes(&mut self.resource, 2, &self.scope);
        }
        self.scope.clear();
    }

    fn end_resource(&mut self) {
        self.end_scope();
        if !self.resource.is_empty() {
            put::bytes(&mut self.request, 1, &self.resource);
        }
        self.resource.clear();
    }
}

impl Exemplar {
    fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put::fixed64(&mut out, 2, self.time_ns);
        if let Some(value) = self.value {
            put::double(&mut out, 3, value);
        }
        put::bytes(&mut out, 4, &self.span_id);
        put::bytes(&mut out, 5, &self.trace_id);
        put_attributes(&mut out, 7, &self.attributes);
        out
    }
}

/// An `AnyValue`.
pub fn value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::None => {}
        Value::Text(text) => put::bytes(&mut out, 1, text.as_bytes()),
        Value::Bool(b) => put::number(&mut out, 2, (*b).into()),
        Value::Int(n) => put::number(&mut out, 3, *n as u64),
        Value::Double(v) => put::double(&mut out, 4, *v),
        Value::List(values) => {
            let mut list = Vec::new();
            values.iter().for_each(|v| put::bytes(&mut list, 1, &self::value(v)));
            put::bytes(&mut out, 5, &list);
        }
        Value::Map(pairs) => {
            let mut map = Vec::new();
            put_attributes(&mut map, 1, pairs);
            put::bytes(&mut out, 6, &map);
        }
        Value::Bytes(bytes) => put::bytes(&mut out, 7, bytes),
    }
    out
}

fn put_attributes(out: &mut Vec<u8>, number: u64, attributes: &[(String, Value)]) {
    for (name, v) in attributes {
        let mut pair = Vec::new();
        put::bytes(&mut pair, 1, name.as_bytes());
        put::bytes(&mut pair, 2, &value(v));
        put::bytes(out, number, &pair);
    }
}
