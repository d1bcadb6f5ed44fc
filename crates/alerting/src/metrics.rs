//! What the program tells about its rules, under Prometheus' names.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use crate::quantiles::Quantiles;

const GROUP: &[&str] = &["rule_group"];

/// Metrics of rules and their groups.
pub(crate) struct RuleMetrics {
    pub(crate) eval_duration: Quantiles,
    pub(crate) eval_duration_histogram: Histogram,
    pub(crate) iteration_duration: Quantiles,
    pub(crate) iteration_duration_histogram: Histogram,
    pub(crate) iterations_missed: IntCounterVec,
    pub(crate) iterations: IntCounterVec,
    pub(crate) evals: IntCounterVec,
    pub(crate) eval_failures: IntCounterVec,
    pub(crate) interval: GaugeVec,
    pub(crate) last_eval_time: GaugeVec,
    pub(crate) last_duration: GaugeVec,
    pub(crate) last_rule_duration_sum: GaugeVec,
    pub(crate) last_restore_duration: GaugeVec,
    pub(crate) rules: IntGaugeVec,
    pub(crate) samples: IntGaugeVec,
    pub(crate) template_expansions: IntCounter,
    pub(crate) template_failures: IntCounter,
    pub(crate) concurrent_evals: Gauge,
}

impl RuleMetrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let r = Made { registry };
        Ok(Self {
            eval_duration: r.summary(
                "prometheus_rule_evaluation_duration_seconds",
                "The duration for a rule to execute.",
                &[0.5, 0.9, 0.99],
            )?,
            eval_duration_histogram: r.histogram(
                "prometheus_rule_evaluation_duration_histogram_seconds",
                "The duration for a rule to execute.",
            )?,
            iteration_duration: r.summary(
                "prometheus_rule_group_duration_seconds",
                "The duration of rule group evaluations.",
                &[0.01, 0.05, 0.5, 0.9, 0.99],
            )?,
            iteration_duration_histogram: r.histogram(
                "prometheus_rule_group_duration_histogram_seconds",
                "The duration of rule group evaluations.",
            )?,
            iterations_missed: r.counters(
                "prometheus_rule_group_iterations_missed_total",
                "The total number of rule group evaluations missed due to slow rule group evaluation.",
            )?,
            iterations: r.counters(
                "prometheus_rule_group_iterations_total",
                "The total number of scheduled rule group evaluations, whether executed or missed.",
            )?,
            evals: r.counters("prometheus_rule_evaluations_total", "The total number of rule evaluations.")?,
            eval_failures: r.counters(
                "prometheus_rule_evaluation_failures_total",
                "The total number of rule evaluation failures.",
            )?,
            interval: r.gauges("prometheus_rule_group_interval_seconds", "The interval of a rule group.")?,
            last_eval_time: r.gauges(
                "prometheus_rule_group_last_evaluation_timestamp_seconds",
                "The timestamp of the last rule group evaluation in seconds.",
            )?,
            last_duration: r.gauges(
                "prometheus_rule_group_last_duration_seconds",
                "The duration of the last rule group evaluation.",
            )?,
            last_rule_duration_sum: r.gauges(
                "prometheus_rule_group_last_rule_duration_sum_seconds",
                "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency.",
            )?,
            last_restore_duration: r.gauges(
                "prometheus_rule_group_last_restore_duration_seconds",
                "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
            )?,
            rules: r.int_gauges("prometheus_rule_group_rules", "The number of rules.")?,
            samples: r.int_gauges(
                "prometheus_rule_group_last_evaluation_samples",
                "The number of samples returned during the last rule group evaluation.",
            )?,
            template_expansions: r.counter(
                "prometheus_template_text_expansions_total",
                "The total number of template text expansions.",
            )?,
            template_failures: r.counter(
                "prometheus_template_text_expansion_failures_total",
                "The total number of template text expansion failures.",
            )?,
            concurrent_evals: r.gauge(
                "bellwether_rule_evaluations_running",
                "Rules that are being evaluated right now, over all groups.",
            )?,
        })
    }

    /// Shows a group before its first evaluation.
    pub(crate) fn begin(&self, key: &str, rules: usize, interval_seconds: f64) {
        let key = &[key];
        for counters in [&self.iterations_missed, &self.iterations, &self.evals, &self.eval_failures] {
            counters.with_label_values(key);
        }
        for gauges in [&self.last_eval_time, &self.last_duration, &self.last_rule_duration_sum] {
            gauges.with_label_values(key);
        }
        self.samples.with_label_values(key);
        self.rules.with_label_values(key).set(rules as i64);
        self.interval.with_label_values(key).set(interval_seconds);
    }

    /// Forgets a group that is no longer configured.
    pub(crate) fn forget(&self, key: &str) {
        let key = &[key];
        // What was never shown cannot be removed, which is as well.
        for counters in [&self.iterations_missed, &self.iterations, &self.evals, &self.eval_failures] {
            let _ = counters.remove_label_values(key);
        }
        for gauges in [
            &self.interval,
            &self.last_eval_time,
            &self.last_duration,
            &self.last_rule_duration_sum,
            &self.last_restore_duration,
        ] {
            let _ = gauges.remove_label_values(key);
        }
        let _ = self.rules.remove_label_values(key);
        let _ = self.samples.remove_label_values(key);
    }
}

/// Makes metrics that a registry shows.
pub(crate) struct Made<'a> {
    pub(crate) registry: &'a Registry,
}

impl Made<'_> {
    fn shown<C: prometheus::core::Collector + Clone + 'static>(&self, made: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn summary(&self, name: &str, help: &str, quantiles: &'static [f64]) -> prometheus::Result<Quantiles> {
        self.shown(Quantiles::new(name, help, None, quantiles)?)
    }

    /// A summary by a label.
    pub(crate) fn summary_by(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        quantiles: &'static [f64],
    ) -> prometheus::Result<Quantiles> {
        self.shown(Quantiles::new(name, help, Some(label), quantiles)?)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(vec![0.01, 0.1, 1.0, 10.0]);
        self.shown(Histogram::with_opts(opts)?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.shown(IntCounter::new(name, help)?)
    }

    /// A gauge.
    pub(crate) fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.shown(Gauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str) -> prometheus::Result<IntCounterVec> {
        self.counters_by(name, help, GROUP)
    }

    /// Counters by labels.
    pub(crate) fn counters_by(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.shown(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
        self.shown(GaugeVec::new(Opts::new(name, help), GROUP)?)
    }

    fn int_gauges(&self, name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
        self.int_gauges_by(name, help, GROUP)
    }

    /// Gauges by labels.
    pub(crate) fn int_gauges_by(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.shown(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }
}
