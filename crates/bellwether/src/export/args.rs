//! Options of `bellwether export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `bellwether export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// What holds the data: a folder, or a bucket as s3://, gs:// or az://. No server may be using it with the same folder.
    #[arg(long = "storage.path", value_name = "PLACE", default_value = "./data")]
    pub storage_path: String,

    /// Folder of the write-ahead logs, if the data is in a bucket.
    #[arg(long = "storage.wal-path", value_name = "DIR")]
    pub storage_wal_path: Option<PathBuf>,

    /// What to export: metrics, their rollups as metrics_5m or metrics_1h, logs, spans, profiles, stacks, exemplars, events or charges.
    #[arg(long, value_name = "NAME", default_value = "metrics")]
    pub table: String,

    /// Only what satisfies these matchers, such as '{job="node"}'; of other tables than these they name columns, as
    /// '{service_name="shop", severity_number=~"1[0-9]"}', or attributes, as '{"attributes.http.method"="GET"}'.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// First moment, in seconds since 1970 or as 2026-11-21T09:30:00Z [default: the beginning of what is stored].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub start: Option<i64>,

    /// Last moment, included [default: the end of what is stored].
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub end: Option<i64>,

    /// How the files are written.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Format,

    /// The one file to write, which must not exist; - is standard output.
    #[arg(long, value_name = "FILE", required_unless_present = "output_folder")]
    pub output: Option<PathBuf>,

    /// A folder for a file of each UTC day. Started again with the same options, an export that was interrupted goes on behind the
    /// last day that it finished.
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub output_folder: Option<PathBuf>,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A row for each sample or record, for DuckDB, Spark, pandas and the like.
    Parquet,
    /// The same as text, with what is nested as JSON.
    Csv,
    /// OpenMetrics text with timestamps; only metrics.
    Openmetrics,
}

impl Format {
    /// What the names of files end with.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Openmetrics => "om",
        }
    }
}

/// Reads a time as the HTTP API does; in milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        // Beyond this a float has no exact milliseconds.
        return if ms.abs() <= 9.0e15 { Ok(ms as i64) } else { Err("it is beyond all calendars".into()) };
    }
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(jiff::Timestamp::as_millisecond)
        .map_err(|_| "write it as 1795253400 or 2026-11-21T09:30:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_the_api_does() {
        assert_eq!(parse_time("1.5"), Ok(1500));
        assert_eq!(parse_time("-1"), Ok(-1000));
        assert_eq!(parse_time("1970-01-01T00:00:01.25Z"), Ok(1250));
        assert_eq!(parse_time("1970-01-01T01:00:00+01:00"), Ok(0));
        for bad in ["yesterday", "NaN", "1e30", "2026-11-21"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
