//! Options of `bellwether test`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Options of `bellwether test`.
#[derive(Debug, Clone, Args)]
pub struct Test {
    /// What to test.
    #[command(subcommand)]
    pub what: What,

    /// File to write the results of tests of rules to: promtool takes it here too.
    #[arg(long, value_name = "FILE", id = "junit-before", hide = true)]
    pub junit: Option<PathBuf>,
}

/// What can be tested.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Run scripts in the language of Prometheus' own query tests: load, eval, expect.
    #[command(after_help = "Example: bellwether test promql rates.test")]
    Promql(Promql),
    /// Run unit tests of rules, as promtool does.
    #[command(after_help = "Example: bellwether test rules tests.yml --run '^api' --junit result.xml")]
    Rules(Rules),
}

/// Options of `bellwether test promql`.
#[derive(Debug, Clone, Args)]
pub struct Promql {
    /// The scripts.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// How the result is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `bellwether test rules`.
#[derive(Debug, Clone, Args)]
pub struct Rules {
    /// The files of tests.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Only run groups of tests whose names match this expression; may be given several times.
    #[arg(long, value_name = "REGEX")]
    pub run: Vec<String>,

    /// Show what differs instead of both sides.
    #[arg(long)]
    pub diff: bool,

    /// Say on standard error what is run, and what all series were at its end.
    #[arg(long)]
    pub debug: bool,

    /// Let rule files have keys that Prometheus does not know.
    #[arg(long)]
    pub ignore_unknown_fields: bool,

    /// File to write the results to as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// How the result is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}
