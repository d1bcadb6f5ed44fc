//! A histogram of either version: counts of the wire, whole numbers as differences or floats as they are, become absolute counts.

use base::{CounterResetHint, Error, Histogram, Result};

use crate::limits::HISTOGRAM_BUCKETS;
use crate::native::{self, Side, doubles};
use crate::protobuf::{Malformed, Reader};

/// A histogram with its times.
pub(super) struct Read {
    pub(super) t_ms: i64,
    /// When counting started; 0 if nobody said.
    pub(super) start_ms: i64,
    pub(super) histogram: Histogram,
}

/// Reads a histogram and its times. The inner error says why it cannot be taken.
pub(super) fn read(message: &[u8]) -> Result<Result<Read>, Malformed> {
    let mut h = Histogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut t_ms, mut start_ms) = (0, 0);
    let mut bounds = Vec::new();
    let (mut count, mut zero_count) = (Count::Int(0), Count::Int(0));
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => count = Count::Int(value.varint()?),
            2 => count = Count::Float(value.double()?),
            3 => h.sum = value.double()?,
            4 => h.schema = value.sint32()?,
            5 => h.zero_threshold = value.double()?,
            6 => zero_count = Count::Int(value.varint()?),
            7 => zero_count = Count::Float(value.double()?),
            8 => negative.span(value)?,
            9 => negative.deltas(value)?,
            10 => negative.counts(value)?,
            11 => positive.span(value)?,
            12 => positive.deltas(value)?,
            13 => positive.counts(value)?,
            14 => h.counter_reset_hint = reset_hint(value.varint()?),
            15 => t_ms = value.int64()?,
            16 => doubles(value, &mut bounds)?,
            17 => start_ms = value.int64()?,
            _ => {}
        }
        let many = bounds.len() > HISTOGRAM_BUCKETS || positive.has_too_many() || negative.has_too_many();
        if many {
            return Ok(Err(Error::limit(format!(
                "cannot take histogram: it has more than {HISTOGRAM_BUCKETS} buckets (limit histogram_buckets)"
            ))));
        }
    }
    // The kind of the count decides which of the fields count, as in Prometheus.
    h.is_float = matches!(count, Count::Float(_));
    (h.count, h.zero_count) = (count.value(h.is_float), zero_count.value(h.is_float));
    (h.positive, h.positive_spans) = positive.absolute(h.is_float);
    (h.negative, h.negative_spans) = negative.absolute(h.is_float);
    h.custom_bounds = bounds.into();
    native::reduce(&mut h);
    Ok(h.validate().map(|()| Read { t_ms, start_ms, histogram: h }))
}

#[derive(Clone, Copy)]
enum Count {
    Int(u64),
    Float(f64),
}

impl Count {
    fn value(self, float: bool) -> f64 {
        match self {
            Self::Int(n) if !float => n as f64,
            Self::Float(f) if float => f,
            _ => 0.0,
        }
    }
}

fn reset_hint(n: u64) -> CounterResetHint {
    match n {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
