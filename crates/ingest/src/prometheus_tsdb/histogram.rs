//! Chunks of native histograms, with whole and with fractional counts, with and without start times.
//!
//! Prometheus specifies them in `tsdb/docs/format/chunks.md`.

use std::sync::Arc;

use base::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, EXPONENTIAL_SCHEMAS, Histogram, Span, is_stale};

use super::bits::Bits;
use super::xor::{StartTimes, XorValue};

/// What the histograms of a chunk share.
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    custom_bounds: Arc<[f64]>,
}

/// How the header of a chunk is laid out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Header {
    /// A count of 16 bits, then a byte of flags.
    Plain,
    /// Flags and a count of 14 bits, then the header of start times.
    WithStartTimes,
}

struct Start<'a> {
    count: u16,
    gauge: bool,
    starts: StartTimes,
    bits: Bits<'a>,
    layout: Option<Layout>,
}

/// Appends the histograms of a chunk with whole counts. `None` if the data end early or cannot be.
pub(super) fn decode_whole(data: &[u8], header: Header, out: &mut Vec<(i64, Histogram)>) -> Option<()> {
    let Start { count, gauge, starts, mut bits, layout } = start(data, header)?;
    let Some(layout) = layout else { return Some(()) };
    let [positive, negative] = [bucket_count(&layout.positive_spans), bucket_count(&layout.negative_spans)];
    if positive.checked_add(negative)? > bits.left() {
        return None;
    }
    let bits = &mut bits;
    let mut t_ms = Dod::new(bits.varbit_int()?);
    let mut total = Dod::new(bits.varbit_uint()? as i64);
    let mut zero = Dod::new(bits.varbit_uint()? as i64);
    let mut sum = XorValue::new(bits.f64()?);
    let mut read_buckets =
        |n: usize| (0..n).map(|_| bits.varbit_int().map(Dod::new)).collect::<Option<Vec<Dod>>>();
    let (mut positive, mut negative) = (read_buckets(positive)?, read_buckets(negative)?);
    for i in 0..count {
        if i > 0 {
            for field in [&mut t_ms, &mut total, &mut zero] {
                field.read(bits)?;
            }
            sum.read(bits)?;
            if !is_stale(sum.value()) {
                for bucket in positive.iter_mut().chain(&mut negative) {
                    bucket.read(bits)?;
                }
            }
        }
        starts.skip(i, bits)?;
        let mut histogram = layout.histogram(hint(gauge, i), sum.value());
        if !histogram.is_stale() {
            histogram.count = total.value as u64 as f64;
            histogram.zero_count = zero.value as u64 as f64;
            histogram.positive = running_sums(&positive);
            histogram.negative = running_sums(&negative);
        }
        out.push((t_ms.value, histogram));
    }
    Some(())
}

/// Appends the histograms of a chunk with fractional counts.
pub(super) fn decode_fractional(data: &[u8], header: Header, out: &mut Vec<(i64, Histogram)>) -> Option<()> {
    let Start { count, gauge, starts, mut bits, layout } = start(data, header)?;
    let Some(layout) = layout else { return Some(()) };
    let [positive, negative] = [bucket_count(&layout.positive_spans), bucket_count(&layout.negative_spans)];
    if positive.checked_add(negative)? > bits.left() / 64 {
        return None;
    }
    let bits = &mut bits;
    let mut t_ms = Dod::new(bits.varbit_int()?);
    let [mut total, mut zero, mut sum] = [XorValue::default(); 3];
    for field in [&mut total, &mut zero, &mut sum] {
        *field = XorValue::new(bits.f64()?);
    }
    let mut read_buckets =
        |n: usize| (0..n).map(|_| bits.f64().map(XorValue::new)).collect::<Option<Vec<XorValue>>>();
    let (mut positive, mut negative) = (read_buckets(positive)?, read_buckets(negative)?);
    for i in 0..count {
        if i > 0 {
            t_ms.read(bits)?;
            for field in [&mut total, &mut zero, &mut sum] {
                field.read(bits)?;
            }
            if !is_stale(sum.value()) {
                for bucket in positive.iter_mut().chain(&mut negative) {
                    bucket.read(bits)?;
                }
            }
        }
        starts.skip(i, bits)?;
        let mut histogram = layout.histogram(hint(gauge, i), sum.value());
        if !histogram.is_stale() {
            histogram.is_float = true;
            histogram.count = total.value();
            histogram.zero_count = zero.value();
            histogram.positive = positive.iter().map(XorValue::value).collect();
            histogram.negative = negative.iter().map(XorValue::value).collect();
        }
        out.push((t_ms.value, histogram));
    }
    Some(())
}

