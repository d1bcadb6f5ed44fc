//! Evaluates groups at one moment after the other, on data that is at hand: what tests of rules do.
//!
//! Owns no clock, no schedule and no sending. Rules run one by one, so that each sees what those before it wrote.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Error, Labels, Result, STALE_NAN};
use template::{Functions, Sample};

use crate::evaluate::recorded;
use crate::expand::{AlertData, Expansions, in_template, instance, value};
use crate::outside::ResultSample;
use crate::rule::{GroupConfig, RuleConfig};
use crate::state::{ActiveAlert, AlertState, RuleAlerts, millis};

/// The data that rules are rehearsed on.
pub trait Stage {
    /// The result of an expression at a time.
    fn query(&self, expr: &str, t_ms: i64) -> Result<Vec<ResultSample>>;

    /// Adds a sample, which later queries see. A staleness marker is a sample too.
    fn append(&mut self, sample: &ResultSample, t_ms: i64);
}

/// Groups of rules with the state of their alerts.
pub struct Rehearsal {
    groups: Vec<(GroupConfig, Vec<Rule>)>,
    external_labels: Labels,
    external_url: String,
}

/// What rules wrote at one moment of a test, by series and time.
type Written = HashMap<(Labels, i64), ResultSample>;

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
        let (mut failed, mut written) = (Vec::new(), Written::new());
        for (group, rules) in &mut self.groups {
            let written_ms = t_ms - group.query_offset.map_or(0, millis);
            for rule in rules {
                let outside = Outside { stage, external_url: &self.external_url, t_ms };
                let results = rule.results(group, &outside, &self.external_labels, written_ms, t_ms);
                let written = results.and_then(|series| rule.write(series, stage, written_ms, &mut written));
                if let Err(e) = written {
                    failed.push((rule.config.name.clone(), e.message().to_owned()));
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
    ) -> Result<Vec<ResultSample>> {
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
                    value: value(sample),
                    external_labels,
                    external_url: outside.external_url,
                };
                instance(&self.config, sample, &data, outside, &mut counts)
            })
            .collect();
        self.alerts.update(terms, instances, t_ms, group.limit)?;
        Ok(self.alerts.series(&self.config))
    }

    /// Writes the results, and staleness markers for series that were there the last time and that no other rule goes on
    /// with. A series that another rule has written with another value is an error, as it is in a store.
    fn write(
        &mut self,
        series: Vec<ResultSample>,
        stage: &mut dyn Stage,
        t_ms: i64,
        written: &mut Written,
    ) -> Result<()> {
        let mut given = HashSet::with_capacity(series.len());
        let mut outcome = Ok(());
        for sample in series {
            let before = written.entry((sample.labels.clone(), t_ms)).or_insert_with(|| sample.clone());
            if before.value.to_bits() == sample.value.to_bits() && before.histogram == sample.histogram {
                stage.append(&sample, t_ms);
                given.insert(sample.labels);
            } else {
                let (before, new) = (before.shown(), sample.shown());
                outcome = Err(Error::invalid(format!(
                    "duplicate sample for timestamp {t_ms}; overrides not allowed: existing {before}, new value {new}"
                )));
            }
        }
        for labels in self.previous.difference(&given) {
            if !written.contains_key(&(labels.clone(), t_ms)) {
                stage.append(&ResultSample::float(labels.clone(), f64::from_bits(STALE_NAN)), t_ms);
            }
        }
        self.previous = given;
        outcome
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
        Ok(found.into_iter().map(in_template).collect())
    }

    fn now_ms(&self) -> i64 {
        self.t_ms
    }

    fn external_url(&self) -> &str {
        self.external_url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_file::{CheckOptions, GroupSource, Placed, RuleSource, check};

    /// Answers a query that is named after a rule with that series while it is on, and keeps the last sample of each.
    #[derive(Default)]
    struct FakeStage {
        on: Vec<(&'static str, f64)>,
        last: HashMap<Labels, f64>,
    }

    impl Stage for FakeStage {
        fn query(&self, expr: &str, _: i64) -> Result<Vec<ResultSample>> {
            let found = self.on.iter().filter(|(name, _)| *name == expr);
            Ok(found.map(|(_, value)| ResultSample::float(Labels::empty(), *value)).collect())
        }

        fn append(&mut self, sample: &ResultSample, _: i64) {
            self.last.insert(sample.labels.clone(), sample.value);
        }
    }

    fn rehearsal() -> Rehearsal {
        let placed = |text: &str| Placed { text: text.into(), ..Placed::default() };
        let rule = |expr| RuleSource { record: placed("r"), expr: placed(expr), ..RuleSource::default() };
        let rules = vec![rule("a"), rule("b")];
        let group = GroupSource { name: "g".into(), rules, ..GroupSource::default() };
        let groups = check("r.yml", &[group], &CheckOptions::default()).unwrap();
        Rehearsal::new(groups, Labels::empty(), String::new())
    }

    #[test]
    fn a_series_goes_from_one_rule_to_another_and_back() {
        let (mut rehearsal, mut stage) = (rehearsal(), FakeStage::default());
        let series = Labels::from_pairs([("__name__", "r")]);
        for (t_ms, on) in [(0, ("a", 1.0)), (1, ("b", 2.0)), (2, ("a", 3.0))] {
            stage.on = vec![on];
            assert!(rehearsal.evaluate(t_ms, &mut stage).is_empty());
            assert_eq!(stage.last[&series], on.1);
        }
        stage.on.clear();
        assert!(rehearsal.evaluate(3, &mut stage).is_empty());
        assert!(base::is_stale(stage.last[&series]));
    }

    #[test]
    fn two_rules_may_not_give_one_series_two_values() {
        let (mut rehearsal, mut stage) = (rehearsal(), FakeStage::default());
        stage.on = vec![("a", 1.0), ("b", 1.0)];
        assert!(rehearsal.evaluate(0, &mut stage).is_empty());
        stage.on = vec![("a", 1.0), ("b", 2.0)];
        let text = "duplicate sample for timestamp 1; overrides not allowed: existing 1, new value 2";
        assert_eq!(rehearsal.evaluate(1, &mut stage), [("r".to_owned(), text.to_owned())]);
    }
}
