//! The message of one metric: its numbers, as far as its family's type makes them count.
//!
//! Owns the fields of `io.prometheus.client.Metric` below its labels. Texts stay where they are; only numbers are copied, into memory that
//! the next metric uses again.

use base::{CounterResetHint, Histogram};
use ingest::limits::HISTOGRAM_BUCKETS;
use ingest::native::{self, Side};
use ingest::protobuf::{Malformed, Reader, Value};

use super::{Fault, Kind};
use crate::exposition::classic::Classic;
use crate::exposition::number::NORMAL_NAN;
use crate::limits::HISTOGRAM_EXEMPLARS_MAX;

/// A metric as it was read last.
#[derive(Debug, Default)]
pub(super) struct Metric<'a> {
    pub(super) timestamp_ms: i64,
    pub(super) start_ms: i64,
    /// Of a counter, a gauge or what has no type.
    pub(super) value: f64,
    pub(super) sum: f64,
    pub(super) exemplar: Option<&'a [u8]>,
    /// Quantiles of a summary, or buckets of a histogram.
    pub(super) points: Vec<Point<'a>>,
    count: u64,
    count_float: f64,
    native: NativeFields<'a>,
}

/// A quantile, or a classic bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Point<'a> {
    /// The quantile, or the bucket's upper bound.
    pub(super) bound: f64,
    /// The quantile's value, or the bucket's cumulative count.
    pub(super) value: f64,
    pub(super) exemplar: Option<&'a [u8]>,
}

#[derive(Debug, Default)]
struct NativeFields<'a> {
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    positive: Side,
    negative: Side,
    exemplars: Vec<&'a [u8]>,
}

impl<'a> Metric<'a> {
    pub(super) fn clear(&mut self) {
        let Self { points, native, .. } = self;
        points.clear();
        native.positive.clear();
        native.negative.clear();
        native.exemplars.clear();
        let native = NativeFields {
            positive: std::mem::take(&mut native.positive),
            negative: std::mem::take(&mut native.negative),
            exemplars: std::mem::take(&mut native.exemplars),
            ..NativeFields::default()
        };
        *self = Self { points: std::mem::take(points), native, ..Self::default() };
    }

    /// Reads the message that a metric of a kind has its numbers in. A second one goes on where the first one ended.
    pub(super) fn read(&mut self, kind: Kind, message: &'a [u8]) -> Result<(), Fault> {
        match kind {
            Kind::Summary => self.summary(message)?,
            Kind::Histogram | Kind::GaugeHistogram => return self.histogram(message),
            Kind::Counter | Kind::Gauge | Kind::Untyped => self.number(kind, message)?,
        }
        Ok(())
    }

