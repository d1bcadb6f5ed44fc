//! JSON as Prometheus writes it. Results of queries can be large, so they are written straight into the body.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use base::{Histogram, Labels, Sample};
use engine::{Annotations, Bucket, Value};
use serde::Serialize;

use crate::limits::MAX_ANNOTATIONS;

/// A successful answer with `data` already in JSON.
pub(crate) fn success_raw(data: &str, annotations: &Annotations) -> Response {
    let mut body = String::with_capacity(data.len() + 64);
    body.push_str(r#"{"status":"success","data":"#);
    body.push_str(data);
    write_messages(&mut body, "warnings", "warning", &annotations.warnings);
    write_messages(&mut body, "infos", "info", &annotations.infos);
    body.push('}');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A successful answer.
pub(crate) fn success<T: Serialize>(data: &T) -> Response {
    success_warned(data, &Annotations::default())
}

/// A successful answer with warnings.
pub(crate) fn success_warned<T: Serialize>(data: &T, annotations: &Annotations) -> Response {
    let data = serde_json::to_string(data).expect("our shapes have string keys and no failing serializer");
    success_raw(&data, annotations)
}

fn write_messages(out: &mut String, field: &str, kind: &str, messages: &[String]) {
    if messages.is_empty() {
        return;
    }
    write!(out, ",\"{field}\":[").expect("writing to a string cannot fail");
    for (i, message) in messages.iter().take(MAX_ANNOTATIONS).enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, message);
    }
    if messages.len() > MAX_ANNOTATIONS {
        let more = messages.len() - MAX_ANNOTATIONS;
        out.push(',');
        write_string(out, &format!("{more} more {kind} annotations omitted"));
    }
    out.push(']');
}

/// `{"resultType":…,"result":…` of a query, left open for the statistics.
pub(crate) fn write_query_data(out: &mut String, value: &Value) {
    let (result_type, write_result): (&str, &dyn Fn(&mut String)) = match value {
        Value::Scalar(sample) => ("scalar", &|out| write_point(out, *sample)),
        Value::String(t_ms, text) => ("string", &|out| {
            out.push('[');
            write_timestamp(out, *t_ms);
            out.push(',');
            write_string(out, text);
            out.push(']');
        }),
        Value::Vector(samples) => ("vector", &|out| {
            write_list(out, samples, |out, s| {
                write_metric(out, &s.labels);
                match &s.histogram {
                    Some(h) => {
                        out.push_str(",\"histogram\":");
                        write_histogram_point(out, s.sample.t_ms, h);
                    }
                    None => {
                        out.push_str(",\"value\":");
                        write_point(out, s.sample);
                    }
                }
                out.push('}');
            });
        }),
        Value::Matrix(series) => ("matrix", &|out| {
            write_list(out, series, |out, s| {
                write_metric(out, &s.labels);
                if !s.samples.is_empty() {
                    out.push_str(",\"values\":");
                    write_list(out, &s.samples, |out, p| write_point(out, *p));
                }
                if !s.histograms.is_empty() {
                    out.push_str(",\"histograms\":");
                    write_list(out, &s.histograms, |out, p| write_histogram_point(out, p.t_ms, &p.histogram));
                }
                out.push('}');
            });
        }),
    };
    write!(out, "{{\"resultType\":\"{result_type}\",\"result\":").expect("writing to a string cannot fail");
    write_result(out);
}

/// A list.
pub(crate) fn write_list<T>(out: &mut String, items: &[T], mut write_item: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_item(out, item);
    }
    out.push(']');
}

fn write_metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    write_labels(out, labels);
}

/// A label set as an object.
pub(crate) fn write_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_string(out, value);
    }
    out.push('}');
}

/// `[1435781451.781,"1.5"]`
pub(crate) fn write_point(out: &mut String, sample: Sample) {
    out.push('[');
    write_timestamp(out, sample.t_ms);
    out.push_str(",\"");
    write_float(out, sample.value);
    out.push_str("\"]");
}

/// `[1435781451.781,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}]`, the buckets that hold anything. The first number of a
/// bucket says which of its bounds belong to it: 0 the upper, 1 the lower, 2 neither, 3 both.
fn write_histogram_point(out: &mut String, t_ms: i64, h: &Histogram) {
    out.push('[');
    write_timestamp(out, t_ms);
    out.push_str(",{\"count\":\"");
    write_float(out, h.count);
    out.push_str("\",\"sum\":\"");
    write_float(out, h.sum);
    out.push('"');
    let buckets: Vec<Bucket> = engine::buckets(h).filter(|b| b.count != 0.0).collect();
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        write_list(out, &buckets, |out, b| {
            let rule = match (b.lower_inclusive, b.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            write!(out, "[{rule}").expect("writing to a string cannot fail");
            for v in [b.lower, b.upper, b.count] {
                out.push_str(",\"");
                write_float(out, v);
                out.push('"');
            }
            out.push(']');
        });
    }
    out.push_str("}]");
}

