//! What a queue tells of itself, under Prometheus' names.

use base::{Error, Result};
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::batch::Counts;
use super::config::QueueConfig;

/// A gauge that only grows, as times that come in any order make it.
#[derive(Clone)]
pub(super) struct Highest(Gauge);

impl Highest {
    pub(super) fn note_ms(&self, t_ms: i64) {
        let seconds = t_ms.div_euclid(1000) as f64;
        // Shards race here; what the gauge shows is one of the last values, and it is never read back for a decision that matters.
        if seconds > self.0.get() {
            self.0.set(seconds);
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.0.get()
    }
}

/// One counter for each kind of sample.
pub(super) struct ByKind<C> {
    pub(super) samples: C,
    pub(super) histograms: C,
    pub(super) exemplars: C,
}

impl ByKind<IntCounter> {
    pub(super) fn add(&self, counts: Counts) {
        self.samples.inc_by(counts.samples);
        self.histograms.inc_by(counts.histograms);
        self.exemplars.inc_by(counts.exemplars);
    }
}

impl ByKind<IntCounterVec> {
    pub(super) fn add(&self, reason: &str, counts: Counts) {
        let kinds = [
            (&self.samples, counts.samples),
            (&self.histograms, counts.histograms),
            (&self.exemplars, counts.exemplars),
        ];
        for (counter, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            counter.with_label_values(&[reason]).inc_by(count);
        }
    }
}

impl ByKind<IntGauge> {
    pub(super) fn add(&self, counts: Counts) {
        self.samples.add(gauge(counts.samples));
        self.histograms.add(gauge(counts.histograms));
        self.exemplars.add(gauge(counts.exemplars));
    }

    pub(super) fn sub(&self, counts: Counts) {
        self.samples.sub(gauge(counts.samples));
        self.histograms.sub(gauge(counts.histograms));
        self.exemplars.sub(gauge(counts.exemplars));
    }

    pub(super) fn set_zero(&self) {
        [&self.samples, &self.histograms, &self.exemplars].into_iter().for_each(|gauge| gauge.set(0));
    }

    /// All of them.
    pub(super) fn total(&self) -> i64 {
        self.samples.get() + self.histograms.get() + self.exemplars.get()
    }
}

fn gauge(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The metrics of one queue, registered until [`QueueMetrics::unregister`].
pub(super) struct QueueMetrics {
    pub(super) sent: ByKind<IntCounter>,
    pub(super) failed: ByKind<IntCounter>,
    pub(super) retried: ByKind<IntCounter>,
    pub(super) dropped: ByKind<IntCounterVec>,
    pub(super) pending: ByKind<IntGauge>,
    pub(super) metadata_sent: IntCounter,
    pub(super) metadata_failed: IntCounter,
    pub(super) metadata_retried: IntCounter,
    pub(super) enqueue_retries: IntCounter,
    pub(super) sent_batch_seconds: Histogram,
    pub(super) highest: Highest,
    pub(super) highest_sent: Highest,
    pub(super) shards: IntGauge,
    pub(super) shards_desired: Gauge,
    pub(super) bytes: IntCounter,
    pub(super) metadata_bytes: IntCounter,
    pub(super) refused_again: IntCounter,
    pub(super) log_behind_bytes: IntGauge,
    pub(super) log_lost_files: IntCounter,
    pub(super) restarts: IntCounter,
    registry: Registry,
    registered: Mutex<Vec<Box<dyn Collector>>>,
}

/// Why samples were dropped before they were sent.
pub(super) mod reason {
    pub(in super::super) const TOO_OLD: &str = "too_old";
    pub(in super::super) const DROPPED_SERIES: &str = "dropped_series";
    pub(in super::super) const UNKNOWN_SERIES: &str = "unintentionally_dropped_series";
    pub(in super::super) const CUSTOM_BUCKETS: &str = "nhcb_in_rw1_not_supported";
}

/// Makes and registers metrics that all carry the same labels.
struct Maker<'a> {
    registry: &'a Registry,
    name: &'a str,
    url: &'a str,
    made: Vec<Box<dyn Collector>>,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).const_label("remote_name", self.name).const_label("url", self.url)
    }

    fn register<C: Collector + Clone + 'static>(&mut self, metric: prometheus::Result<C>) -> Result<C> {
        let fail =
            |e: prometheus::Error| Error::internal(format!("cannot register metrics of remote write: {e}"));
        let metric = metric.map_err(fail)?;
        if let Err(e) = self.registry.register(Box::new(metric.clone())) {
            unregister(self.registry, std::mem::take(&mut self.made));
            return Err(fail(e));
        }
        self.made.push(Box::new(metric.clone()));
        Ok(metric)
    }

    fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        let opts = self.opts(&format!("prometheus_remote_storage_{name}"), help);
        self.register(IntCounter::with_opts(opts))
    }

    fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge> {
        let opts = self.opts(&format!("prometheus_remote_storage_{name}"), help);
        self.register(IntGauge::with_opts(opts))
    }

    fn highest(&mut self, name: &str, help: &str) -> Result<Highest> {
        let opts = self.opts(&format!("prometheus_remote_storage_{name}"), help);
        self.register(Gauge::with_opts(opts)).map(Highest)
    }

    fn counters(&mut self, what: &str, help: &str) -> Result<ByKind<IntCounter>> {
        Ok(ByKind {
            samples: self.counter(&format!("samples{what}"), &format!("Samples that {help}"))?,
            histograms: self.counter(&format!("histograms{what}"), &format!("Histograms that {help}"))?,
            exemplars: self.counter(&format!("exemplars{what}"), &format!("Exemplars that {help}"))?,
        })
    }

    fn dropped(&mut self, what: &str) -> Result<IntCounterVec> {
        let help = format!(
            "{what} that were read from the log and not sent: relabelling dropped them, they are too old, or their series is unknown."
        );
        let name = format!("prometheus_remote_storage_{}_dropped_total", what.to_lowercase());
        let opts = self.opts(&name, &help);
        self.register(IntCounterVec::new(opts, &["reason"]))
    }

    fn pending(&mut self, what: &str) -> Result<IntGauge> {
        let help = format!("{what} that wait in the shards to be sent.");
        self.gauge(&format!("{}_pending", what.to_lowercase()), &help)
    }

    fn config(&mut self, config: &QueueConfig) -> Result<()> {
        let set = |gauge: IntGauge, n: usize| gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        set(self.gauge("shard_capacity", "Samples that may wait in one shard.")?, config.capacity);
        set(self.gauge("shards_max", "The largest number of shards that there may be.")?, config.max_shards);
        set(self.gauge("shards_min", "The smallest number of shards that there may be.")?, config.min_shards);
        set(
            self.gauge("max_samples_per_send", "Samples that one request may have.")?,
            config.max_samples_per_send,
        );
        Ok(())
    }
}

