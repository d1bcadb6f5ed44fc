//! All groups: starting, changing and stopping them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Labels, Result};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::evaluate::mark_stale;
use crate::group::{Group, GroupView};
use crate::limits;
use crate::metrics::RuleMetrics;
use crate::outside::{Querier, SampleSink};
use crate::rule::GroupConfig;
use crate::runner;
use crate::send::Notifier;
use crate::state::millis;

/// What stays as it is while the process runs.
#[derive(Debug, Clone)]
pub struct RuleOptions {
    /// How long ago alerts may have been active to be restored; `--rules.alert.for-outage-tolerance`.
    pub for_outage_tolerance: Duration,
    /// The least time between a restoration and the alert's firing; `--rules.alert.for-grace-period`.
    pub for_grace_period: Duration,
    /// The least time between two sendings of the same alert; `--rules.alert.resend-delay`.
    pub resend_delay: Duration,
    /// Rules that are evaluated at the same time, over all groups, beyond one of each.
    pub concurrency: usize,
}

impl Default for RuleOptions {
    fn default() -> Self {
        Self {
            for_outage_tolerance: Duration::from_secs(3600),
            for_grace_period: Duration::from_secs(600),
            resend_delay: Duration::from_secs(60),
            concurrency: limits::CONCURRENT_EVALS,
        }
    }
}

/// What the configuration says for all groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Time between two evaluations of a group that does not say its own.
    pub evaluation_interval: Duration,
    /// How far back the rules of a group look that does not say.
    pub query_offset: Duration,
    /// Labels of this server, for templates.
    pub external_labels: Labels,
    /// Where people reach this server, without a slash at its end.
    pub external_url: String,
}

/// What evaluations share.
pub(crate) struct Context {
    pub(crate) querier: Arc<dyn Querier>,
    pub(crate) sink: Arc<dyn SampleSink>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: RuleOptions,
    pub(crate) metrics: RuleMetrics,
    pub(crate) places: Semaphore,
    /// Those that run, in order of file and name.
    groups: RwLock<Vec<Arc<Group>>>,
}

impl Context {
    /// Every series that rules wrote at their last evaluation.
    pub(crate) fn live_series(&self) -> HashSet<Labels> {
        let groups = self.groups.read();
        groups.iter().flat_map(|g| &g.rules).flat_map(|r| r.previous.lock().clone()).collect()
    }
}

/// Runs rule groups.
pub struct RuleManager {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<String, Running>,
    /// Tasks that mark the series of removed groups as stale, later.
    endings: JoinSet<()>,
    /// Whether a configuration was applied before: only the first one finds alerts from before the process.
    applied: bool,
    stopped: bool,
}

struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(group: Arc<Group>, context: &Arc<Context>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let interval = group.interval.as_secs_f64();
        context.metrics.begin(&group.key, group.rules.len(), interval);
        let task = tokio::spawn(runner::run(Arc::clone(&group), Arc::clone(context), stopped));
        Self { group, stop, task }
    }

    /// Ends the loop once its evaluation has come to a point where it can.
    async fn stop(self) -> Arc<Group> {
        self.stop.send_replace(true);
        if let Err(e) = self.task.await {
            tracing::error!(group = self.group.key, error = %e, "a rule group ended by a defect");
        }
        self.group
    }
}

impl RuleManager {
    /// A manager without groups.
    pub fn new(
        querier: Arc<dyn Querier>,
        sink: Arc<dyn SampleSink>,
        notifier: Arc<Notifier>,
        clock: Arc<dyn Clock>,
        options: RuleOptions,
        registry: &prometheus::Registry,
    ) -> Result<Self> {
        let metrics = RuleMetrics::register(registry)
            .map_err(|e| base::Error::internal(format!("cannot register the metrics of rules: {e}")))?;
        let places = Semaphore::new(options.concurrency.max(1));
        let groups = RwLock::default();
        let context = Context { querier, sink, notifier, clock, options, metrics, places, groups };
        Ok(Self { context: Arc::new(context), state: Mutex::default() })
    }

    /// Makes these the groups that run. One that stays the same goes on as it is; one that changed goes on with the
    /// state of its rules; the series of one that is gone are marked stale two intervals later, so that they can go
    /// on elsewhere.
    pub async fn apply(&self, groups: Vec<GroupConfig>, terms: Terms) {
        let mut state = self.state.lock().await;
        if state.stopped {
            return;
        }
        let (terms, restores) = (Arc::new(terms), !state.applied);
        state.applied = true;
        let mut before = std::mem::take(&mut state.running);
        let mut changed = Vec::new();
        for config in groups {
            let key = config.key();
            match before.remove(&key) {
                Some(running) if running.group.same_as(&config, &terms) => {
                    state.running.insert(key, running);
                }
                old => changed.push((config, old)),
            }
        }
        // All are told before any is waited for.
        for running in changed.iter().filter_map(|(_, old)| old.as_ref()).chain(before.values()) {
            running.stop.send_replace(true);
        }
        for (config, old) in changed {
            let old = match old {
                Some(old) => Some(old.stop().await),
                None => None,
            };
            // A reload soon after the start must not forget what was before it.
            let restores = restores || old.as_ref().is_some_and(|old| old.awaits_restoration());
            let group = Arc::new(Group::new(config, Arc::clone(&terms), restores));
            if let Some(old) = old {
                group.take_over(&old);
            }
            state.running.insert(group.key.clone(), Running::start(group, &self.context));
        }
        for (key, running) in before {
            let group = running.stop().await;
            self.context.metrics.forget(&key);
            let now_ms = self.context.clock.now_ms();
            state.endings.spawn(end(group, Arc::clone(&self.context), now_ms));
        }
        while state.endings.try_join_next().is_some() {}
        let mut groups: Vec<_> = state.running.values().map(|r| Arc::clone(&r.group)).collect();
        groups.sort_by(|a, b| (&a.config.file, &a.config.name).cmp(&(&b.config.file, &b.config.name)));
        *self.context.groups.write() = groups;
    }

    /// Stops all groups; their series stay as they are, to go on after a restart.
    pub async fn stop(&self) {
        let mut state = self.state.lock().await;
        state.stopped = true;
        let running = std::mem::take(&mut state.running);
        for group in running.values() {
            group.stop.send_replace(true);
        }
        for group in running.into_values() {
            group.stop().await;
        }
        state.endings.shutdown().await;
    }

    /// The groups, in order of file and name, as of now.
    pub fn groups(&self) -> Vec<GroupView> {
        let groups = self.context.groups.read().clone();
        groups.iter().map(|g| g.view()).collect()
    }
}

/// Marks the series of a removed group as stale, unless others have taken them over meanwhile.
async fn end(group: Arc<Group>, context: Arc<Context>, removed_ms: i64) {
    tokio::time::sleep(2 * group.interval).await;
    let t_ms = removed_ms - millis(group.query_offset);
    mark_stale(&group, &context, group.series(), t_ms).await;
}
