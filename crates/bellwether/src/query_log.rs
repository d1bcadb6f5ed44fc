//! The query log: a JSON line for each query, in the file that `global.query_log_file` names, as Prometheus writes it.
//!
//! A thread of its own writes; queries never wait for a disk. Lines that come faster than the disk takes them are counted and left out.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use base::{Error, Result};
use engine::{QueryLog, QueryOrigin, QueryRecord};
use prometheus::{IntCounter, Registry};
use serde_json::{Value, json};

/// Lines that may wait to be written. A dashboard asks some dozen queries at once.
const WAITING_LINES: usize = 4096;

/// Counts what happens to lines, whichever file is in use.
#[derive(Clone)]
pub(crate) struct QueryLogMetrics {
    dropped: IntCounter,
    failures: IntCounter,
}

impl QueryLogMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let metrics = || -> prometheus::Result<Self> {
            Ok(Self {
                dropped: counter(
                    "bellwether_query_log_dropped_total",
                    "Lines of the query log that were left out because the disk was slower than the queries.",
                )?,
                failures: counter(
                    "prometheus_engine_query_log_failures_total",
                    "The number of query log failures.",
                )?,
            })
        };
        metrics().map_err(|e| Error::internal(format!("cannot register metrics of the query log: {e}")))
    }
}

/// A query log that is open. What waits is written before it is dropped.
pub(crate) struct QueryLogFile {
    /// There until it is dropped.
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    metrics: QueryLogMetrics,
}

impl QueryLogFile {
    /// Opens a file to append to.
    pub(crate) fn open(path: &Path, metrics: QueryLogMetrics) -> Result<Self> {
        let fail =
            |e: std::io::Error| Error::invalid(format!("cannot open query log {}: {e}", path.display()));
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(fail)?;
        let (lines, received) = sync_channel(WAITING_LINES);
        let failures = metrics.failures.clone();
        let writer = std::thread::Builder::new()
            .name("query-log".into())
            .spawn(move || write_lines(file, &received, &failures))
            .map_err(fail)?;
        Ok(Self { lines: Some(lines), writer: Some(writer), metrics })
    }
}

impl Drop for QueryLogFile {
    fn drop(&mut self) {
        drop(self.lines.take());
        if self.writer.take().is_some_and(|w| w.join().is_err()) {
            tracing::error!("the writer of the query log panicked");
        }
    }
}

impl QueryLog for QueryLogFile {
    fn record(&self, record: &QueryRecord<'_>) {
        let line = format!("{}\n", line(record));
        if self.lines.as_ref().is_none_or(|lines| lines.try_send(line).is_err()) {
            self.metrics.dropped.inc();
        }
    }
}

/// Writes until nobody sends any more; what waits is written together.
fn write_lines(file: File, lines: &Receiver<String>, failures: &IntCounter) {
    let mut out = BufWriter::new(file);
    let mut failed = false;
    while let Ok(line) = lines.recv() {
        let mut written = out.write_all(line.as_bytes());
        while written.is_ok()
            && let Ok(line) = lines.try_recv()
        {
            written = out.write_all(line.as_bytes());
        }
        if let Err(error) = written.and_then(|()| out.flush()) {
            failures.inc();
            // Once is enough for the log; the counter tells the rest.
            if !failed {
                tracing::error!(%error, "cannot write the query log");
            }
            failed = true;
        }
    }
}

fn line(record: &QueryRecord<'_>) -> Value {
    let (start_ms, end_ms, step_ms) = record.grid;
    let t = &record.timings;
    let mut out = json!({
        "time": date(record.at_ms),
        "level": "INFO",
        "msg": "promql query logged",
        "params": {
            "query": record.query,
            "start": date(start_ms),
            "end": date(end_ms),
            "step": step_ms / 1000,
        },
    });
    if let Some(error) = &record.error {
        out["error"] = json!(error);
    }
    out["stats"] = json!({
        "timings": {
            "evalTotalTime": t.total.as_secs_f64(),
            "resultSortTime": 0,
            "queryPreparationTime": t.prepare.as_secs_f64(),
            "innerEvalTime": t.evaluate.as_secs_f64(),
            "execQueueTime": t.queue.as_secs_f64(),
            "execTotalTime": (t.queue + t.total).as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": record.stats.samples,
            "samplesRead": record.stats.samples_read,
            "peakSamples": record.stats.peak_samples,
        },
    });
    match record.origin {
        Some(QueryOrigin::Http { client_ip, method, path }) => {
            out["httpRequest"] = json!({"clientIP": client_ip, "method": method, "path": path});
        }
        Some(QueryOrigin::RuleGroup { name, file }) => {
            out["ruleGroup"] = json!({"name": name, "file": file});
        }
        None => {}
    }
    out
}

/// RFC 3339 with milliseconds.
fn date(t_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(t_ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::{QueryStats, Timings};

    use super::*;

    #[test]
    fn a_query_is_one_line_of_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.log");
        let metrics = QueryLogMetrics::register(&Registry::new()).unwrap();
        let log = QueryLogFile::open(&path, metrics.clone()).unwrap();
        let origin = QueryOrigin::Http {
            client_ip: "127.0.0.1".into(),
            method: "GET".into(),
            path: "/api/v1/query".into(),
        };
        let record = QueryRecord {
            at_ms: 1_700_000_000_123,
            query: "up{a=\"\n\"}",
            grid: (1000, 61_000, 15_000),
            error: Some("query timed out".into()),
            timings: Timings { total: Duration::from_millis(1500), ..Timings::default() },
            stats: QueryStats { samples: 7, ..QueryStats::default() },
            origin: Some(&origin),
        };
        log.record(&record);
        log.record(&QueryRecord { origin: None, error: None, ..record });
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0]["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(lines[0]["params"]["query"], "up{a=\"\n\"}");
        assert_eq!(lines[0]["params"]["start"], "1970-01-01T00:00:01.000Z");
        assert_eq!(
            (&lines[0]["params"]["step"], &lines[0]["error"]),
            (&json!(15), &json!("query timed out"))
        );
        assert_eq!(lines[0]["stats"]["timings"]["execTotalTime"], 1.5);
        assert_eq!(lines[0]["httpRequest"]["path"], "/api/v1/query");
        assert!(lines[1]["error"].is_null() && lines[1]["httpRequest"].is_null());
        assert_eq!(metrics.dropped.get(), 0);
    }
}
