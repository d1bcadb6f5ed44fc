//! The exposition parsers against the cases of Prometheus and OpenMetrics.

use std::path::Path;

use collect::exposition::{Event, Format, ParseError, Parser, validate};
use serde_json::Value;

use crate::conformance::locate;

/// Reads a body to its end and counts its samples.
fn parse(format: Format, body: &[u8]) -> Result<usize, ParseError> {
    let mut parser = Parser::new(format, body);
    let mut samples = 0;
    while let Some(event) = parser.next()? {
        if let Event::Series(series) = event {
            assert!(!series.to_builder().get("__name__").is_empty());
            samples += 1;
        }
    }
    Ok(samples)
}

fn input_of(case: &Value) -> Vec<u8> {
    match &case["input"] {
        Value::String(text) => text.as_bytes().to_vec(),
        other => {
            let hex = other["hex"].as_str().expect("an input is a string or has hex");
            let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits");
            (0..hex.len()).step_by(2).map(byte).collect()
        }
    }
}

fn check_errors(file: &str, format: Format, count: usize) {
    let Some(path) = locate(file, &format!("extracted/{file}")) else { return };
    let text = std::fs::read_to_string(path).expect("conformance data is readable");
    let data: Value = serde_json::from_str(&text).expect("conformance data is JSON");
    let cases = data["cases"].as_array().expect("cases are a list");
    assert_eq!(cases.len(), count);
    let mut wrong = Vec::new();
    for case in cases {
        let want = match case["err"].as_str().expect("an error is a string") {
            "EOF" => "",
            other => other,
        };
        let input = input_of(case);
        let got = parse(format, &input).err().map_or_else(String::new, |e| e.message);
        if got != want {
            wrong.push(format!("{:?}\n  got  {got}\n  want {want}", String::from_utf8_lossy(&input)));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn prometheus_text_errors_read_as_prometheus_words_them() {
    check_errors("prom_text_parse_errors.json", Format::Prometheus, 18);
    check_errors("prom_text_null_byte.json", Format::Prometheus, 9);
}

#[test]
fn openmetrics_errors_read_as_prometheus_words_them() {
    check_errors("openmetrics_parse_errors.json", Format::OpenMetrics, 70);
    check_errors("openmetrics_null_byte.json", Format::OpenMetrics, 12);
}

#[test]
fn openmetrics_suite_is_told_apart() {
    let Some(root) = locate("openmetrics parsers", "openmetrics/tests/testdata/parsers") else { return };
    let (mut wrong, mut lax, mut seen) = (Vec::new(), 0, 0);
    for entry in std::fs::read_dir(root).expect("conformance data is readable") {
        let folder = entry.expect("conformance data is readable").path();
        let description = std::fs::read_to_string(folder.join("test.json")).expect("a case has test.json");
        let description: Value = serde_json::from_str(&description).expect("test.json is JSON");
        let should_parse = description["shouldParse"].as_bool().expect("shouldParse is a boolean");
        let body = std::fs::read(folder.join("metrics")).expect("a case has metrics");
        let parsed = parse(Format::OpenMetrics, &body);
        let valid = validate::openmetrics(&body);
        seen += 1;
        lax += usize::from(parsed.is_ok() && !should_parse);
        // What the strict check takes the parser has to take too.
        if valid.is_ok() != should_parse || (valid.is_ok() && parsed.is_err()) {
            let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            wrong
                .push(format!("{name}: should parse {should_parse}, got {valid:?}, parser alone {parsed:?}"));
        }
    }
    println!(
        "openmetrics parsers: {seen} cases, the parser alone takes {lax} that the specification forbids"
    );
    assert!(seen >= 141, "the suite has {seen} cases");
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn published_payloads_parse_whole() {
    let Some(root) = locate("textparse payloads", "prometheus/model/textparse/testdata") else { return };
    let check = |name: &str, format| {
        let body = std::fs::read(root.join(name)).expect("conformance data is readable");
        let samples = parse(format, &body).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(samples, count_sample_lines(&body), "{name}");
    };
    check("alltypes.237mfs.prom.txt", Format::Prometheus);
    check("alltypes.237mfs.nometa.prom.txt", Format::Prometheus);
    check("alltypes.5mfs.om.txt", Format::OpenMetrics);
    check("1histogram.om.txt", Format::OpenMetrics);
}

#[test]
fn node_exporter_output_parses_whole() {
    let Some(root) = locate("node_exporter payloads", "node_exporter/collector/fixtures") else { return };
    let path: &Path = &root.join("e2e-output.txt");
    let body = std::fs::read(path).expect("conformance data is readable");
    assert_eq!(parse(Format::Prometheus, &body).expect("the payload parses"), count_sample_lines(&body));
}

/// Samples of a body in which every line that is neither empty nor a comment is one.
fn count_sample_lines(body: &[u8]) -> usize {
    body.split(|b| *b == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).count()
}
