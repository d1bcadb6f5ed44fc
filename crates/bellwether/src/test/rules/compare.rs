//! What was expected and what was got: compared, and written as promtool writes them.

use std::fmt::Write as _;

use base::{Labels, Result};
use promql::script::{Command, Point, Script};
use promql::{VectorSample, histogram};
use serde_json::json;

use crate::config::ExpectedSample;

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
}

/// A sample of a result; a native histogram as its literal.
#[derive(Debug, Clone)]
pub(super) struct ParsedSample {
    pub(super) labels: Labels,
    value: f64,
    histogram: String,
}

impl ParsedSample {
    pub(super) fn of(sample: VectorSample) -> Self {
        let histogram = sample.histogram.map_or(String::new(), |h| histogram::literal(&h));
        Self { labels: sample.labels, value: sample.sample.value, histogram }
    }

    fn text(&self) -> String {
        match self.histogram.as_str() {
            "" => format!("{} {}", labels_text(&self.labels), scientific(self.value)),
            histogram => format!("{} {histogram}", labels_text(&self.labels)),
        }
    }
}

/// Reads a sample that is expected.
pub(super) fn parse_sample(sample: &ExpectedSample) -> Result<ParsedSample> {
    let values = if sample.histogram.is_empty() { "0" } else { &sample.histogram };
    let series = if sample.labels.trim().is_empty() { "{}" } else { &sample.labels };
    let mut commands = Script::parse(&format!("load 1m\n  {series} {values}\n"))?.commands;
    let line = match commands.pop() {
        Some(Command::Load(mut load)) => load.series.pop().map(|(line, _)| line),
        _ => None,
    };
    let Some(line) = line else {
        return Err(base::Error::invalid("no series"));
    };
    let histogram = match line.points.as_slice() {
        [Point::Histogram { histogram, .. }] => histogram::literal(histogram),
        [_] if sample.histogram.is_empty() => String::new(),
        [_] => return Err(base::Error::invalid("expected histogram, got a float")),
        points => return Err(base::Error::invalid(format!("expected 1 value, got {}", points.len()))),
    };
    let value = if histogram.is_empty() { sample.value } else { 0.0 };
    Ok(ParsedSample { labels: line.labels, value, histogram })
}

/// Whether both results are the same; `fuzzy` takes neighbouring floats as equal.
pub(super) fn samples_equal(a: &[ParsedSample], b: &[ParsedSample], fuzzy: bool) -> bool {
    let value = |x: f64, y: f64| x == y || (fuzzy && (x.next_down() == y || x.next_up() == y));
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.labels == b.labels && a.histogram == b.histogram && value(a.value, b.value))
}

pub(super) fn samples_text(samples: &[ParsedSample]) -> String {
    match samples.is_empty() {
        true => "nil".into(),
        false => samples.iter().map(ParsedSample::text).collect::<Vec<_>>().join(", "),
    }
}

/// A series with its samples below it, each with its time in milliseconds.
pub(super) fn series_text(series: &promql::Series) -> String {
    let mut out = format!("{} =>", labels_text(&series.labels));
    for sample in &series.samples {
        let value =
            if sample.value.is_finite() { sample.value.to_string() } else { scientific(sample.value) };
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{value} @[{}]", sample.t_ms);
    }
    for sample in &series.histograms {
        let _ = write!(out, "\n{} @[{}]", histogram::literal(&sample.histogram), sample.t_ms);
    }
    out
}

/// All labels in braces, the metric's name among them.
fn labels_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Go's `E` with as few digits as tell the number apart.
fn scientific(v: f64) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let text = format!("{v:E}");
    let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}E{sign}{digits:0>2}")
}

/// The alerts one below the other.
pub(super) fn alerts_text(alerts: &[Alert]) -> String {
    if alerts.is_empty() {
        return "[]".into();
    }
    let indent = " ".repeat(12);
    let mut out = String::from("[");
    for (i, alert) in alerts.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{comma}\n{indent}{i}:\n{indent}  Labels:{}\n{indent}  Annotations:{}",
            labels_text(&alert.labels),
            labels_text(&alert.annotations)
        );
    }
    let _ = write!(out, "\n{indent}]");
    out
}

