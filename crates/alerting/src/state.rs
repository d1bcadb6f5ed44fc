//! The alerts of one rule, and what an evaluation makes of them. Pure: times are arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Labels, METRIC_NAME, Result};

use crate::limits::{RESOLVED_RETENTION, VALID_INTERVALS};
use crate::outside::ResultSample;
use crate::rule::{AlertTerms, Pairs, RuleConfig};

/// The label that holds an alert's name.
pub(crate) const ALERT_NAME: &str = "alertname";
/// The metric of alerts that are pending or firing.
pub(crate) const ALERTS: &str = "ALERTS";
/// The metric that says since when.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
const ALERT_STATE: &str = "alertstate";

/// How an alert, or a rule as the highest of its alerts, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Not evaluated yet.
    Unknown,
    /// The condition does not hold.
    Inactive,
    /// It holds, for less time than the rule asks for.
    Pending,
    /// It has held for long enough.
    Firing,
}

impl AlertState {
    /// The name in the API and in the label `alertstate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An instance of an alert. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveAlert {
    /// How it is. An inactive one has fired and is resolved.
    pub state: AlertState,
    /// What tells it from the rule's others.
    pub labels: Labels,
    /// What it says, templates expanded.
    pub annotations: Pairs,
    /// The expression's value at the last evaluation.
    pub value: f64,
    /// Since when the condition holds.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// Since when it is resolved.
    pub resolved_at_ms: Option<i64>,
    /// When it was last handed over for sending.
    pub last_sent_ms: Option<i64>,
    /// Until when Alertmanagers may take it as active without hearing again.
    pub valid_until_ms: i64,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since_ms: Option<i64>,
}

/// One series of a result, as an alert: labels and annotations expanded.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Labels, the alert's name included.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Pairs,
    /// The value.
    pub value: f64,
}

/// The alerts of one rule that are active, or resolved not long ago.
#[derive(Debug, Clone, Default)]
pub struct RuleAlerts {
    alerts: BTreeMap<Labels, ActiveAlert>,
}

impl RuleAlerts {
    /// Takes in the result of an evaluation. Two instances with the same labels, or more active ones than `limit`
    /// (unless that is 0), are errors; the latter forgets all alerts, as in Prometheus.
    pub fn update(
        &mut self,
        terms: &AlertTerms,
        instances: Vec<Instance>,
        t_ms: i64,
        limit: usize,
    ) -> Result<()> {
        let mut found: BTreeMap<Labels, Instance> = BTreeMap::new();
        for instance in instances {
            if found.insert(instance.labels.clone(), instance).is_some() {
                return Err(Error::invalid(
                    "vector contains metrics with the same labelset after applying alert labels",
                ));
            }
        }
        // Those that are there already go through the change of state below, the others start as pending.
        for (labels, instance) in &found {
            match self.alerts.get_mut(labels) {
                Some(alert) if alert.state != AlertState::Inactive => {
                    alert.value = instance.value;
                    alert.annotations = Arc::clone(&instance.annotations);
                }
                _ => {
                    self.alerts.insert(labels.clone(), pending(instance, t_ms));
                }
            }
        }
        self.alerts.retain(|labels, alert| match found.contains_key(labels) {
            true => {
                alert.keep_firing_since_ms = None;
                alert.hold(terms.hold, t_ms);
                true
            }
            false => alert.end(terms, t_ms),
        });
        let active = self.active().count();
        if limit > 0 && active > limit {
            self.alerts.clear();
            return Err(Error::limit(format!("exceeded limit of {limit} with {active} alerts")));
        }
        Ok(())
    }

    /// Those that are pending or firing, in order of their labels.
    pub fn active(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.alerts.values().filter(|a| a.resolved_at_ms.is_none())
    }

