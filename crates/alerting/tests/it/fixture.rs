//! A manager over a store that is a list, and a network that is another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerting::outside::{AlertPost, Appended, Asker, LastSample, Querier, ResultSample, SampleSink};
use alerting::rule_file::{CheckOptions, GroupSource, Placed, RuleSource, check};
use alerting::send::{AlertmanagerSet, Alertmanagers, SendOptions};
use alerting::{GroupConfig, GroupView, Notifier, RuleManager, RuleOptions, Terms};
use async_trait::async_trait;
use base::{Clock, Error, Histogram, Labels, Matcher, Result, TimeRange, WriteBatch, is_stale};
use promql::histogram::describe;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// Shows what the runtime's clock shows.
pub(crate) struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.monotonic().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        Instant::now() - self.0
    }
}

/// Answers queries by their text, and keeps what is appended.
#[derive(Default)]
pub(crate) struct FakeStore {
    answers: Mutex<HashMap<String, Result<Vec<ResultSample>>>>,
    pub(crate) last: Mutex<Vec<LastSample>>,
    samples: Mutex<Vec<(Labels, i64, f64)>>,
    /// Histograms that were appended, as `series histogram`.
    pub(crate) histograms: Mutex<Vec<String>>,
    pub(crate) appends: Mutex<usize>,
    /// Series whose samples are refused as out of order.
    pub(crate) refused: Mutex<Vec<String>>,
    running: Mutex<(usize, usize)>,
    /// The query `stuck` was begun.
    pub(crate) stuck: Notify,
    /// How many of them were given up.
    pub(crate) given_up: Arc<AtomicUsize>,
    /// Lets them go.
    pub(crate) release: Notify,
}

/// Counts when it is dropped, unless there is nothing to count any more.
struct GivenUp(Option<Arc<AtomicUsize>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl FakeStore {
    /// What a query gives from now on: series by the value of their label `job`, with values.
    pub(crate) fn answer(&self, query: &str, series: &[(&str, f64)]) {
        let labels = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job)]);
        let found = series.iter().map(|(job, value)| ResultSample::float(labels(job), *value));
        self.answers.lock().unwrap().insert(query.into(), Ok(found.collect()));
    }

    /// A query gives one series with a native histogram from now on.
    pub(crate) fn answer_histogram(&self, query: &str, histogram: Histogram) {
        let labels = Labels::from_pairs([("__name__", "h"), ("job", "a")]);
        let found = ResultSample { labels, value: 0.0, histogram: Some(Arc::new(histogram)) };
        self.answers.lock().unwrap().insert(query.into(), Ok(vec![found]));
    }

    pub(crate) fn fail(&self, query: &str) {
        self.answers.lock().unwrap().insert(query.into(), Err(Error::invalid("many-to-many")));
    }

    /// What was appended since the last call, as `series value`, sorted.
    pub(crate) fn take(&self) -> Vec<String> {
        let taken = std::mem::take(&mut *self.samples.lock().unwrap());
        let show = |v: f64| if is_stale(v) { "stale".into() } else { v.to_string() };
        let mut out: Vec<_> = taken.iter().map(|(l, _, v)| format!("{l} {}", show(*v))).collect();
        out.sort();
        out
    }

    /// The most queries that ran at the same time.
    pub(crate) fn most_running(&self) -> usize {
        self.running.lock().unwrap().1
    }
}

#[async_trait]
impl Querier for FakeStore {
    async fn query(&self, asker: Asker<'_>, expr: &str, _: i64) -> Result<Vec<ResultSample>> {
        assert_eq!(asker.file, "r.yml");
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        assert!(expr != "defect", "a defect");
        if expr == "stuck" {
            let mut given_up = GivenUp(Some(self.given_up.clone()));
            self.stuck.notify_one();
            self.release.notified().await;
            given_up.0 = None;
        }
        // Paused time stands still while a template is filled in, which may query.
        if expr != "other" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.running.lock().unwrap().0 -= 1;
        self.answers.lock().unwrap().get(expr).cloned().unwrap_or(Ok(vec![]))
    }

