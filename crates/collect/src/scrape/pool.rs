//! The pool of one scrape configuration.
//!
//! Owns the providers of its targets and one loop for each target, and keeps both as the configuration and discovery
//! say. A target that stays keeps its loop; one whose loop has to change hands its live series to the next loop; the
//! series of one that goes are marked stale.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Error, Labels};
use futures::future::join_all;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::metadata::MetadataCache;
use super::runner::{Context, Handover, Runner, Status};
use crate::config::{ScrapeConfig, TargetGroup};
use crate::discovery::{Kinds, LastLists, Provider, Sources, providers};
use crate::limits::{DROPPED_TARGETS_MAX, FIRST_LIST_WAIT, POOL_TARGETS_MAX};
use crate::target::{Populated, Target, TargetIdentity, populate};

/// Handle of a running pool.
pub(super) struct Pool {
    pub(super) view: Arc<RwLock<PoolView>>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// What the targets page shows of a pool.
#[derive(Default)]
pub(super) struct PoolView {
    pub(super) active: Vec<ActiveView>,
    pub(super) dropped: Vec<Labels>,
    pub(super) dropped_count: usize,
}

/// One active target.
#[derive(Clone)]
pub(super) struct ActiveView {
    pub(super) target: Arc<Target>,
    pub(super) status: Arc<Mutex<Status>>,
    pub(super) metadata: Arc<MetadataCache>,
}

enum Command {
    Apply(Arc<ScrapeConfig>, oneshot::Sender<()>),
    Stop { mark_stale: bool },
}

impl Pool {
    /// Starts a pool without targets; [`Pool::apply`] gives it some.
    pub(super) fn start(context: Context, job_name: &str) -> Self {
        let (commands, receiver) = mpsc::channel(1);
        let view = Arc::new(RwLock::new(PoolView::default()));
        let (updates_in, updates) = mpsc::channel(1);
        let driver = Driver {
            config: Arc::new(ScrapeConfig::new(job_name)),
            context,
            view: view.clone(),
            loops: HashMap::new(),
            forced_error: watch::channel(None).0,
            providers: Vec::new(),
            generation: 0,
            last_lists: LastLists::default(),
            groups: Vec::new(),
            updates_in,
            updates,
        };
        Self { view, commands, task: tokio::spawn(driver.run(receiver)) }
    }

    /// Gives the pool a configuration, and returns when its targets follow it.
    pub(super) async fn apply(&self, config: Arc<ScrapeConfig>) {
        let (done, applied) = oneshot::channel();
        // Neither can fail while the pool runs, and it runs until it is stopped.
        if self.commands.send(Command::Apply(config, done)).await.is_ok() {
            let _ = applied.await;
        }
    }

