//! The queues of all endpoints: follows the configuration, and keeps queues that did not change.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use base::{Clock, Error, Labels, Result};
use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use prometheus::{Gauge, IntCounter, Registry};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::acks::Acks;
use super::config::RemoteWriteConfig;
use super::metrics::QueueMetrics;
use super::queue::Queue;
use super::rate::Events;
use super::readers::{self, metric_name};
use super::shard::Shared;
use super::{Appended, Feed, Post};
use crate::limits::REMOTE_WRITE_RELOAD_FLUSH;

/// How often the metrics of what comes in are brought up to date.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);

/// What remote write works with.
pub struct RemoteWriteOptions {
    /// Where samples come from.
    pub feed: Arc<dyn Feed>,
    /// How requests are made.
    pub post: Arc<dyn Post>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where metrics go.
    pub registry: Registry,
}

/// Sends samples to the endpoints of the configuration.
pub struct RemoteWrite {
    options: RemoteWriteOptions,
    /// `None` once stopped. Held while a configuration is applied.
    running: tokio::sync::Mutex<Option<Running>>,
    views: RwLock<Vec<(String, Arc<Shared>)>>,
    incoming: JoinHandle<()>,
}

#[derive(Default)]
struct Running {
    external: Labels,
    /// By the name under which the log knows them.
    queues: BTreeMap<String, Queue>,
}

/// An endpoint as pages show it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointView {
    /// Its name in metrics.
    pub name: String,
    /// Its address, without a password.
    pub url: String,
    /// Shards that there are.
    pub shards: i64,
    /// Samples, histograms and exemplars that wait in shards.
    pub pending: i64,
    /// Those that were refused for good.
    pub failed: u64,
    /// The newest time of a sample that was sent, in seconds since 1970; zero if there is none.
    pub highest_sent_seconds: f64,
    /// By how much that is older than the newest sample of the store; `None` if nothing was sent while there was something to send.
    pub behind_seconds: Option<f64>,
    /// Why something was last not taken, and when, in milliseconds since 1970.
    pub last_error: Option<(i64, String)>,
}

impl RemoteWrite {
    /// Without endpoints yet.
    pub fn new(options: RemoteWriteOptions) -> Result<Self> {
        let incoming = Incoming::register(&options.registry)?;
        let incoming = tokio::spawn(incoming.run(options.feed.clone()));
        let running = tokio::sync::Mutex::new(Some(Running::default()));
        Ok(Self { options, running, views: RwLock::default(), incoming })
    }

    /// Makes the queues follow these configurations. Queues that stay the same run on; others are stopped, and those that take their
    /// place go on where they were. With a configuration that cannot be, nothing changes.
    pub async fn apply(&self, configs: Vec<RemoteWriteConfig>, external: &Labels) -> Result<()> {
        if let Some(at) = (1..configs.len()).find(|at| configs[..*at].contains(&configs[*at])) {
            return Err(Error::invalid(format!(
                "duplicate remote write configs are not allowed, found duplicate for URL: {}",
                redacted(&configs[at].url)
            )));
        }
        let mut guard = self.running.lock().await;
        let running = guard
            .as_mut()
            .ok_or_else(|| Error::unavailable("cannot apply remote write configurations: it is stopped"))?;
        let feed = Arc::clone(&self.options.feed);
        let known = aside(move || Ok(feed.readers())).await?;
        let runs: Vec<_> = running.queues.iter().map(|(id, q)| (id.as_str(), &q.shared.config)).collect();
        let wanted = readers::assign(configs, &runs, &known);
        let stays = |id: &String, queue: &Queue| {
            running.external == *external && wanted.get(id) == Some(&queue.shared.config)
        };
        let goes: Vec<String> =
            running.queues.iter().filter(|(id, q)| !stays(id, q)).map(|(id, _)| id.clone()).collect();
        let gone: Vec<Queue> = goes.iter().filter_map(|id| running.queues.remove(id)).collect();
        self.publish(running);
        join_all(gone.into_iter().map(|queue| queue.stop(REMOTE_WRITE_RELOAD_FLUSH))).await;
        running.external = external.clone();
        let mut result = Ok(());
        for reader in known.into_iter().filter(|r| !wanted.contains_key(r)) {
            tracing::info!(reader, "remote write: an endpoint is gone, and what was kept for it goes");
            let feed = Arc::clone(&self.options.feed);
            result = result.and(aside(move || feed.forget(&reader)).await);
        }
        for (id, config) in wanted {
            let Entry::Vacant(place) = running.queues.entry(id) else { continue };
            // One that cannot start, or be forgotten, does not keep the others from running.
            match self.start(place.key(), config, external).await {
                Ok(queue) => {
                    place.insert(queue);
                }
                Err(e) => result = result.and(Err(e.context("cannot start remote write"))),
            }
        }
        self.publish(running);
        result
    }

