//! `bellwether tsdb list`.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Result, TimeRange};
use lake::inspect::Summary;
use serde_json::json;
use tsdb::METRICS_TABLE;

use super::args::{Format, List};
use crate::clock::SystemClock;
use crate::lake_commands::text;
use crate::place;

/// A segment of samples.
struct Listed {
    path: String,
    time: Option<TimeRange>,
    samples: u64,
    chunks: u64,
    size_bytes: u64,
}

/// Lists the segments.
pub(super) async fn run(options: &List) -> Result<bool> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let lake = place::open_at_rest(&options.path, None, clock, false).await?;
    let mut listed = Vec::new();
    let has_samples = lake.table_names().await?.iter().any(|n| n == METRICS_TABLE);
    for spec in tsdb::at_rest::specs().into_iter().filter(|s| has_samples && s.name == METRICS_TABLE) {
        let table = lake.table(spec).await?;
        for segment in table.view().segments.iter() {
            listed.push(Listed {
                path: segment.path().to_owned(),
                time: Summary::of([segment]).time,
                samples: tsdb::at_rest::samples(&table, segment).await?.unwrap_or(0),
                chunks: segment.rows(),
                size_bytes: segment.size_bytes(),
            });
        }
    }
    listed.sort_by_key(|s| s.time.map(|t| (t.start_ms, t.end_ms)));
    text::print(&match options.format {
        Format::Text => as_text(&listed, options.human_readable),
        Format::Json => format!("{:#}\n", as_json(&listed)),
    })?;
    Ok(true)
}

fn as_text(listed: &[Listed], for_people: bool) -> String {
    let mut rows = vec![
        ["SEGMENT", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "SIZE"]
            .map(String::from),
    ];
    for segment in listed {
        let [from, to] = match (segment.time, for_people) {
            (None, _) => ["-".into(), "-".into()],
            (time, true) => text::time(time),
            (Some(t), false) => [t.start_ms.to_string(), t.end_ms.to_string()],
        };
        let length_ms = segment.time.map_or(0, |t| u64::try_from(t.end_ms - t.start_ms).unwrap_or(0));
        let name = segment.path.rsplit('/').next().unwrap_or(&segment.path);
        rows.push([
            name.trim_end_matches(".parquet").to_owned(),
            from,
            to,
            base::format_duration(Duration::from_millis(length_ms)),
            segment.samples.to_string(),
            segment.chunks.to_string(),
            if for_people { text::bytes(segment.size_bytes) } else { segment.size_bytes.to_string() },
        ]);
    }
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0).max(11) + 2;
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

fn as_json(listed: &[Listed]) -> serde_json::Value {
    let segments = listed.iter().map(|s| {
        json!({
            "path": s.path, "startMs": s.time.map(|t| t.start_ms), "endMs": s.time.map(|t| t.end_ms),
            "samples": s.samples, "chunks": s.chunks, "bytes": s.size_bytes,
        })
    });
    json!({ "segments": segments.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_in_columns() {
        let segment = Listed {
            path: "date=1970-01-01/abc.parquet".into(),
            time: Some(TimeRange::new(0, 3_600_000)),
            samples: 10,
            chunks: 2,
            size_bytes: 2048,
        };
        let text = as_text(&[segment], false);
        assert_eq!(
            text,
            "SEGMENT      MIN TIME     MAX TIME     DURATION     NUM SAMPLES  NUM CHUNKS   SIZE\n\
             abc          0            3600000      1h           10           2            2048\n"
        );
    }
}
