//! Discovery: where lists of targets come from, one provider per file.
//!
//! Owns finding target groups and noticing that they change. Does not relabel and does not scrape.

mod file;
mod http;
mod static_config;

use std::sync::Arc;

use async_trait::async_trait;
use base::{Error, Result};
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::config::{FileSdConfig, HttpSdConfig, TargetGroup};
use crate::scrape::Transport;

pub use file::{FileProvider, target_groups};
pub(crate) use http::LastLists;
pub use http::{HttpProvider, http_groups};
pub use static_config::StaticProvider;

/// A source of target groups.
#[async_trait]
pub trait Provider: Send {
    /// Returns the whole list: at once on the first call, and afterwards when it has changed. The caller may drop the
    /// future, and then does not call again. A provider that cannot read its source logs why and keeps what it had.
    async fn next(&mut self) -> Vec<TargetGroup>;
}

/// Metrics of discovery, with Prometheus' names.
#[derive(Clone)]
pub struct DiscoveryMetrics {
    pub(crate) file_read_errors: IntCounter,
    http_failures: IntCounter,
    refresh_failures: IntCounterVec,
    refresh_seconds: HistogramVec,
}

impl DiscoveryMetrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &Registry) -> Result<Self> {
        let of = ["config", "mechanism"];
        Ok(Self {
            file_read_errors: add(
                registry,
                IntCounter::new(
                    "prometheus_sd_file_read_errors_total",
                    "Target files that could not be read.",
                ),
            )?,
            http_failures: add(
                registry,
                IntCounter::new(
                    "prometheus_sd_http_failures_total",
                    "Lists of targets that a server did not give.",
                ),
            )?,
            refresh_failures: add(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "prometheus_sd_refresh_failures_total",
                        "Lists of targets that could not be got.",
                    ),
                    &of,
                ),
            )?,
            refresh_seconds: add(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "prometheus_sd_refresh_duration_histogram_seconds",
                        "How long it took to get a list of targets.",
                    )
                    .buckets(vec![0.01, 0.1, 1.0, 10.0]),
                    &of,
                ),
            )?,
        })
    }

    /// Removes the series of a set that is gone.
    pub(crate) fn forget(&self, set: &str) {
        // One that never asked a server has none to remove.
        let _ = self.refresh_failures.remove_label_values(&[set, "http"]);
        let _ = self.refresh_seconds.remove_label_values(&[set, "http"]);
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> Result<C> {
    let fail = |e: prometheus::Error| Error::internal(format!("cannot register metrics of discovery: {e}"));
    let metric = metric.map_err(fail)?;
    registry.register(Box::new(metric.clone())).map_err(fail)?;
    Ok(metric)
}

/// What providers work with.
#[derive(Clone)]
pub struct Sources {
    /// Where they count.
    pub metrics: DiscoveryMetrics,
    /// How they ask servers.
    pub transport: Arc<dyn Transport>,
    /// Whose targets they find, such as a job.
    pub set: String,
}

/// How targets are found.
pub(crate) struct Kinds<'a> {
    pub(crate) of_files: &'a [FileSdConfig],
    pub(crate) of_servers: &'a [HttpSdConfig],
    /// The configuration names these itself.
    pub(crate) named: &'a [TargetGroup],
}

/// The providers that a configuration asks for. Those of servers begin with the last lists that they gave.
pub(crate) fn providers(kinds: &Kinds<'_>, sources: &Sources, last: &LastLists) -> Vec<Box<dyn Provider>> {
    last.lock().retain(|url, _| kinds.of_servers.iter().any(|c| c.url == *url));
    let mut out: Vec<Box<dyn Provider>> = Vec::new();
    if !kinds.named.is_empty() {
        out.push(Box::new(StaticProvider::new(kinds.named.to_vec())));
    }
    for config in kinds.of_files {
        out.push(Box::new(FileProvider::new(config.clone(), sources.metrics.file_read_errors.clone())));
    }
    for config in kinds.of_servers {
        out.push(Box::new(HttpProvider::new(config.clone(), sources.clone(), Arc::clone(last))));
    }
    out
}
