//! `bellwether lake verify`.

use base::Result;
use lake::inspect::LogReport;
use lake::inspect::invariants::{Invariant, TABLE_LOG};
use lake::{Findings, RowRules, Segment, Table, TableSpec, TableView};
use serde_json::{Value, json};
use tsdb::METRICS_TABLE;

use super::Session;
use super::args::Format;
use super::text::{bytes, count, plural};

/// Looks at every segment and every record, and says what is wrong.
pub(super) async fn run(session: &Session) -> Result<bool> {
    let mut report = Report::new(session);
    for spec in &session.known {
        verify_table(session, spec, &mut report).await?;
    }
    for name in &session.unknown {
        report.notice(name, "tables", "no table that this version knows; not looked at")?;
    }
    if session.lake.is_in_use() {
        report.notice("wal", "", "in use by the server, which checks it when it starts; not looked at")?;
    }
    let ok = report.violations == 0;
    session.write(|| report.summary(), || report.as_json(&session.place))?;
    Ok(ok)
}

async fn verify_table(session: &Session, spec: &TableSpec, report: &mut Report<'_>) -> Result<()> {
    let name = spec.name;
    let table = match session.lake.table(spec.clone()).await {
        Ok(table) => table,
        Err(e) => {
            let mut found = Findings::default();
            found.add(&TABLE_LOG, || e.message().to_owned());
            return report.findings(name, "_delta_log", &found);
        }
    };
    let mut checked = Checked { name, ..Checked::default() };
    verify_segments(session, &table, &mut checked, report).await?;
    for (path, size) in table.unreferenced().await? {
        let text = format!("{} that the log does not name; vacuum deletes it", bytes(size));
        report.notice(name, &path, &text)?;
    }
    report.findings(name, "_tombstones", &tsdb::at_rest::examine_tombstones(&table).await?)?;
    if !session.lake.is_in_use() {
        let sealed_until = table.view().sealed_until;
        let log = match name == METRICS_TABLE {
            true => tsdb::at_rest::examine_log(&session.lake, sealed_until)?,
            false => session.lake.examine_rows(spec, sealed_until)?,
        };
        report_log(name, &log, report)?;
        (checked.log_files, checked.frames) = (log.files, log.frames);
    }
    report.checked.push(checked);
    Ok(())
}

async fn verify_segments(
    session: &Session,
    table: &Table,
    checked: &mut Checked,
    report: &mut Report<'_>,
) -> Result<()> {
    let rules = tsdb::at_rest::rules(checked.name).unwrap_or(RowRules::SORTED);
    let segments = table.view().segments;
    let progress = session.progress();
    for (i, segment) in segments.iter().enumerate() {
        progress.tell(|| format!("{}: segment {} of {}", checked.name, i + 1, segments.len()));
        let found = table.verify_segment(segment, &rules).await?;
        progress.clear();
        // Whoever else uses the tables may have merged it meanwhile, and deleted its file.
        if found.count > 0 && session.lake.is_shared() && !is_active(&table.refresh().await?, segment) {
            continue;
        }
        report.findings(checked.name, segment.path(), &found)?;
        checked.segments += 1;
        checked.rows += segment.rows();
        checked.size_bytes += segment.size_bytes();
        checked.without_checksum += u64::from(segment.crc().is_none());
    }
    Ok(())
}

fn is_active(view: &TableView, segment: &Segment) -> bool {
    view.segments.iter().any(|s| s.path() == segment.path())
}

fn report_log(name: &'static str, log: &LogReport, report: &mut Report<'_>) -> Result<()> {
    let in_log = |file: &str| format!("wal/{name}/{file}").trim_end_matches('/').to_owned();
    for (file, found) in &log.damaged {
        report.findings(name, &in_log(file), found)?;
    }
    for (file, torn) in &log.torn {
        let text = format!("{} behind the last good frame, which a start cuts off", bytes(*torn));
        report.notice(name, &in_log(file), &text)?;
    }
    for file in &log.stale {
        report.notice(name, &in_log(file), "not needed any more; a start removes it")?;
    }
    for file in &log.set_aside {
        report.notice(name, &in_log(file), "damaged, and set aside by an earlier start")?;
    }
    Ok(())
}

/// What was looked at.
#[derive(Default)]
struct Checked {
    name: &'static str,
    segments: u64,
    rows: u64,
    size_bytes: u64,
    without_checksum: u64,
    log_files: u64,
    frames: u64,
}

/// What was found. Text is written as it is found, so that who interrupts a long look has it.
struct Report<'s> {
    session: &'s Session,
    checked: Vec<Checked>,
    violations: u64,
    listed: Vec<Value>,
    notices: Vec<Value>,
}

impl<'s> Report<'s> {
    fn new(session: &'s Session) -> Self {
        let (checked, listed, notices) = Default::default();
        Self { session, checked, violations: 0, listed, notices }
    }

    fn findings(&mut self, table: &str, object: &str, found: &Findings) -> Result<()> {
        self.violations += found.count;
        for violation in &found.violations {
            self.violation(table, object, violation.invariant, &violation.detail)?;
        }
        let more = found.count - found.violations.len() as u64;
        if more > 0 && self.session.format == Format::Text {
            self.session.print(&format!("violation (and {more} more)  {table} {object}\n"))?;
        }
        Ok(())
    }

    fn violation(&mut self, table: &str, object: &str, of: &Invariant, detail: &str) -> Result<()> {
        if self.session.format == Format::Text {
            return self.session.print(&format!("violation {}  {table} {object}: {detail}\n", of.name));
        }
        self.listed.push(json!({
            "invariant": of.name, "about": of.about, "table": table, "object": object, "detail": detail,
        }));
        Ok(())
    }

    fn notice(&mut self, table: &str, object: &str, text: &str) -> Result<()> {
        if self.session.format == Format::Text {
            let about = format!("{table} {object}");
            return self.session.print(&format!("notice  {}: {text}\n", about.trim_end()));
        }
        self.notices.push(json!({ "table": table, "object": object, "text": text }));
        Ok(())
    }

    fn summary(&self) -> String {
        let mut out = String::new();
        for c in &self.checked {
            let [segments, rows] = [plural(c.segments, "segment"), plural(c.rows, "row")];
            out.push_str(&format!("{}: {segments}, {rows}, {}", c.name, bytes(c.size_bytes)));
            if c.log_files > 0 {
                let (files, frames) = (plural(c.log_files, "log file"), plural(c.frames, "frame"));
                out.push_str(&format!("; {files}, {frames}"));
            }
            if c.without_checksum > 0 {
                out.push_str(&format!("; {} without a checksum in the log", count(c.without_checksum)));
            }
            out.push('\n');
        }
        out.push_str(&match self.violations {
            0 => "everything is in order\n".to_owned(),
            n => format!("{}\n", plural(n, "violation")),
        });
        out
    }

    fn as_json(&self, place: &str) -> Value {
        let checked = self.checked.iter().map(|c| {
            json!({
                "table": c.name, "segments": c.segments, "rows": c.rows, "bytes": c.size_bytes,
                "withoutChecksum": c.without_checksum, "logFiles": c.log_files, "frames": c.frames,
            })
        });
        json!({
            "place": place, "ok": self.violations == 0, "checked": checked.collect::<Vec<_>>(),
            "violationCount": self.violations, "violations": self.listed, "notices": self.notices,
        })
    }
}
