//! Metrics of scraping itself, with Prometheus' names.

use base::{Error, Result};
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::quantiles::QuantileVec;
use crate::discovery::DiscoveryMetrics;

/// Counters and gauges that all pools and loops share.
#[derive(Clone)]
pub struct ScrapeMetrics {
    pub(super) interval_length: QuantileVec,
    pub(super) pool_targets: IntGaugeVec,
    pub(super) pool_target_limit: IntGaugeVec,
    pub(super) pool_syncs: IntCounterVec,
    pub(super) pool_reloads: IntCounter,
    pub(super) pools_created: IntCounter,
    pub(super) target_sync_failed: IntCounterVec,
    pub(super) exceeded_target_limit: IntCounter,
    pub(super) exceeded_sample_limit: IntCounter,
    pub(super) exceeded_bucket_limit: IntCounter,
    pub(super) not_converted: IntCounter,
    pub(super) exceeded_body_size_limit: IntCounter,
    pub(super) exceeded_label_limits: IntCounter,
    pub(super) duplicate_timestamp: IntCounter,
    pub(super) out_of_bounds: IntCounter,
    pub(super) append_failed: IntCounter,
    pub(crate) discovery: DiscoveryMetrics,
}

impl ScrapeMetrics {
    /// Creates the metrics and registers them.
    pub fn new(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        let counters = |name: &str, help: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &["scrape_job"]))
        };
        let gauges = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), &["scrape_job"]))
        };
        Ok(Self {
            interval_length: register(
                registry,
                QuantileVec::new(
                    "prometheus_target_interval_length_seconds",
                    "Actual intervals between scrapes.",
                    "interval",
                ),
            )?,
            pool_targets: gauges("prometheus_target_scrape_pool_targets", "Targets of the scrape pool.")?,
            pool_target_limit: gauges(
                "prometheus_target_scrape_pool_target_limit",
                "Targets that the scrape pool may have; zero means any number.",
            )?,
            pool_syncs: counters("prometheus_target_scrape_pool_sync_total", "Syncs of the scrape pool.")?,
            pool_reloads: counter("prometheus_target_scrape_pool_reloads_total", "Reloads of scrape pools.")?,
            pools_created: counter("prometheus_target_scrape_pools_total", "Scrape pools created.")?,
            target_sync_failed: counters(
                "prometheus_target_sync_failed_total",
                "Label sets of discovery that could not be made a target.",
            )?,
            exceeded_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Syncs at which a scrape pool had more targets than its limit.",
            )?,
            exceeded_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Scrapes rejected for having more samples than the limit.",
            )?,
            exceeded_bucket_limit: counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Scrapes rejected for a native histogram with more buckets than the limit.",
            )?,
            not_converted: counter(
                "bellwether_target_scrapes_histograms_not_converted_total",
                "Classic histograms that contradict themselves and so became no native ones.",
            )?,
            exceeded_body_size_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Scrapes rejected for a body larger than the limit.",
            )?,
            exceeded_label_limits: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Scrapes rejected for label sets beyond a limit.",
            )?,
            duplicate_timestamp: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Samples left out because their series came twice in one scrape.",
            )?,
            out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Samples left out because their timestamp lies too far ahead.",
            )?,
            append_failed: counter(
                "bellwether_target_scrapes_append_failed_total",
                "Scrapes whose samples the store did not take.",
            )?,
            discovery: DiscoveryMetrics::register(registry)?,
        })
    }

    /// Removes the series of a pool that is gone.
    pub(super) fn forget_pool(&self, job: &str) {
        // A pool that never got as far as a metric has none to remove.
        let _ = self.pool_targets.remove_label_values(&[job]);
        let _ = self.pool_target_limit.remove_label_values(&[job]);
        let _ = self.pool_syncs.remove_label_values(&[job]);
        let _ = self.target_sync_failed.remove_label_values(&[job]);
        self.discovery.forget(job);
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> Result<C> {
    let fail = |e: prometheus::Error| Error::internal(format!("cannot register metrics of scraping: {e}"));
    let metric = metric.map_err(fail)?;
    registry.register(Box::new(metric.clone())).map_err(fail)?;
    Ok(metric)
}