/// A number that is written as the change of its change.
#[derive(Clone, Copy)]
struct Dod {
    value: i64,
    step: i64,
}

impl Dod {
    fn new(value: i64) -> Self {
        Self { value, step: 0 }
    }

    fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.step = self.step.wrapping_add(bits.varbit_int()?);
        self.value = self.value.wrapping_add(self.step);
        Some(())
    }
}

impl Layout {
    fn histogram(&self, counter_reset_hint: CounterResetHint, sum: f64) -> Histogram {
        if is_stale(sum) {
            return Histogram::stale();
        }
        Histogram {
            counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            custom_bounds: Arc::clone(&self.custom_bounds),
            ..Histogram::default()
        }
    }
}

/// As Prometheus' own reader says it: within a chunk of counters there is no reset, and of what was before it nothing is certain.
fn hint(gauge: bool, sample: u16) -> CounterResetHint {
    match sample {
        _ if gauge => CounterResetHint::Gauge,
        0 => CounterResetHint::Unknown,
        _ => CounterResetHint::NotReset,
    }
}

fn start(data: &[u8], header: Header) -> Option<Start<'_>> {
    let (bytes, body) = data.split_first_chunk::<3>()?;
    let word = u16::from_be_bytes([bytes[0], bytes[1]]);
    let (count, flags, starts) = match header {
        Header::Plain => (word, bytes[2], 0),
        Header::WithStartTimes => (word & 0x3fff, bytes[0], bytes[2]),
    };
    let mut bits = Bits::new(body);
    let layout = if count > 0 { Some(read_layout(&mut bits)?) } else { None };
    let gauge = flags & 0xc0 == 0xc0;
    Some(Start { count, gauge, starts: StartTimes::new(starts), bits, layout })
}

fn read_layout(bits: &mut Bits<'_>) -> Option<Layout> {
    let zero_threshold = match bits.byte()? {
        0 => 0.0,
        255 => bits.f64()?,
        exponent => 0.5 * f64::powi(2.0, i32::from(exponent) - 243),
    };
    let schema = i32::try_from(bits.varbit_int()?).ok()?;
    if !EXPONENTIAL_SCHEMAS.contains(&schema) && schema != CUSTOM_BUCKETS_SCHEMA {
        return None;
    }
    let positive_spans = read_spans(bits)?;
    let negative_spans = read_spans(bits)?;
    let mut custom_bounds = Vec::new();
    if schema == CUSTOM_BUCKETS_SCHEMA {
        for _ in 0..bits.varbit_uint()? {
            custom_bounds.push(match bits.varbit_uint()? {
                0 => bits.f64()?,
                thousandths => (thousandths - 1) as f64 / 1000.0,
            });
        }
    }
    Some(Layout {
        schema,
        zero_threshold,
        positive_spans,
        negative_spans,
        custom_bounds: custom_bounds.into(),
    })
}

fn read_spans(bits: &mut Bits<'_>) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    for _ in 0..bits.varbit_uint()? {
        let length = u32::try_from(bits.varbit_uint()?).ok()?;
        let offset = i32::try_from(bits.varbit_int()?).ok()?;
        spans.push(Span { offset, length });
    }
    Some(spans)
}

fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().fold(0, |n, s| n.saturating_add(s.length as usize))
}

/// Counts of buckets, each of which is written as the difference to its neighbour.
fn running_sums(buckets: &[Dod]) -> Vec<f64> {
    let mut count = 0i64;
    buckets
        .iter()
        .map(|b| {
            count = count.wrapping_add(b.value);
            count as f64
        })
        .collect()
}
