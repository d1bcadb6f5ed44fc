//! Queues: batches, bounds, failures, the end.

use std::time::Duration;

use alerting::send::{AlertmanagerSet, Alertmanagers, SendOptions};
use base::Labels;

use crate::fixture::{Fixture, alert, fixture, group};

const AM: &str = "{alertmanager=\"http://am/api/v2/alerts\"}";

/// One rule whose alerts fire at once, so many of them.
async fn firing(f: &Fixture, count: usize) {
    let names: Vec<_> = (0..count).map(|i| format!("{i:04}")).collect();
    let series: Vec<_> = names.iter().map(|n| (n.as_str(), 0.0)).collect();
    f.store.answer("up == 0", &series);
    f.apply(&[group("g", vec![alert("Down", "up == 0", 0)])]).await;
    f.evaluate().await;
}

#[tokio::test(start_paused = true)]
async fn alerts_go_out_in_batches() {
    let f = fixture(SendOptions::default());
    firing(&f, 600).await;
    let sizes: Vec<_> = f.alertmanager.take().iter().map(Vec::len).collect();
    assert_eq!(sizes, [256, 256, 88]);
    assert_eq!(f.metric(&format!("prometheus_notifications_sent_total{AM}")), Some(600.0));
    assert_eq!(f.metric("prometheus_notifications_queue_capacity"), Some(10_000.0));
    assert_eq!(f.metric("prometheus_notifications_alertmanagers_discovered"), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_give_way_where_too_many_wait() {
    let f = fixture(SendOptions { queue_capacity: 100, batch_size: 64, drain: true });
    firing(&f, 150).await;
    let sent: Vec<_> = f.alertmanager.take().concat();
    assert_eq!(sent.len(), 100);
    assert_eq!(sent[0]["labels"]["job"], "0050");
    assert_eq!(f.metric(&format!("prometheus_notifications_dropped_total{AM}")), Some(50.0));
}

#[tokio::test(start_paused = true)]
async fn an_alertmanager_that_fails_is_counted_and_hears_later() {
    let f = fixture(SendOptions::default());
    *f.alertmanager.failing.lock().unwrap() = true;
    firing(&f, 3).await;
    assert_eq!(f.metric(&format!("prometheus_notifications_errors_total{AM}")), Some(3.0));
    *f.alertmanager.failing.lock().unwrap() = false;
    f.evaluate().await;
    f.evaluate().await;
    assert_eq!(f.alertmanager.take()[0].len(), 3);
}

#[tokio::test(start_paused = true)]
async fn stopping_sends_what_waits_for_a_limited_time() {
    let f = fixture(SendOptions::default());
    *f.alertmanager.slow.lock().unwrap() = true;
    firing(&f, 100).await;
    let begun = tokio::time::Instant::now();
    f.manager.stop().await;
    f.notifier.stop().await;
    assert!(begun.elapsed().as_secs() <= 11, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn alertmanagers_come_and_go() {
    let f = fixture(SendOptions::default());
    let found = |active: &[&str], dropped: &[&str]| {
        let list = |urls: &[&str]| urls.iter().map(|u| (*u).to_owned()).collect();
        f.notifier.set_targets(0, &Alertmanagers { active: list(active), dropped: list(dropped) });
    };
    found(&["http://b", "http://c"], &["http://d"]);
    let known = f.notifier.alertmanagers();
    assert_eq!(
        (known.active, known.dropped),
        (vec!["http://b".into(), "http://c".into()], vec!["http://d".into()])
    );
    firing(&f, 1).await;
    assert_eq!(f.alertmanager.take().len(), 2);
    found(&[], &[]);
    assert!(f.notifier.alertmanagers().active.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_alertmanager_keeps_its_counters_while_any_set_has_it() {
    let f = fixture(SendOptions::default());
    firing(&f, 3).await;
    let found = |urls: &[&str]| {
        let active = urls.iter().map(|u| (*u).to_owned()).collect();
        f.notifier.set_targets(1, &Alertmanagers { active, dropped: vec![] });
    };
    // Another configuration for the same Alertmanager.
    let (timeout, post) = (Duration::from_secs(5), f.alertmanager.clone());
    let known = Alertmanagers::default();
    f.notifier.apply(
        Labels::empty(),
        None,
        vec![AlertmanagerSet { id: 1, timeout, relabel: None, post, known }],
    );
    found(&["http://am/api/v2/alerts"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(f.metric(&format!("prometheus_notifications_sent_total{AM}")), Some(3.0));
    assert_eq!(f.metric(&format!("prometheus_notifications_queue_length{AM}")), Some(0.0));
    found(&[]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(f.metric(&format!("prometheus_notifications_sent_total{AM}")), None);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_changes_sends_at_once_to_those_that_are_known() {
    let f = fixture(SendOptions::default());
    let known = Alertmanagers { active: vec!["http://known".into()], dropped: vec!["http://not".into()] };
    let (timeout, post) = (Duration::from_secs(5), f.alertmanager.clone());
    let set = AlertmanagerSet { id: 1, timeout, relabel: None, post, known: known.clone() };
    f.notifier.apply(Labels::empty(), None, vec![set.clone()]);
    assert_eq!(f.notifier.alertmanagers(), known);
    assert_eq!(f.metric("prometheus_notifications_alertmanagers_discovered"), Some(1.0));
    firing(&f, 2).await;
    assert_eq!(f.alertmanager.take()[0].len(), 2);
    // What was found since is not forgotten when the rest of the configuration changes.
    let found = Alertmanagers { active: vec!["http://found".into()], dropped: vec![] };
    f.notifier.set_targets(1, &found);
    f.notifier.apply(Labels::empty(), None, vec![set]);
    assert_eq!(f.notifier.alertmanagers(), found);
}
