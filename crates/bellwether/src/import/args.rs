//! Options of `bellwether import`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::parse_duration;
use crate::export::args::parse_time;

/// Options of `bellwether import`.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// What to import.
    #[command(subcommand)]
    pub from: ImportFrom,
}

/// What can be imported.
#[derive(Debug, Clone, Subcommand)]
pub enum ImportFrom {
    /// A Prometheus data folder: its blocks, and the head from its logs. Prometheus has to be stopped.
    #[command(name = "prometheus-tsdb")]
    PrometheusTsdb(PrometheusTsdb),
    /// OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from openmetrics` reads it.
    Openmetrics(Openmetrics),
    /// What recording rules would have written, had they been there before.
    #[command(
        after_help = "Example: bellwether import rules --start 2026-11-01T00:00:00Z --end 2026-11-20T00:00:00Z records.yml"
    )]
    Rules(Rules),
}

/// Options of `bellwether import prometheus-tsdb`.
#[derive(Debug, Clone, Args)]
pub struct PrometheusTsdb {
    /// Prometheus' data folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Import what can be read of damaged blocks and logs. Without it a damaged one is left out as a whole, so that it can be
    /// imported once it is repaired.
    #[arg(long)]
    pub salvage: bool,

    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Options of `bellwether import openmetrics`.
#[derive(Debug, Clone, Args)]
pub struct Openmetrics {
    /// The text; - is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Options of `bellwether import rules`, with the names of `promtool tsdb create-blocks-from rules`.
#[derive(Debug, Clone, Args)]
pub struct Rules {
    /// The rule files; alerting rules in them are left out.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// The first time for which rules are evaluated, in seconds since 1970 or as RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub start: i64,

    /// The last one, likewise [default: three hours ago].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub end: Option<i64>,

    /// Time between two evaluations, for groups that say none.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub eval_interval: Duration,

    /// A server of Prometheus' API that is asked for what rules give [default: the samples of the folder itself].
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// File that says how to log in there and which certificates to trust.
    #[arg(long = "http.config.file", value_name = "FILE", requires = "url")]
    pub http_config_file: Option<PathBuf>,

    /// Where and how.
    #[command(flatten)]
    pub target: Target,
}

/// Where samples are imported to, and how.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// What holds the data: a folder, or a bucket as s3://, gs:// or az://. No server may be using it with the same folder.
    #[arg(long = "storage.path", value_name = "PLACE", default_value = "./data", alias = "output-dir")]
    pub storage_path: String,

    /// Folder of the write-ahead logs, if the data is in a bucket.
    #[arg(long = "storage.wal-path", value_name = "DIR")]
    pub storage_wal_path: Option<PathBuf>,

    /// How long `serve` keeps samples: those of older days would be deleted at once.
    #[arg(long = "storage.retention", value_name = "DURATION", default_value = "15d", value_parser = parse_duration)]
    pub storage_retention: Duration,

    /// What to do with days that are older than that.
    #[arg(long, value_name = "ACTION", value_enum, default_value_t = Expired::Refuse)]
    pub expired: Expired,

    /// How the result is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ResultFormat::Text)]
    pub format: ResultFormat,
}

/// What to do with days that are older than the retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Expired {
    /// Import nothing and say so.
    Refuse,
    /// Leave them out.
    Skip,
    /// Import them: the retention of `serve` will be longer.
    Keep,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}