    /// The highest state of any alert.
    pub fn state(&self) -> AlertState {
        self.alerts.values().map(|a| a.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes over the alerts of an earlier version of the rule.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.alerts.extend(other.alerts.iter().map(|(l, a)| (l.clone(), a.clone())));
    }

    /// Those that Alertmanagers should hear of now; they count as sent from here on.
    pub fn take_unsent(&mut self, t_ms: i64, resend_delay: Duration, interval: Duration) -> Vec<ActiveAlert> {
        let valid_ms = millis(interval.max(resend_delay) * VALID_INTERVALS);
        let mut out = Vec::new();
        for alert in self.alerts.values_mut().filter(|a| a.needs_sending(t_ms, resend_delay)) {
            alert.last_sent_ms = Some(t_ms);
            alert.valid_until_ms = t_ms.saturating_add(valid_ms);
            out.push(alert.clone());
        }
        out
    }

    /// Gives `change` every alert, to restore since when it is active.
    pub(crate) fn restore(&mut self, mut change: impl FnMut(&ActiveAlert) -> Option<i64>) {
        for alert in self.alerts.values_mut() {
            if let Some(active_at_ms) = change(alert) {
                alert.active_at_ms = active_at_ms;
            }
        }
    }

    /// The series of the active alerts: `ALERTS` and `ALERTS_FOR_STATE`.
    pub fn series(&self, rule: &RuleConfig) -> Vec<ResultSample> {
        let mut out = Vec::new();
        for alert in self.active() {
            let mut labels = Labels::from_pairs(rule.labels.iter().map(|(n, v)| (n, v))).to_builder();
            for (name, value) in &alert.labels {
                labels.set(name, value);
            }
            labels.set(ALERT_NAME, &rule.name);
            let mut for_state = labels.clone();
            labels.set(METRIC_NAME, ALERTS);
            labels.set(ALERT_STATE, alert.state.as_str());
            for_state.set(METRIC_NAME, ALERTS_FOR_STATE);
            out.push(ResultSample::float(labels.build(), 1.0));
            let since_seconds = alert.active_at_ms.div_euclid(1000) as f64;
            out.push(ResultSample::float(for_state.build(), since_seconds));
        }
        out
    }
}

fn pending(instance: &Instance, t_ms: i64) -> ActiveAlert {
    ActiveAlert {
        state: AlertState::Pending,
        labels: instance.labels.clone(),
        annotations: Arc::clone(&instance.annotations),
        value: instance.value,
        active_at_ms: t_ms,
        fired_at_ms: None,
        resolved_at_ms: None,
        last_sent_ms: None,
        valid_until_ms: 0,
        keep_firing_since_ms: None,
    }
}

impl ActiveAlert {
    /// The condition holds: fires after the hold, and waits again if the hold has become longer.
    fn hold(&mut self, hold: Duration, t_ms: i64) {
        let held_ms = t_ms - self.active_at_ms;
        if self.state == AlertState::Pending && held_ms >= millis(hold) {
            self.state = AlertState::Firing;
            self.fired_at_ms = Some(t_ms);
        }
        if self.state == AlertState::Firing && held_ms < millis(hold) {
            self.state = AlertState::Pending;
            self.fired_at_ms = None;
            self.last_sent_ms = None;
            self.keep_firing_since_ms = None;
        }
    }

    /// The condition holds no more. Returns whether the alert stays: because it is kept firing, or to be told of as
    /// resolved for a while.
    fn end(&mut self, terms: &AlertTerms, t_ms: i64) -> bool {
        if self.state == AlertState::Firing && !terms.keep_firing_for.is_zero() {
            let since = *self.keep_firing_since_ms.get_or_insert(t_ms);
            if t_ms - since < millis(terms.keep_firing_for) {
                self.hold(terms.hold, t_ms);
                return true;
            }
        }
        match self.state {
            AlertState::Pending => false,
            AlertState::Firing => {
                self.state = AlertState::Inactive;
                self.resolved_at_ms = Some(t_ms);
                true
            }
            AlertState::Inactive | AlertState::Unknown => {
                self.resolved_at_ms.is_none_or(|at| t_ms - at <= millis(RESOLVED_RETENTION))
            }
        }
    }

    fn needs_sending(&self, t_ms: i64, resend_delay: Duration) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last_ms) = self.last_sent_ms else { return true };
        self.resolved_at_ms.is_some_and(|at| at > last_ms) || last_ms + millis(resend_delay) < t_ms
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleKind;

    const MINUTE_MS: i64 = 60_000;

    fn rule(hold_minutes: u64, keep_minutes: u64) -> RuleConfig {
        let minutes = |n| Duration::from_secs(60 * n);
        let expr = promql::parse("up == 0", &Default::default()).unwrap();
        RuleConfig {
            name: "Down".into(),
            query: expr.to_string(),
            expr,
            labels: Arc::from([("severity".to_owned(), "page".to_owned())]),
            kind: RuleKind::Alerting(Box::new(AlertTerms {
                hold: minutes(hold_minutes),
                keep_firing_for: minutes(keep_minutes),
                annotations: Arc::from([]),
                label_templates: vec![],
                annotation_templates: vec![],
            })),
        }
    }

