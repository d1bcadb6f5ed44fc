//! What the store tells of itself, under the names that dashboards for Prometheus' storage use.

use base::{Error, Result};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::store::AppendOutcome;

/// The store's metrics, registered with the registry that the binary serves.
pub(crate) struct StoreMetrics {
    pub(crate) head_series: IntGauge,
    pub(crate) head_chunks: IntGauge,
    pub(crate) head_min_time: IntGauge,
    pub(crate) head_max_time: IntGauge,
    pub(crate) samples_appended: IntCounterVec,
    pub(crate) out_of_order: IntCounterVec,
    pub(crate) out_of_bounds: IntCounterVec,
    pub(crate) duplicates: IntCounter,
    pub(crate) too_old: IntCounterVec,
    pub(crate) late: IntCounterVec,
    pub(crate) samples_limited: IntCounter,
    pub(crate) series_refused: IntCounterVec,
    pub(crate) appends_held: IntCounter,
    pub(crate) head_bytes: IntGauge,
    pub(crate) checkpoints: IntCounter,
    pub(crate) checkpoints_failed: IntCounter,
    pub(crate) checkpoint_seconds: Histogram,
    pub(crate) series_created: IntCounter,
    pub(crate) series_removed: IntCounter,
    pub(crate) blocks_loaded: IntGauge,
    pub(crate) blocks_bytes: IntGauge,
    pub(crate) block_lookups: BlockMetrics,
    pub(crate) compactions: IntCounter,
    pub(crate) compactions_failed: IntCounter,
    pub(crate) compaction_seconds: Histogram,
    pub(crate) merges: IntCounterVec,
    pub(crate) merge_seconds: Histogram,
    pub(crate) tombstones: IntGauge,
    pub(crate) time_retentions: IntCounter,
    pub(crate) rollups: RollupMetrics,
    pub(crate) wal_corruptions: IntCounter,
    pub(crate) replay_seconds: prometheus::Gauge,
    pub(crate) wal: lake::WalMetrics,
}

/// How often a block of a segment was in memory.
#[derive(Clone)]
pub(crate) struct BlockMetrics {
    pub(crate) hits: IntCounter,
    pub(crate) misses: IntCounter,
}

impl BlockMetrics {
    fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        Ok(Self {
            hits: counter(
                "bellwether_tsdb_block_cache_hits_total",
                "Total number of blocks of segments that a query found in memory.",
            )?,
            misses: counter(
                "bellwether_tsdb_block_cache_misses_total",
                "Total number of blocks of segments that a query had to read.",
            )?,
        })
    }
}

