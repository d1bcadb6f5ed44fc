//! Messages of Prometheus' protobuf that remote write of both versions and remote read have in common, written.

use base::{CounterResetHint, Histogram, Labels, Span};

use crate::put;

/// Labels, each a field with this number.
pub(crate) fn put_labels(out: &mut Vec<u8>, number: u64, labels: &Labels) {
    for (name, value) in labels {
        put::message(out, number, |out| {
            put::bytes(out, 1, name.as_bytes());
            put::bytes(out, 2, value.as_bytes());
        });
    }
}

/// A native histogram: counts as floats if it is one of floats, else as whole numbers and differences.
pub(crate) fn put_histogram(out: &mut Vec<u8>, t_ms: i64, h: &Histogram) {
    if h.is_float {
        put::double(out, 2, h.count);
        put::double(out, 7, h.zero_count);
    } else {
        put::number(out, 1, h.count as u64);
        put::number(out, 6, h.zero_count as u64);
    }
    put::double(out, 3, h.sum);
    put::number(out, 4, put::zigzag(h.schema.into()));
    put::double(out, 5, h.zero_threshold);
    put_side(out, [8, 9, 10], &h.negative_spans, &h.negative, h.is_float);
    put_side(out, [11, 12, 13], &h.positive_spans, &h.positive, h.is_float);
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    put::number(out, 14, hint);
    put::number(out, 15, t_ms as u64);
    put::doubles(out, 16, &h.custom_bounds);
}

fn put_side(
    out: &mut Vec<u8>,
    [spans, deltas, counts]: [u64; 3],
    of: &[Span],
    buckets: &[f64],
    is_float: bool,
) {
    for span in of {
        put::message(out, spans, |out| {
            put::number(out, 1, put::zigzag(span.offset.into()));
            put::number(out, 2, span.length.into());
        });
    }
    if is_float {
        return put::doubles(out, counts, buckets);
    }
    put::message(out, deltas, |out| {
        let mut last = 0;
        for count in buckets {
            put::varint(out, put::zigzag(*count as i64 - last));
            last = *count as i64;
        }
    });
}
