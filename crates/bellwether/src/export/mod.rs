//! `bellwether export`: what a data folder holds as files for other programs, while no server uses it.
//!
//! Wires the stores to the formats. Reading runs ahead of writing by a few pieces, so that memory is bounded whatever is exported. A
//! folder gets a file for each UTC day, and days that have theirs are passed over.

pub mod args;
mod encode;
mod output;
mod source;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, ErrorKind, Matcher, Result, TimeRange};
use serde_json::json;
use tokio::sync::mpsc;
use tsdb::rollup::Resolution;

use crate::clock::SystemClock;
use crate::lake_commands::text::{self, plural};
use crate::place::{self, Place};
use crate::progress::Progress;
use args::{Export, Format};
use encode::{Counts, FilePlan};
use source::{Order, Source};

/// Pieces between the task that reads and the thread that writes.
const PIECES_UNDER_WAY: usize = 2;

const DAY_MS: i64 = tsdb::import::DAY_MS;

/// Exports, says what it did, and whether everything that was asked for is in the files.
pub fn run(options: &Export) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bellwether")
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime: {e}")))?;
    let report = runtime.block_on(export(options))?;
    let text = report.text(options);
    // Standard output may be the file.
    let written = match options.output.as_deref() == Some(Path::new("-")) {
        true => std::io::stderr().write_all(text.as_bytes()),
        false => std::io::stdout().write_all(text.as_bytes()),
    };
    written.map_err(|e| Error::unavailable(format!("cannot write the result: {e}")))?;
    Ok(report.counts.left_out == 0)
}

/// What an export did.
#[derive(Default)]
struct Report {
    counts: Counts,
    /// Days that had their files.
    present: u64,
    took: Duration,
}

async fn export(options: &Export) -> Result<Report> {
    let matchers = match options.selector.as_deref().map(str::trim) {
        None | Some("{}") => Vec::new(),
        Some(selector) => engine::parse_selector(selector)
            .map_err(|e| e.context(format!("cannot export what matches {selector}")))?,
    };
    if options.format == Format::Openmetrics && options.table != tsdb::METRICS_TABLE {
        let is_rollup = Resolution::ALL.into_iter().any(|r| r.table() == options.table);
        let why = match is_rollup {
            true => "a line has one value, and a bucket has nine".to_owned(),
            false => format!("only {} has samples", tsdb::METRICS_TABLE),
        };
        return Err(Error::invalid(format!(
            "cannot export table {} as OpenMetrics: {why}; choose parquet or csv",
            options.table,
        )));
    }
    let file = options.output.as_deref().filter(|p| *p != Path::new("-"));
    file.map_or(Ok(()), output::refuse_existing)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let source = open(options, matchers, Arc::clone(&clock)).await?;
    let unit = if options.table == tsdb::METRICS_TABLE { "samples" } else { "rows" };
    let progress = Progress::start(clock, unit);
    let stored = source.time()?.unwrap_or(TimeRange::new(0, -1));
    let start_ms = options.start.unwrap_or(i64::MIN).max(stored.start_ms);
    let end_ms = options.end.unwrap_or(i64::MAX).min(stored.end_ms);
    let mut report = Report::default();
    match &options.output_folder {
        Some(folder) => {
            let end_ms = output::prepare_folder(folder, &asked_for(options), end_ms)?;
            let range = TimeRange::new(start_ms, end_ms);
            for day in source.days(range)? {
                let date = tsdb::import::date_of_day(day);
                let name = format!("{}-{date}.{}", options.table, options.format.extension());
                let path = folder.join(name);
                if path.exists() {
                    report.present += 1;
                    continue;
                }
                progress.phase(&date, None);
                let plan = FilePlan {
                    path: Some(path),
                    format: options.format,
                    schema: source.schema(),
                    even_if_empty: false,
                };
                write_file(&source, Order::Whole, of_day(day, range), plan, &progress, &mut report.counts)
                    .await?;
            }
        }
        None => {
            let order = match (&source, options.format) {
                (_, Format::Openmetrics) => Order::ByMetric,
                // They come by spans of a day or a week, which need not be read once for each day.
                (Source::Rollups(..), _) => Order::Whole,
                _ => Order::ByDay,
            };
            let (format, schema, path) = (options.format, source.schema(), file.map(Path::to_owned));
            let plan = FilePlan { path, format, schema, even_if_empty: true };
            progress.phase(&options.table, None);
            let range = TimeRange::new(start_ms, end_ms);
            write_file(&source, order, range, plan, &progress, &mut report.counts).await?;
        }
    }
    source.close().await?;
    report.took = progress.finish();
    Ok(report)
}

