//! A group that runs, as evaluations change it and others look at it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::Labels;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::batches::batches;
use crate::manager::Terms;
use crate::outside::Asker;
use crate::rule::{GroupConfig, Pairs, RuleConfig};
use crate::state::{ActiveAlert, AlertState, RuleAlerts};

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There was none.
    Unknown,
    /// Well.
    Good,
    /// It failed.
    Bad,
}

impl Health {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

/// A group as of the moment of the call.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Time between two evaluations.
    pub interval: Duration,
    /// How many series or alerts one rule may give; 0 for any number.
    pub limit: usize,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it began, in milliseconds since the epoch.
    pub last_evaluation_ms: Option<i64>,
    /// The rules, in order.
    pub rules: Vec<RuleView>,
}

/// A rule as of the moment of the call.
#[derive(Debug, Clone)]
pub struct RuleView {
    /// What it says.
    pub config: Arc<RuleConfig>,
    /// How its last evaluation went.
    pub health: Health,
    /// Why it failed; empty if it did not.
    pub last_error: String,
    /// How long it took.
    pub evaluation_time: Duration,
    /// When it began, in milliseconds since the epoch.
    pub last_evaluation_ms: Option<i64>,
    /// The highest state of any of its alerts.
    pub state: AlertState,
    /// Its alerts that are pending or firing, in order of their labels.
    pub alerts: Vec<ActiveAlert>,
}

/// A rule that runs.
pub(crate) struct Rule {
    pub(crate) config: Arc<RuleConfig>,
    pub(crate) alerts: Mutex<RuleAlerts>,
    pub(crate) status: Mutex<Status>,
    /// The series that the last evaluation wrote.
    pub(crate) previous: Mutex<HashSet<Labels>>,
    /// Whether since when alerts are active is known. Until then their series are not written: the ones from before a
    /// restart would be hidden.
    restored: AtomicBool,
}

/// How the last evaluation of a rule went.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) health: Health,
    pub(crate) last_error: String,
    pub(crate) evaluation_time: Duration,
    pub(crate) last_evaluation_ms: Option<i64>,
}

impl Rule {
    fn new(config: Arc<RuleConfig>, restored: bool) -> Self {
        let status = Status {
            health: Health::Unknown,
            last_error: String::new(),
            evaluation_time: Duration::ZERO,
            last_evaluation_ms: None,
        };
        Self {
            config,
            alerts: Mutex::default(),
            status: Mutex::new(status),
            previous: Mutex::default(),
            restored: AtomicBool::new(restored),
        }
    }

    pub(crate) fn is_restored(&self) -> bool {
        self.restored.load(Ordering::SeqCst)
    }

    pub(crate) fn set_restored(&self) {
        self.restored.store(true, Ordering::SeqCst);
    }

    pub(crate) fn failed(&self, error: &base::Error) {
        let mut status = self.status.lock();
        status.health = Health::Bad;
        error.message().clone_into(&mut status.last_error);
    }

    fn view(&self) -> RuleView {
        let status = self.status.lock().clone();
        let alerts = self.alerts.lock();
        let state = match status.last_evaluation_ms {
            None => AlertState::Unknown,
            Some(_) => alerts.state(),
        };
        RuleView {
            config: Arc::clone(&self.config),
            health: status.health,
            last_error: status.last_error,
            evaluation_time: status.evaluation_time,
            last_evaluation_ms: status.last_evaluation_ms,
            state,
            alerts: alerts.active().cloned().collect(),
        }
    }
}

/// A group that runs.
pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    pub(crate) key: String,
    pub(crate) interval: Duration,
    pub(crate) query_offset: Duration,
    pub(crate) terms: Arc<Terms>,
    pub(crate) rules: Vec<Arc<Rule>>,
    /// Positions of rules that may be evaluated at the same time, in order.
    pub(crate) batches: Vec<Vec<usize>>,
    /// How long the last evaluation took and when it began.
    pub(crate) last: Mutex<(Duration, Option<i64>)>,
    /// Series of rules that an earlier version of the group had, to be marked stale.
    pub(crate) stale: Mutex<Vec<Labels>>,
    pub(crate) restores: bool,
    /// One rule of a group is evaluated whatever others do: queries of other groups that hang must not hold up alerts.
    pub(crate) place: Semaphore,
}

impl Group {
    /// A group that has not run. `restores` says that its alerts may be older than the process.
    pub(crate) fn new(config: GroupConfig, terms: Arc<Terms>, restores: bool) -> Self {
        Self {
            key: config.key(),
            interval: config.interval.unwrap_or(terms.evaluation_interval),
            query_offset: config.query_offset.unwrap_or(terms.query_offset),
            rules: config.rules.iter().map(|r| Arc::new(Rule::new(Arc::clone(r), !restores))).collect(),
            batches: batches(&config.rules),
            last: Mutex::new((Duration::ZERO, None)),
            stale: Mutex::default(),
            config,
            terms,
            restores,
            place: Semaphore::new(1),
        }
    }

    /// Whether alerts from before the process are still to be looked up.
    pub(crate) fn awaits_restoration(&self) -> bool {
        self.restores && self.rules.iter().any(|r| !r.is_restored())
    }

    /// Who asks when its rules do.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { group: &self.config.name, file: &self.config.file }
    }

    /// Whether a group of this configuration would do the same.
    pub(crate) fn same_as(&self, config: &GroupConfig, terms: &Terms) -> bool {
        self.config.same_as(config) && *self.terms == *terms
    }

    /// Takes over the state of an earlier version that has stopped: rules with the same name and labels go on.
    pub(crate) fn take_over(&self, from: &Self) {
        *self.last.lock() = *from.last.lock();
        let mut by_name: HashMap<(&str, &Pairs), VecDeque<&Arc<Rule>>> = HashMap::new();
        for rule in &from.rules {
            by_name.entry((&rule.config.name, &rule.config.labels)).or_default().push_back(rule);
        }
        for rule in &self.rules {
            let same = by_name.get_mut(&(rule.config.name.as_str(), &rule.config.labels));
            let Some(before) = same.and_then(VecDeque::pop_front) else { continue };
            *rule.previous.lock() = std::mem::take(&mut *before.previous.lock());
            if rule.config.alert().is_some() {
                rule.alerts.lock().take_over(&before.alerts.lock());
            }
        }
        let mut stale = self.stale.lock();
        stale.append(&mut from.stale.lock());
        for gone in by_name.into_values().flatten() {
            stale.extend(gone.previous.lock().drain());
        }
    }

    /// Every series that the group wrote last.
    pub(crate) fn series(&self) -> Vec<Labels> {
        let of_rules = self.rules.iter().flat_map(|r| r.previous.lock().iter().cloned().collect::<Vec<_>>());
        of_rules.chain(self.stale.lock().iter().cloned()).collect()
    }

    pub(crate) fn view(&self) -> GroupView {
        let (evaluation_time, last_evaluation_ms) = *self.last.lock();
        GroupView {
            name: self.config.name.clone(),
            file: self.config.file.clone(),
            interval: self.interval,
            limit: self.config.limit,
            evaluation_time,
            last_evaluation_ms,
            rules: self.rules.iter().map(|r| r.view()).collect(),
        }
    }
}
