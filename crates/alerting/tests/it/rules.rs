//! Groups that run, change and go.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alerting::outside::LastSample;
use alerting::send::SendOptions;
use alerting::{AlertState, Health};
use base::{Clock, Histogram, Labels, Span};

use crate::fixture::{INTERVAL, START_MS, alert, fixture, group, record};

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_recording_rule_writes_series_and_ends_them() {
    let f = fixture(SendOptions::default());
    let mut rule = record("job:up:sum", "sum by (job) (up)");
    rule.labels = texts(&[("team", "a")]);
    f.store.answer("sum by (job) (up)", &[("x", 1.0), ("y", 2.0)]);
    f.apply(&[group("g", vec![rule])]).await;
    assert_eq!(f.group("g").rules[0].health, Health::Unknown);
    f.evaluate().await;
    let (x, y) = (r#"job:up:sum{job="x", team="a"}"#, r#"job:up:sum{job="y", team="a"}"#);
    assert_eq!(f.store.take(), [format!("{x} 1"), format!("{y} 2")]);
    assert_eq!(f.group("g").rules[0].health, Health::Good);
    f.store.answer("sum by (job) (up)", &[("y", 3.0)]);
    f.evaluate().await;
    assert_eq!(f.store.take(), [format!("{x} stale"), format!("{y} 3")]);
    f.evaluate().await;
    assert_eq!(f.store.take(), [format!("{y} 3")]);
    assert_eq!(f.metric("prometheus_rule_evaluations_total{rule_group=\"r.yml;g\"}"), Some(3.0));
    assert_eq!(f.metric("prometheus_rule_group_last_evaluation_samples{rule_group=\"r.yml;g\"}"), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn native_histograms_are_recorded_and_shown_in_templates() {
    let f = fixture(SendOptions::default());
    let histogram = Histogram {
        count: 3.0,
        sum: 4.0,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive: vec![3.0],
        ..Histogram::default()
    };
    f.store.answer_histogram("sum(h)", histogram);
    let mut told = alert("Told", "sum(h)", 0);
    told.annotations = texts(&[("is", "{{ $value }}")]);
    f.apply(&[group("g", vec![record("job:h:sum", "sum(h)"), told])]).await;
    f.evaluate().await;
    let text = "{count:3, sum:4, (0.5,1]:3}";
    assert_eq!(*f.store.histograms.lock().unwrap(), [format!(r#"job:h:sum{{job="a"}} {text}"#)]);
    let view = f.group("g");
    let alerts = &view.rules[1].alerts;
    assert_eq!((alerts.len(), alerts[0].value), (1, 0.0));
    assert_eq!(alerts[0].annotations[..], [("is".to_owned(), text.to_owned())]);
    // One that is gone ends, as any series does.
    f.store.answer("sum(h)", &[]);
    f.store.take();
    f.evaluate().await;
    assert!(f.store.take().contains(&r#"job:h:sum{job="a"} stale"#.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_with_a_rule_is_said_and_costs_that_rule() {
    let f = fixture(SendOptions::default());
    let mut limited =
        group("g", vec![record("a", "x"), record("b", "y"), record("c", "z"), record("d", "w")]);
    limited.limit = 1;
    f.store.answer("x", &[("1", 1.0), ("2", 1.0)]);
    f.store.fail("y");
    f.store.answer("z", &[("1", 1.0)]);
    f.store.answer("w", &[("1", 1.0)]);
    *f.store.refused.lock().unwrap() = vec!["d".into()];
    f.apply(&[limited]).await;
    f.evaluate().await;
    let group = f.group("g");
    let said: Vec<_> = group.rules.iter().map(|r| (r.health.as_str(), r.last_error.as_str())).collect();
    assert_eq!(said[0], ("err", "exceeded limit of 1 with 2 series"));
    assert_eq!(said[1], ("err", "many-to-many"));
    assert_eq!(said[2], ("ok", ""));
    assert!(said[3].0 == "err" && said[3].1.starts_with("out of order sample"), "{said:?}");
    assert!(f.store.take().contains(&r#"c{job="1"} 1"#.to_owned()));
    assert_eq!(f.metric("prometheus_rule_evaluation_failures_total{rule_group=\"r.yml;g\"}"), Some(3.0));
}

#[tokio::test(start_paused = true)]
async fn independent_rules_run_together_within_a_bound_and_are_written_at_once() {
    let f = fixture(SendOptions::default());
    let names: Vec<_> = (0..100).map(|i| format!("r{i}")).collect();
    let rules = names.iter().map(|n| record(n, &format!("in_{n}"))).collect();
    for n in &names {
        f.store.answer(&format!("in_{n}"), &[("x", 1.0)]);
    }
    f.apply(&[group("g", rules)]).await;
    f.evaluate().await;
    assert_eq!(f.store.take().len(), 100);
    assert_eq!(*f.store.appends.lock().unwrap(), 1);
    assert_eq!(f.store.most_running(), alerting::limits::CONCURRENT_EVALS);
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_pending_then_firing_then_resolved_and_is_sent() {
    let f = fixture(SendOptions::default());
    let mut rule = alert("Down", "up == 0", 2);
    rule.labels = texts(&[("severity", "page")]);
    rule.annotations = texts(&[("summary", "it is down")]);
    f.apply(&[group("g", vec![rule])]).await;
    f.store.answer("up == 0", &[("x", 0.0)]);
    f.evaluate().await;
    let view = f.group("g").rules.remove(0);
    assert_eq!((view.state, view.alerts.len()), (AlertState::Pending, 1));
    // Since when alerts are active is written once what was before the start is looked up, after the second time.
    assert!(f.store.take().is_empty());
    f.evaluate().await;
    assert!(f.alertmanager.take().is_empty());
    f.store.take();
    f.evaluate().await;
    assert_eq!(f.group("g").rules[0].state, AlertState::Firing);
    let sent = f.alertmanager.take();
    assert_eq!((sent.len(), sent[0].len()), (1, 1));
    let labels = serde_json::json!({"alertname": "Down", "job": "x", "severity": "page", "cluster": "eu"});
    assert_eq!(sent[0][0]["labels"], labels);
    assert_eq!(sent[0][0]["annotations"]["summary"], "it is down");
    assert_eq!(sent[0][0]["generatorURL"], "http://h:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    let written = f.store.take();
    assert_eq!(written[1], r#"ALERTS{alertname="Down", alertstate="firing", job="x", severity="page"} 1"#);
    assert!(written[0].starts_with(r#"ALERTS_FOR_STATE{alertname="Down", job="x", severity="page"} 1700"#));
    f.store.answer("up == 0", &[]);
    f.evaluate().await;
    let view = f.group("g").rules.remove(0);
    assert_eq!((view.state, view.alerts.len()), (AlertState::Inactive, 0));
    let resolved = f.alertmanager.take();
    assert!(resolved[0][0]["endsAt"].as_str() > sent[0][0]["startsAt"].as_str(), "{resolved:?}");
    assert!(f.store.take().iter().all(|s| s.ends_with(" stale")));
}

#[tokio::test(start_paused = true)]
async fn the_time_before_a_restart_counts() {
    let f = fixture(SendOptions::default());
    let labels = [("__name__", "ALERTS_FOR_STATE"), ("alertname", "Down"), ("job", "x")];
    let minutes_ago = |n: i64| START_MS - n * 60_000;
    *f.store.last.lock().unwrap() = vec![LastSample {
        labels: Labels::from_pairs(labels),
        t_ms: minutes_ago(5),
        value: (minutes_ago(45) / 1000) as f64,
    }];
    f.store.answer("up == 0", &[("x", 0.0)]);
    // Active for forty minutes of sixty when the process went down; twenty are left.
    f.apply(&[group("g", vec![alert("Down", "up == 0", 60)])]).await;
    f.evaluate().await;
    f.evaluate().await;
    f.store.take();
    f.evaluate().await;
    let alert = f.group("g").rules.remove(0).alerts.remove(0);
    let left_ms = alert.active_at_ms + 60 * 60_000 - f.clock.now_ms();
    assert!((18 * 60_000..=20 * 60_000).contains(&left_ms), "{left_ms}");
    assert_eq!(f.store.take().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_before_a_restart_counts_after_a_reload_soon_after_it_too() {
    let f = fixture(SendOptions::default());
    let labels = [("__name__", "ALERTS_FOR_STATE"), ("alertname", "Down"), ("job", "x")];
    *f.store.last.lock().unwrap() = vec![LastSample {
        labels: Labels::from_pairs(labels),
        t_ms: START_MS - 60_000,
        value: (START_MS / 1000 - 3600) as f64,
    }];
    f.store.answer("up == 0", &[("x", 0.0)]);
    let down = || alert("Down", "up == 0", 30);
    f.apply(&[group("g", vec![down()])]).await;
    f.evaluate().await;
    f.apply(&[group("g", vec![down(), record("a", "up")])]).await;
    f.evaluate().await;
    f.evaluate().await;
    f.evaluate().await;
    assert_eq!(f.group("g").rules[0].state, AlertState::Firing);
}

#[tokio::test(start_paused = true)]
async fn rules_that_hang_or_break_hold_up_no_other_group() {
    let f = fixture(SendOptions::default());
    f.store.answer("up", &[("x", 1.0)]);
    let stuck = (0..2 * alerting::limits::CONCURRENT_EVALS)
        .map(|i| group(&format!("stuck{i}"), vec![record("a", "stuck"), record("b", "stuck")]));
    let broken = group("broken", vec![record("c", "defect"), record("d", "up")]);
    let sound = group("sound", vec![record("e", "up")]);
    f.apply(&stuck.chain([broken, sound]).collect::<Vec<_>>()).await;
    for _ in 0..2 {
        f.evaluate().await;
        let written = f.store.take();
        assert_eq!(written, [r#"d{job="x"} 1"#, r#"e{job="x"} 1"#]);
    }
    let broken = f.group("broken").rules.remove(0);
    assert_eq!(
        (broken.health, broken.last_error.as_str()),
        (Health::Bad, "the evaluation ended by a defect")
    );
    assert_eq!(f.metric("bellwether_rule_evaluations_running"), Some(12.0));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_stays_and_ends_what_goes() {
    let f = fixture(SendOptions::default());
    f.store.answer("up == 0", &[("x", 0.0)]);
    f.store.answer("up", &[("x", 1.0)]);
    let same = group("same", vec![record("a", "up")]);
    let before = group("changes", vec![alert("Down", "up == 0", 60), record("b", "up")]);
    let goes = group("goes", vec![record("c", "up")]);
    f.apply(&[same.clone(), before, goes]).await;
    f.evaluate().await;
    f.evaluate().await;
    let active_at = |f: &crate::fixture::Fixture| f.group("changes").rules[0].alerts[0].active_at_ms;
    let (since, evaluated) = (active_at(&f), f.group("same").last_evaluation_ms);
    let after = group("changes", vec![record("d", "up"), alert("Down", "up == 0", 60)]);
    let mut after = after;
    after.rules.swap(0, 1);
    f.apply(&[same, after]).await;
    assert_eq!(f.group("same").last_evaluation_ms, evaluated);
    assert_eq!(active_at(&f), since);
    f.store.take();
    f.evaluate().await;
    let written = f.store.take();
    // The rule that a changed group lost ends at its next evaluation, the group that is gone after two intervals.
    assert!(written.contains(&r#"b{job="x"} stale"#.to_owned()), "{written:?}");
    assert!(written.contains(&r#"d{job="x"} 1"#.to_owned()), "{written:?}");
    assert!(!written.iter().any(|s| s.starts_with("c{")), "{written:?}");
    tokio::time::sleep(2 * INTERVAL).await;
    assert!(f.store.take().contains(&r#"c{job="x"} stale"#.to_owned()));
    assert_eq!(f.metric("prometheus_rule_group_rules{rule_group=\"r.yml;goes\"}"), None);
    f.manager.stop().await;
    f.store.take();
    tokio::time::sleep(3 * INTERVAL).await;
    assert!(f.store.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn queries_of_templates_end_with_the_evaluation() {
    let f = fixture(SendOptions::default());
    let mut rule = alert("Down", "up == 0", 0);
    rule.annotations = texts(&[("summary", "{{ query \"stuck\" }}")]);
    f.store.answer("up == 0", &[("a", 0.0), ("b", 0.0)]);
    f.apply(&[group("g", vec![rule])]).await;
    f.store.stuck.notified().await;
    f.manager.stop().await;
    // Another thread gives it up. Time that is paused stands still while that one is busy.
    let given_up = || f.store.given_up.load(Ordering::SeqCst);
    for _ in 0..1_000_000 {
        if given_up() > 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let given_up = given_up();
    f.store.release.notify_waiters();
    assert_eq!(given_up, 1, "nor is the other alert's query begun");
}

#[tokio::test(start_paused = true)]
async fn templates_are_filled_in_and_may_query() {
    let f = fixture(SendOptions::default());
    let mut rule = alert("Down", "up == 0", 0);
    rule.labels = texts(&[("where", "{{ $externalLabels.cluster }}")]);
    rule.annotations = texts(&[
        ("summary", "{{ $labels.job }} is at {{ $value | humanize }}"),
        ("other", "{{ range query \"other\" }}{{ .Value }}{{ end }}"),
        ("broken", "{{ template \"x\" }}"),
    ]);
    f.store.answer("up == 0", &[("x", 1234.5)]);
    f.store.answer("other", &[("y", 7.0)]);
    f.apply(&[group("g", vec![rule])]).await;
    f.evaluate().await;
    let alert = f.group("g").rules.remove(0).alerts.remove(0);
    assert_eq!(alert.labels.get("where"), Some("eu"));
    let annotation = |name| alerting::pair(&alert.annotations, name).unwrap().to_owned();
    assert_eq!(annotation("summary"), "x is at 1.234k");
    assert_eq!(annotation("other"), "7");
    assert!(annotation("broken").starts_with("<error expanding template: "), "{}", annotation("broken"));
    assert_eq!(f.metric("prometheus_template_text_expansion_failures_total"), Some(1.0));
    assert_eq!(f.alertmanager.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn slow_groups_miss_slots_and_count_them() {
    let f = fixture(SendOptions::default());
    let mut fast =
        group("g", (0..4).map(|i| record(&format!("a{i}"), &format!("a{} + up", i - 1))).collect());
    // Each rule reads the one before, so that an evaluation takes four queries of 10 ms.
    fast.interval = Duration::from_millis(15);
    f.apply(&[fast]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let key = "{rule_group=\"r.yml;g\"}";
    let missed = f.metric(&format!("prometheus_rule_group_iterations_missed_total{key}")).unwrap();
    let all = f.metric(&format!("prometheus_rule_group_iterations_total{key}")).unwrap();
    assert!((60.0..=67.0).contains(&all) && missed > 30.0, "{missed} of {all}");
}
