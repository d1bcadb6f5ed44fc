//! Events of small bodies. Error texts are checked on Prometheus' own cases in the conformance suite.

use proptest::prelude::*;

use super::*;

/// Writes every event on a line of its own; an error ends the list.
pub(crate) fn dump(format: Format, body: &[u8]) -> Vec<String> {
    let mut parser = Parser::new(format, body);
    let mut out = Vec::new();
    loop {
        match parser.next() {
            Ok(None) => return out,
            Err(e) => {
                out.push(format!("error {e}"));
                return out;
            }
            Ok(Some(event)) => out.push(match event {
                Event::Help { metric, text } => format!("help {} {:?}", metric.to_text(), text.to_text()),
                Event::Type { metric, metric_type } => format!("type {} {metric_type}", metric.to_text()),
                Event::Unit { metric, unit } => format!("unit {} {:?}", metric.to_text(), unit.to_text()),
                Event::Comment(text) => format!("comment {:?}", String::from_utf8_lossy(text)),
                Event::Series(s) => dump_series(&s),
                Event::Histogram(..) => unreachable!("text has none"),
            }),
        }
    }
}

fn dump_series(s: &Series<'_>) -> String {
    let mut line = format!("{} {}", s.to_builder().build(), s.value);
    if let Some(t) = s.timestamp_ms {
        line.push_str(&format!(" @{t}"));
    }
    if let Some(e) = s.exemplar {
        line.push_str(" #");
        for (name, value) in e.labels() {
            line.push_str(&format!(" {}={:?}", name.to_text(), value.to_text()));
        }
        line.push_str(&format!(" {} {:?}", e.value, e.timestamp_ms));
    }
    line
}

#[track_caller]
fn check(format: Format, body: &str, want: &[&str]) {
    assert_eq!(dump(format, body.as_bytes()), want, "{body}");
}

#[test]
fn reads_prometheus_text() {
    check(
        Format::Prometheus,
        "# HELP a  some \\\\ \\n \\\"help\n# TYPE a counter\n#comment\n# \n\na 1\n  a\t{ b = \"c\\\"\\\\\\n\\x\" , d=\"\" ,} -1.5e3\t 1395066363000 \n",
        &[
            "help a \" some \\\\ \\n \\\\\\\"help\"",
            "type a counter",
            "comment \"#comment\"",
            "comment \"# \"",
            "a 1",
            "a{b=\"c\\\"\\\\\\n\\\\x\"} -1500 @1395066363000",
        ],
    );
    check(
        Format::Prometheus,
        "{\"my.metric\", \"a.b\"=\"1\"} NaN\n{\"x\"} +Inf",
        &[r#"{__name__="my.metric", "a.b"="1"} NaN"#, "x inf"],
    );
    check(Format::Prometheus, "# HELP nohelp\n# HELP nohelp2 \n", &["help nohelp \"\"", "help nohelp2 \"\""]);
    check(Format::Prometheus, "", &[]);
}

#[test]
fn writes_bounds_as_openmetrics_does() {
    check(
        Format::Prometheus,
        "# TYPE h histogram\nh_bucket{le=\"1\",quantile=\"1\"} 1\n# TYPE s summary\ns{quantile=\"1\",le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
        &[
            "type h histogram",
            r#"h_bucket{le="1.0", quantile="1"} 1"#,
            "type s summary",
            r#"s{le="1", quantile="1.0"} 1"#,
            "type g gauge",
            r#"g{le="1"} 1"#,
        ],
    );
}

#[test]
fn reads_openmetrics() {
    check(
        Format::OpenMetrics,
        "# HELP a_seconds \\\"h\\\"\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{b=\"c\"} 1 1.5 # {id=\"x\"} 2 3\nb 2 # {} 1\n# EOF\n",
        &[
            "help a_seconds \"\\\"h\\\"\"",
            "type a_seconds counter",
            "unit a_seconds \"seconds\"",
            r##"a_seconds_total{b="c"} 1 @1500 # id="x" 2 Some(3000)"##,
            "b 2 # 1 None",
        ],
    );
}

#[test]
fn an_error_names_its_line_and_ends_the_events() {
    check(
        Format::Prometheus,
        "a 1\n\nb x\nc 1\n",
        &["a 1", r#"error line 3: strconv.ParseFloat: parsing "x": invalid syntax while parsing: "b x""#],
    );
    let mut parser = Parser::new(Format::Prometheus, b"b x\nc 1\n");
    assert!(parser.next().is_err());
    assert!(matches!(parser.next(), Ok(None)));
    check(
        Format::Prometheus,
        "a{\"b\"} 1\n",
        &[r#"error line 1: metric name already set while parsing: "a{\"b\"}""#],
    );
    check(Format::OpenMetrics, "a 1\n", &["a 1", "error line 2: data does not end with # EOF"]);
    check(
        Format::OpenMetrics,
        "a 1 \n# EOF\n",
        &[r#"error line 1: expected timestamp or new record, got " \n" ("INVALID") while parsing: "a 1 \n""#],
    );
}

#[test]
fn media_types_choose_the_format() {
    let check = |text: &str, want| assert_eq!(Format::from_content_type(text), want, "{text}");
    check("text/plain; version=0.0.4; charset=utf-8", Some(Format::Prometheus));
    check("Text/Plain", Some(Format::Prometheus));
    check("application/openmetrics-text;version=1.0.0", Some(Format::OpenMetrics));
    check("text/html", None);
    check("", None);
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    // Pieces of the grammar in any order reach further than random bytes do.
    let piece = prop_oneof![
        prop::sample::select(vec![
            "# ",
            "HELP ",
            "TYPE ",
            "UNIT ",
            "EOF",
            "\n",
            "a",
            "b_c",
            "{",
            "}",
            "=",
            ",",
            "\"",
            "\\",
            "\0",
            " ",
            "\t",
            "1",
            "1.5",
            "NaN",
            "-Inf",
            "1e9",
            " # {",
            "counter",
            "histogram",
            "le",
            "ä",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_bytes_make_it_panic(body in any_body()) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let events = dump(format, &body);
            prop_assert!(events.len() <= body.len() + 1);
            let _ = validate::openmetrics(&body);
        }
    }

    #[test]
    fn a_written_series_reads_back(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}",
        label in "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        value in any::<String>(),
        number in any::<f64>().prop_filter("one NaN is like another", |v| !v.is_nan()),
    ) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let body = format!("{name}{{{label}=\"{escaped}\"}} {number}\n# EOF\n");
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let mut parser = Parser::new(format, body.as_bytes());
            let Ok(Some(Event::Series(series))) = parser.next() else { panic!("no series in {body}") };
            prop_assert_eq!(series.value, number);
            let labels = series.to_builder();
            prop_assert_eq!(labels.get(&label), value.as_str());
            prop_assert_eq!(labels.get("__name__"), name.as_str());
        }
    }
}
