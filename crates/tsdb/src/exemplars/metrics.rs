//! Metrics of exemplars, under Prometheus' names where it has them.

use base::{Error, Result};
use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use super::ring::Ring;

pub(super) struct ExemplarMetrics {
    pub(super) appended: IntCounter,
    pub(super) out_of_order: IntCounter,
    pub(super) invalid: IntCounter,
    pub(super) beyond_burst: IntCounter,
    in_memory: IntGauge,
    series: IntGauge,
    next_to_go_seconds: Gauge,
    max: IntGauge,
}

impl ExemplarMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        Self::try_register(registry)
            .map_err(|e| Error::internal(format!("cannot register metrics of exemplars: {e}")))
    }

    fn try_register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            appended: IntCounter::new(
                "prometheus_tsdb_exemplar_exemplars_appended_total",
                "Total number of appended exemplars.",
            )?,
            out_of_order: IntCounter::new(
                "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                "Total number of out of order exemplar ingestion failed attempts.",
            )?,
            invalid: IntCounter::new(
                "bellwether_exemplars_invalid_total",
                "Exemplars refused because of the length of their labels, or because their time cannot be stored or lies too far ahead.",
            )?,
            beyond_burst: IntCounter::new(
                "bellwether_exemplars_beyond_burst_total",
                "Exemplars refused because others that came with them have as many bytes as one append may store.",
            )?,
            in_memory: IntGauge::new(
                "prometheus_tsdb_exemplar_exemplars_in_storage",
                "Number of exemplars kept in memory.",
            )?,
            series: IntGauge::new(
                "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
                "Number of series with exemplars in memory.",
            )?,
            next_to_go_seconds: Gauge::new(
                "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
                "The timestamp of the exemplar in memory that the next one replaces.",
            )?,
            max: IntGauge::new(
                "prometheus_tsdb_exemplar_max_exemplars",
                "Number of exemplars that may be in memory.",
            )?,
        };
        registry.register(Box::new(metrics.appended.clone()))?;
        registry.register(Box::new(metrics.out_of_order.clone()))?;
        registry.register(Box::new(metrics.invalid.clone()))?;
        registry.register(Box::new(metrics.beyond_burst.clone()))?;
        registry.register(Box::new(metrics.in_memory.clone()))?;
        registry.register(Box::new(metrics.series.clone()))?;
        registry.register(Box::new(metrics.next_to_go_seconds.clone()))?;
        registry.register(Box::new(metrics.max.clone()))?;
        Ok(metrics)
    }

    pub(super) fn show(&self, ring: &Ring) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.in_memory.set(gauge(ring.len()));
        self.series.set(gauge(ring.series_len()));
        self.max.set(gauge(ring.capacity()));
        self.next_to_go_seconds.set(ring.next_to_go_ms().map_or(0.0, |t| t as f64 / 1000.0));
    }
}
