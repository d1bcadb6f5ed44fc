//! One evaluation of a group: rules that are independent at the same time, their results in a few large appends.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use base::{Error, ErrorKind, Labels, Result, STALE_NAN, WriteBatch};
use futures::{FutureExt, StreamExt};
use prometheus::Gauge;
use tokio::sync::{SemaphorePermit, watch};

use crate::expand::expand;
use crate::group::{Group, Health, Rule};
use crate::limits::{RULES_PER_APPEND, SAMPLES_PER_APPEND};
use crate::manager::Context;
use crate::outside::{Appended, ResultSample};
use crate::rule::RuleConfig;
use crate::state::millis;

/// Counts an evaluation as running, however it ends.
struct Running<'a>(&'a Gauge);

impl<'a> Running<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a rule gave.
struct Outcome {
    rule: Arc<Rule>,
    samples: Vec<ResultSample>,
}

/// Evaluates every rule of a group for one time, and writes what they give. Ends early when told to stop.
pub(crate) async fn evaluate_group(
    group: &Arc<Group>,
    context: &Arc<Context>,
    t_ms: i64,
    stop: &watch::Receiver<bool>,
) {
    let written_ms = t_ms - millis(group.query_offset);
    let mut total = 0;
    for batch in &group.batches {
        for chunk in batch.chunks(RULES_PER_APPEND) {
            if *stop.borrow() {
                return;
            }
            let rules: Vec<_> = chunk.iter().map(|i| Arc::clone(&group.rules[*i])).collect();
            let evaluations = rules.into_iter().map(|rule| {
                let (group, context, mut stop) = (Arc::clone(group), Arc::clone(context), stop.clone());
                async move {
                    // A query may take minutes, and ends when it is dropped.
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => None,
                        outcome = evaluate(&group, rule, &context, t_ms) => outcome,
                    }
                }
            });
            let mut evaluations = futures::stream::iter(evaluations).buffered(context.options.concurrency);
            let mut outcomes: Vec<Outcome> = Vec::new();
            let mut pending = 0;
            while let Some(outcome) = evaluations.next().await {
                let Some(outcome) = outcome else { continue };
                pending += outcome.samples.len();
                total += outcome.samples.len();
                outcomes.push(outcome);
                if pending > SAMPLES_PER_APPEND {
                    write(group, context, std::mem::take(&mut outcomes), written_ms).await;
                    pending = 0;
                }
            }
            write(group, context, outcomes, written_ms).await;
        }
    }
    context.metrics.samples.with_label_values(&[&group.key]).set(total as i64);
    let stale = std::mem::take(&mut *group.stale.lock());
    mark_stale(group, context, stale, written_ms).await;
}

/// Evaluates one rule and says how that went; `None` if it failed.
async fn evaluate(group: &Arc<Group>, rule: Arc<Rule>, context: &Context, t_ms: i64) -> Option<Outcome> {
    let place = place(group, context).await?;
    let running = Running::begin(&context.metrics.concurrent_evals);
    let (begun, begun_ms) = (context.clock.monotonic(), context.clock.now_ms());
    let key = &[group.key.as_str()];
    context.metrics.evals.with_label_values(key).inc();
    // A defect in one rule's evaluation must not end the loop of its group, and with it all alerts of the group.
    let result = AssertUnwindSafe(results(group, &rule, context, t_ms)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(Error::internal("the evaluation ended by a defect")));
    let took = context.clock.monotonic().saturating_sub(begun);
    drop((place, running));
    context.metrics.eval_duration.observe("", took.as_secs_f64());
    context.metrics.eval_duration_histogram.observe(took.as_secs_f64());
    {
        let mut status = rule.status.lock();
        status.evaluation_time = took;
        status.last_evaluation_ms = Some(begun_ms);
        status.health = Health::Good;
        status.last_error.clear();
    }
    match result {
        Ok(samples) => Some(Outcome { rule, samples }),
        Err(e) => {
            failed(group, &rule, context, &e);
            None
        }
    }
}

/// A place to evaluate a rule in: the group's own, or one of those for all.
pub(crate) async fn place<'a>(group: &'a Group, context: &'a Context) -> Option<SemaphorePermit<'a>> {
    tokio::select! {
        biased;
        place = group.place.acquire() => place.ok(),
        place = context.places.acquire() => place.ok(),
    }
}

fn failed(group: &Group, rule: &Rule, context: &Context, error: &Error) {
    rule.failed(error);
    context.metrics.eval_failures.with_label_values(&[&group.key]).inc();
    // A query that is given up is so on purpose, mostly at the end of the process.
    if error.kind() != ErrorKind::Canceled {
        let (file, name) = (&group.config.file, &group.config.name);
        tracing::warn!(file, group = name, rule = rule.config.name, %error, "cannot evaluate a rule");
    }
}

