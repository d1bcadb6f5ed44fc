//! What is counted of an object store.

use base::{Error, Result};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Requests, failures, and what the cache of segments spares.
#[derive(Debug, Clone)]
pub struct RemoteMetrics {
    pub(super) requests: IntCounterVec,
    pub(super) failures: IntCounterVec,
    pub(super) cache_hits: IntCounter,
    pub(super) cache_misses: IntCounter,
    pub(super) cache_evictions: IntCounter,
}

impl RemoteMetrics {
    /// Counters that nobody sees before [`RemoteMetrics::register`].
    pub fn new() -> Result<Self> {
        Self::try_new().map_err(|e| Error::internal(format!("cannot make the object store's metrics: {e}")))
    }

    fn try_new() -> prometheus::Result<Self> {
        let by_operation = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["operation"]);
        Ok(Self {
            requests: by_operation(
                "bellwether_object_store_requests_total",
                "Operations on the object store, by kind; a listing of many pages counts once.",
            )?,
            failures: by_operation(
                "bellwether_object_store_failures_total",
                "Operations on the object store that failed after all retries.",
            )?,
            cache_hits: IntCounter::new(
                "bellwether_object_store_cache_hits_total",
                "Blocks of segments that were found in memory.",
            )?,
            cache_misses: IntCounter::new(
                "bellwether_object_store_cache_misses_total",
                "Blocks of segments that were read from the object store.",
            )?,
            cache_evictions: IntCounter::new(
                "bellwether_object_store_cache_evictions_total",
                "Blocks of segments that gave way to others (limit remote_cache_bytes).",
            )?,
        })
    }

    /// Shows the counters.
    pub fn register(&self, registry: &Registry) -> Result<()> {
        let all: [Box<dyn prometheus::core::Collector>; 5] = [
            Box::new(self.requests.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.cache_hits.clone()),
            Box::new(self.cache_misses.clone()),
            Box::new(self.cache_evictions.clone()),
        ];
        for collector in all {
            registry
                .register(collector)
                .map_err(|e| Error::internal(format!("cannot register the object store's metrics: {e}")))?;
        }
        Ok(())
    }

    /// Operations so far, of all kinds.
    pub fn requests_total(&self) -> u64 {
        ["delete", "get", "list", "put"].iter().map(|o| self.requests.with_label_values(&[*o]).get()).sum()
    }
}
