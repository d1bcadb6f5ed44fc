//! What fields the messages of OTLP metrics have, by their names in JSON.

/// A message's fields.
#[derive(Debug)]
pub(super) struct Message(pub(super) &'static [Field]);

/// A field: its name, its number, and what it holds.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u64,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bool,
    Double,
    /// An `int64`, which JSON has as a text or a number.
    Int,
    /// A `uint32`, `uint64` or an enumeration.
    Uint,
    /// A `sint32`.
    Sint,
    /// A `fixed64`.
    Fixed,
    /// An `sfixed64`.
    Sfixed,
    /// Bytes in base64.
    Base64,
    /// Bytes in hexadecimal digits, as ids are.
    Hex,
    /// One of a few names, or its number, in their order.
    Names(&'static [&'static str]),
    Message(&'static Message),
    /// A list of messages.
    Messages(&'static Message),
    /// A list of `double`s, packed.
    Doubles,
    /// A list of `fixed64`s, packed.
    Fixeds,
    /// A list of `uint64`s, packed.
    Uints,
}

const fn f(name: &'static str, number: u64, kind: Kind) -> Field {
    Field { name, number, kind }
}

pub(super) static REQUEST: Message = Message(&[f("resourceMetrics", 1, Kind::Messages(&RESOURCE_METRICS))]);

static RESOURCE_METRICS: Message = Message(&[
    f("resource", 1, Kind::Message(&RESOURCE)),
    f("scopeMetrics", 2, Kind::Messages(&SCOPE_METRICS)),
    f("schemaUrl", 3, Kind::Text),
]);

static RESOURCE: Message = Message(&[f("attributes", 1, Kind::Messages(&KEY_VALUE))]);

static SCOPE_METRICS: Message = Message(&[
    f("scope", 1, Kind::Message(&SCOPE)),
    f("metrics", 2, Kind::Messages(&METRIC)),
    f("schemaUrl", 3, Kind::Text),
]);

static SCOPE: Message = Message(&[
    f("name", 1, Kind::Text),
    f("version", 2, Kind::Text),
    f("attributes", 3, Kind::Messages(&KEY_VALUE)),
]);

static KEY_VALUE: Message = Message(&[f("key", 1, Kind::Text), f("value", 2, Kind::Message(&ANY_VALUE))]);

static ANY_VALUE: Message = Message(&[
    f("stringValue", 1, Kind::Text),
    f("boolValue", 2, Kind::Bool),
    f("intValue", 3, Kind::Int),
    f("doubleValue", 4, Kind::Double),
    f("arrayValue", 5, Kind::Message(&ARRAY)),
    f("kvlistValue", 6, Kind::Message(&KEY_VALUES)),
    f("bytesValue", 7, Kind::Base64),
]);

static ARRAY: Message = Message(&[f("values", 1, Kind::Messages(&ANY_VALUE))]);

static KEY_VALUES: Message = Message(&[f("values", 1, Kind::Messages(&KEY_VALUE))]);

static METRIC: Message = Message(&[
    f("name", 1, Kind::Text),
    f("description", 2, Kind::Text),
    f("unit", 3, Kind::Text),
    f("gauge", 5, Kind::Message(&GAUGE)),
    f("sum", 7, Kind::Message(&SUM)),
    f("histogram", 9, Kind::Message(&HISTOGRAM)),
    f("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
    f("summary", 11, Kind::Message(&SUMMARY)),
]);

const TEMPORALITY: Field = f(
    "aggregationTemporality",
    2,
    Kind::Names(&[
        "AGGREGATION_TEMPORALITY_UNSPECIFIED",
        "AGGREGATION_TEMPORALITY_DELTA",
        "AGGREGATION_TEMPORALITY_CUMULATIVE",
    ]),
);

static GAUGE: Message = Message(&[f("dataPoints", 1, Kind::Messages(&NUMBER))]);

static SUM: Message =
    Message(&[f("dataPoints", 1, Kind::Messages(&NUMBER)), TEMPORALITY, f("isMonotonic", 3, Kind::Bool)]);

static HISTOGRAM: Message = Message(&[f("dataPoints", 1, Kind::Messages(&HISTOGRAM_POINT)), TEMPORALITY]);

static EXPONENTIAL_HISTOGRAM: Message =
    Message(&[f("dataPoints", 1, Kind::Messages(&EXPONENTIAL_POINT)), TEMPORALITY]);

static SUMMARY: Message = Message(&[f("dataPoints", 1, Kind::Messages(&SUMMARY_POINT))]);

const START: Field = f("startTimeUnixNano", 2, Kind::Fixed);
const TIME: Field = f("timeUnixNano", 3, Kind::Fixed);

static NUMBER: Message = Message(&[
    f("attributes", 7, Kind::Messages(&KEY_VALUE)),
    START,
    TIME,
    f("asDouble", 4, Kind::Double),
    f("asInt", 6, Kind::Sfixed),
    f("exemplars", 5, Kind::Messages(&EXEMPLAR)),
    f("flags", 8, Kind::Uint),
]);

static HISTOGRAM_POINT: Message = Message(&[
    f("attributes", 9, Kind::Messages(&KEY_VALUE)),
    START,
    TIME,
    f("count", 4, Kind::Fixed),
    f("sum", 5, Kind::Double),
    f("bucketCounts", 6, Kind::Fixeds),
    f("explicitBounds", 7, Kind::Doubles),
    f("exemplars", 8, Kind::Messages(&EXEMPLAR)),
    f("flags", 10, Kind::Uint),
]);

static EXPONENTIAL_POINT: Message = Message(&[
    f("attributes", 1, Kind::Messages(&KEY_VALUE)),
    START,
    TIME,
    f("count", 4, Kind::Fixed),
    f("sum", 5, Kind::Double),
    f("scale", 6, Kind::Sint),
    f("zeroCount", 7, Kind::Fixed),
    f("positive", 8, Kind::Message(&BUCKETS)),
    f("negative", 9, Kind::Message(&BUCKETS)),
    f("flags", 10, Kind::Uint),
    f("exemplars", 11, Kind::Messages(&EXEMPLAR)),
    f("zeroThreshold", 14, Kind::Double),
]);

static BUCKETS: Message = Message(&[f("offset", 1, Kind::Sint), f("bucketCounts", 2, Kind::Uints)]);

static SUMMARY_POINT: Message = Message(&[
    f("attributes", 7, Kind::Messages(&KEY_VALUE)),
    START,
    TIME,
    f("count", 4, Kind::Fixed),
    f("sum", 5, Kind::Double),
    f("quantileValues", 6, Kind::Messages(&QUANTILE)),
    f("flags", 8, Kind::Uint),
]);

static QUANTILE: Message = Message(&[f("quantile", 1, Kind::Double), f("value", 2, Kind::Double)]);

static EXEMPLAR: Message = Message(&[
    f("filteredAttributes", 7, Kind::Messages(&KEY_VALUE)),
    TIME_OF_EXEMPLAR,
    f("asDouble", 3, Kind::Double),
    f("asInt", 6, Kind::Sfixed),
    f("spanId", 4, Kind::Hex),
    f("traceId", 5, Kind::Hex),
]);

const TIME_OF_EXEMPLAR: Field = f("timeUnixNano", 2, Kind::Fixed);