/// The series that a rule gives; alerts change their state and are sent on the way.
async fn results(group: &Arc<Group>, rule: &Rule, context: &Context, t_ms: i64) -> Result<Vec<ResultSample>> {
    let config = &rule.config;
    let query_ms = t_ms - millis(group.query_offset);
    let found = context.querier.query(group.asker(), &config.query, query_ms).await?;
    let Some(terms) = config.alert() else {
        return recorded(config, found, group.config.limit);
    };
    let instances = expand(config, found, context, group, t_ms).await?;
    let (unsent, series) = {
        let mut alerts = rule.alerts.lock();
        alerts.update(terms, instances, t_ms, group.config.limit)?;
        let unsent = alerts.take_unsent(t_ms, context.options.resend_delay, group.interval);
        let series = if rule.is_restored() { alerts.series(config) } else { vec![] };
        (unsent, series)
    };
    context.notifier.send_active(&config.query, &group.terms.external_url, unsent);
    Ok(series)
}

/// The series that a recording rule makes of its result: its name and labels in place of theirs. Two with the same
/// labels, or more than `limit` (unless that is 0), are errors.
pub fn recorded(config: &RuleConfig, found: Vec<ResultSample>, limit: usize) -> Result<Vec<ResultSample>> {
    let mut seen = HashSet::with_capacity(found.len());
    let mut out = Vec::with_capacity(found.len());
    for sample in found {
        let labels = config.recorded_labels(&sample.labels);
        if !seen.insert(labels.clone()) {
            return Err(Error::invalid(
                "vector contains metrics with the same labelset after applying rule labels",
            ));
        }
        out.push(ResultSample { labels, ..sample });
    }
    if limit > 0 && out.len() > limit {
        let n = out.len();
        return Err(Error::limit(format!("exceeded limit of {limit} with {n} series")));
    }
    Ok(out)
}

/// Writes what rules gave, and staleness markers for what they gave before and do not give any more.
async fn write(group: &Group, context: &Context, outcomes: Vec<Outcome>, t_ms: i64) {
    let mut batch = WriteBatch::new();
    let mut given: HashSet<&Labels> = HashSet::new();
    for outcome in &outcomes {
        given.extend(outcome.samples.iter().map(|s| &s.labels));
        add(&mut batch, outcome, t_ms);
    }
    for outcome in &outcomes {
        for labels in outcome.rule.previous.lock().iter().filter(|l| !given.contains(l)) {
            batch.begin(labels);
            batch.sample(t_ms, f64::from_bits(STALE_NAN));
        }
    }
    if batch.is_empty() {
        return;
    }
    match context.sink.append(batch).await {
        Err(e) => {
            for outcome in &outcomes {
                failed(group, &outcome.rule, context, &e);
            }
            return;
        }
        Ok(appended) if appended.total() > 0 => blame(group, context, &outcomes, t_ms).await,
        Ok(_) => {}
    }
    for outcome in outcomes {
        let series = outcome.samples.into_iter().map(|s| s.labels).collect();
        *outcome.rule.previous.lock() = series;
    }
}

fn add(batch: &mut WriteBatch, outcome: &Outcome, t_ms: i64) {
    for sample in &outcome.samples {
        sample.put(t_ms, batch);
    }
}

/// Finds whose samples were refused. Writing a sample again changes nothing, so each rule's are written once more by
/// themselves. That a staleness marker is refused means that another rule goes on with the series.
async fn blame(group: &Group, context: &Context, outcomes: &[Outcome], t_ms: i64) {
    for outcome in outcomes {
        let mut batch = WriteBatch::new();
        add(&mut batch, outcome, t_ms);
        if batch.is_empty() {
            continue;
        }
        match context.sink.append(batch).await {
            Ok(appended) if appended.total() == 0 => {}
            Ok(appended) => failed(group, &outcome.rule, context, &refusal(appended)),
            Err(e) => failed(group, &outcome.rule, context, &e),
        }
    }
}

fn refusal(a: Appended) -> Error {
    let what = if a.out_of_order > 0 {
        "out of order sample"
    } else if a.too_old > 0 {
        "too old sample"
    } else if a.duplicate > 0 {
        "duplicate sample for timestamp"
    } else {
        "sample refused by the store"
    };
    Error::invalid(format!("{what} ({} of the results were not stored)", a.total()))
}

/// Ends series that nobody writes any more.
pub(crate) async fn mark_stale(group: &Group, context: &Context, series: Vec<Labels>, t_ms: i64) {
    if series.is_empty() {
        return;
    }
    let live = context.live_series();
    let mut batch = WriteBatch::new();
    for labels in series.iter().filter(|l| !live.contains(*l)) {
        batch.begin(labels);
        batch.sample(t_ms, f64::from_bits(STALE_NAN));
    }
    if batch.is_empty() {
        return;
    }
    if let Err(error) = context.sink.append(batch).await {
        let (file, name) = (&group.config.file, &group.config.name);
        tracing::warn!(file, group = name, %error, "cannot mark the series of an earlier configuration as stale");
        // They are tried again at the next evaluation.
        group.stale.lock().extend(series);
    }
}