    async fn start(&self, id: &str, config: RemoteWriteConfig, external: &Labels) -> Result<Queue> {
        let o = &self.options;
        let name = metric_name(id, &config);
        let metrics = QueueMetrics::register(&o.registry, &name, &redacted(&config.url), &config.queue)?;
        let (feed, reader, exemplars) = (Arc::clone(&o.feed), id.to_owned(), config.send_exemplars);
        let open =
            aside(move || feed.open(&reader, exemplars)).await.inspect_err(|_| metrics.unregister())?;
        let shared = Shared {
            config,
            metrics,
            clock: o.clock.clone(),
            post: o.post.clone(),
            acks: Mutex::new(Acks::default()),
            done: watch::Sender::new(None),
            metadata: RwLock::default(),
            out: Events::default(),
            dropped: Events::default(),
            send_micros: Events::default(),
            // Nothing was sent yet.
            last_send_ms: AtomicI64::new(i64::MIN / 2),
            last_error: Mutex::default(),
            reshard_from_ms: AtomicI64::new(0),
        };
        Ok(Queue::start(shared, open, &o.feed, id.to_owned(), external.clone()))
    }

    fn publish(&self, running: &Running) {
        let view = |(id, q): (&String, &Queue)| (metric_name(id, &q.shared.config), q.shared.clone());
        *self.views.write() = running.queues.iter().map(view).collect();
    }

    /// The endpoints, as they are now.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        let highest_ms = self.options.feed.appended().highest_ms;
        let view = |(name, shared): &(String, Arc<Shared>)| {
            let m = &shared.metrics;
            let sent_seconds = m.highest_sent.seconds();
            let behind_seconds = match sent_seconds > 0.0 {
                true => Some((highest_ms as f64 / 1000.0 - sent_seconds).max(0.0)),
                false => (highest_ms == 0).then_some(0.0),
            };
            EndpointView {
                name: name.clone(),
                url: redacted(&shared.config.url),
                shards: m.shards.get(),
                pending: m.pending.total(),
                failed: m.failed.samples.get() + m.failed.histograms.get() + m.failed.exemplars.get(),
                highest_sent_seconds: sent_seconds,
                behind_seconds,
                last_error: shared.last_error.lock().clone(),
            }
        };
        self.views.read().iter().map(view).collect()
    }

    /// Sends what the log has by now, for at most so long. What is not sent by then, or to an endpoint that is away, stays in the log for
    /// the next start.
    pub async fn stop(&self, deadline: Duration) {
        let running = self.running.lock().await.take().unwrap_or_default();
        self.views.write().clear();
        join_all(running.queues.into_values().map(|queue| queue.stop(deadline))).await;
        self.incoming.abort();
    }
}

/// Does what waits for files where nothing else waits for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::internal(format!("cannot use the log for remote write: {e}"))),
    }
}

/// An address without its password, as Go writes it.
fn redacted(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // An address with a password has a host, so it can take another one.
            let _ = parsed.set_password(Some("xxxxx"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

/// What comes in, for all endpoints together.
struct Incoming {
    samples: IntCounter,
    histograms: IntCounter,
    highest: Gauge,
}

impl Incoming {
    fn register(registry: &Registry) -> Result<Self> {
        let fail =
            |e: prometheus::Error| Error::internal(format!("cannot register metrics of remote write: {e}"));
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("prometheus_remote_storage_{name}"), help).map_err(fail)?;
            registry.register(Box::new(counter.clone())).map_err(fail)?;
            Ok::<_, Error>(counter)
        };
        let highest = Gauge::new(
            "prometheus_remote_storage_highest_timestamp_in_seconds",
            "The newest time of a sample that was stored, in seconds since 1970.",
        )
        .map_err(fail)?;
        registry.register(Box::new(highest.clone())).map_err(fail)?;
        Ok(Self {
            samples: counter(
                "samples_in_total",
                "Samples that were stored, to be compared with those sent.",
            )?,
            histograms: counter("histograms_in_total", "Histograms that were stored, likewise.")?,
            highest,
        })
    }

    async fn run(self, feed: Arc<dyn Feed>) {
        let mut ticks = tokio::time::interval(METRICS_INTERVAL);
        loop {
            ticks.tick().await;
            let Appended { samples, histograms, highest_ms } = feed.appended();
            self.samples.inc_by(samples.saturating_sub(self.samples.get()));
            self.histograms.inc_by(histograms.saturating_sub(self.histograms.get()));
            self.highest.set(highest_ms.div_euclid(1000) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(redacted("http://user:secret@h/api"), "http://user:xxxxx@h/api");
        assert_eq!(redacted("http://h/api"), "http://h/api");
    }
}