/// What an export into a folder was asked to do.
fn asked_for(options: &Export) -> serde_json::Value {
    json!({
        "storage": options.storage_path,
        "table": options.table,
        "match": options.selector,
        "startMs": options.start,
        "endMs": options.end,
        "format": options.format.extension(),
    })
}

/// Opens the table, which has to be there.
async fn open(options: &Export, matchers: Vec<Matcher>, clock: Arc<dyn Clock>) -> Result<Source> {
    let (path, wal_path) = (&options.storage_path, options.storage_wal_path.as_deref());
    let at_rest = place::open_at_rest(path, wal_path, Arc::clone(&clock), false).await?;
    let names = at_rest.table_names().await?;
    drop(at_rest);
    if !names.contains(&options.table) {
        let there = if names.is_empty() { "no tables".to_owned() } else { names.join(", ") };
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("cannot export table {}: {path} has {there}", options.table),
        ));
    }
    let lake = Arc::new(Place::new(path, wal_path)?.open(Arc::clone(&clock)).await?);
    Source::open(lake, &options.table, matchers, clock).await
}

/// The part of a range that lies on a UTC day.
fn of_day(day: i64, range: TimeRange) -> TimeRange {
    let first_ms = day.saturating_mul(DAY_MS);
    TimeRange::new(first_ms.max(range.start_ms), (first_ms + DAY_MS - 1).min(range.end_ms))
}

async fn write_file(
    source: &Source,
    order: Order,
    range: TimeRange,
    plan: FilePlan,
    progress: &Progress,
    total: &mut Counts,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel(PIECES_UNDER_WAY);
    let progress = progress.clone();
    let writing = tokio::task::spawn_blocking(move || encode::write(&plan, receiver, &progress));
    let read = Box::pin(source.read(order, range, sender)).await;
    let written = writing.await.map_err(|e| Error::internal(format!("cannot write a file: {e}")))?;
    // If reading failed, that is the cause; if writing failed, reading ended for want of a receiver.
    let counts = match (read, written) {
        (Ok(true), written) => written?,
        (Ok(false), Err(e)) | (Err(e), _) => return Err(e),
        (Ok(false), Ok(_)) => return Err(Error::internal("cannot export: writing ended early")),
    };
    total.written += counts.written;
    total.bytes += counts.bytes;
    total.files += counts.files;
    total.stale += counts.stale;
    total.left_out += counts.left_out;
    total.left_out_of.extend(counts.left_out_of);
    Ok(())
}

impl Report {
    fn text(&self, options: &Export) -> String {
        let Counts { written, bytes, files, stale, left_out, left_out_of } = &self.counts;
        let unit = if options.table == tsdb::METRICS_TABLE { "sample" } else { "row" };
        let mut out = format!(
            "exported {} of table {} in {:.1} s: {}, {}",
            plural(*written, unit),
            options.table,
            self.took.as_secs_f64(),
            text::bytes(*bytes),
            plural(*files, "file")
        );
        let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
        match self.present {
            0 => line(String::new()),
            present => line(format!("; {} had files already", plural(present, "day"))),
        }
        if *stale > 0 {
            line(format!(
                "note: left out {}, which OpenMetrics does not have",
                plural(*stale, "staleness marker")
            ));
        }
        if *left_out > 0 {
            let series: Vec<&str> = left_out_of.iter().map(String::as_str).collect();
            line(format!(
                "left out {} that OpenMetrics cannot say: native histograms, and series without a name; choose parquet \
                 or csv. They are of {}",
                plural(*left_out, "sample"),
                series.join(", ")
            ));
        }
        out
    }
}