/// Both sides as JSON, with a minus before what is missing and a plus before what is too much.
pub(super) fn diff(expected: &[Alert], got: &[Alert]) -> String {
    let lines = |alerts: &[Alert]| -> Vec<String> {
        let object = |labels: &Labels| {
            serde_json::Value::Object(labels.iter().map(|(n, v)| (n.to_owned(), v.into())).collect())
        };
        let all: Vec<_> = alerts
            .iter()
            .map(|a| json!({ "Labels": object(&a.labels), "Annotations": object(&a.annotations) }))
            .collect();
        format!("{:#}", json!(all)).lines().map(str::to_owned).collect()
    };
    let (a, b) = (lines(expected), lines(got));
    // The lengths of the longest common subsequences of what is left on both sides.
    let mut longest = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = String::new();
    while i < a.len() || j < b.len() {
        let (color, mark, line) = if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
            ("", ' ', &a[i - 1])
        } else if i < a.len() && (j == b.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            i += 1;
            ("\u{1b}[31m", '-', &a[i - 1])
        } else {
            j += 1;
            ("\u{1b}[32m", '+', &b[j - 1])
        };
        let end = if color.is_empty() { "" } else { "\u{1b}[0m" };
        // Writing to a String cannot fail.
        let _ = write!(out, "\n            {color}{mark} {line}{end}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(labels: &str, value: f64, histogram: &str) -> ParsedSample {
        parse_sample(&ExpectedSample { labels: labels.into(), value, histogram: histogram.into() }).unwrap()
    }

    #[test]
    fn samples_read_as_promtool_writes_them() {
        let samples = [sample("up{job=\"a\"}", 3.0, ""), sample("", 1.5e-7, "")];
        assert_eq!(samples_text(&samples), "{__name__=\"up\", job=\"a\"} 3E+00, {} 1.5E-07");
        assert_eq!(samples_text(&[]), "nil");
        assert_eq!(
            sample("h", 0.0, "{{count:2 sum:3 buckets:[2]}}").text(),
            "{__name__=\"h\"} {{count:2 sum:3 buckets:[2]}}"
        );
    }

    #[test]
    fn series_are_listed_with_all_their_samples() {
        let at = |t_ms, value| base::Sample { t_ms, value };
        let series = promql::Series {
            labels: Labels::from_pairs([("__name__", "up"), ("job", "a")]),
            samples: vec![at(0, 1e6), at(60_000, f64::INFINITY)],
            histograms: vec![],
        };
        assert_eq!(series_text(&series), "{__name__=\"up\", job=\"a\"} =>\n1000000 @[0]\n+Inf @[60000]");
    }

    #[test]
    fn neighbours_are_equal_where_that_is_asked_for() {
        let (three, near) = ([sample("a", 3.0, "")], [sample("a", 2.9999999999999996, "")]);
        assert!(!samples_equal(&three, &near, false) && samples_equal(&three, &near, true));
        assert!(!samples_equal(&three, &[sample("a", 2.9999999999999987, "")], true));
        assert!(!samples_equal(&three, &[], true));
    }

    #[test]
    fn alerts_are_listed_and_compared_line_by_line() {
        let alert = |job: &str| Alert {
            labels: Labels::from_pairs([("alertname", "Down"), ("job", job)]),
            annotations: Labels::empty(),
        };
        assert_eq!(
            alerts_text(&[alert("a")]),
            "[\n            0:\n              Labels:{alertname=\"Down\", job=\"a\"}\n              Annotations:{}\n            ]"
        );
        let text = diff(&[alert("a")], &[alert("b")]);
        assert!(
            text.contains("- ") && text.contains("\"job\": \"a\"") && text.contains("\"job\": \"b\""),
            "{text}"
        );
        assert_eq!(text.matches("\u{1b}[31m").count(), 1, "{text}");
    }
}