    async fn last_samples(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<LastSample>> {
        let last = self.last.lock().unwrap();
        let wanted =
            |s: &&LastSample| range.contains(s.t_ms) && matchers.iter().all(|m| m.matches_labels(&s.labels));
        Ok(last.iter().filter(wanted).cloned().collect())
    }
}

#[async_trait]
impl SampleSink for FakeStore {
    async fn append(&self, batch: WriteBatch) -> Result<Appended> {
        *self.appends.lock().unwrap() += 1;
        let mut outcome = Appended::default();
        let refused = self.refused.lock().unwrap();
        let mut samples = self.samples.lock().unwrap();
        for series in batch.series() {
            let labels = series.to_labels();
            if refused.iter().any(|r| r == labels.metric()) {
                outcome.out_of_order += series.samples.len() as u64;
                continue;
            }
            samples.extend(series.samples.iter().map(|s| (labels.clone(), s.t_ms, s.value)));
            let histograms = series.histograms.iter().map(|(_, h)| format!("{labels} {}", describe(h)));
            self.histograms.lock().unwrap().extend(histograms);
        }
        Ok(outcome)
    }
}

/// Keeps the bodies that are posted, or refuses them.
#[derive(Default)]
pub(crate) struct FakeAlertmanager {
    bodies: Mutex<Vec<serde_json::Value>>,
    pub(crate) failing: Mutex<bool>,
    pub(crate) slow: Mutex<bool>,
}

#[async_trait]
impl AlertPost for FakeAlertmanager {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<()> {
        if *self.slow.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        if *self.failing.lock().unwrap() {
            return Err(Error::unavailable("bad response status 500"));
        }
        self.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        Ok(())
    }
}

impl FakeAlertmanager {
    /// The requests since the last call, each a list of alerts.
    pub(crate) fn take(&self) -> Vec<Vec<serde_json::Value>> {
        let taken = std::mem::take(&mut *self.bodies.lock().unwrap());
        taken.into_iter().map(|b| b.as_array().unwrap().clone()).collect()
    }
}

pub(crate) struct Fixture {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) alertmanager: Arc<FakeAlertmanager>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) manager: RuleManager,
    pub(crate) clock: Arc<RuntimeClock>,
    registry: prometheus::Registry,
}

pub(crate) fn terms() -> Terms {
    Terms {
        evaluation_interval: INTERVAL,
        query_offset: Duration::ZERO,
        external_labels: Labels::from_pairs([("cluster", "eu")]),
        external_url: "http://h:9090".into(),
    }
}

pub(crate) fn fixture(send: SendOptions) -> Fixture {
    let (store, alertmanager) = (Arc::<FakeStore>::default(), Arc::<FakeAlertmanager>::default());
    let clock = Arc::new(RuntimeClock(Instant::now()));
    let registry = prometheus::Registry::new();
    let notifier = Arc::new(Notifier::new(send, clock.clone(), &registry).unwrap());
    let set = AlertmanagerSet {
        id: 0,
        timeout: Duration::from_secs(10),
        relabel: None,
        post: alertmanager.clone(),
        known: Alertmanagers::default(),
    };
    notifier.apply(terms().external_labels, None, vec![set]);
    let active = vec!["http://am/api/v2/alerts".to_owned()];
    notifier.set_targets(0, &Alertmanagers { active, dropped: vec![] });
    let options = RuleOptions::default();
    let manager =
        RuleManager::new(store.clone(), store.clone(), notifier.clone(), clock.clone(), options, &registry)
            .unwrap();
    Fixture { store, alertmanager, notifier, manager, clock, registry }
}

impl Fixture {
    pub(crate) async fn apply(&self, groups: &[GroupSource]) {
        self.manager.apply(checked(groups), terms()).await;
    }

    /// Lets the groups come to their next slot, and some time more.
    pub(crate) async fn evaluate(&self) {
        tokio::time::sleep(INTERVAL).await;
    }

    pub(crate) fn group(&self, name: &str) -> GroupView {
        self.manager.groups().into_iter().find(|g| g.name == name).unwrap()
    }

    /// The value of an own metric, as the text format writes it.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map(|v| v.parse().unwrap())
    }
}

pub(crate) fn checked(groups: &[GroupSource]) -> Vec<GroupConfig> {
    check("r.yml", groups, &CheckOptions::default()).unwrap()
}

fn placed(text: &str) -> Placed {
    Placed { text: text.into(), ..Placed::default() }
}

pub(crate) fn record(name: &str, expr: &str) -> RuleSource {
    RuleSource { record: placed(name), expr: placed(expr), ..RuleSource::default() }
}

pub(crate) fn alert(name: &str, expr: &str, hold_minutes: u64) -> RuleSource {
    RuleSource {
        alert: placed(name),
        expr: placed(expr),
        hold: Duration::from_secs(60 * hold_minutes),
        ..RuleSource::default()
    }
}

pub(crate) fn group(name: &str, rules: Vec<RuleSource>) -> GroupSource {
    GroupSource { name: name.into(), rules, ..GroupSource::default() }
}