    /// Stops all loops and returns when they have ended. `mark_stale` ends their series, as when the configuration no
    /// longer has the pool; a program that stops leaves them, to go on where it was.
    pub(super) async fn stop(self, mark_stale: bool) {
        let _ = self.commands.send(Command::Stop { mark_stale }).await;
        if let Err(e) = self.task.await {
            error!(error = %e, "a scrape pool ended by a defect");
        }
    }
}

/// The list of one provider.
struct Update {
    generation: u64,
    provider: usize,
    groups: Vec<TargetGroup>,
}

struct LoopHandle {
    view: ActiveView,
    stop: watch::Sender<bool>,
    task: JoinHandle<Runner>,
}

/// The task of a pool.
struct Driver {
    config: Arc<ScrapeConfig>,
    context: Context,
    view: Arc<RwLock<PoolView>>,
    loops: HashMap<TargetIdentity, LoopHandle>,
    forced_error: watch::Sender<Option<Error>>,
    providers: Vec<JoinHandle<()>>,
    /// Tells updates of the present providers from those of earlier ones.
    generation: u64,
    last_lists: LastLists,
    /// The latest list of each provider.
    groups: Vec<Option<Vec<TargetGroup>>>,
    updates_in: mpsc::Sender<Update>,
    updates: mpsc::Receiver<Update>,
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mark_stale = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Apply(config, done)) => {
                        self.apply(config).await;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    Some(Command::Stop { mark_stale }) => break mark_stale,
                    None => break false,
                },
                Some(update) = self.updates.recv() => {
                    if self.take(update) {
                        self.sync().await;
                    }
                }
            }
        };
        self.stop_providers().await;
        let loops: Vec<_> = self.loops.drain().map(|(_, l)| l).collect();
        let runners = stop_all(loops).await;
        if mark_stale {
            join_all(runners.into_iter().map(Runner::end)).await;
        }
        self.context.metrics.forget_pool(&self.config.job_name);
    }

    async fn apply(&mut self, config: Arc<ScrapeConfig>) {
        let before = std::mem::replace(&mut self.config, config);
        let first = self.generation == 0;
        let same_discovery = before.static_configs == self.config.static_configs
            && before.file_sd_configs == self.config.file_sd_configs
            && before.http_sd_configs == self.config.http_sd_configs;
        if first || !same_discovery {
            self.start_providers().await;
        }
        if loop_settings(&before) != loop_settings(&self.config) {
            self.restart().await;
        } else {
            self.sync().await;
        }
    }

    async fn start_providers(&mut self) {
        self.stop_providers().await;
        self.generation += 1;
        let kinds = Kinds {
            named: &self.config.static_configs,
            of_files: &self.config.file_sd_configs,
            of_servers: &self.config.http_sd_configs,
        };
        let sources = Sources {
            metrics: self.context.metrics.discovery.clone(),
            transport: Arc::clone(&self.context.transport),
            set: self.config.job_name.clone(),
        };
        let list = providers(&kinds, &sources, &self.last_lists);
        self.groups = list.iter().map(|_| None).collect();
        for (i, provider) in list.into_iter().enumerate() {
            self.providers.push(tokio::spawn(follow(provider, i, self.generation, self.updates_in.clone())));
        }
        // Targets that a provider will name again must not end in between.
        let wait = async {
            while self.groups.iter().any(Option::is_none) {
                let Some(update) = self.updates.recv().await else { return };
                let Update { generation, provider, groups } = update;
                if generation == self.generation {
                    self.groups[provider] = Some(groups);
                }
            }
        };
        if tokio::time::timeout(FIRST_LIST_WAIT, wait).await.is_err() {
            warn!(job = %self.config.job_name, "a discovery gives no targets yet: going on without it");
        }
    }

    async fn stop_providers(&mut self) {
        for provider in self.providers.drain(..) {
            provider.abort();
            // It was told to end; that it did so in the middle of its work is no news.
            let _ = provider.await;
        }
    }

    fn take(&mut self, update: Update) -> bool {
        if update.generation != self.generation {
            return false;
        }
        self.groups[update.provider] = Some(update.groups);
        true
    }

    /// Makes the loops follow the targets.
    async fn sync(&mut self) {
        let wanted = self.wanted();
        let keep: HashSet<&TargetIdentity> = wanted.active.iter().map(|t| &t.identity).collect();
        let gone: Vec<_> =
            self.loops.extract_if(|identity, _| !keep.contains(identity)).map(|(_, l)| l).collect();
        self.replace(gone, wanted).await;
    }

    /// Starts every loop anew, for settings that a running loop does not take.
    async fn restart(&mut self) {
        let wanted = self.wanted();
        let gone: Vec<_> = self.loops.drain().map(|(_, l)| l).collect();
        self.replace(gone, wanted).await;
    }

    async fn replace(&mut self, gone: Vec<LoopHandle>, wanted: Wanted) {
        // Started after the old loops have ended: the same series never comes from two loops at a time.
        let mut handovers: HashMap<Labels, Handover> = HashMap::new();
        let starting: HashSet<Labels> = wanted
            .active
            .iter()
            .filter(|t| !self.loops.contains_key(&t.identity))
            .map(|t| t.labels.clone())
            .collect();
        let mut ended = Vec::new();
        for runner in stop_all(gone).await {
            if starting.contains(runner.target_labels()) {
                handovers.insert(runner.target_labels().clone(), runner.hand_over());
            } else {
                ended.push(runner.end());
            }
        }
        join_all(ended).await;
        self.limit(wanted.active.len());
        for target in wanted.active {
            match self.loops.get_mut(&target.identity) {
                // What discovery says may differ in labels that relabelling takes away.
                Some(running) => running.view.target = target,
                None => {
                    let handover = handovers.remove(&target.labels).unwrap_or_default();
                    self.start_loop(target, handover);
                }
            }
        }
        let mut active: Vec<ActiveView> = self.loops.values().map(|l| l.view.clone()).collect();
        active.sort_by(|a, b| (&a.target.url, &a.target.labels).cmp(&(&b.target.url, &b.target.labels)));
        let job = &[self.config.job_name.as_str()];
        self.context.metrics.pool_targets.with_label_values(job).set(active.len() as i64);
        self.context.metrics.pool_syncs.with_label_values(job).inc();
        *self.view.write() =
            PoolView { active, dropped: wanted.dropped, dropped_count: wanted.dropped_count };
    }

    fn start_loop(&mut self, target: Arc<Target>, handover: Handover) {
        let view = ActiveView {
            target: target.clone(),
            status: handover.status.clone(),
            metadata: handover.metadata.clone(),
        };
        let (stop, stopped) = watch::channel(false);
        let identity = target.identity.clone();
        let runner = Runner::new(
            self.context.clone(),
            &self.config,
            target,
            handover,
            self.forced_error.subscribe(),
            stopped,
        );
        self.loops.insert(identity, LoopHandle { view, stop, task: tokio::spawn(runner.run()) });
    }

    fn limit(&self, targets: usize) {
        let metrics = &self.context.metrics;
        let limit = self.config.limits.target_limit;
        metrics.pool_target_limit.with_label_values(&[self.config.job_name.as_str()]).set(limit as i64);
        let over = (limit > 0 && targets > limit).then(|| {
            metrics.exceeded_target_limit.inc();
            Error::limit(format!("target_limit exceeded (number of targets: {targets}, limit: {limit})"))
        });
        self.forced_error.send_replace(over);
    }

    fn wanted(&self) -> Wanted {
        let keep = self.config.limits.keep_dropped_targets;
        let keep = if keep == 0 { DROPPED_TARGETS_MAX } else { keep };
        let mut wanted = Wanted::default();
        let mut seen: HashSet<TargetIdentity> = HashSet::new();
        let groups = self.groups.iter().flatten().flatten();
        for (group, labels) in groups.flat_map(|g| g.targets.iter().map(move |t| (g, t))) {
            match populate(&self.config, group, labels) {
                Ok(Populated::Active(target)) if wanted.active.len() < POOL_TARGETS_MAX => {
                    if seen.insert(target.identity.clone()) {
                        wanted.active.push(Arc::from(target));
                    }
                }
                Ok(Populated::Active(_)) => wanted.failed(Error::limit(format!(
                    "the pool has more than {POOL_TARGETS_MAX} targets, the rest is left out"
                ))),
                Ok(Populated::Dropped(labels)) => {
                    wanted.dropped_count += 1;
                    if wanted.dropped.len() < keep {
                        wanted.dropped.push(labels);
                    }
                }
                Err(e) => wanted.failed(e.context(format!("target {labels} of group {}", group.source))),
            }
        }
        if let Some(e) = &wanted.first_error {
            let job = self.config.job_name.as_str();
            self.context.metrics.target_sync_failed.with_label_values(&[job]).inc_by(wanted.errors);
            warn!(job, targets = wanted.errors, first = %e, "cannot make targets of what discovery found");
        }
        wanted
    }
}

