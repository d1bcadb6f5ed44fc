//! `io.prometheus.client.MetricFamily` messages, each after its length.

use base::{Histogram, Result, Span};
use engine::Latest;
use ingest::put;

use super::{Family, Hold, Kind, Metric, cumulative};

/// Numbers of the types of metrics.
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

/// Writes a family.
pub(super) fn write(family: &Family, out: &mut Vec<u8>, hold: &mut Hold<'_>) -> Result<()> {
    let mut message = Vec::new();
    put::bytes(&mut message, 1, family.name.as_bytes());
    let kind = match family.kind {
        Kind::Float => UNTYPED,
        Kind::Histogram => HISTOGRAM,
        Kind::GaugeHistogram => GAUGE_HISTOGRAM,
    };
    put::number(&mut message, 3, kind);
    for metric in &family.metrics {
        put::message(&mut message, 4, |out| write_metric(metric, out));
        // It is copied once it is whole.
        hold(out.len() + 2 * message.len())?;
    }
    put::varint(out, message.len() as u64);
    out.extend_from_slice(&message);
    Ok(())
}

fn write_metric(metric: &Metric, out: &mut Vec<u8>) {
    for (name, value) in &metric.labels {
        put::message(out, 1, |out| {
            put::bytes(out, 1, name.as_bytes());
            put::bytes(out, 2, value.as_bytes());
        });
    }
    match &metric.value {
        Latest::Float(value) => put::message(out, 5, |out| put::double(out, 1, *value)),
        Latest::Histogram(h) => put::message(out, 7, |out| write_histogram(h, out)),
    }
    put::number(out, 6, metric.t_ms as u64);
}

fn write_histogram(h: &Histogram, out: &mut Vec<u8>) {
    put::double(out, 4, h.count);
    put::double(out, 2, h.sum);
    if h.has_custom_bounds() {
        for (bound, count) in cumulative(h) {
            put::message(out, 3, |out| {
                put::double(out, 4, count);
                put::double(out, 2, bound);
            });
        }
        return;
    }
    put::number(out, 5, put::zigzag(h.schema.into()));
    put::double(out, 6, h.zero_threshold);
    put::double(out, 8, h.zero_count);
    write_side([9, 11], &h.negative_spans, &h.negative, out);
    write_side([12, 14], &h.positive_spans, &h.positive, out);
}

/// Counts stand one by one: the message is of protobuf's second version, which packs only where it says so.
fn write_side([spans, counts]: [u64; 2], of: &[Span], buckets: &[f64], out: &mut Vec<u8>) {
    for span in of {
        put::message(out, spans, |out| {
            put::number(out, 1, put::zigzag(span.offset.into()));
            put::number(out, 2, span.length.into());
        });
    }
    buckets.iter().for_each(|count| put::double(out, counts, *count));
}