    fn number(&mut self, kind: Kind, message: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => self.value = double(value)?,
                2 if kind == Kind::Counter => self.exemplar = Some(value.bytes()?),
                3 if kind == Kind::Counter => self.start_ms = time_ms(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn summary(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => self.count = value.varint()?,
                2 => self.sum = double(value)?,
                3 => self.points.push(quantile(value.bytes()?)?),
                4 => self.start_ms = time_ms(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn histogram(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let native = &mut self.native;
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => self.count = value.varint()?,
                2 => self.sum = double(value)?,
                3 => self.points.push(bucket(value.bytes()?)?),
                4 => self.count_float = double(value)?,
                5 => native.schema = value.sint32()?,
                6 => native.zero_threshold = double(value)?,
                7 => native.zero_count = value.varint()?,
                8 => native.zero_count_float = double(value)?,
                9 => native.negative.span(value)?,
                10 => native.negative.deltas(value)?,
                11 => native.negative.counts(value)?,
                12 => native.positive.span(value)?,
                13 => native.positive.deltas(value)?,
                14 => native.positive.counts(value)?,
                15 => self.start_ms = time_ms(value.bytes()?)?,
                16 => native.exemplars.push(value.bytes()?),
                _ => {}
            }
            let many = self.points.len() > HISTOGRAM_BUCKETS
                || native.positive.has_too_many()
                || native.negative.has_too_many();
            if many {
                let why = format!("it has more than {HISTOGRAM_BUCKETS} buckets (limit histogram_buckets)");
                return Err(Fault::Text(why));
            }
            if native.exemplars.len() > HISTOGRAM_EXEMPLARS_MAX {
                let limit = "limit histogram_exemplars_max";
                let why = format!("it has more than {HISTOGRAM_EXEMPLARS_MAX} exemplars ({limit})");
                return Err(Fault::Text(why));
            }
        }
        Ok(())
    }

    /// The target's own timestamp. The epoch itself cannot be told from none.
    pub(super) fn timestamp(&self) -> Option<i64> {
        Some(self.timestamp_ms).filter(|t| *t != 0)
    }

    /// All observations.
    pub(super) fn count(&self) -> f64 {
        if self.count_float == 0.0 { self.count as f64 } else { self.count_float }
    }

    /// Whether there is a native histogram, by what Prometheus goes by: a client that has counted nothing yet writes an empty span.
    pub(super) fn is_native(&self) -> bool {
        let n = &self.native;
        n.positive.has_spans() || n.negative.has_spans() || n.zero_threshold > 0.0 || n.zero_count > 0
    }

    /// The native histogram.
    pub(super) fn to_native(&self, kind: Kind) -> Result<Histogram, String> {
        let n = &self.native;
        let is_float = self.count_float > 0.0 || n.zero_count_float > 0.0;
        let (positive, positive_spans) = n.positive.absolute(is_float);
        let (negative, negative_spans) = n.negative.absolute(is_float);
        let mut histogram = Histogram {
            counter_reset_hint: reset_hint(kind),
            is_float,
            schema: n.schema,
            zero_threshold: n.zero_threshold,
            zero_count: if is_float { n.zero_count_float } else { n.zero_count as f64 },
            count: if is_float { self.count_float } else { self.count as f64 },
            sum: self.sum,
            positive_spans,
            negative_spans,
            positive,
            negative,
            ..Histogram::default()
        };
        native::reduce(&mut histogram);
        native::compact(&mut histogram, 0);
        histogram.validate().map_err(|e| e.message().to_owned())?;
        Ok(histogram)
    }

    /// The classic histogram as a native one with custom buckets.
    pub(super) fn to_custom(&self, kind: Kind, classic: &mut Classic) -> Result<Histogram, String> {
        classic.clear();
        classic.set_count(self.count());
        classic.set_sum(self.sum);
        self.points.iter().for_each(|p| classic.add_bucket(p.bound, p.value));
        Ok(Histogram { counter_reset_hint: reset_hint(kind), ..classic.convert()? })
    }

    /// The exemplars of a histogram as a whole: its own list, or without any those of its buckets.
    pub(super) fn exemplars(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let own = self.native.exemplars.iter().copied();
        let of_buckets = self.points.iter().filter_map(|p| p.exemplar);
        own.chain(of_buckets.filter(|_| self.native.exemplars.is_empty()))
    }
}

fn reset_hint(kind: Kind) -> CounterResetHint {
    if kind == Kind::GaugeHistogram { CounterResetHint::Gauge } else { CounterResetHint::Unknown }
}

fn quantile<'a>(message: &[u8]) -> Result<Point<'a>, Malformed> {
    let mut point = Point::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => point.bound = double(value)?,
            2 => point.value = double(value)?,
            _ => {}
        }
    }
    Ok(point)
}

fn bucket(message: &[u8]) -> Result<Point<'_>, Malformed> {
    let mut point = Point::default();
    let (mut count, mut float) = (0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => count = value.varint()?,
            2 => point.bound = double(value)?,
            3 => point.exemplar = Some(value.bytes()?),
            4 => float = double(value)?,
            _ => {}
        }
    }
    point.value = if float == 0.0 { count as f64 } else { float };
    Ok(point)
}

/// A `google.protobuf.Timestamp` in milliseconds since the epoch.
pub(super) fn time_ms(message: &[u8]) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => seconds = value.int64()?,
            2 => nanos = value.int64()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

/// A number; what is none is the same NaN always, so that no target writes the marker that ends a series.
pub(super) fn double(value: Value<'_>) -> Result<f64, Malformed> {
    let value = value.double()?;
    Ok(if value.is_nan() { f64::from_bits(NORMAL_NAN) } else { value })
}
