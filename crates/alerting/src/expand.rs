//! The templates of alerts: labels and annotations with values filled in.

use std::sync::Arc;

use base::{Error, ErrorKind, Labels, METRIC_NAME, Result};
use promql::histogram::describe;
use template::{Functions, Sample, Template, Value};
use tokio::sync::watch;

use crate::group::Group;
use crate::manager::Context;
use crate::outside::{Querier, ResultSample};
use crate::rule::{Pairs, RuleConfig};
use crate::state::{ALERT_NAME, Instance};

/// Variables that are easier to remember than the fields of the data.
const DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
    {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// The text of a label or an annotation of an alert.
#[derive(Debug, Clone)]
pub enum AlertTemplate {
    /// It stands as it is.
    Plain(Arc<str>),
    /// It is filled in for each alert.
    Parsed(Arc<Template>),
}

/// Reads a text of the alert with this name. The error is Go's.
pub fn alert_template(alert: &str, text: &str) -> Result<AlertTemplate, String> {
    // Only this begins an action, and most texts have none.
    if !text.contains("{{") {
        return Ok(AlertTemplate::Plain(text.into()));
    }
    Template::parse(&format!("__alert_{alert}"), &format!("{DEFINITIONS}{text}"))
        .map(|t| AlertTemplate::Parsed(Arc::new(t)))
        .map_err(|e| e.cause().to_owned())
}

/// What the templates of one alert are filled in with.
pub struct AlertData<'a> {
    /// Labels of the series, the metric's name included.
    pub labels: &'a Labels,
    /// Its value, as templates see it.
    pub value: Value,
    /// Labels of this server.
    pub external_labels: &'a Labels,
    /// Where people reach this server.
    pub external_url: &'a str,
}

impl AlertData<'_> {
    fn context(&self) -> template::Context {
        template::Context::new(Value::record(
            "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
            vec![
                ("Labels", Value::string_map(self.labels)),
                ("ExternalLabels", Value::string_map(self.external_labels)),
                ("ExternalURL", Value::from(self.external_url)),
                ("Value", self.value.clone()),
            ],
        ))
    }
}

/// How many texts were filled in, and why some could not be.
#[derive(Debug, Default)]
pub struct Expansions {
    /// Those that were tried.
    pub tried: u64,
    /// Why the others failed.
    pub failures: Vec<String>,
}

/// The value of a series as templates see it. A native histogram is written as `{{ .Value }}` would write it.
pub(crate) fn value(sample: &ResultSample) -> Value {
    match &sample.histogram {
        None => Value::Float(sample.value),
        Some(h) => Value::opaque("*histogram.FloatHistogram", describe(h), Vec::new()),
    }
}

/// A series of a query in a template.
pub(crate) fn in_template(sample: ResultSample) -> Sample {
    Sample { value: value(&sample), labels: sample.labels }
}

/// The alert that a series of a rule's result makes; its value is zero where that is a histogram, as in Prometheus. A template that
/// cannot be filled in leaves an error in its place, so that the alert is sent all the same. `rule` is an alerting rule.
pub fn instance(
    rule: &RuleConfig,
    sample: &ResultSample,
    data: &AlertData<'_>,
    functions: &dyn Functions,
    counts: &mut Expansions,
) -> Instance {
    let mut context = None;
    let mut fill_in = |template: &AlertTemplate| match template {
        AlertTemplate::Plain(text) => text.to_string(),
        AlertTemplate::Parsed(template) => {
            counts.tried += 1;
            let context = context.get_or_insert_with(|| data.context());
            template.expand(context, functions).unwrap_or_else(|e| {
                counts.failures.push(e.to_string());
                format!("<error expanding template: {e}>")
            })
        }
    };
    let mut labels = data.labels.to_builder();
    labels.remove(METRIC_NAME);
    let Some(terms) = rule.alert() else {
        return Instance { labels: labels.build(), annotations: Arc::from([]), value: sample.value };
    };
    for ((name, _), template) in rule.labels.iter().zip(&terms.label_templates) {
        labels.set(name, &fill_in(template));
    }
    labels.set(ALERT_NAME, &rule.name);
    let annotations: Pairs = terms
        .annotations
        .iter()
        .zip(&terms.annotation_templates)
        .map(|((name, _), template)| (name.clone(), fill_in(template)))
        .collect();
    Instance { labels: labels.build(), annotations, value: sample.value }
}

/// The alerts of a result. Templates may query, and are filled in where waiting for that holds nobody up. When this is dropped no query
/// goes on, and no alert is begun any more.
pub(crate) async fn expand(
    rule: &Arc<RuleConfig>,
    found: Vec<ResultSample>,
    context: &Context,
    group: &Arc<Group>,
    t_ms: i64,
) -> Result<Vec<Instance>> {
    if found.is_empty() {
        return Ok(vec![]);
    }
    let (_wanted, gone) = watch::channel(());
    let outside = Outside {
        querier: Arc::clone(&context.querier),
        runtime: tokio::runtime::Handle::current(),
        group: Arc::clone(group),
        t_ms,
        gone,
    };
    let rule = Arc::clone(rule);
    let all = move || {
        let mut counts = Expansions::default();
        let instances: Vec<_> = found
            .iter()
            .take_while(|_| !outside.is_gone())
            .map(|sample| {
                let data = AlertData {
                    labels: &sample.labels,
                    value: value(sample),
                    external_labels: &outside.group.terms.external_labels,
                    external_url: &outside.group.terms.external_url,
                };
                instance(&rule, sample, &data, &outside, &mut counts)
            })
            .collect();
        for error in counts.failures.iter().take(1) {
            tracing::warn!(alert = rule.name, failures = counts.failures.len(), %error, "cannot expand a template");
        }
        (instances, counts)
    };
    match tokio::task::spawn_blocking(all).await {
        Ok((instances, counts)) => {
            context.metrics.template_expansions.inc_by(counts.tried);
            context.metrics.template_failures.inc_by(counts.failures.len() as u64);
            Ok(instances)
        }
        Err(e) => Err(Error::internal(format!("cannot expand the templates of an alert: {e}"))),
    }
}

/// What templates may ask, as of the time of an evaluation.
struct Outside {
    querier: Arc<dyn Querier>,
    runtime: tokio::runtime::Handle,
    group: Arc<Group>,
    t_ms: i64,
    /// Closed when nobody waits for the alerts any more.
    gone: watch::Receiver<()>,
}

impl Outside {
    fn is_gone(&self) -> bool {
        self.gone.has_changed().is_err()
    }
}

impl Functions for Outside {
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let asked = self.querier.query(self.group.asker(), expression, self.t_ms);
        let mut gone = self.gone.clone();
        let found = self.runtime.block_on(async {
            tokio::select! {
                biased;
                // Nothing is ever sent, so this says that the other end is gone.
                _ = gone.changed() => Err(Error::new(ErrorKind::Canceled, "the evaluation was given up")),
                found = asked => found,
            }
        });
        Ok(found.map_err(|e| e.message().to_owned())?.into_iter().map(in_template).collect())
    }

    fn now_ms(&self) -> i64 {
        self.t_ms
    }

    fn external_url(&self) -> &str {
        &self.group.terms.external_url
    }
}