/// What discovery and relabelling ask for.
#[derive(Default)]
struct Wanted {
    active: Vec<Arc<Target>>,
    dropped: Vec<Labels>,
    dropped_count: usize,
    errors: u64,
    first_error: Option<Error>,
}

impl Wanted {
    fn failed(&mut self, e: Error) {
        self.errors += 1;
        self.first_error.get_or_insert(e);
    }
}

/// Sends the lists of a provider on.
async fn follow(
    mut provider: Box<dyn Provider>,
    index: usize,
    generation: u64,
    updates: mpsc::Sender<Update>,
) {
    loop {
        let groups = provider.next().await;
        if updates.send(Update { generation, provider: index, groups }).await.is_err() {
            return;
        }
    }
}

async fn stop_all(loops: Vec<LoopHandle>) -> Vec<Runner> {
    for l in &loops {
        l.stop.send_replace(true);
    }
    let ended =
        join_all(loops.into_iter().map(|l| async move { (l.view.target.url.clone(), l.task.await) })).await;
    let mut runners = Vec::with_capacity(ended.len());
    for (url, result) in ended {
        match result {
            Ok(runner) => runners.push(runner),
            Err(e) => error!(target = %url, error = %e, "a scrape loop ended by a defect"),
        }
    }
    runners
}

/// The configuration without what a running loop does not depend on, or depends on through its target's identity.
fn loop_settings(config: &ScrapeConfig) -> ScrapeConfig {
    let mut out = ScrapeConfig {
        static_configs: Vec::new(),
        file_sd_configs: Vec::new(),
        http_sd_configs: Vec::new(),
        relabel_configs: Vec::new(),
        params: Default::default(),
        ..config.clone()
    };
    let defaults = ScrapeConfig::new("");
    out.job_name = defaults.job_name;
    out.scrape_interval = defaults.scrape_interval;
    out.scrape_timeout = defaults.scrape_timeout;
    out.metrics_path = defaults.metrics_path;
    out.scheme = defaults.scheme;
    out.limits.target_limit = 0;
    out.limits.keep_dropped_targets = 0;
    out
}
