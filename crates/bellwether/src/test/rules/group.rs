//! One group of tests: evaluates the rules from the first sample to the last moment that a test asks for, compares
//! alerts on the way and expressions at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use alerting::GroupConfig;
use alerting::rehearse::Rehearsal;
use base::{Labels, LabelsBuilder};

use super::compare::{
    Alert, ParsedSample, alerts_text, diff, parse_sample, samples_equal, samples_text, series_text,
};
use super::duration;
use super::stage::Series;
use crate::config::{AlertTest, ExprTest, TestGroup, UnitTests};
use crate::features::Features;
use crate::report::Report;
use crate::test::args::Rules;

pub(super) struct Runner<'t> {
    tests: &'t UnitTests,
    group: &'t TestGroup,
    rules: Vec<GroupConfig>,
    options: &'t Rules,
    features: &'t Features,
    failures: Vec<String>,
}

impl<'t> Runner<'t> {
    pub(super) fn new(
        tests: &'t UnitTests,
        group: &'t TestGroup,
        rules: Vec<GroupConfig>,
        options: &'t Rules,
        features: &'t Features,
    ) -> Self {
        Self { tests, group, rules, options, features, failures: Vec::new() }
    }

    /// Runs the tests and returns what is not as expected.
    pub(super) fn run(mut self, report: &mut Report) -> Vec<String> {
        let mut series = match Series::new(self.group, self.tests.evaluation_interval, self.features) {
            Ok(series) => series,
            Err(e) => return vec![e.message().to_owned()],
        };
        if let Some(test) = self.group.alert_tests.iter().find(|t| t.alertname.is_empty()) {
            let of_group = match self.group.name.as_str() {
                "" => String::new(),
                name => format!(" (in TestGroup {name})"),
            };
            return vec![format!(
                "an item under alert_rule_test misses required attribute alertname at eval_time {}{of_group}",
                duration(test.eval_time)
            )];
        }
        if !self.evaluate(&mut series) {
            return self.failures;
        }
        for test in &self.group.expr_tests {
            let failure = self.check_expression(test, &series);
            self.failures.extend(failure);
        }
        if self.options.debug {
            self.dump(&series, report);
        }
        self.failures
    }

    /// Evaluates the rules and compares alerts; false if a rule could not be evaluated.
    fn evaluate(&mut self, series: &mut Series) -> bool {
        let rules = std::mem::take(&mut self.rules);
        let (labels, url) = (self.group.external_labels.clone(), self.group.external_url.clone());
        let mut rehearsal = Rehearsal::new(rules, labels, url);
        let interval = self.tests.evaluation_interval;
        let times: BTreeSet<Duration> = self.group.alert_tests.iter().map(|t| t.eval_time).collect();
        let mut times = times.into_iter().peekable();
        let last = self.last();
        let mut at = Duration::ZERO;
        while at <= last {
            let t_ms = self.at_ms(at);
            series.load_until(t_ms);
            let failed = rehearsal.evaluate(t_ms, series);
            if !failed.is_empty() {
                let time = go_duration(t_ms);
                let text = |(rule, e): (String, String)| format!("    rule: {rule}, time: {time}, err: {e}");
                self.failures.extend(failed.into_iter().map(text));
                return false;
            }
            while let Some(time) = times.next_if(|t| *t < at + interval) {
                for test in self.group.alert_tests.iter().filter(|t| t.eval_time == time) {
                    let failure = self.check_alerts(test, &rehearsal);
                    self.failures.extend(failure);
                }
            }
            at += interval;
        }
        true
    }

    /// The last moment that a test asks for, since the first samples.
    fn last(&self) -> Duration {
        let alerts = self.group.alert_tests.iter().map(|t| t.eval_time);
        alerts.chain(self.group.expr_tests.iter().map(|t| t.eval_time)).max().unwrap_or_default()
    }

    fn at_ms(&self, since_start: Duration) -> i64 {
        self.group.start_ms.saturating_add(i64::try_from(since_start.as_millis()).unwrap_or(i64::MAX))
    }

    fn check_alerts(&self, test: &AlertTest, rehearsal: &Rehearsal) -> Option<String> {
        let mut expected: Vec<Alert> = test
            .alerts
            .iter()
            .map(|(labels, annotations)| {
                let mut labels: LabelsBuilder = labels.to_builder();
                labels.set("alertname", &test.alertname);
                Alert { labels: labels.build(), annotations: annotations.clone() }
            })
            .collect();
        let mut got: Vec<Alert> = rehearsal
            .firing(&test.alertname)
            .into_iter()
            .map(|alert| Alert {
                labels: alert.labels.clone(),
                annotations: Labels::from_pairs(alert.annotations.iter().map(|(n, v)| (n, v))),
            })
            .collect();
        expected.sort();
        got.sort();
        if expected == got {
            return None;
        }
        let name = match self.group.name.as_str() {
            "" => String::new(),
            name => format!("    name: {name},\n"),
        };
        let (alert, time) = (&test.alertname, duration(test.eval_time));
        Some(match self.options.diff {
            true => format!(
                "{name}    alertname: {alert}, time: {time}, \n        diff: {}",
                diff(&expected, &got)
            ),
            false => format!(
                "{name}    alertname: {alert}, time: {time}, \n        exp:{}, \n        got:{}",
                alerts_text(&expected),
                alerts_text(&got)
            ),
        })
    }

    fn check_expression(&self, test: &ExprTest, series: &Series) -> Option<String> {
        let time = duration(test.eval_time);
        let failed = |e: &str| format!("    expr: {:?}, time: {time}, err: {e}", test.expr);
        let mut got: Vec<ParsedSample> = match series.evaluate(&test.expr, self.at_ms(test.eval_time)) {
            Ok(samples) => samples.into_iter().map(ParsedSample::of).collect(),
            Err(e) => return Some(failed(e.message())),
        };
        let mut expected = Vec::with_capacity(test.samples.len());
        for sample in &test.samples {
            match parse_sample(sample) {
                Ok(parsed) => expected.push(parsed),
                Err(e) => return Some(failed(&format!("labels {:?}: {}", sample.labels, e.message()))),
            }
        }
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        if samples_equal(&expected, &got, self.tests.fuzzy_compare) {
            return None;
        }
        Some(format!(
            "    expr: {:?}, time: {time},\n        exp: {}\n        got: {}",
            test.expr,
            samples_text(&expected),
            samples_text(&got)
        ))
    }

    /// All samples of the test, as promtool lists them.
    fn dump(&self, series: &Series, report: &mut Report) {
        // The end of the last test, up to the next second.
        let whole = Duration::from_secs(self.last().as_secs() + 1);
        let at_ms = self.at_ms(whole);
        report.err(format_args!("DEBUG: Dump of all data (input_series and rules) at {}:", duration(whole)));
        match series.all(at_ms) {
            Ok(all) => all.iter().for_each(|s| report.err(series_text(s))),
            Err(e) => report.err(format_args!("DEBUG: Failed query exec: {e}")),
        }
    }
}

/// A time since 1970 as Go writes a duration.
fn go_duration(ms: i64) -> String {
    template::GoDuration(ms.saturating_mul(1_000_000)).to_string()
}