    fn instance(job: &str) -> Instance {
        let labels = Labels::from_pairs([("job", job), ("alertname", "Down"), ("severity", "page")]);
        Instance { labels, annotations: Arc::from([]), value: 0.0 }
    }

    /// Runs a rule once a minute over what holds, and returns the state of the first alert each time.
    fn run(rule: &RuleConfig, holds: &[bool]) -> Vec<&'static str> {
        let mut alerts = RuleAlerts::default();
        let mut states = Vec::new();
        for (i, holds) in holds.iter().enumerate() {
            let found = if *holds { vec![instance("a")] } else { vec![] };
            alerts.update(rule.alert().unwrap(), found, i as i64 * MINUTE_MS, 0).unwrap();
            states.push(alerts.alerts.values().next().map_or("gone", |a| a.state.as_str()));
        }
        states
    }

    #[test]
    fn an_alert_waits_fires_and_ends() {
        let check = |hold, keep, holds: &[bool], want: &[&str]| {
            assert_eq!(run(&rule(hold, keep), holds), want, "{hold} {keep} {holds:?}");
        };
        check(0, 0, &[true, false, true], &["firing", "inactive", "firing"]);
        check(2, 0, &[true, true, true, false], &["pending", "pending", "firing", "inactive"]);
        check(2, 0, &[true, false, true], &["pending", "gone", "pending"]);
        check(
            0,
            2,
            &[true, false, false, false, false],
            &["firing", "firing", "firing", "inactive", "inactive"],
        );
        check(0, 2, &[true, false, true, false], &["firing", "firing", "firing", "firing"]);
    }

    #[test]
    fn a_resolved_alert_is_kept_for_a_while() {
        let mut holds = vec![true];
        holds.extend([false; 18]);
        let states = run(&rule(0, 0), &holds);
        assert_eq!((states[16], states[17]), ("inactive", "gone"));
    }

    #[test]
    fn the_series_say_state_and_since_when() {
        let rule = rule(5, 0);
        let mut alerts = RuleAlerts::default();
        alerts.update(rule.alert().unwrap(), vec![instance("a")], 61_500, 0).unwrap();
        let shown: Vec<_> =
            alerts.series(&rule).iter().map(|s| format!("{} {}", s.labels, s.value)).collect();
        assert_eq!(
            shown,
            [
                r#"ALERTS{alertname="Down", alertstate="pending", job="a", severity="page"} 1"#,
                r#"ALERTS_FOR_STATE{alertname="Down", job="a", severity="page"} 61"#
            ]
        );
    }

    #[test]
    fn firing_and_resolved_alerts_are_sent_and_sent_again() {
        let (minute, rule) = (Duration::from_secs(60), rule(1, 0));
        let mut alerts = RuleAlerts::default();
        let mut step = |t: i64, holds: bool| {
            let found = if holds { vec![instance("a")] } else { vec![] };
            alerts.update(rule.alert().unwrap(), found, t * 30_000, 0).unwrap();
            let sent = alerts.take_unsent(t * 30_000, minute, Duration::from_secs(30));
            sent.first().map(|a| (a.state.as_str(), a.valid_until_ms / 30_000 - t))
        };
        let got: Vec<_> = (0..10).map(|t| step(t, t < 6)).collect();
        let (firing, resolved) = (Some(("firing", 8)), Some(("inactive", 8)));
        assert_eq!(got, [None, None, firing, None, None, firing, resolved, None, None, resolved]);
    }

    #[test]
    fn limits_and_equal_labels_are_errors() {
        let rule = rule(0, 0);
        let mut alerts = RuleAlerts::default();
        let twice = vec![instance("a"), instance("a")];
        let e = alerts.update(rule.alert().unwrap(), twice, 0, 0).unwrap_err();
        assert!(e.message().contains("same labelset after applying alert labels"), "{e}");
        let two = vec![instance("a"), instance("b")];
        let e = alerts.update(rule.alert().unwrap(), two, 0, 1).unwrap_err();
        assert_eq!(e.message(), "exceeded limit of 1 with 2 alerts");
        assert_eq!(alerts.active().count(), 0);
    }
}
