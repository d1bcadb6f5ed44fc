//! Sending alerts to Alertmanagers.
//!
//! Owns a queue for each Alertmanager, its bounds and its counters. Does not find Alertmanagers and has no network: the
//! caller says which there are, and posts.

mod metrics;
mod queue;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Labels, LabelsBuilder, Result};
use parking_lot::{Mutex, RwLock};
use tokio::task::JoinSet;

use crate::limits::{self, DRAIN_TIMEOUT};
use crate::outside::{AlertPost, Relabel};
use crate::rule::Pairs;
use crate::state::ActiveAlert;
use metrics::SendMetrics;
use queue::Queue;

/// How alerts are sent.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// Alerts that may wait for one Alertmanager.
    pub queue_capacity: usize,
    /// Alerts in one request.
    pub batch_size: usize,
    /// Whether what still waits for an Alertmanager is sent when its queue ends; else it is dropped.
    pub drain: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            queue_capacity: limits::NOTIFICATION_QUEUE_CAPACITY,
            batch_size: limits::NOTIFICATION_BATCH_SIZE,
            drain: true,
        }
    }
}

/// An alert on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) labels: Labels,
    pub(crate) annotations: Pairs,
    pub(crate) starts_at_ms: i64,
    pub(crate) ends_at_ms: i64,
    pub(crate) generator_url: Arc<str>,
}

/// Alertmanagers that share a configuration.
#[derive(Clone)]
pub struct AlertmanagerSet {
    /// The same for sets whose configuration is the same: queues go on.
    pub id: u64,
    /// How long one request may take.
    pub timeout: Duration,
    /// What becomes of alerts for this set alone, after what is done for all.
    pub relabel: Option<Arc<dyn Relabel>>,
    /// Posts to its Alertmanagers.
    pub post: Arc<dyn AlertPost>,
    /// Those that are known where the set is a new one, until [`Notifier::set_targets`] says which there are.
    pub known: Alertmanagers,
}

/// The URLs of Alertmanagers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alertmanagers {
    /// Those that alerts are sent to.
    pub active: Vec<String>,
    /// Those that relabelling dropped.
    pub dropped: Vec<String>,
}

/// Sends alerts to the Alertmanagers that there are.
pub struct Notifier {
    options: SendOptions,
    clock: Arc<dyn Clock>,
    metrics: Arc<SendMetrics>,
    current: RwLock<Current>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Current {
    external_labels: Labels,
    relabel: Option<Arc<dyn Relabel>>,
    sets: Vec<Set>,
    stopped: bool,
}

struct Set {
    config: AlertmanagerSet,
    queues: BTreeMap<String, Arc<Queue>>,
    dropped: Vec<String>,
}

impl Notifier {
    /// A notifier that knows no Alertmanager yet.
    pub fn new(options: SendOptions, clock: Arc<dyn Clock>, registry: &prometheus::Registry) -> Result<Self> {
        let metrics = SendMetrics::register(registry).map_err(|e| {
            base::Error::internal(format!("cannot register the metrics of notifications: {e}"))
        })?;
        metrics.queue_capacity.set(options.queue_capacity as f64);
        let (metrics, current) = (Arc::new(metrics), RwLock::default());
        Ok(Self { options, clock, metrics, current, tasks: Mutex::default() })
    }

    /// Makes this the configuration. Sets that go on keep their Alertmanagers; others begin with those that are known, and get theirs by
    /// [`Notifier::set_targets`].
    pub fn apply(
        &self,
        external_labels: Labels,
        relabel: Option<Arc<dyn Relabel>>,
        sets: Vec<AlertmanagerSet>,
    ) {
        let mut current = self.current.write();
        if current.stopped {
            return;
        }
        let mut before = std::mem::take(&mut current.sets);
        for config in sets {
            let old = before.iter().position(|s| s.config.id == config.id);
            let set = match old {
                Some(at) => Set { config, ..before.swap_remove(at) },
                None => {
                    let known = config.known.clone();
                    let mut set = Set { config, queues: BTreeMap::new(), dropped: vec![] };
                    self.follow(&mut set, &known);
                    set
                }
            };
            current.sets.push(set);
        }
        current.external_labels = external_labels;
        current.relabel = relabel;
        for queue in before.iter().flat_map(|s| s.queues.values()) {
            queue.stop();
        }
        self.count(&current);
    }

