//! JSON requests, which come to what the same request in protobuf does.

use super::*;
use crate::LabelLimits;
use crate::otlp::{Settings, decode};
use crate::testing::otlp::{CUMULATIVE, Common, Exemplar, OtlpWriter, Value, texts};

fn lines(message: &[u8]) -> Vec<String> {
    let got = decode(message, &Settings::default(), LabelLimits::default(), 0).unwrap();
    assert!(got.refused.is_empty(), "{:?}", got.refused);
    let mut lines: Vec<String> = got
        .batch
        .series()
        .map(|s| format!("{} {:?} {:?} {:?}", s.to_labels(), s.samples, s.histograms, s.exemplars))
        .collect();
    lines.extend(got.implied.series().map(|s| format!("{} {:?}", s.to_labels(), s.samples)));
    lines
}

#[test]
fn json_says_what_protobuf_says() {
    let json = br#"{"unknown": [{"deep": {"er": [1, null]}}], "resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "ports", "value": {"arrayValue": {"values": [{"intValue": "80"}, {"intValue": 443}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "b", "value": {"boolValue": true}}]}}},
            {"key": "bytes", "value": {"bytesValue": "AQI_"}}], "droppedAttributesCount": 3},
        "schemaUrl": null,
        "scopeMetrics": [{"scope": {"name": "lib"}, "metrics": [
            {"name": "g", "description": "Help of g.", "unit": "", "gauge": {"dataPoints": [
                {"timeUnixNano": "5000000", "asDouble": "NaN"}, {"time_unix_nano": 6000000, "as_int": "-7"}]}},
            {"name": "c", "description": "Help of c.", "unit": "s", "sum": {"aggregationTemporality": 2, "isMonotonic": true,
                "dataPoints": [{"startTimeUnixNano": 1, "timeUnixNano": 7e6, "asInt": 9, "attributes": [
                    {"key": "k", "value": {"doubleValue": 0.5}}], "exemplars": [{"asDouble": 1, "timeUnixNano": "4000000",
                    "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b173"}]}]}},
            {"name": "h", "description": "Help of h.", "unit": "", "histogram": {
                "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [{"timeUnixNano": "5000000",
                "count": "3", "sum": 1.5, "bucketCounts": ["1", 2], "explicitBounds": [0.5]}]}},
            {"name": "e", "description": "Help of e.", "unit": "", "exponentialHistogram": {"aggregationTemporality": 2,
                "dataPoints": [{"timeUnixNano": "5000000", "count": "4", "scale": -1, "zeroCount": 1,
                "positive": {"offset": -2, "bucketCounts": ["3"]}, "negative": {}}]}},
            {"name": "s", "description": "Help of s.", "unit": "", "summary": {"dataPoints": [{"timeUnixNano": "5000000",
                "count": "1", "sum": 1, "quantileValues": [{"quantile": 0.5, "value": 2}]}]}}
        ]}]}]}"#;
    let at = |time_ms: u64| Common { time_ns: time_ms * 1_000_000, ..Common::default() };
    let mut writer = OtlpWriter::new();
    let mut resource = texts(&[("service.name", "shop")]);
    resource.push(("ports".into(), Value::List(vec![Value::Int(80), Value::Int(443)])));
    resource.push(("map".into(), Value::Map(vec![("b".into(), Value::Bool(true))])));
    resource.push(("bytes".into(), Value::Bytes(vec![1, 2, 63])));
    writer.resource(&resource).scope("lib", "", "", &vec![]);
    writer.gauge("g", "").double(&at(5), f64::NAN).int(&at(6), -7);
    let trace = "5b8efff798038103d269b633813fc60c";
    let id = |hex: &str| from_hex(hex).unwrap();
    let counted = Common {
        start_ns: 1,
        attributes: vec![("k".into(), Value::Double(0.5))],
        exemplars: vec![Exemplar {
            time_ns: 4_000_000,
            value: Some(1.0),
            trace_id: id(trace),
            span_id: id("eee19b7ec3c1b173"),
            ..Exemplar::default()
        }],
        ..at(7)
    };
    writer.sum("c", "s", CUMULATIVE, true).int(&counted, 9);
    writer.histogram("h", "", CUMULATIVE).buckets(&at(5), Some(1.5), &[1, 2], &[0.5]);
    writer.exponential("e", "", CUMULATIVE).scaled(
        &at(5),
        None,
        (-1, 1, 0.0),
        [&(-2, vec![3]), &(0, vec![])],
    );
    writer.summary("s", "").quantiles(&at(5), 1, 1.0, &[(0.5, 2.0)]);
    let (got, want) = (lines(&to_wire(json).unwrap()), lines(&writer.message()));
    assert!(want.len() > 10);
    assert_eq!(got, want);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (json, want) in [
        ("", "EOF while parsing"),
        ("[]", "expected an object"),
        ("{\"resourceMetrics\": 1}", "expected a list for resourceMetrics"),
        ("{\"resourceMetrics\": [{\"schemaUrl\": 1}]}", "expected a text for schemaUrl at line 1 column"),
        ("{\"resourceMetrics\": [{}]} x", "trailing characters"),
        ("{\"resourceMetrics\": [{\"schemaUrl\": \"\\ud800\"}]}", "at line 1"),
        ("{\"a\": \"\u{1}\"}", "control character"),
    ] {
        let error = to_wire(json.as_bytes()).unwrap_err();
        assert!(
            error.message().starts_with("cannot decode OTLP request: ") && error.message().contains(want),
            "{json}: {error}"
        );
    }
    let point = |field: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{{{field}}}]}}}}]}}]}}]}}"#
        )
    };
    for bad in [
        r#""timeUnixNano": -1"#,
        r#""timeUnixNano": "1.5""#,
        r#""timeUnixNano": 1e300"#,
        r#""asInt": "9223372036854775808""#,
        r#""asDouble": "inf""#,
        r#""asDouble": true"#,
        r#""flags": {}"#,
        r#""exemplars": [{"traceId": "abc"}]"#,
        r#""exemplars": [{"traceId": "zz"}]"#,
    ] {
        assert!(to_wire(point(bad).as_bytes()).is_err(), "{bad}");
    }
    for good in [r#""asDouble": "-Infinity""#, r#""asInt": "-9223372036854775808""#, r#""flags": 1.0"#] {
        assert!(to_wire(point(good).as_bytes()).is_ok(), "{good}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |n: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(n), "]}}".repeat(n));
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"a","value":{open}{close}}}]}}}}]}}"#
        )
    };
    assert!(to_wire(deep(20).as_bytes()).is_ok());
    assert!(to_wire(deep(100_000).as_bytes()).unwrap_err().message().contains("recursion limit"));
    // What is passed over is not recursed into.
    let unknown = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(to_wire(unknown.as_bytes()), Ok(vec![]));
}
