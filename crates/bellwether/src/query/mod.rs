//! `bellwether query`: asks a server of Prometheus' API, and prints what it answers as promtool does.

mod analyze;
pub mod args;
pub(crate) mod client;
pub(crate) mod print;

use base::{Clock, Error, Result};
use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::report::{FAILURE, Report};
use args::{Format, Instant, Labels, Query, Range, Series, What};
use client::{Client, Failure};

/// Without a range, look-ups cover about a year around now, as promtool's do.
const LOOKUP_MS: i64 = 9999 * 3_600_000;

/// Steps of a range for which none is given.
const DEFAULT_STEPS: i64 = 250;

/// Asks what was asked for.
pub fn run(options: &Query) -> Result<Report> {
    let now_ms = SystemClock::new().now_ms();
    let mut report = Report::default();
    let client = |server: &str, headers: &[(String, String)]| {
        Client::new(server, options.http_config_file.as_deref(), headers)
    };
    let found = match &options.what {
        What::Instant(o) => instant(&client(&o.server, &o.header)?, o, now_ms),
        What::Range(o) => range(&client(&o.server, &o.header)?, o, now_ms),
        What::Series(o) => series(&client(&o.server, &[])?, o, now_ms),
        What::Labels(o) => labels(&client(&o.server, &[])?, o, now_ms, &mut report),
        What::Analyze(o) => analyze::run(&client(&o.server, &[])?, o, now_ms).map(Found::Text),
    };
    finish(found, options.format, report)
}

/// What a server gave.
enum Found {
    /// The data of a query.
    Value(Value),
    /// Label sets.
    Series(Value),
    /// Values of a label.
    Labels(Value),
    /// A text that stands as it is.
    Text(String),
}

fn finish(found: Result<Found, Failure>, format: Format, mut report: Report) -> Result<Report> {
    match (found, format) {
        (Ok(Found::Text(text)), _) => report.out(text.trim_end()),
        (Ok(Found::Value(data)), Format::Json) => report.out(print::json_value(&data)),
        (Ok(Found::Series(data) | Found::Labels(data)), Format::Json) => report.out(print::json(&data)),
        (Ok(Found::Value(data)), Format::Promql) => report.out(print::value(&data)),
        (Ok(Found::Series(data)), Format::Promql) => {
            data.as_array().into_iter().flatten().for_each(|labels| report.out(print::label_set(labels)));
        }
        (Ok(Found::Labels(data)), Format::Promql) => {
            data.as_array().into_iter().flatten().for_each(|v| report.out(v.as_str().unwrap_or("")));
        }
        (Err(Failure::NoAnswer(e)), _) => return Err(e),
        (Err(Failure::Refused { kind, text }), _) => {
            report.err(format_args!("query error: {kind}: {text}"));
            report.code = FAILURE;
        }
    }
    Ok(report)
}

/// A moment as the API reads it.
fn seconds(ms: i64) -> String {
    format!("{}", ms as f64 / 1000.0)
}

fn instant(client: &Client, options: &Instant, now_ms: i64) -> Result<Found, Failure> {
    let time = seconds(options.time.unwrap_or(now_ms));
    let parameters = [("query", options.expr.clone()), ("time", time)];
    client.api("/api/v1/query", &parameters, true).map(|(data, _)| Found::Value(data))
}

fn range(client: &Client, options: &Range, now_ms: i64) -> Result<Found, Failure> {
    let end_ms = options.end.unwrap_or(now_ms);
    let start_ms = options.start.unwrap_or(end_ms - 300_000);
    if start_ms >= end_ms {
        return Err(Error::invalid("cannot query a range: start time is not before end time").into());
    }
    let default_s = ((end_ms - start_ms) / 1000 / DEFAULT_STEPS).max(1);
    let step = options.step.map_or(default_s as f64, |d| d.as_secs_f64());
    let parameters = [
        ("query", options.expr.clone()),
        ("start", seconds(start_ms)),
        ("end", seconds(end_ms)),
        ("step", format!("{step}")),
    ];
    client.api("/api/v1/query_range", &parameters, true).map(|(data, _)| Found::Value(data))
}

/// The parameters of a look-up.
fn lookup(
    selectors: &[String],
    start: Option<i64>,
    end: Option<i64>,
    now_ms: i64,
) -> Vec<(&'static str, String)> {
    let mut parameters: Vec<_> = selectors.iter().map(|s| ("match[]", s.clone())).collect();
    parameters.push(("start", seconds(start.unwrap_or(now_ms - LOOKUP_MS))));
    parameters.push(("end", seconds(end.unwrap_or(now_ms + LOOKUP_MS))));
    parameters
}

fn series(client: &Client, options: &Series, now_ms: i64) -> Result<Found, Failure> {
    let parameters = lookup(&options.selectors, options.start, options.end, now_ms);
    client.api("/api/v1/series", &parameters, true).map(|(data, _)| Found::Series(data))
}

fn labels(client: &Client, options: &Labels, now_ms: i64, report: &mut Report) -> Result<Found, Failure> {
    let parameters = lookup(&options.selectors, options.start, options.end, now_ms);
    // What a URL's path cannot hold as it is goes in Prometheus' escaped form of names.
    let path = format!("/api/v1/label/{}/values", escaped_name(&options.name));
    let (data, warnings) = client.api(&path, &parameters, false)?;
    for warning in warnings {
        report.err(format_args!("query warning: {warning}"));
    }
    Ok(Found::Labels(if data.is_null() { json!([]) } else { data }))
}

/// `U__` and the name with `_xx_` for every character that a plain name does not have.
fn escaped_name(name: &str) -> String {
    if base::is_legacy_label_name(name) {
        return name.to_owned();
    }
    let mut out = String::from("U__");
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(c),
            '_' => out.push_str("__"),
            c => out.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_names_go_into_urls() {
        assert_eq!([seconds(1500), seconds(2000), seconds(-1)], ["1.5", "2", "-0.001"]);
        assert_eq!([escaped_name("job"), escaped_name("a.b_c")], ["job", "U__a_2e_b__c"]);
    }
}