    /// Says which Alertmanagers a set has. New ones get a queue; those of queues that are no longer needed are sent
    /// what waits, unless [`SendOptions::drain`] says otherwise.
    pub fn set_targets(&self, id: u64, found: &Alertmanagers) {
        let mut current = self.current.write();
        if current.stopped {
            return;
        }
        let Some(set) = current.sets.iter_mut().find(|s| s.config.id == id) else { return };
        self.follow(set, found);
        self.count(&current);
    }

    fn follow(&self, set: &mut Set, found: &Alertmanagers) {
        let wanted: BTreeSet<&String> = found.active.iter().collect();
        set.queues.retain(|url, queue| {
            let stays = wanted.contains(url);
            if !stays {
                queue.stop();
            }
            stays
        });
        for url in wanted {
            if !set.queues.contains_key(url) {
                let queue = Arc::new(Queue::new(url, &set.config, &self.options, Arc::clone(&self.metrics)));
                let clock = Arc::clone(&self.clock);
                let mut tasks = self.tasks.lock();
                while tasks.try_join_next().is_some() {}
                tasks.spawn(Arc::clone(&queue).run(clock));
                set.queues.insert(url.clone(), queue);
            }
        }
        set.dropped.clone_from(&found.dropped);
    }

    fn count(&self, current: &Current) {
        let n: usize = current.sets.iter().map(|s| s.queues.len()).sum();
        self.metrics.discovered.set(n as f64);
    }

    /// The Alertmanagers that there are.
    pub fn alertmanagers(&self) -> Alertmanagers {
        let current = self.current.read();
        Alertmanagers {
            active: current.sets.iter().flat_map(|s| s.queues.keys().cloned()).collect(),
            dropped: current.sets.iter().flat_map(|s| s.dropped.iter().cloned()).collect(),
        }
    }

    /// Hands over alerts of one rule.
    pub(crate) fn send_active(&self, query: &str, external_url: &str, alerts: Vec<ActiveAlert>) {
        if alerts.is_empty() {
            return;
        }
        let link: Arc<str> = format!("{external_url}/graph?g0.expr={}&g0.tab=1", query_escape(query)).into();
        let out = alerts.into_iter().map(|alert| Outgoing {
            starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
            ends_at_ms: alert.resolved_at_ms.unwrap_or(alert.valid_until_ms),
            labels: alert.labels,
            annotations: alert.annotations,
            generator_url: Arc::clone(&link),
        });
        self.send(out.collect());
    }

    fn send(&self, alerts: Vec<Outgoing>) {
        let current = self.current.read();
        let external = &current.external_labels;
        let labelled = |labels: &mut LabelsBuilder| {
            for (name, value) in external {
                if labels.get(name).is_empty() {
                    labels.set(name, value);
                }
            }
            current.relabel.as_ref().is_none_or(|r| r.relabel(labels))
        };
        let alerts: Vec<_> = alerts.into_iter().filter_map(|a| changed(a, &labelled)).map(Arc::new).collect();
        for set in &current.sets {
            let own = match &set.config.relabel {
                None => alerts.clone(),
                Some(relabel) => {
                    let change = |labels: &mut LabelsBuilder| relabel.relabel(labels);
                    let kept = alerts.iter().filter_map(|a| changed((**a).clone(), &change));
                    kept.map(Arc::new).collect()
                }
            };
            for queue in set.queues.values() {
                queue.add(&own);
            }
        }
    }

    /// Sends what waits, if it is to, for a limited time, and ends. Nothing is taken in any more.
    pub async fn stop(&self) {
        {
            let mut current = self.current.write();
            current.stopped = true;
            for queue in current.sets.iter().flat_map(|s| s.queues.values()) {
                queue.stop();
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
            tracing::warn!("alerts still wait for Alertmanagers that do not answer: they are dropped");
            tasks.shutdown().await;
        }
    }
}

/// The alert with other labels, unless these drop it.
fn changed(mut alert: Outgoing, change: &dyn Fn(&mut LabelsBuilder) -> bool) -> Option<Outgoing> {
    let mut labels = alert.labels.to_builder();
    if !change(&mut labels) {
        return None;
    }
    alert.labels = labels.build();
    Some(alert)
}

/// A text as a value in a URL's query, as Go writes it.
fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped_as_go_does() {
        assert_eq!(query_escape("up{job=\"a b\"} * 2 ~é"), "up%7Bjob%3D%22a+b%22%7D+%2A+2+~%C3%A9");
    }
}
