//! The engine's own metrics, under Prometheus' names where it has them.

use base::{Error, Result};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use promql::QueryStats;

use crate::EngineOptions;

pub(crate) struct QueryMetrics {
    /// Queries that wait or run.
    pub(crate) current: IntGauge,
    /// Queries refused because too many waited.
    pub(crate) shed: IntCounter,
    /// Queries that the file of queries under way does not have.
    pub(crate) untracked: IntCounter,
    /// Samples that steps of queries used.
    pub(crate) samples: IntCounter,
    /// Samples that queries read.
    pub(crate) samples_read: IntCounter,
    /// Large leaves that got fewer threads than they could use.
    pub(crate) short_of_threads: IntCounter,
    /// Selections by what answered them: `raw`, or a resolution of rollups.
    pub(crate) selections: IntCounterVec,
    /// Duration by part: `queue_time`, `prepare_time`, `inner_eval`.
    pub(crate) duration: HistogramVec,
}

impl QueryMetrics {
    pub(crate) fn register(registry: &Registry, options: &EngineOptions) -> Result<Self> {
        Self::try_register(registry, options)
            .map_err(|e| Error::internal(format!("cannot register query metrics: {e}")))
    }

    fn try_register(registry: &Registry, options: &EngineOptions) -> prometheus::Result<Self> {
        let limit = IntGauge::new(
            "prometheus_engine_queries_concurrent_max",
            "The max number of concurrent queries.",
        )?;
        limit.set(i64::try_from(options.query_max_concurrency).unwrap_or(i64::MAX));
        let metrics = Self {
            current: IntGauge::new(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
            )?,
            shed: IntCounter::new(
                "bellwether_engine_queries_shed_total",
                "Queries refused because too many were waiting already.",
            )?,
            untracked: IntCounter::new(
                "bellwether_engine_queries_untracked_total",
                "Queries that are not in the file of queries under way, as it was full or could not be written.",
            )?,
            samples: IntCounter::new(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for range-vector).",
            )?,
            samples_read: IntCounter::new(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries (only new points per step for range-vector).",
            )?,
            short_of_threads: IntCounter::new(
                "bellwether_engine_leaves_short_of_threads_total",
                "Large parts of queries that were computed by fewer threads than they could use.",
            )?,
            selections: IntCounterVec::new(
                Opts::new(
                    "bellwether_engine_selections_total",
                    "Selections of queries by what answered them: samples or rollups.",
                ),
                &["resolution"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("prometheus_engine_query_duration_seconds", "Query timings by part.")
                    .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0]),
                &["slice"],
            )?,
        };
        registry.register(Box::new(limit))?;
        registry.register(Box::new(metrics.current.clone()))?;
        registry.register(Box::new(metrics.shed.clone()))?;
        registry.register(Box::new(metrics.untracked.clone()))?;
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.samples_read.clone()))?;
        registry.register(Box::new(metrics.short_of_threads.clone()))?;
        registry.register(Box::new(metrics.selections.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        Ok(metrics)
    }
}

/// A query that is counted as long as this lives.
pub(crate) struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl QueryMetrics {
    /// Counts a query until the guard is dropped.
    pub(crate) fn count_query(&self) -> Counted {
        self.current.inc();
        Counted(self.current.clone())
    }

    /// Notes what a query took.
    pub(crate) fn observe(&self, timings: &crate::Timings, stats: &QueryStats) {
        self.samples.inc_by(stats.samples);
        self.samples_read.inc_by(stats.samples_read);
        for (slice, took) in [
            ("queue_time", timings.queue),
            ("prepare_time", timings.prepare),
            ("inner_eval", timings.evaluate),
        ] {
            self.duration.with_label_values(&[slice]).observe(took.as_secs_f64());
        }
    }
}
