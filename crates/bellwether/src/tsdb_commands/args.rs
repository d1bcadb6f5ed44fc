//! Options of `bellwether tsdb`, with promtool's names.

use clap::{Args, Subcommand, ValueEnum};

use crate::import::args::Rules;

/// Options of `bellwether tsdb`.
#[derive(Debug, Clone, Args)]
pub struct Tsdb {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What can be done with a data folder.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Say which labels and metrics make the most series, and which come and go.
    #[command(after_help = "Example: bellwether tsdb analyze ./data --limit 10 --match '{job=\"node\"}'")]
    Analyze(Analyze),
    /// List the segments of samples.
    #[command(after_help = "Example: bellwether tsdb list -r ./data")]
    List(List),
    /// Write samples as text, one a line.
    #[command(
        after_help = "Example: bellwether tsdb dump ./data --match 'up{job=\"node\"}' --min-time 1795253400000"
    )]
    Dump(Dump),
    /// Write samples as OpenMetrics text.
    #[command(after_help = "Example: bellwether tsdb dump-openmetrics ./data > samples.om")]
    DumpOpenmetrics(DumpOpenmetrics),
    /// Evaluate recording rules in the past and store what they give: `bellwether import rules` by promtool's name.
    CreateBlocksFrom(CreateBlocksFrom),
}

/// Options of `bellwether tsdb create-blocks-from`.
#[derive(Debug, Clone, Args)]
pub struct CreateBlocksFrom {
    /// From what.
    #[command(subcommand)]
    pub from: BlocksFrom,
}

/// What samples can be made from.
#[derive(Debug, Clone, Subcommand)]
pub enum BlocksFrom {
    /// Recording rules.
    Rules(Rules),
}

/// Options of `bellwether tsdb analyze`.
#[derive(Debug, Clone, Args)]
pub struct Analyze {
    /// What holds the data: a folder that no server is using.
    #[arg(value_name = "DIR", default_value = "./data")]
    pub path: String,

    /// Entries of each list.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,

    /// Only series that satisfy these matchers.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub selector: Option<String>,

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

/// Options of `bellwether tsdb list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// What holds the data: a folder that no server is using.
    #[arg(value_name = "DIR", default_value = "./data")]
    pub path: String,

    /// Write times and sizes for people.
    #[arg(short = 'r', long)]
    pub human_readable: bool,

    /// How the result is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Options of `bellwether tsdb dump`.
#[derive(Debug, Clone, Args)]
pub struct Dump {
    /// What and from where.
    #[command(flatten)]
    pub which: Which,

    /// How it is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = DumpFormat::Prom)]
    pub format: DumpFormat,
}

/// How samples are dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// Labels, value and milliseconds.
    Prom,
    /// Only the labels of each series, as JSON.
    Seriesjson,
}

/// Options of `bellwether tsdb dump-openmetrics`.
#[derive(Debug, Clone, Args)]
pub struct DumpOpenmetrics {
    /// What and from where.
    #[command(flatten)]
    pub which: Which,
}

/// Which samples are dumped.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// What holds the data: a folder that no server is using.
    #[arg(value_name = "DIR", default_value = "./data")]
    pub path: String,

    /// First moment, in milliseconds since 1970 [default: the beginning of what is stored].
    #[arg(long, value_name = "MILLISECONDS", allow_negative_numbers = true)]
    pub min_time: Option<i64>,

    /// Last moment, included [default: the end of what is stored].
    #[arg(long, value_name = "MILLISECONDS", allow_negative_numbers = true)]
    pub max_time: Option<i64>,

    /// Only series that satisfy these matchers; may be given several times for series that satisfy one of them.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub selectors: Vec<String>,
}
