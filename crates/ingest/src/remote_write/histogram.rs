//! A histogram of either version: counts of the wire, whole numbers as differences or floats as they are, become absolute counts.

use base::{CounterResetHint, Error, Histogram, Result, Span};

use crate::limits::HISTOGRAM_BUCKETS;
use crate::native;
use crate::protobuf::{Malformed, Reader, Value, zigzag};

/// One side of a histogram as sent.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

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
            8 => negative.spans.push(span(value.bytes()?)?),
            9 => deltas(value, &mut negative.deltas)?,
            10 => doubles(value, &mut negative.counts)?,
            11 => positive.spans.push(span(value.bytes()?)?),
            12 => deltas(value, &mut positive.deltas)?,
            13 => doubles(value, &mut positive.counts)?,
            14 => h.counter_reset_hint = reset_hint(value.varint()?),
            15 => t_ms = value.int64()?,
            16 => doubles(value, &mut bounds)?,
            17 => start_ms = value.int64()?,
            _ => {}
        }
        let most = [
            bounds.len(),
            positive.spans.len(),
            positive.deltas.len(),
            positive.counts.len(),
            negative.spans.len(),
            negative.deltas.len(),
            negative.counts.len(),
        ];
        if most.into_iter().any(|n| n > HISTOGRAM_BUCKETS) {
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

impl Side {
    fn absolute(self, float: bool) -> (Vec<f64>, Vec<Span>) {
        if float {
            return (self.counts, self.spans);
        }
        let sum = |at: &mut i64, delta: i64| {
            *at = at.wrapping_add(delta);
            Some(*at as f64)
        };
        (self.deltas.into_iter().scan(0, sum).collect(), self.spans)
    }
}

fn span(message: &[u8]) -> Result<Span, Malformed> {
    let mut span = Span { offset: 0, length: 0 };
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => span.offset = value.sint32()?,
            2 => span.length = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

/// `sint64`s, packed or one by one.
fn deltas(value: Value<'_>, out: &mut Vec<i64>) -> Result<(), Malformed> {
    if let Value::Varint(n) = value {
        out.push(zigzag(n));
        return Ok(());
    }
    let mut packed = Reader::new(value.bytes()?);
    // One too many is enough to be refused.
    while !packed.rest().is_empty() && out.len() <= HISTOGRAM_BUCKETS {
        out.push(zigzag(packed.varint()?));
    }
    Ok(())
}

/// `double`s, packed or one by one.
fn doubles(value: Value<'_>, out: &mut Vec<f64>) -> Result<(), Malformed> {
    if let Value::Fixed64(bits) = value {
        out.push(f64::from_bits(bits));
        return Ok(());
    }
    let (chunks, rest) = value.bytes()?.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Malformed::CutShort);
    }
    out.extend(chunks.iter().take(HISTOGRAM_BUCKETS + 1).map(|c| f64::from_le_bytes(*c)));
    Ok(())
}

fn reset_hint(n: u64) -> CounterResetHint {
    match n {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
