//! Options of `bellwether query`, with promtool's names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::export::args::parse_time;

/// Options of `bellwether query`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: bellwether query instant http://127.0.0.1:9090 'sum by (job) (up)'")]
pub struct Query {
    /// How results are written.
    #[arg(short = 'o', long, value_name = "FORMAT", value_enum, default_value_t = Format::Promql, global = true)]
    pub format: Format,

    /// File that says how to log in and which certificates to trust, with the keys of a scrape configuration's HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE", global = true)]
    pub http_config_file: Option<PathBuf>,

    /// What to ask.
    #[command(subcommand)]
    pub what: What,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, as promtool writes it.
    Promql,
    /// The result of the API, on one line.
    Json,
}

/// What can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Evaluate an expression at one moment.
    #[command(
        after_help = "Example: bellwether query instant -o json http://127.0.0.1:9090 up --time 2026-11-21T09:30:00Z"
    )]
    Instant(Instant),
    /// Evaluate an expression over a range.
    #[command(
        after_help = "Example: bellwether query range http://127.0.0.1:9090 'rate(http_requests_total[5m])' --step 1m"
    )]
    Range(Range),
    /// List series.
    #[command(
        after_help = "Example: bellwether query series http://127.0.0.1:9090 --match 'up{job=\"node\"}'"
    )]
    Series(Series),
    /// List the values of a label.
    #[command(after_help = "Example: bellwether query labels http://127.0.0.1:9090 job")]
    Labels(Labels),
    /// Say how many buckets of histograms are in use.
    #[command(
        after_help = "Example: bellwether query analyze --server http://127.0.0.1:9090 --type histogram --match prometheus_http_request_duration_seconds_bucket"
    )]
    Analyze(Analyze),
}

/// Options of `bellwether query instant`.
#[derive(Debug, Clone, Args)]
pub struct Instant {
    /// URL of the server.
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// The expression.
    #[arg(value_name = "EXPR")]
    pub expr: String,

    /// Moment of the evaluation, in seconds since 1970 or as 2026-11-21T09:30:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub time: Option<i64>,

    /// A header to send along.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    pub header: Vec<(String, String)>,
}

/// Options of `bellwether query range`.
#[derive(Debug, Clone, Args)]
pub struct Range {
    /// URL of the server.
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// The expression.
    #[arg(value_name = "EXPR")]
    pub expr: String,

    /// A header to send along.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    pub header: Vec<(String, String)>,

    /// First moment [default: five minutes before the last].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub start: Option<i64>,

    /// Last moment [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub end: Option<i64>,

    /// Time between two evaluations [default: a 250th of the range].
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::parse_duration)]
    pub step: Option<Duration>,
}

/// Options of `bellwether query series`.
#[derive(Debug, Clone, Args)]
pub struct Series {
    /// URL of the server.
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// Which series; may be given several times.
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,

    /// First moment.
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub start: Option<i64>,

    /// Last moment.
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub end: Option<i64>,
}

/// Options of `bellwether query labels`.
#[derive(Debug, Clone, Args)]
pub struct Labels {
    /// URL of the server.
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// The label.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Of which series; may be given several times.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub selectors: Vec<String>,

    /// First moment.
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub start: Option<i64>,

    /// Last moment.
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub end: Option<i64>,
}

/// Options of `bellwether query analyze`.
#[derive(Debug, Clone, Args)]
pub struct Analyze {
    /// URL of the server.
    #[arg(long, value_name = "SERVER")]
    pub server: String,

    /// What the metrics are.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub metric_type: AnalyzeType,

    /// How far back to look.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = crate::cli::parse_duration)]
    pub duration: Duration,

    /// Where looking back begins [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub time: Option<i64>,

    /// Which series; may be given several times.
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
}

/// What can be analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnalyzeType {
    /// Classic and native histograms.
    Histogram,
}

/// Reads a header of the form `name=value` or `name:value`.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(['=', ':']) {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        _ => Err("write it as X-Scope-OrgID=team".into()),
    }
}
