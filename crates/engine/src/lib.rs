//! The façade over the stores and the languages: parses, fetches, evaluates, with limits and cancellation.
//!
//! Knows no HTTP and no configuration file. A query holds one of a bounded number of places, has a deadline, and ends
//! when its caller drops the future.

mod active;
mod cancel;
mod choose;
mod exemplars;
mod fetch;
mod limits;
mod lookup;
mod metrics;
mod plan;
mod query;
mod query_file;
mod read;
mod source;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Matcher, Regexes, Result, TimeRange, WriteBatch};
use tokio::sync::Semaphore;
use tsdb::{ExemplarStore, MetricStore};

use crate::active::Watch;
use crate::metrics::QueryMetrics;
use crate::threads::Threads;

pub use active::{ActiveQuery, QueryLog, QueryOrigin, QueryRecord};
pub use fetch::{Gathered, RollupUse};
pub use plan::LeafCodec;
pub use promql::ast;
pub use promql::histogram::{Bucket, buckets};
pub use promql::{
    Annotations, Function, Grid, HistogramSample, ParseOptions, PlanNode, QueryOutput, QueryStats, Read,
    Series, StepStats, Value, ValueType, VectorSample,
};
pub use query::{Explained, QueryFailure, QueryOptions, QueryReply, Timings};
pub use read::{Latest, LatestSample};
pub use tsdb::{
    AppendOutcome, ExemplarOutcome, ExemplarSeries, NameCount, Refusal, Reservation, SegmentStats,
    SelectedExemplars, SelectedSeries, StoreStats,
};

/// Limits of queries, for the process as a whole.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Longest time a query may take; a request may ask for less.
    pub query_timeout: Duration,
    /// Queries that run at the same time; others wait.
    pub query_max_concurrency: usize,
    /// Threads that compute the leaves of queries, all queries together, beside the one of each query.
    pub query_threads: usize,
    /// Samples that one query may hold in memory.
    pub query_max_samples: u64,
    /// How far back a selector looks for a series' last sample.
    pub lookback: Duration,
    /// Which parts of the language are on that are off by default.
    pub language: ParseOptions,
    /// Whether metric names are dropped at the end of a query only.
    pub delayed_name_removal: bool,
    /// Whether labels tell type and unit of metrics.
    pub type_and_unit_labels: bool,
    /// Whether queries may ask for statistics of each step.
    pub step_stats: bool,
    /// Whether functions of counters look at when counting began.
    pub use_start_timestamps: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            query_timeout: limits::QUERY_TIMEOUT,
            query_max_concurrency: limits::QUERY_MAX_CONCURRENCY,
            query_threads: std::thread::available_parallelism().map_or(1, usize::from),
            query_max_samples: limits::QUERY_MAX_SAMPLES,
            lookback: limits::LOOKBACK,
            language: ParseOptions::default(),
            delayed_name_removal: false,
            type_and_unit_labels: false,
            step_stats: false,
            use_start_timestamps: false,
        }
    }
}

/// Reads a selector such as `up{job="node"}`.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>> {
    Ok(promql::parse_metric_selector(text)?)
}

/// Reads one of the selectors of a request.
pub fn parse_selector_with(text: &str, regexes: &mut Regexes) -> Result<Vec<Matcher>> {
    Ok(promql::parse_metric_selector_with(text, regexes)?)
}

/// The beginning of a text, at most so many bytes.
fn clip(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Owns the stores and answers queries against them.
pub struct Engine {
    store: Arc<MetricStore>,
    exemplars: Option<Arc<ExemplarStore>>,
    options: EngineOptions,
    places: Arc<Semaphore>,
    threads: Arc<Threads>,
    clock: Arc<dyn Clock>,
    metrics: QueryMetrics,
    watch: Watch,
}

impl Engine {
    /// An engine over an open store.
    pub fn new(
        store: Arc<MetricStore>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
        registry: &prometheus::Registry,
    ) -> Result<Self> {
        let places = Arc::new(Semaphore::new(options.query_max_concurrency));
        let metrics = QueryMetrics::register(registry, &options)?;
        let memory = Arc::clone(store.memory());
        let threads = Arc::new(Threads::new(options.query_threads, memory, metrics.short_of_threads.clone()));
        Ok(Self { store, exemplars: None, options, places, threads, clock, metrics, watch: Watch::default() })
    }

    /// The settings.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Writes samples and exemplars; durable when it resolves.
    pub async fn append(&self, samples: WriteBatch) -> Result<AppendOutcome> {
        self.append_all(samples).await
    }

    /// Deletes the samples in a range of the series that satisfy any of the sets of matchers; nobody sees them from then on.
    pub async fn delete_series(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<()> {
        self.store.delete_series(sets, range).await
    }

    /// Frees the space of what is deleted.
    pub async fn clean_tombstones(&self) -> Result<()> {
        self.store.clean_tombstones().await
    }

    /// Copies everything stored into a folder of its own, and returns its name below `snapshots`.
    pub async fn snapshot(&self, skip_head: bool) -> Result<String> {
        Box::pin(self.store.snapshot(self.exemplars.as_deref(), skip_head)).await
    }

    /// Facts about what the store holds in memory, with lists of so many entries.
    pub fn store_stats(&self, entries: usize) -> StoreStats {
        self.store.stats_with(entries)
    }

    /// The segments of samples, oldest first.
    pub fn segments(&self) -> Vec<SegmentStats> {
        self.store.segments_stored()
    }

    /// Files of the write-ahead log that were read at start.
    pub fn wal_files_replayed(&self) -> usize {
        self.store.wal_files_replayed()
    }

    /// Damaged places found in the write-ahead log at start.
    pub fn wal_corruptions(&self) -> u64 {
        self.store.wal_corruptions()
    }

    /// Brings the store's gauges up to date; called before they are shown.
    pub fn update_gauges(&self) {
        self.store.update_gauges();
    }
}
