//! What a store of rows tells of itself, with the table as a label.

use base::{Error, Result};
use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use crate::wal::WalMetrics;

/// The metrics of one table's store.
pub(super) struct RowMetrics {
    pub(super) head_rows: IntGauge,
    pub(super) head_bytes: IntGauge,
    pub(super) segments: IntGauge,
    pub(super) segment_bytes: IntGauge,
    pub(super) appended: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) seals: IntCounter,
    pub(super) seal_failures: IntCounter,
    pub(super) seal_seconds: Histogram,
    pub(super) wal_corruptions: IntCounter,
    pub(super) replay_seconds: Gauge,
    pub(super) wal: WalMetrics,
}

impl RowMetrics {
    pub(super) fn register(registry: &Registry, table: &str) -> Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("table", table);
        let gauge = |name: &str, help: &str| register(registry, IntGauge::with_opts(opts(name, help)));
        let counter = |name: &str, help: &str| register(registry, IntCounter::with_opts(opts(name, help)));
        let seconds = |name: &str, help: &str, buckets: Vec<f64>| {
            let opts = HistogramOpts::new(name, help).const_label("table", table).buckets(buckets);
            register(registry, Histogram::with_opts(opts))
        };
        let fsync_buckets = vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
        let seal_buckets = vec![0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0];
        Ok(Self {
            head_rows: gauge("bellwether_rows_head_rows", "Rows in memory that are not sealed.")?,
            head_bytes: gauge("bellwether_rows_head_bytes", "Bytes of rows in memory that are not sealed.")?,
            segments: gauge("bellwether_rows_segments", "Segments of the table.")?,
            segment_bytes: gauge("bellwether_rows_segment_bytes", "Bytes of all segments of the table.")?,
            appended: counter("bellwether_rows_appended_total", "Rows appended.")?,
            refused: counter(
                "bellwether_rows_refused_appends_total",
                "Appends that were refused or failed.",
            )?,
            seals: counter("bellwether_rows_seals_total", "Seals that were committed.")?,
            seal_failures: counter(
                "bellwether_rows_seal_failures_total",
                "Seals that failed and will be tried again.",
            )?,
            seal_seconds: seconds("bellwether_rows_seal_seconds", "Seconds that seals took.", seal_buckets)?,
            wal_corruptions: counter(
                "bellwether_rows_wal_corruptions_total",
                "Damaged places found in the write-ahead log.",
            )?,
            replay_seconds: register(
                registry,
                Gauge::with_opts(opts(
                    "bellwether_rows_replay_seconds",
                    "Seconds that the replay at start took.",
                )),
            )?,
            wal: WalMetrics {
                fsync_seconds: seconds(
                    "bellwether_rows_wal_fsync_seconds",
                    "Seconds that fsyncs of the write-ahead log took.",
                    fsync_buckets,
                )?,
                written_bytes: counter(
                    "bellwether_rows_wal_written_bytes_total",
                    "Bytes written to the write-ahead log.",
                )?,
                failures: counter(
                    "bellwether_rows_wal_writes_failed_total",
                    "Writes to the write-ahead log that failed.",
                )?,
                held_bytes: gauge(
                    "bellwether_rows_wal_held_bytes",
                    "Bytes of files of the write-ahead log that only its readers need.",
                )?,
                files_to_repair: gauge(
                    "bellwether_rows_wal_files_to_repair",
                    "Files of the write-ahead log that must be repaired before it can be written.",
                )?,
                dropped_unread_bytes: counter(
                    "bellwether_rows_wal_dropped_unread_bytes_total",
                    "Bytes of files of the write-ahead log that were dropped before a reader had read them to their end.",
                )?,
            },
        })
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> Result<C> {
    metric
        .and_then(|m| registry.register(Box::new(m.clone())).map(|()| m))
        .map_err(|e| Error::internal(format!("cannot register metric of a table: {e}")))
}
