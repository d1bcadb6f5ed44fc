//! `bellwether push metrics`: sends what an exposition says to a receiver of remote write, as promtool does.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Clock as _, Error, Labels, LabelsBuilder, Metadata, MetricType, Result};
use clap::{Args, Subcommand, ValueEnum};
use collect::exposition::{Event, Format, Parser, Series};
use collect::limits::BODY_SIZE_BYTES_MAX;
use ingest::send::{Outgoing, OutgoingValue, compress, write_v1, write_v1_metadata, write_v2};

use crate::cli::parse_duration;
use crate::clock::SystemClock;
use crate::query::args::parse_header;
use crate::query::client::Client;
use crate::report::{FAILURE, Report};

/// Options of `bellwether push`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example: echo 'jobs_done_total 7' | bellwether push metrics --label job=nightly http://127.0.0.1:9090"
)]
pub struct Push {
    /// File that says how to log in and which certificates to trust, with the keys of a scrape configuration's HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE", global = true)]
    pub http_config_file: Option<PathBuf>,

    /// What to push.
    #[command(subcommand)]
    pub what: What,
}

/// What can be pushed.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Push metrics in Prometheus' text format by remote write.
    #[command(after_help = "Example: bellwether push metrics http://127.0.0.1:9090 metrics.prom")]
    Metrics(Metrics),
}

/// Options of `bellwether push metrics`.
#[derive(Debug, Clone, Args)]
pub struct Metrics {
    /// The receiver; --remote-write.path is added unless it ends so.
    #[arg(value_name = "URL")]
    pub url: String,

    /// Files of metrics; standard input without any.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// A label for all metrics.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header, default_value = "job=promtool")]
    pub label: Vec<(String, String)>,

    /// How long one request may take.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    pub timeout: Duration,

    /// A header to send along.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    pub header: Vec<(String, String)>,

    /// The message that is sent.
    #[arg(long = "protobuf_message", value_name = "MESSAGE", value_enum, default_value_t = Message::V1)]
    pub message: Message,

    /// Where below the address remote write is taken.
    #[arg(long = "remote-write.path", value_name = "PATH", default_value = "/api/v1/write")]
    pub path: String,
}

/// A message of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Message {
    /// Of remote write 1.0.
    #[value(name = "prometheus.WriteRequest")]
    V1,
    /// Of remote write 2.0.
    #[value(name = "io.prometheus.write.v2.Request")]
    V2,
}

/// Pushes one file after the other.
pub fn run(options: &Push) -> Result<Report> {
    let What::Metrics(o) = &options.what;
    let path = format!("/{}", o.path.trim_matches('/'));
    let url = o.url.trim_end_matches('/');
    let url = url.strip_suffix(path.as_str()).unwrap_or(url);
    let client = Client::new(url, options.http_config_file.as_deref(), &o.header)?.with_timeout(o.timeout);
    let now_ms = SystemClock::new().now_ms();
    let mut report = Report::default();
    let push = |text: Result<Vec<u8>>| -> Result<()> {
        let body = body(&text?, &o.label, o.message, now_ms)?;
        send(&client, &path, body, o.message)
    };
    let note = |result: Result<()>, success: String, report: &mut Report| match result {
        Ok(()) => report.out(format_args!("  SUCCESS: {success}")),
        Err(e) => {
            report.err(format_args!("  FAILED: {e}"));
            report.code = FAILURE;
        }
    };
    if o.files.is_empty() {
        report.out("Parsing standard input");
        let result = push(read(std::io::stdin(), "standard input"));
        note(result, "metrics pushed to remote write.".into(), &mut report);
    }
    for file in &o.files {
        let name = file.display();
        report.out(format_args!("Parsing metrics file {name}"));
        let result = push(read_file(file));
        note(result, format!("metrics file {name} pushed to remote write."), &mut report);
    }
    Ok(report)
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|e| Error::invalid(format!("cannot open {name}: {e}")))?;
    read(file, &name)
}

fn read(from: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = from.take(BODY_SIZE_BYTES_MAX as u64 + 1).read_to_end(&mut text);
    read.map_err(|e| Error::unavailable(format!("cannot read {name}: {e}")))?;
    if text.len() > BODY_SIZE_BYTES_MAX {
        return Err(Error::limit(format!("{name} has more than {} MiB", BODY_SIZE_BYTES_MAX >> 20)));
    }
    Ok(text)
}

