//! `bellwether lake stat`.

use base::Result;
use lake::inspect::{LogFile, LogFileKind, Summary, column_sizes};
use lake::{ColumnSize, Table};
use serde_json::{Value, json};

use super::Session;
use super::ls::summary_json;
use super::text::{Grid, Side, bytes, count, plural, ratio, time};

/// What a table takes.
struct TableStat {
    name: &'static str,
    summary: Summary,
    /// Of a table of samples.
    samples: Option<u64>,
    columns: Vec<ColumnSize>,
    log: Vec<LogFile>,
}

/// Says what takes the space.
pub(super) async fn run(session: &Session) -> Result<bool> {
    let mut stats = Vec::new();
    for table in session.tables().await? {
        let log = session.lake.log_files(table.spec().name)?;
        stats.push(stat(&table, log).await?);
    }
    session.write(
        || as_text(session, &stats),
        || {
            let tables: Vec<Value> = stats.iter().map(as_json).collect();
            json!({ "place": session.place, "tables": tables, "unknownTables": session.unknown })
        },
    )?;
    Ok(true)
}

async fn stat(table: &Table, log: Vec<LogFile>) -> Result<TableStat> {
    let segments = table.view().segments;
    let mut samples = None;
    for segment in segments.iter() {
        if let Some(found) = tsdb::at_rest::samples(table, segment).await? {
            samples = Some(samples.unwrap_or(0) + found);
        }
    }
    let columns = column_sizes(table, &segments).await?;
    Ok(TableStat { name: table.spec().name, summary: Summary::of(segments.iter()), samples, columns, log })
}

impl TableStat {
    /// Files and bytes of the log: records, checkpoints, and what a start set aside.
    fn log(&self) -> [(&'static str, u64, u64); 3] {
        let of = |what, wanted: fn(&LogFileKind) -> bool| {
            let files = self.log.iter().filter(|f| wanted(&f.kind));
            (what, files.clone().count() as u64, files.map(|f| f.size_bytes).sum())
        };
        [
            of("log", |k| matches!(k, LogFileKind::Records { .. })),
            of("checkpoint", |k| matches!(k, LogFileKind::Checkpoint { .. })),
            of("set aside", |k| matches!(k, LogFileKind::SetAside)),
        ]
    }
}

fn as_text(session: &Session, stats: &[TableStat]) -> String {
    let mut out = String::new();
    for (i, stat) in stats.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&format!("{}\n", stat.name));
        let mut line = |what: &str, value: String| out.push_str(&format!("  {what:<11} {value}\n"));
        let s = &stat.summary;
        line("segments", format!("{} of {}", count(s.segments), bytes(s.size_bytes)));
        if s.segments > 0 {
            line("rows", format!("{}, {} B each", count(s.rows), ratio(s.size_bytes, s.rows, 1)));
        }
        if let Some(samples) = stat.samples {
            line("samples", format!("{}, {} B each", count(samples), ratio(s.size_bytes, samples, 3)));
        }
        if s.segments > 0 {
            let [from, to] = time(s.time);
            line("time", format!("{from} to {to}"));
        }
        for (what, files, size) in stat.log() {
            if files > 0 {
                line(what, format!("{} of {}", plural(files, "file"), bytes(size)));
            }
        }
        if s.segments > 0 {
            out.push_str(&format!("\n{}", columns(stat).render("  ")));
        }
    }
    for name in &session.unknown {
        out.push_str(&format!("\ntables/{name} is no table that this version knows\n"));
    }
    if out.is_empty() { format!("{}: no tables\n", session.place) } else { out }
}

fn columns(stat: &TableStat) -> Grid {
    let right = Side::Right;
    let mut grid = Grid::new(&[
        ("column", Side::Left),
        ("stored", right),
        ("plain", right),
        ("ratio", right),
        ("share %", right),
        ("bytes/row", right),
    ]);
    let s = &stat.summary;
    for c in &stat.columns {
        grid.row([
            c.name.clone(),
            bytes(c.stored_bytes),
            bytes(c.plain_bytes),
            ratio(c.plain_bytes, c.stored_bytes, 1),
            ratio(c.stored_bytes * 100, s.size_bytes, 1),
            ratio(c.stored_bytes, s.rows, 2),
        ]);
    }
    let rest = rest_bytes(stat);
    let [share, each] = [ratio(rest * 100, s.size_bytes, 1), ratio(rest, s.rows, 2)];
    grid.row(["(footers, indexes)".into(), bytes(rest), "-".into(), "-".into(), share, each]);
    grid
}

/// What is no column's: footers, page indexes, bloom filters.
fn rest_bytes(stat: &TableStat) -> u64 {
    let columns: u64 = stat.columns.iter().map(|c| c.stored_bytes).sum();
    stat.summary.size_bytes.saturating_sub(columns)
}

fn as_json(stat: &TableStat) -> Value {
    let mut json = summary_json(&stat.summary);
    json["table"] = stat.name.into();
    if let Some(samples) = stat.samples {
        json["samples"] = samples.into();
        json["bytesPerSample"] = match samples {
            0 => Value::Null,
            n => (stat.summary.size_bytes as f64 / n as f64).into(),
        };
    }
    let columns = stat
        .columns
        .iter()
        .map(|c| json!({ "column": c.name, "storedBytes": c.stored_bytes, "plainBytes": c.plain_bytes }));
    json["columns"] = columns.collect();
    json["otherBytes"] = rest_bytes(stat).into();
    let [log, checkpoint, set_aside] =
        stat.log().map(|(_, files, size)| json!({ "files": files, "bytes": size }));
    json["log"] = log;
    json["checkpoint"] = checkpoint;
    json["setAside"] = set_aside;
    json
}
