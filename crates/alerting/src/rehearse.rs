//! Evaluates groups at one moment after the other, on data that is at hand: what tests of rules do.
//!
//! Owns no clock, no schedule and no sending. Rules run one by one, so that each sees what those before it wrote.

use std::collections::HashSet;
use std::sync::Arc;

use base::{Labels, Result, STALE_NAN};
use template::{Functions, Sample, Value};

use crate::evaluate::recorded;
use crate::expand::{AlertData, Expansions, instance};
use crate::outside::ResultSample;
use crate::rule::{GroupConfig, RuleConfig};
use crate::state::{ActiveAlert, AlertState, RuleAlerts, millis};

/// The data that rules are rehearsed on.
pub trait Stage {
    /// The result of an expression at a time.
    fn query(&self, expr: &str, t_ms: i64) -> Result<Vec<ResultSample>>;

    /// Adds a sample, which later queries see. A staleness marker is a sample too.
    fn append(&mut self, labels: &Labels, t_ms: i64, value: f64);
}

/// Groups of rules with the state of their alerts.
pub struct Rehearsal {
    groups: Vec<(GroupConfig, Vec<Rule>)>,
    external_labels: Labels,
    external_url: String,
}

struct Rule {
    config: Arc<RuleConfig>,
    alerts: RuleAlerts,
    previous: HashSet<Labels>,
}

impl Rehearsal {
    /// Starts with no alerts. The groups are evaluated in this order.
    pub fn new(groups: Vec<GroupConfig>, external_labels: Labels, external_url: String) -> Self {
        let with_state = |group: GroupConfig| {
            let rule = |config: &Arc<RuleConfig>| Rule {
                config: Arc::clone(config),
                alerts: RuleAlerts::default(),
                previous: HashSet::new(),
            };
            let rules = group.rules.iter().map(rule).collect();
            (group, rules)
        };
        Self { groups: groups.into_iter().map(with_state).collect(), external_labels, external_url }
    }

    /// Evaluates every rule, and returns the names of those that failed with the reason.
    pub fn evaluate(&mut self, t_ms: i64, stage: &mut dyn Stage) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        for (group, rules) in &mut self.groups {
            let written_ms = t_ms - group.query_offset.map_or(0, millis);
            for rule in rules {
                let outside = Outside { stage, external_url: &self.external_url, t_ms };
                match rule.results(group, &outside, &self.external_labels, written_ms, t_ms) {
                    Ok(series) => rule.write(series, stage, written_ms),
                    Err(e) => failed.push((rule.config.name.clone(), e.message().to_owned())),
                }
            }
        }
        failed
    }

    /// The alerts with this name that fire now.
    pub fn firing(&self, alert: &str) -> Vec<&ActiveAlert> {
        let rules = self.groups.iter().flat_map(|(_, rules)| rules);
        rules
            .filter(|r| r.config.alert().is_some() && r.config.name == alert)
            .flat_map(|r| r.alerts.active())
            .filter(|a| a.state == AlertState::Firing)
            .collect()
    }
}

impl Rule {
    fn results(
        &mut self,
        group: &GroupConfig,
        outside: &Outside<'_>,
        external_labels: &Labels,
        query_ms: i64,
        t_ms: i64,
    ) -> Result<Vec<(Labels, f64)>> {
        let found = outside.stage.query(&self.config.query, query_ms)?;
        let Some(terms) = self.config.alert() else {
            return recorded(&self.config, found, group.limit);
        };
        let mut counts = Expansions::default();
        let instances = found
            .iter()
            .map(|sample| {
                let data = AlertData {
                    labels: &sample.labels,
                    value: sample.value,
                    external_labels,
                    external_url: outside.external_url,
                };
                instance(&self.config, &data, outside, &mut counts)
            })
            .collect();
        self.alerts.update(terms, instances, t_ms, group.limit)?;
        Ok(self.alerts.series(&self.config))
    }

    /// Writes the results, and staleness markers for series that were there the last time.
    fn write(&mut self, series: Vec<(Labels, f64)>, stage: &mut dyn Stage, t_ms: i64) {
        for (labels, value) in &series {
            stage.append(labels, t_ms, *value);
        }
        let given: HashSet<Labels> = series.into_iter().map(|(labels, _)| labels).collect();
        for labels in self.previous.difference(&given) {
            stage.append(labels, t_ms, f64::from_bits(STALE_NAN));
        }
        self.previous = given;
    }
}

/// What templates may ask, as of the time of an evaluation.
struct Outside<'a> {
    stage: &'a dyn Stage,
    external_url: &'a str,
    t_ms: i64,
}

impl Functions for Outside<'_> {
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let found = self.stage.query(expression, self.t_ms).map_err(|e| e.message().to_owned())?;
        Ok(found.into_iter().map(|s| Sample { labels: s.labels, value: Value::Float(s.value) }).collect())
    }

    fn now_ms(&self) -> i64 {
        self.t_ms
    }

    fn external_url(&self) -> &str {
        self.external_url
    }
}
