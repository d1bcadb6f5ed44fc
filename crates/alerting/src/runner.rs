//! The loop of one group.

use std::sync::Arc;
use std::time::Duration;

use base::{Matcher, TimeRange};
use tokio::sync::watch;

use crate::evaluate::{evaluate_group, place};
use crate::group::{Group, Rule};
use crate::manager::Context;
use crate::restore::Restoration;
use crate::schedule::Slots;
use crate::state::{ALERT_NAME, ALERTS_FOR_STATE, millis};

/// Evaluates a group at its slots until told to stop.
pub(crate) async fn run(group: Arc<Group>, context: Arc<Context>, mut stop: watch::Receiver<bool>) {
    let slots = Slots::new(&group.config.file, &group.config.name, group.interval);
    let mut last_ms = slots.before(context.clock.now_ms());
    // Evaluations to wait for before alerts from before a restart are looked up: at the first, what rules read may not
    // be there yet.
    let mut until_restored = if group.restores { 2 } else { 0 };
    loop {
        let Some((slot_ms, missed)) = next(slots, last_ms, &context, &mut stop).await else { return };
        last_ms = slot_ms;
        let key = &[group.key.as_str()];
        context.metrics.iterations_missed.with_label_values(key).inc_by(missed);
        context.metrics.iterations.with_label_values(key).inc_by(missed + 1);
        iterate(&group, &context, slot_ms, &stop).await;
        if *stop.borrow() {
            return;
        }
        if until_restored > 0 {
            until_restored -= 1;
            if until_restored == 0 {
                restore(&group, &context).await;
            }
        }
    }
}

/// Waits for the next slot; `None` when told to stop.
async fn next(
    slots: Slots,
    last_ms: i64,
    context: &Context,
    stop: &mut watch::Receiver<bool>,
) -> Option<(i64, u64)> {
    loop {
        let now_ms = context.clock.now_ms();
        let wait = match slots.due(last_ms, now_ms) {
            Some(due) if !*stop.borrow() => return Some(due),
            Some(_) => return None,
            None => Duration::from_millis((slots.after(last_ms) - now_ms).unsigned_abs()),
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn iterate(group: &Arc<Group>, context: &Arc<Context>, slot_ms: i64, stop: &watch::Receiver<bool>) {
    let (begun, begun_ms) = (context.clock.monotonic(), context.clock.now_ms());
    evaluate_group(group, context, slot_ms, stop).await;
    let took = context.clock.monotonic().saturating_sub(begun);
    let (metrics, key) = (&context.metrics, &[group.key.as_str()]);
    metrics.iteration_duration.observe("", took.as_secs_f64());
    metrics.iteration_duration_histogram.observe(took.as_secs_f64());
    let sum: Duration = group.rules.iter().map(|r| r.status.lock().evaluation_time).sum();
    metrics.last_rule_duration_sum.with_label_values(key).set(sum.as_secs_f64());
    metrics.last_duration.with_label_values(key).set(took.as_secs_f64());
    metrics.last_eval_time.with_label_values(key).set(begun_ms as f64 / 1000.0);
    *group.last.lock() = (took, Some(begun_ms));
}

/// Looks up since when alerts are active that were so before a restart.
async fn restore(group: &Group, context: &Context) {
    let (begun, now_ms) = (context.clock.monotonic(), context.clock.now_ms());
    for rule in &group.rules {
        let Some(terms) = rule.config.alert() else { continue };
        // A shorter hold would only be made longer by the grace period.
        if terms.hold >= context.options.for_grace_period
            && let Err(error) = restore_rule(group, rule, terms.hold, context, now_ms).await
        {
            let alert = &rule.config.name;
            tracing::error!(alert, %error, "cannot restore since when alerts are active");
        }
        // Without an answer too: the alert must be able to fire.
        rule.set_restored();
    }
    let took = context.clock.monotonic().saturating_sub(begun);
    context.metrics.last_restore_duration.with_label_values(&[&group.key]).set(took.as_secs_f64());
}

async fn restore_rule(
    group: &Group,
    rule: &Rule,
    hold: Duration,
    context: &Context,
    now_ms: i64,
) -> base::Result<()> {
    let config = &rule.config;
    let mut matchers = vec![
        Matcher::equal(base::METRIC_NAME, ALERTS_FOR_STATE),
        Matcher::equal(ALERT_NAME, config.name.as_str()),
    ];
    // The value of a template differs from alert to alert.
    let fixed = config.labels.iter().filter(|(n, v)| !v.is_empty() && !v.contains("{{") && n != ALERT_NAME);
    matchers.extend(fixed.map(|(n, v)| Matcher::equal(n.as_str(), v.as_str())));
    let from_ms = now_ms - millis(context.options.for_outage_tolerance);
    let place = place(group, context).await;
    let found = context.querier.last_samples(&matchers, TimeRange::new(from_ms, now_ms)).await?;
    drop(place);
    let grace = context.options.for_grace_period;
    let restoration = Restoration { hold, grace, now_ms };
    let by_labels: std::collections::HashMap<_, _> =
        found.iter().map(|s| (s.labels.without_metric(), (s.t_ms, s.value))).collect();
    rule.alerts.lock().restore(|alert| {
        let (t_ms, value) = by_labels.get(&alert.labels)?;
        let active_at_ms = restoration.active_at_ms(*t_ms, *value)?;
        let (alert, group) = (&config.name, &group.config.name);
        tracing::debug!(alert, group, active_at_ms, "restored since when an alert is active");
        Some(active_at_ms)
    });
    Ok(())
}