/// Seconds, with three digits of a fraction only if there is one.
pub(crate) fn write_timestamp(out: &mut String, t_ms: i64) {
    let magnitude = t_ms.unsigned_abs();
    if t_ms < 0 {
        out.push('-');
    }
    out.push_str(itoa::Buffer::new().format(magnitude / 1000));
    if !magnitude.is_multiple_of(1000) {
        write!(out, ".{:03}", magnitude % 1000).expect("writing to a string cannot fail");
    }
}

/// The shortest decimal that reads back as the same value; with an exponent below 1e-6 and from 1e21.
pub(crate) fn write_float(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude.is_finite() && magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
        write!(out, "{mantissa}e{sign}{digits:0>2}").expect("writing to a string cannot fail");
    } else {
        base::format_float(value, out);
    }
}

/// A JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => write!(out, "\\u{control:04x}").expect("writing to a string cannot fail"),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// A time as Go's JSON writes it: RFC 3339 in UTC, milliseconds without trailing zeros.
pub(crate) fn rfc3339(t_ms: i64) -> String {
    let Some(time) = chrono::DateTime::from_timestamp_millis(t_ms) else {
        return "0001-01-01T00:00:00Z".into();
    };
    let text = time.format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The time that Go writes for "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::Span;
    use engine::{HistogramSample, Series, VectorSample};

    use super::*;

    fn check(value: &Value, want: &str) {
        let mut out = String::new();
        write_query_data(&mut out, value);
        out.push('}');
        assert_eq!(out, want);
        serde_json::from_str::<serde_json::Value>(&out).expect("it is JSON");
    }

    #[test]
    fn results_are_as_prometheus_writes_them() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "q\"\\\n\u{1}ü")]);
        let sample = |t_ms, value| Sample { t_ms, value };
        check(
            &Value::Vector(vec![VectorSample {
                labels,
                sample: sample(1_435_781_451_781, 1.5),
                histogram: None,
            }]),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"q\"\\\n\u0001ü"},"value":[1435781451.781,"1.5"]}]}"#,
        );
        check(
            &Value::Matrix(vec![Series {
                labels: Labels::empty(),
                samples: vec![sample(0, 1.0), sample(-1_050, f64::NAN)],
                histograms: vec![],
            }]),
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[-1.050,"NaN"]]}]}"#,
        );
        check(&Value::Scalar(sample(1_000, f64::INFINITY)), r#"{"resultType":"scalar","result":[1,"+Inf"]}"#);
        check(&Value::String(1_000, "a".into()), r#"{"resultType":"string","result":[1,"a"]}"#);
        check(&Value::Vector(vec![]), r#"{"resultType":"vector","result":[]}"#);
    }

    #[test]
    fn native_histograms_are_as_prometheus_writes_them() {
        let histogram = Arc::new(Histogram {
            count: 8.0,
            sum: 1.5,
            zero_threshold: 0.25,
            zero_count: 3.0,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive: vec![4.0, 0.0, 1.0],
            ..Histogram::default()
        });
        let json = r#"{"count":"8","sum":"1.5","buckets":[[3,"-0.25","0.25","3"],[0,"0.5","1","4"],[0,"2","4","1"]]}"#;
        let (labels, sample) = (Labels::empty(), Sample { t_ms: 1_500, value: 0.0 });
        check(
            &Value::Vector(vec![VectorSample { labels, sample, histogram: Some(Arc::clone(&histogram)) }]),
            &format!(r#"{{"resultType":"vector","result":[{{"metric":{{}},"histogram":[1.500,{json}]}}]}}"#),
        );
        let histograms = vec![HistogramSample { t_ms: 1_000, histogram }];
        check(
            &Value::Matrix(vec![Series { labels: Labels::empty(), samples: vec![], histograms }]),
            &format!(r#"{{"resultType":"matrix","result":[{{"metric":{{}},"histograms":[[1,{json}]]}}]}}"#),
        );
    }

    #[test]
    fn floats_are_as_go_writes_them() {
        let check = |v: f64, want: &str| {
            let mut out = String::new();
            write_float(&mut out, v);
            assert_eq!(out, want);
        };
        check(1e21, "1e+21");
        check(1e20, "100000000000000000000");
        check(1.5e-7, "1.5e-07");
        check(0.000_001, "0.000001");
        check(-1e300, "-1e+300");
        check(0.0, "0");
        check(123_456_789.125, "123456789.125");
    }

    #[test]
    fn times_are_as_go_writes_them() {
        assert_eq!(rfc3339(1_435_781_451_781), "2015-07-01T20:10:51.781Z");
        assert_eq!(rfc3339(1_435_781_450_000), "2015-07-01T20:10:50Z");
        assert_eq!(rfc3339(1_435_781_450_100), "2015-07-01T20:10:50.1Z");
    }
}