fn send(client: &Client, path: &str, body: Vec<u8>, message: Message) -> Result<()> {
    let (content_type, version) = match message {
        Message::V1 => (ingest::send::CONTENT_TYPE_V1, "0.1.0"),
        Message::V2 => (ingest::send::CONTENT_TYPE_V2, "2.0.0"),
    };
    let headers = [
        ("content-type", content_type),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", version),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = client.ask(path, &headers, Some(body))?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(Error::invalid(format!("server returned HTTP status {}: {}", answer.status, text.trim())))
}

/// The body of a request with all metrics of a text. What has no time of its own is of now.
fn body(text: &[u8], labels: &[(String, String)], message: Message, now_ms: i64) -> Result<Vec<u8>> {
    let mut families: BTreeMap<String, Metadata> = BTreeMap::new();
    let mut samples: Vec<(Labels, i64, f64)> = Vec::new();
    let mut parser = Parser::new(Format::Prometheus, text);
    let failed = |e: collect::exposition::ParseError| {
        Error::invalid(format!("text format parsing error in line {}: {}", e.line, e.message))
    };
    while let Some(event) = parser.next().map_err(failed)? {
        match event {
            Event::Help { metric, text } => {
                families.entry(metric.to_text()).or_default().help = text.to_text().into();
            }
            Event::Type { metric, metric_type } => {
                families.entry(metric.to_text()).or_default().metric_type = metric_type;
            }
            Event::Series(series) => {
                let t_ms = series.timestamp_ms.unwrap_or(now_ms);
                samples.push((series_labels(&series, labels), t_ms, series.value));
            }
            Event::Unit { .. } | Event::Comment(_) | Event::Histogram(..) => {}
        }
    }
    let outgoing = samples.iter().map(|(labels, t_ms, value)| Outgoing {
        labels,
        t_ms: *t_ms,
        start_ms: 0,
        value: OutgoingValue::Float(*value),
        metadata: family_of(&families, labels.metric()),
    });
    let mut out = Vec::new();
    match message {
        Message::V1 => {
            write_v1(outgoing, &mut out);
            write_v1_metadata(families.iter().map(|(name, m)| (name.as_str(), m)), &mut out);
        }
        Message::V2 => write_v2(outgoing, &mut out),
    }
    compress(&out)
}

/// The labels of a metric with those of the command line behind them. A `job` of its own is kept under another name.
fn series_labels(series: &Series<'_>, labels: &[(String, String)]) -> Labels {
    let mut out = LabelsBuilder::default();
    for (name, value) in labels {
        out.set(name, value);
    }
    out.set(base::METRIC_NAME, &series.name().to_text());
    for (name, value) in series.labels() {
        let name = name.to_text();
        let name = if name == "job" { "exported_job" } else { name.as_str() };
        out.set(name, &value.to_text());
    }
    out.build()
}

/// The family of a series, whose name is that of the metric or begins with it.
fn family_of<'a>(families: &'a BTreeMap<String, Metadata>, name: &str) -> Option<&'a Metadata> {
    let composite = |m: &&Metadata| matches!(m.metric_type, MetricType::Histogram | MetricType::Summary);
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    families.get(name).or_else(|| base.and_then(|base| families.get(base)).filter(composite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_get_the_labels_of_the_command_line_and_keep_their_own() {
        let text = b"# TYPE h histogram\nh_bucket{le=\"1\",job=\"own\"} 2\nplain{zone=\"a\"} 3 1500\n";
        let labels = vec![("job".to_owned(), "promtool".to_owned()), ("zone".to_owned(), "b".to_owned())];
        let mut parser = Parser::new(Format::Prometheus, text);
        let mut seen = Vec::new();
        while let Some(event) = parser.next().unwrap() {
            if let Event::Series(series) = event {
                seen.push(series_labels(&series, &labels).to_string());
            }
        }
        let want = [
            r#"h_bucket{exported_job="own", job="promtool", le="1", zone="b"}"#,
            r#"plain{job="promtool", zone="a"}"#,
        ];
        assert_eq!(seen, want);
        let histogram = Metadata { metric_type: MetricType::Histogram, ..Metadata::default() };
        let families = BTreeMap::from([("h".to_owned(), histogram), ("g".to_owned(), Metadata::default())]);
        assert!(family_of(&families, "h_bucket").is_some() && family_of(&families, "g_sum").is_none());
        let error = body(b"a b c\n", &labels, Message::V1, 0).unwrap_err();
        assert!(error.message().starts_with("text format parsing error in line 1: "), "{error}");
    }
}
