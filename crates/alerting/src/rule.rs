//! Rules as they run: checked, every default applied.

use std::sync::Arc;
use std::time::Duration;

use base::{Labels, METRIC_NAME};
use promql::Expr;

use crate::expand::AlertTemplate;
use crate::schedule::Slots;

/// Names and values in order of the names, each name once. Unlike a label set it keeps empty values: in a rule they
/// take a label away.
pub type Pairs = Arc<[(String, String)]>;

/// The value of a name.
pub fn pair<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let at = pairs.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
    Some(&pairs[at].1)
}

/// A group of rules that are evaluated together.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// Its name, unique in its file.
    pub name: String,
    /// The file, as the configuration's patterns found it.
    pub file: String,
    /// Time between two evaluations; `None` for the configuration's `evaluation_interval`.
    pub interval: Option<Duration>,
    /// How far back rules look; `None` for the configuration's `rule_query_offset`.
    pub query_offset: Option<Duration>,
    /// How many series or alerts one rule may give; 0 for any number.
    pub limit: usize,
    /// Labels of the group, which those of each rule already include.
    pub labels: Pairs,
    /// The rules, in order.
    pub rules: Vec<Arc<RuleConfig>>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleConfig {
    /// The metric that a recording rule writes, or the alert's name.
    pub name: String,
    /// The expression.
    pub expr: Expr,
    /// The expression as Prometheus prints it.
    pub query: String,
    /// Labels that results get; those of an alerting rule are templates.
    pub labels: Pairs,
    /// What it is.
    pub kind: RuleKind,
}

/// What a rule makes of its results.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// Series.
    Recording,
    /// Alerts.
    Alerting(Box<AlertTerms>),
}

/// What only alerting rules have.
#[derive(Debug, Clone)]
pub struct AlertTerms {
    /// How long the condition has to hold before the alert fires.
    pub hold: Duration,
    /// How long it goes on firing when the condition holds no more.
    pub keep_firing_for: Duration,
    /// Annotations, as templates.
    pub annotations: Pairs,
    /// The templates of the labels, in their order.
    pub label_templates: Vec<AlertTemplate>,
    /// The templates of the annotations, likewise.
    pub annotation_templates: Vec<AlertTemplate>,
}

impl RuleConfig {
    /// What only alerting rules have.
    pub fn alert(&self) -> Option<&AlertTerms> {
        match &self.kind {
            RuleKind::Recording => None,
            RuleKind::Alerting(terms) => Some(terms),
        }
    }

    /// The labels of the series that a recording rule writes for one of its result: its own name, and its labels in place of those
    /// of the same names.
    pub fn recorded_labels(&self, found: &Labels) -> Labels {
        let mut labels = found.to_builder();
        labels.set(METRIC_NAME, &self.name);
        for (name, value) in self.labels.iter() {
            labels.set(name, value);
        }
        labels.build()
    }

    /// Whether both rules are the same, wherever they are written.
    pub fn same_as(&self, other: &Self) -> bool {
        let terms = |r: &Self| r.alert().map(|t| (t.hold, t.keep_firing_for, t.annotations.clone()));
        self.name == other.name
            && self.query == other.query
            && self.labels == other.labels
            && terms(self) == terms(other)
    }
}

impl GroupConfig {
    /// Whether both groups are the same, so that one that runs can go on.
    pub fn same_as(&self, other: &Self) -> bool {
        (&self.name, &self.file, self.interval, self.query_offset, self.limit)
            == (&other.name, &other.file, other.interval, other.query_offset, other.limit)
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(a, b)| a.same_as(b))
    }

    /// The first time at or after `t_ms` at which the group would be evaluated, with this many milliseconds between evaluations.
    pub fn slot_from(&self, interval_ms: i64, t_ms: i64) -> i64 {
        let interval = Duration::from_millis(interval_ms.max(1).unsigned_abs());
        let slots = Slots::new(&self.file, &self.name, interval);
        match slots.before(t_ms) {
            at if at == t_ms => at,
            before => slots.after(before),
        }
    }

    /// What tells the group from others, in metrics and in logs.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}
