//! Options of `bellwether check`, with promtool's names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Options of `bellwether check`.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// What to check.
    #[command(subcommand)]
    pub what: What,
}

/// What can be checked.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Check configuration files with the rule files, certificates and target files that they name.
    #[command(after_help = "Example: bellwether check config prometheus.yml --lint all --lint-fatal")]
    Config(Config),
    /// Check rule files, or standard input.
    #[command(after_help = "Example: bellwether check rules alerts.yml --lint all --lint-fatal")]
    Rules(Rules),
    /// Check metrics on standard input for what is unwise about them, and count their series.
    #[command(
        after_help = "Example: curl -s http://localhost:9100/metrics | bellwether check metrics --extended"
    )]
    Metrics(Metrics),
    /// Check files that say how a server is reached: certificates, users, headers.
    #[command(after_help = "Example: bellwether check web-config web.yml")]
    WebConfig(WebConfig),
    /// Show the targets of a job, with their labels before and after relabelling.
    #[command(after_help = "Example: bellwether check service-discovery prometheus.yml node")]
    ServiceDiscovery(ServiceDiscovery),
    /// Ask a server whether it is healthy.
    #[command(after_help = "Example: bellwether check healthy --url http://127.0.0.1:9090")]
    Healthy(Server),
    /// Ask a server whether it is ready to serve queries.
    #[command(after_help = "Example: bellwether check ready --url http://127.0.0.1:9090")]
    Ready(Server),
}

/// How the result of a check is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, as promtool writes it.
    Text,
    /// JSON: one object, or a list of them where several files are checked.
    Json,
}

/// Options of `bellwether check config`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The files to check.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Only check what the files themselves say, and none of the files that they name.
    #[arg(long)]
    pub syntax_only: bool,

    /// What to look for besides errors, separated by commas: all, duplicate-rules, too-long-scrape-interval, none.
    #[arg(long, value_name = "WHAT", default_value = "duplicate-rules")]
    pub lint: String,

    /// Exit with 3 if that is found.
    #[arg(long)]
    pub lint_fatal: bool,

    /// Let rule files have keys that Prometheus does not know.
    #[arg(long)]
    pub ignore_unknown_fields: bool,

    /// How far back queries look for a sample; a longer scrape interval is too long.
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = crate::cli::parse_duration)]
    pub lookback: Duration,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `bellwether check rules`.
#[derive(Debug, Clone, Args)]
pub struct Rules {
    /// The files to check [default: standard input].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What to look for besides errors, separated by commas: all, duplicate-rules, none.
    #[arg(long, value_name = "WHAT", default_value = "duplicate-rules")]
    pub lint: String,

    /// Exit with 3 if that is found.
    #[arg(long)]
    pub lint_fatal: bool,

    /// Let rule files have keys that Prometheus does not know.
    #[arg(long)]
    pub ignore_unknown_fields: bool,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `bellwether check metrics`.
#[derive(Debug, Clone, Args)]
pub struct Metrics {
    /// Count the series of each metric.
    #[arg(long)]
    pub extended: bool,

    /// What to look for: all or none.
    #[arg(long, value_name = "WHAT", default_value = "all", value_parser = ["all", "none"])]
    pub lint: String,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `bellwether check web-config`.
#[derive(Debug, Clone, Args)]
pub struct WebConfig {
    /// The files to check.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Options of `bellwether check service-discovery`.
#[derive(Debug, Clone, Args)]
pub struct ServiceDiscovery {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The job.
    #[arg(value_name = "JOB")]
    pub job: String,

    /// How long a server that names targets may take.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::cli::parse_duration)]
    pub timeout: Duration,
}

/// Options of `bellwether check healthy` and `check ready`.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// URL of the server.
    #[arg(long, value_name = "SERVER", default_value = "http://localhost:9090")]
    pub url: String,

    /// File that says how to log in and which certificates to trust.
    #[arg(long = "http.config.file", value_name = "FILE")]
    pub http_config_file: Option<PathBuf>,
}