impl StoreMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        let by = |label: &str, name: &str, help: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        let by_type = |name: &str, help: &str| by("type", name, help);
        let seconds = |name: &str, help: &str, buckets: Vec<f64>| {
            register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
        };
        let seal_buckets = vec![0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0];
        Ok(Self {
            head_series: gauge("prometheus_tsdb_head_series", "Total number of series in the head.")?,
            head_chunks: gauge("prometheus_tsdb_head_chunks", "Total number of chunks in the head.")?,
            head_min_time: gauge(
                "prometheus_tsdb_head_min_time",
                "Earliest time in the head, in milliseconds.",
            )?,
            head_max_time: gauge(
                "prometheus_tsdb_head_max_time",
                "Latest time in the head, in milliseconds.",
            )?,
            samples_appended: by_type(
                "prometheus_tsdb_head_samples_appended_total",
                "Total number of samples appended to the head.",
            )?,
            out_of_order: by_type(
                "prometheus_tsdb_out_of_order_samples_total",
                "Total number of samples refused because a later one of their series was stored before.",
            )?,
            out_of_bounds: by_type(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Total number of samples refused because they are too far behind the latest, their time is sealed, beyond retention or in the future.",
            )?,
            duplicates: counter(
                "bellwether_tsdb_duplicate_samples_total",
                "Total number of samples refused because their time is stored with another value.",
            )?,
            too_old: by_type(
                "prometheus_tsdb_too_old_samples_total",
                "Total number of samples refused because they are older than samples out of order may be.",
            )?,
            late: by_type(
                "prometheus_tsdb_head_out_of_order_samples_appended_total",
                "Total number of samples appended although later ones of their series were stored before.",
            )?,
            samples_limited: counter(
                "bellwether_tsdb_limited_samples_total",
                "Total number of samples refused because their series would be new and a limit is reached.",
            )?,
            series_refused: by(
                "limit",
                "bellwether_tsdb_series_refused_total",
                "Total number of times that a new series was refused, by the limit that is reached.",
            )?,
            appends_held: counter(
                "bellwether_tsdb_appends_held_total",
                "Total number of appends that were refused because memory was used up and a window waited for its seal.",
            )?,
            head_bytes: gauge("bellwether_tsdb_head_bytes", "Bytes of memory that the head takes, about.")?,
            checkpoints: counter(
                "prometheus_tsdb_checkpoint_creations_total",
                "Total number of checkpoints of the head that were written.",
            )?,
            checkpoints_failed: counter(
                "prometheus_tsdb_checkpoint_creations_failed_total",
                "Total number of checkpoints that failed and will be tried again.",
            )?,
            checkpoint_seconds: seconds(
                "bellwether_tsdb_checkpoint_duration_seconds",
                "Seconds that writing a checkpoint took.",
                vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0],
            )?,
            series_created: counter(
                "prometheus_tsdb_head_series_created_total",
                "Total number of series created in the head.",
            )?,
            series_removed: counter(
                "prometheus_tsdb_head_series_removed_total",
                "Total number of series dropped from the head.",
            )?,
            blocks_loaded: gauge("prometheus_tsdb_blocks_loaded", "Number of segments.")?,
            blocks_bytes: gauge("prometheus_tsdb_storage_blocks_bytes", "Bytes of all segments.")?,
            block_lookups: BlockMetrics::register(registry)?,
            compactions: counter(
                "prometheus_tsdb_compactions_total",
                "Total number of windows that were sealed.",
            )?,
            compactions_failed: counter(
                "prometheus_tsdb_compactions_failed_total",
                "Total number of seals that failed and will be tried again.",
            )?,
            compaction_seconds: seconds(
                "prometheus_tsdb_compaction_duration_seconds",
                "Seconds that sealing a window took.",
                seal_buckets,
            )?,
            merges: by(
                "outcome",
                "bellwether_tsdb_segment_merges_total",
                "Total number of times that segments were merged or rewritten, by how it ended.",
            )?,
            merge_seconds: seconds(
                "bellwether_tsdb_segment_merge_duration_seconds",
                "Seconds that merging or rewriting segments took.",
                vec![0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0],
            )?,
            tombstones: gauge(
                "bellwether_tsdb_tombstones",
                "Number of deletions that hide samples which are still stored.",
            )?,
            time_retentions: counter(
                "prometheus_tsdb_time_retentions_total",
                "Total number of times that segments were removed because of their age or size.",
            )?,
            rollups: RollupMetrics::register(registry)?,
            wal_corruptions: counter(
                "prometheus_tsdb_wal_corruptions_total",
                "Total number of damaged places found in the WAL.",
            )?,
            replay_seconds: register(
                registry,
                prometheus::Gauge::new(
                    "prometheus_tsdb_data_replay_duration_seconds",
                    "Seconds that the replay at start took.",
                ),
            )?,
            wal: wal(registry)?,
        })
    }

    /// Counts an append, of whose accepted samples some were histograms.
    pub(crate) fn appended(&self, outcome: &AppendOutcome, histograms: u64) {
        self.samples_appended.with_label_values(&["float"]).inc_by(outcome.accepted - histograms);
        self.samples_appended.with_label_values(&["histogram"]).inc_by(histograms);
        self.late.with_label_values(&["float"]).inc_by(outcome.late);
        self.out_of_order.with_label_values(&["float"]).inc_by(outcome.out_of_order);
        self.too_old.with_label_values(&["float"]).inc_by(outcome.too_old);
        self.out_of_bounds.with_label_values(&["float"]).inc_by(outcome.out_of_bounds);
        self.duplicates.inc_by(outcome.duplicate);
        self.samples_limited.inc_by(outcome.limited);
        self.series_created.inc_by(outcome.new_series);
    }
}

/// The metrics of the log, which `lake` fills in.
fn wal(registry: &Registry) -> Result<lake::WalMetrics> {
    let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
    let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
    let seconds = |name: &str, help: &str, buckets: Vec<f64>| {
        register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
    };
    let fsync_buckets = vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
    Ok(lake::WalMetrics {
        fsync_seconds: seconds(
            "prometheus_tsdb_wal_fsync_duration_seconds",
            "Seconds that fsyncs of the WAL took.",
            fsync_buckets,
        )?,
        written_bytes: counter(
            "prometheus_tsdb_wal_written_bytes_total",
            "Total number of bytes written to the WAL.",
        )?,
        failures: counter(
            "prometheus_tsdb_wal_writes_failed_total",
            "Total number of writes to the WAL that failed.",
        )?,
        held_bytes: gauge(
            "bellwether_wal_held_bytes",
            "Bytes of WAL files that are kept only because remote write has not sent them yet.",
        )?,
        files_to_repair: gauge(
            "bellwether_wal_files_to_repair",
            "Files of the write-ahead log that must be repaired before it can be written.",
        )?,
        dropped_unread_bytes: counter(
            "bellwether_wal_dropped_unread_bytes_total",
            "Bytes of WAL files that were dropped before remote write had sent all of them.",
        )?,
    })
}

/// What rolling up tells of itself.
pub(crate) struct RollupMetrics {
    pub(crate) made: IntCounterVec,
    pub(crate) failed: IntCounter,
    pub(crate) seconds: Histogram,
}

impl RollupMetrics {
    fn register(registry: &Registry) -> Result<Self> {
        let seconds = HistogramOpts::new(
            "bellwether_tsdb_rollup_duration_seconds",
            "Seconds that rolling up a span took.",
        );
        Ok(Self {
            made: register(
                registry,
                IntCounterVec::new(
                    Opts::new("bellwether_tsdb_rollups_total", "Total number of spans that were rolled up."),
                    &["resolution"],
                ),
            )?,
            failed: register(
                registry,
                IntCounter::new(
                    "bellwether_tsdb_rollups_failed_total",
                    "Total number of times that rolling up a span failed and will be tried again.",
                ),
            )?,
            seconds: register(
                registry,
                Histogram::with_opts(seconds.buckets(vec![0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0])),
            )?,
        })
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> Result<C> {
    metric
        .and_then(|m| registry.register(Box::new(m.clone())).map(|()| m))
        .map_err(|e| Error::internal(format!("cannot register metric of the store: {e}")))
}
