//! Chunks as Prometheus stores and sends them: `XOR` for floats, one chunk for each native histogram.
//!
//! Prometheus specifies them in `tsdb/docs/format/chunks.md`. A chunk of several histograms would need them to have the same buckets and no
//! reset among them; a chunk of one is always right, and histograms are few beside floats.

use base::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Histogram, Sample, Span};

use super::bits::{BitWriter, fits};

/// Encodings by their number on the wire.
const XOR: u64 = 1;
const HISTOGRAM: u64 = 2;
const FLOAT_HISTOGRAM: u64 = 3;

/// Flag of a chunk of gauges.
const GAUGE: u8 = 0xc0;

/// A chunk, ready to be sent.
pub(super) struct Chunk {
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    pub(super) encoding: u64,
    pub(super) data: Vec<u8>,
}

/// A chunk of floats: at least one, at most 65,535, ascending in time.
pub(super) fn floats(samples: &[Sample]) -> Chunk {
    let count = u16::try_from(samples.len()).expect("a chunk has few samples");
    let mut out = BitWriter::after(count.to_be_bytes().to_vec());
    let mut value = XorValue::default();
    let (mut last_ms, mut step) = (0i64, 0i64);
    for (i, s) in samples.iter().enumerate() {
        let new_step = s.t_ms.wrapping_sub(last_ms);
        match i {
            0 => {
                out.varint(s.t_ms);
                out.f64(s.value);
                value.bits = s.value.to_bits();
            }
            1 => {
                out.uvarint(new_step as u64);
                value.put(s.value, &mut out);
            }
            _ => {
                change_of_step(new_step.wrapping_sub(step), &mut out);
                value.put(s.value, &mut out);
            }
        }
        (last_ms, step) = (s.t_ms, new_step);
    }
    let ends = samples.first().zip(samples.last()).map_or((0, 0), |(a, b)| (a.t_ms, b.t_ms));
    Chunk { min_ms: ends.0, max_ms: ends.1, encoding: XOR, data: out.finish() }
}

fn change_of_step(change: i64, out: &mut BitWriter) {
    if change == 0 {
        return out.prefix(0);
    }
    for (ones, width) in [(1, 14), (2, 17), (3, 20)] {
        if fits(change, width) {
            out.prefix(ones);
            return out.put(change as u64, width);
        }
    }
    out.put(0b1111, 4);
    out.put(change as u64, 64);
}

/// A value that is written as the difference of its bits to the value before.
#[derive(Default)]
struct XorValue {
    bits: u64,
    /// Zero bits before and behind those written last.
    window: Option<(u8, u8)>,
}

impl XorValue {
    fn put(&mut self, value: f64, out: &mut BitWriter) {
        let difference = self.bits ^ value.to_bits();
        self.bits = value.to_bits();
        if difference == 0 {
            return out.put(0, 1);
        }
        // Five bits say how many zeros lead.
        let leading = difference.leading_zeros().min(31) as u8;
        let trailing = difference.trailing_zeros() as u8;
        if let Some((before, behind)) = self.window.filter(|w| leading >= w.0 && trailing >= w.1) {
            out.put(0b10, 2);
            return out.put(difference >> behind, 64 - before - behind);
        }
        let width = 64 - leading - trailing;
        out.put(0b11, 2);
        out.put(leading.into(), 5);
        // Six bits cannot say 64, which is written as 0.
        out.put(width.into(), 6);
        out.put(difference >> trailing, width);
        self.window = Some((leading, trailing));
    }
}

/// A chunk of one histogram.
pub(super) fn histogram(t_ms: i64, h: &Histogram) -> Chunk {
    let flags = if h.counter_reset_hint == CounterResetHint::Gauge { GAUGE } else { 0 };
    let mut out = BitWriter::after(vec![0, 1, flags]);
    layout(h, &mut out);
    out.varbit_int(t_ms);
    if h.is_float {
        let scalars = [h.count, h.zero_count, h.sum];
        scalars.iter().for_each(|v| out.f64(*v));
        h.positive.iter().chain(&h.negative).for_each(|v| out.f64(*v));
    } else {
        out.varbit_uint(h.count as u64);
        out.varbit_uint(h.zero_count as u64);
        out.f64(h.sum);
        for side in [&h.positive, &h.negative] {
            let mut last = 0;
            for count in side {
                out.varbit_int(*count as i64 - last);
                last = *count as i64;
            }
        }
    }
    let encoding = if h.is_float { FLOAT_HISTOGRAM } else { HISTOGRAM };
    Chunk { min_ms: t_ms, max_ms: t_ms, encoding, data: out.finish() }
}

fn layout(h: &Histogram, out: &mut BitWriter) {
    if h.zero_threshold == 0.0 {
        out.put(0, 8);
    } else {
        out.put(255, 8);
        out.f64(h.zero_threshold);
    }
    out.varbit_int(h.schema.into());
    spans(&h.positive_spans, out);
    spans(&h.negative_spans, out);
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        out.varbit_uint(h.custom_bounds.len() as u64);
        for bound in h.custom_bounds.iter() {
            out.varbit_uint(0);
            out.f64(*bound);
        }
    }
}

fn spans(all: &[Span], out: &mut BitWriter) {
    out.varbit_uint(all.len() as u64);
    for span in all {
        out.varbit_uint(span.length.into());
        out.varbit_int(span.offset.into());
    }
}
