//! Prometheus' text format.

use base::{Result, is_legacy_label_name, is_legacy_metric_name};
use engine::Latest;

use super::{Family, Hold, Kind, Metric, cumulative, write_go_float};

/// Writes a family.
pub(super) fn write(family: &Family, out: &mut Vec<u8>, hold: &mut Hold<'_>) -> Result<()> {
    let kind = match family.kind {
        Kind::Float => "untyped",
        Kind::Histogram | Kind::GaugeHistogram => "histogram",
    };
    out.extend_from_slice(b"# TYPE ");
    write_name(&family.name, out);
    out.extend_from_slice(format!(" {kind}\n").as_bytes());
    for metric in &family.metrics {
        write_metric(&family.name, metric, out);
        hold(out.len())?;
    }
    Ok(())
}

fn write_metric(name: &str, metric: &Metric, out: &mut Vec<u8>) {
    let mut line = |suffix: &str, le: Option<f64>, value: f64| {
        let mut bound = Vec::new();
        if let Some(le) = le {
            write_go_float(le, &mut bound);
        }
        write_series(&format!("{name}{suffix}"), &metric.labels, le.map(|_| &*bound), out);
        out.push(b' ');
        write_go_float(value, out);
        out.extend_from_slice(format!(" {}\n", metric.t_ms).as_bytes());
    };
    match &metric.value {
        Latest::Float(value) => line("", None, *value),
        Latest::Histogram(h) => {
            for (bound, count) in cumulative(h) {
                line("_bucket", Some(bound), count);
            }
            line("_bucket", Some(f64::INFINITY), h.count);
            line("_sum", None, h.sum);
            line("_count", None, h.count);
        }
    }
}

/// Writes a name and labels. A name with other characters stands in quotes, among the labels.
pub(super) fn write_series(name: &str, labels: &[(String, String)], le: Option<&[u8]>, out: &mut Vec<u8>) {
    let bare = is_legacy_metric_name(name);
    if bare {
        out.extend_from_slice(name.as_bytes());
        if labels.is_empty() && le.is_none() {
            return;
        }
    }
    out.push(b'{');
    let mut separator: &[u8] = b"";
    if !bare {
        write_quoted(name, out);
        separator = b",";
    }
    for (name, value) in labels {
        out.extend_from_slice(separator);
        match is_legacy_label_name(name) {
            true => out.extend_from_slice(name.as_bytes()),
            false => write_quoted(name, out),
        }
        out.push(b'=');
        write_quoted(value, out);
        separator = b",";
    }
    if let Some(le) = le {
        out.extend_from_slice(separator);
        out.extend_from_slice(b"le=\"");
        out.extend_from_slice(le);
        out.push(b'"');
    }
    out.push(b'}');
}

/// Writes a metric's name on its own.
pub(super) fn write_name(name: &str, out: &mut Vec<u8>) {
    match is_legacy_metric_name(name) {
        true => out.extend_from_slice(name.as_bytes()),
        false => write_quoted(name, out),
    }
}

fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
    out.push(b'"');
}
