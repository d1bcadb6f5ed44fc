//! OpenMetrics text.

use base::Result;
use engine::Latest;

use super::text::{write_name, write_series};
use super::{Family, Hold, Kind, Metric, cumulative, write_go_float};

/// Writes a whole answer.
pub(super) fn write(families: &[Family], out: &mut Vec<u8>, hold: &mut Hold<'_>) -> Result<()> {
    for family in families {
        let kind = match family.kind {
            Kind::Float => "unknown",
            Kind::Histogram => "histogram",
            Kind::GaugeHistogram => "gaugehistogram",
        };
        out.extend_from_slice(b"# TYPE ");
        write_name(&family.name, out);
        out.extend_from_slice(format!(" {kind}\n").as_bytes());
        for metric in &family.metrics {
            write_metric(family, metric, out);
            hold(out.len())?;
        }
    }
    out.extend_from_slice(b"# EOF\n");
    Ok(())
}

fn write_metric(family: &Family, metric: &Metric, out: &mut Vec<u8>) {
    let mut line = |suffix: &str, le: Option<f64>, value: f64| {
        let mut bound = Vec::new();
        if let Some(le) = le {
            write_float(le, &mut bound);
        }
        write_series(&format!("{}{suffix}", family.name), &metric.labels, le.map(|_| &*bound), out);
        out.push(b' ');
        write_float(value, out);
        out.push(b' ');
        write_seconds(metric.t_ms, out);
        out.push(b'\n');
    };
    match &metric.value {
        Latest::Float(value) => line("", None, *value),
        Latest::Histogram(h) => {
            let gauge = family.kind == Kind::GaugeHistogram;
            for (bound, count) in cumulative(h) {
                line("_bucket", Some(bound), count);
            }
            line("_bucket", Some(f64::INFINITY), h.count);
            line(if gauge { "_gsum" } else { "_sum" }, None, h.sum);
            line(if gauge { "_gcount" } else { "_count" }, None, h.count);
        }
    }
}

/// A number that has a point or an exponent if it is finite.
fn write_float(value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    write_go_float(value, out);
    if value.is_finite() && !out[start..].iter().any(|b| matches!(b, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

fn write_seconds(t_ms: i64, out: &mut Vec<u8>) {
    let sign = if t_ms < 0 { "-" } else { "" };
    let magnitude = t_ms.unsigned_abs();
    out.extend_from_slice(format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000).as_bytes());
}