impl QueueMetrics {
    pub(super) fn register(registry: &Registry, name: &str, url: &str, config: &QueueConfig) -> Result<Self> {
        let mut m = Maker { registry, name, url, made: Vec::new() };
        m.config(config)?;
        let mut buckets = prometheus::DEFAULT_BUCKETS.to_vec();
        buckets.extend([25.0, 60.0, 120.0, 300.0]);
        let opts = m.opts(
            "prometheus_remote_storage_sent_batch_duration_seconds",
            "Seconds that requests to the endpoint took.",
        );
        let sent_batch_seconds =
            m.register(Histogram::with_opts(HistogramOpts { common_opts: opts, buckets }))?;
        let desired = m.opts(
            "prometheus_remote_storage_shards_desired",
            "How many shards the rates of samples in and out ask for.",
        );
        let shards_desired = m.register(Gauge::with_opts(desired))?;
        shards_desired.set(config.min_shards as f64);
        let behind = m.opts(
            "bellwether_remote_write_log_behind_bytes",
            "Bytes of the write-ahead log whose samples are not sent yet.",
        );
        let lost = m.opts(
            "bellwether_remote_write_log_lost_files_total",
            "Files of the write-ahead log that were dropped, being beyond the limits, before all of their samples were sent.",
        );
        let again = m.opts(
            "bellwether_remote_write_repeated_samples_refused_total",
            "Samples that were sent again after a restart and refused: the endpoint had them.",
        );
        let restarts = m.opts(
            "bellwether_remote_write_queue_restarts_total",
            "Times at which the queue failed by a fault of this program and began anew where all was sent.",
        );
        Ok(Self {
            sent: m.counters("_total", "were sent, repetitions included.")?,
            failed: m.counters("_failed_total", "the endpoint refused for good.")?,
            retried: m.counters("_retried_total", "were sent again after an error that may pass.")?,
            dropped: ByKind {
                samples: m.dropped("Samples")?,
                histograms: m.dropped("Histograms")?,
                exemplars: m.dropped("Exemplars")?,
            },
            pending: ByKind {
                samples: m.pending("Samples")?,
                histograms: m.pending("Histograms")?,
                exemplars: m.pending("Exemplars")?,
            },
            metadata_sent: m.counter("metadata_total", "Descriptions of metrics that were sent.")?,
            metadata_failed: m
                .counter("metadata_failed_total", "Descriptions of metrics that were refused for good.")?,
            metadata_retried: m
                .counter("metadata_retried_total", "Descriptions of metrics that were sent again.")?,
            enqueue_retries: m
                .counter("enqueue_retries_total", "Times at which a sample had to wait for a full shard, or for records of the log that are under way.")?,
            sent_batch_seconds,
            highest: m.highest(
                "queue_highest_timestamp_seconds",
                "The newest time of a sample that was put into a shard, in seconds since 1970.",
            )?,
            highest_sent: m.highest(
                "queue_highest_sent_timestamp_seconds",
                "The newest time of a sample that was sent, in seconds since 1970.",
            )?,
            shards: m.gauge("shards", "Shards that there are.")?,
            shards_desired,
            bytes: m.counter("bytes_total", "Bytes of requests with samples, compressed.")?,
            metadata_bytes: m
                .counter("metadata_bytes_total", "Bytes of requests with descriptions, compressed.")?,
            refused_again: m.register(IntCounter::with_opts(again))?,
            log_behind_bytes: m.register(IntGauge::with_opts(behind))?,
            log_lost_files: m.register(IntCounter::with_opts(lost))?,
            restarts: m.register(IntCounter::with_opts(restarts))?,
            registry: registry.clone(),
            registered: Mutex::new(m.made),
        })
    }

    /// Takes the metrics out of the registry: a queue that takes the place of this one has some of the same names and labels.
    pub(super) fn unregister(&self) {
        unregister(&self.registry, std::mem::take(&mut *self.registered.lock()));
    }
}

fn unregister(registry: &Registry, metrics: Vec<Box<dyn Collector>>) {
    for metric in metrics {
        // It was registered, so it is there.
        let _ = registry.unregister(metric);
    }
}
