//! `bellwether lake ls`.

use base::{Result, TimeRange};
use lake::Table;
use lake::inspect::{LogFile, Summary, partitions};
use serde_json::{Value, json};

use super::Session;
use super::args::Ls;
use super::text::{Grid, Side, bytes, count, plural, time};

/// Lists what is stored.
pub(super) async fn run(session: &Session, options: &Ls) -> Result<bool> {
    let mut listed = Vec::new();
    for table in session.tables().await? {
        let log = session.lake.log_files(table.spec().name)?;
        listed.push((table, log));
    }
    session.write(
        || as_text(session, &listed, options.segments),
        || {
            let tables: Vec<Value> =
                listed.iter().map(|(table, log)| table_json(table, log, options.segments)).collect();
            json!({ "place": session.place, "tables": tables, "unknownTables": session.unknown })
        },
    )?;
    Ok(true)
}

fn as_text(session: &Session, listed: &[(Table, Vec<LogFile>)], all: bool) -> String {
    let (left, right) = (Side::Left, Side::Right);
    let mut grid = match all {
        true => Grid::new(&[
            ("table", left),
            ("rows", right),
            ("size", right),
            ("from", left),
            ("to", left),
            ("path", left),
        ]),
        false => Grid::new(&[
            ("table", left),
            ("tenant", left),
            ("date", left),
            ("segments", right),
            ("rows", right),
            ("size", right),
            ("from", left),
            ("to", left),
        ]),
    };
    let mut total = Summary::default();
    for (table, _) in listed {
        let (name, view) = (table.spec().name, table.view());
        let of_table = Summary::of(view.segments.iter());
        total.segments += of_table.segments;
        total.rows += of_table.rows;
        total.size_bytes += of_table.size_bytes;
        for ((tenant, date), segments) in partitions(&view.segments) {
            if !all {
                let s = Summary::of(&segments);
                let [from, to] = time(s.time);
                let [segments, rows] = [s.segments, s.rows].map(count);
                grid.row([name.into(), tenant, date, segments, rows, bytes(s.size_bytes), from, to]);
                continue;
            }
            for segment in segments {
                let [from, to] = time(Summary::of([&segment]).time);
                let (rows, size) = (count(segment.rows()), bytes(segment.size_bytes()));
                grid.row([name.into(), rows, size, from, to, segment.path().to_owned()]);
            }
        }
    }
    let mut out = format!(
        "{}: {}, {}, {}, {}\n",
        session.place,
        plural(listed.len() as u64, "table"),
        plural(total.segments, "segment"),
        plural(total.rows, "row"),
        bytes(total.size_bytes),
    );
    if total.segments > 0 {
        out.push_str(&format!("\n{}", grid.render("")));
    }
    let logs = listed.iter().filter(|(_, log)| !log.is_empty());
    let mut logged = Grid::new(&[("log", left), ("files", right), ("size", right)]);
    let mut any = false;
    for (table, log) in logs {
        any = true;
        let size = log.iter().map(|f| f.size_bytes).sum();
        logged.row([table.spec().name.to_owned(), count(log.len() as u64), bytes(size)]);
    }
    if any {
        out.push_str(&format!("\n{}", logged.render("")));
    }
    for name in &session.unknown {
        out.push_str(&format!("\ntables/{name} is no table that this version knows\n"));
    }
    out
}

fn table_json(table: &Table, log: &[LogFile], all: bool) -> Value {
    let view = table.view();
    let mut listed = Vec::new();
    for ((tenant, date), segments) in partitions(&view.segments) {
        let mut partition = summary_json(&Summary::of(&segments));
        partition["tenant"] = tenant.into();
        partition["date"] = date.into();
        if all {
            let files = segments.iter().map(|s| {
                let [start, end] = times(Summary::of([s]).time);
                json!({
                    "path": s.path(), "rows": s.rows(), "bytes": s.size_bytes(), "startMs": start, "endMs": end,
                    "crc32c": s.crc().map(|crc| format!("{crc:08x}")),
                })
            });
            partition["files"] = files.collect();
        }
        listed.push(partition);
    }
    json!({
        "table": table.spec().name,
        "partitions": listed,
        "log": { "files": log.len(), "bytes": log.iter().map(|f| f.size_bytes).sum::<u64>() },
    })
}

/// Segments, rows, bytes and times.
pub(super) fn summary_json(summary: &Summary) -> Value {
    let [start, end] = times(summary.time);
    json!({
        "segments": summary.segments, "rows": summary.rows, "bytes": summary.size_bytes, "startMs": start, "endMs": end,
    })
}

fn times(time: Option<TimeRange>) -> [Option<i64>; 2] {
    [time.map(|t| t.start_ms), time.map(|t| t.end_ms)]
}
