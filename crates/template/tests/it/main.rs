//! Tests of the language from outside: upstream's cases, Go's rules, and the bounds.
#![expect(clippy::disallowed_macros, reason = "a test says what it skips on standard output")]

mod bounds;
mod conformance;
mod functions;
mod language;

use base::Labels;
use template::{Context, Functions, MissingKey, Sample, Template, Value};

/// Answers like the server of upstream's own tests.
#[derive(Debug, Default)]
struct Outside {
    result: Vec<Sample>,
}

impl Functions for Outside {
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        if expression == "broken" { Err("parse error".into()) } else { Ok(self.result.clone()) }
    }

    fn now_ms(&self) -> i64 {
        1_353_755_652_000
    }

    fn external_url(&self) -> &str {
        "http://testhost:9090/path/prefix"
    }
}

/// The output, or the error as Prometheus reports it.
fn expand_with(
    text: &str,
    data: Value,
    missing_key: MissingKey,
    result: Vec<Sample>,
) -> Result<String, String> {
    let template = Template::parse("test", text).map_err(|e| e.to_string())?;
    template.expand(&Context { data, missing_key }, &Outside { result }).map_err(|e| e.to_string())
}

fn expand(text: &str, data: Value) -> Result<String, String> {
    expand_with(text, data, MissingKey::Zero, Vec::new())
}

fn expand_html(text: &str, data: Value) -> Result<String, String> {
    let template = Template::parse_html("test", text).map_err(|e| e.to_string())?;
    template.expand(&Context::new(data), &Outside::default()).map_err(|e| e.to_string())
}

fn sample(pairs: &[(&str, &str)], value: f64) -> Sample {
    Sample { labels: Labels::from_pairs(pairs.iter().copied()), value: Value::Float(value) }
}

/// Each text and its output for no data.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        assert_eq!(expand(text, Value::Nil).as_deref(), Ok(*want), "{text}");
    }
}

/// Each text and its error for no data, without the words that Prometheus puts before it.
#[track_caller]
fn check_errors(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        let error = expand(text, Value::Nil).expect_err(text);
        let cause = error.split_once(" template test: ").map_or(error.as_str(), |(_, cause)| cause);
        assert_eq!(cause, *want, "{text}");
    }
}
