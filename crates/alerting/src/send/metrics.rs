//! What the program tells about sending alerts, under Prometheus' names.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use crate::metrics::Made;
use crate::quantiles::Quantiles;

const ALERTMANAGER: &str = "alertmanager";

/// Metrics of notifications.
pub(super) struct SendMetrics {
    pub(super) latency: Quantiles,
    pub(super) latency_histogram: HistogramVec,
    pub(super) errors: IntCounterVec,
    pub(super) sent: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) queue_length: IntGaugeVec,
    pub(super) queue_capacity: Gauge,
    pub(super) discovered: Gauge,
    /// How many queues each Alertmanager has: two where several sets name it, or while one that is replaced drains.
    queues: Mutex<BTreeMap<String, usize>>,
}

impl SendMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let r = Made { registry };
        let by = &[ALERTMANAGER];
        let histogram = HistogramVec::new(
            HistogramOpts::new(
                "prometheus_notifications_latency_histogram_seconds",
                "Latency histogram for sending alert notifications.",
            )
            .buckets(vec![0.01, 0.1, 1.0, 10.0]),
            by,
        )?;
        registry.register(Box::new(histogram.clone()))?;
        Ok(Self {
            latency: r.summary_by(
                "prometheus_notifications_latency_seconds",
                "Latency quantiles for sending alert notifications.",
                ALERTMANAGER,
                &[0.5, 0.9, 0.99],
            )?,
            latency_histogram: histogram,
            errors: r.counters_by(
                "prometheus_notifications_errors_total",
                "Total number of sent alerts affected by errors.",
                by,
            )?,
            sent: r.counters_by("prometheus_notifications_sent_total", "Total number of alerts sent.", by)?,
            dropped: r.counters_by(
                "prometheus_notifications_dropped_total",
                "Total number of alerts dropped due to errors when sending to Alertmanager.",
                by,
            )?,
            queue_length: r.int_gauges_by(
                "prometheus_notifications_queue_length",
                "The number of alert notifications in the queue.",
                by,
            )?,
            queue_capacity: r.gauge(
                "prometheus_notifications_queue_capacity",
                "The capacity of the alert notifications queue.",
            )?,
            discovered: r.gauge(
                "prometheus_notifications_alertmanagers_discovered",
                "The number of alertmanagers discovered and active.",
            )?,
            queues: Mutex::default(),
        })
    }

    /// Shows an Alertmanager before anything is sent to it.
    pub(super) fn begin(&self, url: &str) {
        *self.queues.lock().entry(url.to_owned()).or_default() += 1;
        for counters in [&self.errors, &self.sent, &self.dropped] {
            counters.with_label_values(&[url]);
        }
        self.queue_length.with_label_values(&[url]);
    }

    /// Ends what [`SendMetrics::begin`] began, and forgets an Alertmanager that is no longer sent to.
    pub(super) fn end(&self, url: &str) {
        let mut queues = self.queues.lock();
        if let Some(count) = queues.get_mut(url).filter(|count| **count > 1) {
            *count -= 1;
            return;
        }
        queues.remove(url);
        self.latency.forget(url);
        let url = &[url];
        // What was never shown cannot be removed, which is as well.
        let _ = self.latency_histogram.remove_label_values(url);
        for counters in [&self.errors, &self.sent, &self.dropped] {
            let _ = counters.remove_label_values(url);
        }
        let _ = self.queue_length.remove_label_values(url);
    }
}
