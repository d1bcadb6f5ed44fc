//! Queues against a log in memory and endpoints that refuse, wait and fail as told. Time is tokio's, which a test lets pass.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Error, Labels, Metadata, Result};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::config::NameValidation;
use crate::relabel::{Rule, RuleFields};

const START_MS: i64 = 1_800_000_000_000;

/// Tokio's time.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.0.elapsed().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A log in memory: records of samples, and how far each reader is done.
#[derive(Default)]
struct MemoryLog {
    records: Mutex<Vec<Vec<(Labels, i64, f64)>>>,
    done: Mutex<BTreeMap<String, usize>>,
    grown: Notify,
    metadata: Mutex<Vec<(Arc<str>, Metadata)>>,
    /// Records that were read.
    read: AtomicUsize,
    /// Readers can neither come nor go, and nothing can be read.
    broken: AtomicBool,
    /// The next read panics.
    panics: AtomicBool,
}

struct Feeder(Arc<MemoryLog>);

struct Cursor {
    log: Arc<MemoryLog>,
    at: usize,
    /// Records that were there when it was opened.
    again: usize,
}

struct Done {
    log: Arc<MemoryLog>,
    reader: String,
    from: usize,
}

impl MemoryLog {
    fn append(&self, samples: Vec<(Labels, i64, f64)>) {
        self.records.lock().push(samples);
        self.grown.notify_waiters();
    }

    fn done(&self) -> usize {
        self.done.lock().values().copied().max().unwrap_or(0)
    }

    fn check(&self) -> Result<()> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("broken")),
            false => Ok(()),
        }
    }
}

impl Feed for Feeder {
    fn open(&self, reader: &str, _exemplars: bool) -> Result<OpenLog> {
        self.0.check()?;
        let there = self.0.records.lock().len();
        let from = *self.0.done.lock().entry(reader.to_owned()).or_insert(there);
        let progress = Done { log: self.0.clone(), reader: reader.to_owned(), from };
        Ok(OpenLog {
            log: Box::new(Cursor { log: self.0.clone(), at: from, again: there }),
            progress: Arc::new(progress),
        })
    }

    fn readers(&self) -> Vec<String> {
        self.0.done.lock().keys().cloned().collect()
    }

    fn forget(&self, reader: &str) -> Result<()> {
        self.0.check()?;
        self.0.done.lock().remove(reader);
        Ok(())
    }

    fn appended(&self) -> Appended {
        let records = self.0.records.lock();
        let samples = records.iter().map(Vec::len).sum::<usize>() as u64;
        let highest_ms = records.iter().flatten().map(|s| s.1).max().unwrap_or(0);
        Appended { samples, histograms: 0, highest_ms }
    }

    fn metadata(&self) -> Vec<(Arc<str>, Metadata)> {
        self.0.metadata.lock().clone()
    }
}

impl SampleLog for Cursor {
    fn read(&mut self, out: &mut LogBatch) -> Result<LogLook> {
        self.log.check()?;
        assert!(!self.log.panics.swap(false, Ordering::SeqCst), "the reader of a test fails");
        let records = self.log.records.lock();
        for record in records[self.at..].iter().take(10) {
            for (labels, t_ms, value) in record {
                let series = labels.get("n").and_then(|n| n.parse().ok()).unwrap();
                out.series.push((series, labels.clone()));
                let value = LogValue::Float(*value);
                out.samples.push(LogSample { series, t_ms: *t_ms, start_ms: 0, value });
            }
            let (end, exemplars_end) = (out.samples.len(), 0);
            out.records.push(LogRecord { end, exemplars_end, again: self.at < self.again });
            self.at += 1;
        }
        self.log.read.fetch_max(self.at, Ordering::SeqCst);
        Ok(LogLook { more: self.at < records.len(), ..LogLook::default() })
    }
}

#[async_trait]
impl LogProgress for Done {
    async fn changed(&self) {
        // What came before is looked at too late by a moment, which no test measures.
        tokio::select! {
            () = self.log.grown.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }

    fn done(&self, record: u64, _durable: bool) -> Result<()> {
        self.log.done.lock().insert(self.reader.clone(), self.from + record as usize + 1);
        Ok(())
    }

    fn bytes_behind(&self) -> u64 {
        0
    }
}

/// An endpoint: what it answers next, how long it takes, and what it took.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<VecDeque<Result<PostResponse>>>,
    /// Refuses a request as a whole if it has a sample that is not newer than those of its series.
    strict: bool,
    takes: Duration,
    requests: Mutex<Vec<PostRequest>>,
    /// The next request panics.
    panics: AtomicBool,
    /// Samples by series, in the order in which they came.
    samples: Mutex<BTreeMap<Labels, Vec<(i64, f64)>>>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

#[async_trait]
impl Post for Endpoint {
    async fn post(&self, request: PostRequest) -> Result<PostResponse> {
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        self.requests.lock().push(request.clone());
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the endpoint of a test fails");
        let answer = self.answers.lock().pop_front().unwrap_or(Ok(status(204)));
        if !matches!(&answer, Ok(answer) if answer.status == 204) {
            return answer;
        }
        let samples = decode(&request.body);
        let mut taken = self.samples.lock();
        let known = |s: &(Labels, i64, f64)| {
            taken.get(&s.0).and_then(|of| of.last()).is_some_and(|last| last.0 >= s.1)
        };
        if self.strict && samples.iter().any(known) {
            return Ok(status(400));
        }
        for (labels, t_ms, value) in samples {
            taken.entry(labels).or_default().push((t_ms, value));
        }
        answer
    }
}

fn status(status: u16) -> PostResponse {
    PostResponse { status, ..PostResponse::default() }
}

fn with_header(code: u16, name: &str, value: &str) -> PostResponse {
    PostResponse { headers: vec![(name.into(), value.into())], ..status(code) }
}

/// The samples of a `prometheus.WriteRequest`.
fn decode(body: &[u8]) -> Vec<(Labels, i64, f64)> {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut out = Vec::new();
    for (number, series) in fields(&message) {
        if number != 1 {
            continue;
        }
        let (mut pairs, mut samples) = (Vec::new(), Vec::new());
        for (number, field) in fields(series) {
            let inner = fields(field);
            match number {
                1 => pairs.push((text(inner[0].1), text(inner[1].1))),
                _ => samples.push((varint(&mut &inner[1].1[..]) as i64, f64_of(inner[0].1))),
            }
        }
        let labels = Labels::from_pairs(pairs);
        out.extend(samples.into_iter().map(|(t_ms, value)| (labels.clone(), t_ms, value)));
    }
    out
}

fn f64_of(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(bytes.try_into().unwrap())
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    n
}

/// Numbers and bytes of the fields of a message.
fn fields(mut rest: &[u8]) -> Vec<(u64, &[u8])> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let before = rest;
        let len = match tag & 7 {
            0 => {
                varint(&mut rest);
                before.len() - rest.len()
            }
            1 => 8,
            _ => {
                let len = varint(&mut rest) as usize;
                out.push((tag >> 3, &rest[..len]));
                rest = &rest[len..];
                continue;
            }
        };
        out.push((tag >> 3, &before[..len]));
        rest = &before[len..];
    }
    out
}

fn series(n: u32) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())])
}

/// What a test works with.
struct World {
    log: Arc<MemoryLog>,
    registry: Registry,
    remote: RemoteWrite,
    endpoint: Arc<Endpoint>,
}

impl World {
    fn new(endpoint: Endpoint) -> Self {
        Self::on(Arc::default(), Arc::new(endpoint))
    }

    fn on(log: Arc<MemoryLog>, endpoint: Arc<Endpoint>) -> Self {
        let registry = Registry::new();
        let remote = RemoteWrite::new(RemoteWriteOptions {
            feed: Arc::new(Feeder(log.clone())),
            post: endpoint.clone(),
            clock: Arc::new(TestClock(Instant::now())),
            registry: registry.clone(),
        })
        .unwrap();
        Self { log, registry, remote, endpoint }
    }

    async fn apply(&self, config: RemoteWriteConfig) {
        self.remote.apply(vec![config], &Labels::empty()).await.unwrap();
    }

    /// A record with a sample of each of some series.
    fn scrape(&self, of: std::ops::Range<u32>, at: i64) {
        self.log.append(of.map(|n| (series(n), START_MS + at, f64::from(n) + at as f64)).collect());
    }

    fn taken(&self) -> usize {
        self.endpoint.samples.lock().values().map(Vec::len).sum()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + Duration::from_secs(3600);
        while !holds(self) {
            assert!(Instant::now() < patience, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The sum of a metric over its labels.
    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name() == name);
        let value = |m: &prometheus::proto::Metric| m.get_counter().get_value() + m.get_gauge().get_value();
        family.map_or(0.0, |f| f.get_metric().iter().map(value).sum())
    }

    /// Every series has each of its samples once, in order of time.
    fn assert_in_order(&self) {
        for (labels, samples) in self.endpoint.samples.lock().iter() {
            assert!(samples.windows(2).all(|w| w[0].0 < w[1].0), "{labels}: {samples:?}");
        }
    }
}

fn config() -> RemoteWriteConfig {
    RemoteWriteConfig::new("http://endpoint/write")
}

#[tokio::test(start_paused = true)]
async fn samples_go_out_with_external_labels_and_through_the_rules() {
    let world = World::new(Endpoint::default());
    let rule = |fields| Rule::new(fields, NameValidation::Utf8).unwrap();
    let drop = RuleFields {
        source_labels: vec!["n".into()],
        regex: "1".into(),
        action: crate::relabel::Action::Drop,
        ..RuleFields::default()
    };
    let rename =
        RuleFields { source_labels: vec!["n".into()], target_label: "host".into(), ..RuleFields::default() };
    let config = RemoteWriteConfig { write_relabel_configs: vec![rule(drop), rule(rename)], ..config() };
    let external = Labels::from_pairs([("n", "external"), ("site", "x")]);
    world.scrape(0..9, -1000);
    world.remote.apply(vec![config], &external).await.unwrap();
    world.scrape(0..3, 0);
    world.scrape(0..3, 1000);
    world.until("four samples", |w| w.taken() == 4).await;
    let labels: Vec<String> = world.endpoint.samples.lock().keys().map(Labels::to_string).collect();
    let want = ["0", "2"].map(|n| format!(r#"m{{host="{n}", n="{n}", site="x"}}"#));
    assert_eq!(labels, want, "a series' own label wins, and what came before the endpoint is not sent");
    assert_eq!(world.metric("prometheus_remote_storage_samples_dropped_total"), 2.0);
    assert_eq!(world.metric("prometheus_remote_storage_samples_total"), 4.0);
    world.until("all is done", |w| w.log.done() == 3).await;
    assert_eq!(world.metric("prometheus_remote_storage_samples_pending"), 0.0);
    let request = world.endpoint.requests.lock()[0].clone();
    let header = |name| request.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    assert_eq!(header("x-prometheus-remote-write-version").as_deref(), Some("0.1.0"));
    assert_eq!(header("content-encoding").as_deref(), Some("snappy"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_drops_all_ends_when_it_is_told() {
    let world = World::new(Endpoint::default());
    let drop = RuleFields { action: crate::relabel::Action::Drop, ..RuleFields::default() };
    let rules = vec![Rule::new(drop, NameValidation::Utf8).unwrap()];
    world.apply(RemoteWriteConfig { write_relabel_configs: rules, ..config() }).await;
    let records = 20_000;
    (0..records).for_each(|at| world.scrape(0..1, at));
    world.remote.stop(Duration::ZERO).await;
    assert!(world.log.read.load(Ordering::SeqCst) < records as usize, "all of the log was read first");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_the_log_waits() {
    let endpoint = Endpoint::default();
    let waits = with_header(503, "retry-after", "7");
    *endpoint.answers.lock() = [Err(Error::unavailable("refused")), Ok(status(500)), Ok(waits)].into();
    let world = World::new(endpoint);
    world.apply(config()).await;
    world.scrape(0..5, 0);
    let started = Instant::now();
    world.until("three tries", |w| w.endpoint.requests.lock().len() == 3).await;
    assert_eq!((world.taken(), world.log.done()), (0, 0));
    world.until("it is taken", |w| w.taken() == 5).await;
    let took = started.elapsed();
    assert!((7..14).contains(&took.as_secs()), "{took:?}: the deadline of a batch, and what was asked for");
    let attempts: Vec<_> = world
        .endpoint
        .requests
        .lock()
        .iter()
        .map(|r| r.headers.iter().find(|(n, _)| n == "retry-attempt").map(|(_, v)| v.clone()))
        .collect();
    assert_eq!(attempts, [None, Some("1".into()), Some("2".into()), Some("3".into())]);
    assert_eq!(world.metric("prometheus_remote_storage_samples_retried_total"), 15.0);
    world.until("it is done", |w| w.log.done() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_counted_and_given_up() {
    let endpoint = Endpoint::default();
    *endpoint.answers.lock() = [Ok(status(400)), Ok(status(429))].into();
    let world = World::new(endpoint);
    world.apply(config()).await;
    for at in 0..3 {
        world.scrape(0..2, at * 10_000);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    world.until("all is done", |w| w.log.done() == 3).await;
    assert_eq!((world.taken(), world.metric("prometheus_remote_storage_samples_failed_total")), (2, 4.0));
    assert_eq!(world.endpoint.requests.lock().len(), 3, "nothing is tried twice");
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_are_repeated_where_that_is_asked_for() {
    let endpoint = Endpoint::default();
    *endpoint.answers.lock() = [Ok(status(429))].into();
    let world = World::new(endpoint);
    let mut config = config();
    config.queue.retry_on_http_429 = true;
    world.apply(config).await;
    world.scrape(0..2, 0);
    world.until("it is taken", |w| w.taken() == 2).await;
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_away_loses_nothing_over_restarts_of_the_sender() {
    let log: Arc<MemoryLog> = Arc::default();
    let endpoint = Arc::new(Endpoint { strict: true, ..Endpoint::default() });
    let mut at = 0;
    for round in 0..5 {
        let world = World::on(log.clone(), endpoint.clone());
        let mut config = config();
        config.queue.max_samples_per_send = 7 + round;
        config.queue.min_shards = 1 + round % 3;
        world.apply(config).await;
        if round % 2 == 1 {
            // Away: what comes meanwhile waits in the log.
            *endpoint.answers.lock() = (0..1000).map(|_| Err(Error::unavailable("away"))).collect();
        }
        for _ in 0..40 {
            world.scrape(0..10, at);
            at += 1000;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Between being taken and being noted as done lies a crash: the log forgets some of what it was told.
        let mut before = log.done();
        world.remote.stop(Duration::from_secs(10)).await;
        endpoint.answers.lock().clear();
        before = before.saturating_sub(3);
        log.done.lock().values_mut().for_each(|done| *done = before);
    }
    let world = World::on(log.clone(), endpoint.clone());
    world.apply(config()).await;
    world.until("all is taken", |w| w.taken() == 5 * 40 * 10).await;
    world.assert_in_order();
    world.until("all is done", |w| w.log.done() == 5 * 40).await;
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 0.0);
    assert!(world.metric("bellwether_remote_write_repeated_samples_refused_total") > 0.0);
}

#[tokio::test(start_paused = true)]
async fn old_samples_are_left_out_where_they_have_an_age_limit() {
    let endpoint = Endpoint::default();
    *endpoint.answers.lock() = (0..8).map(|_| Ok(status(500))).collect();
    let world = World::new(endpoint);
    let mut config = config();
    config.queue.sample_age_limit = Duration::from_secs(20);
    config.queue.min_backoff = Duration::from_secs(5);
    world.apply(config).await;
    world.scrape(0..3, -30_000);
    world.scrape(0..2, 0);
    world.scrape(0..1, 60_000);
    world.until("the newest is taken", |w| w.taken() == 1).await;
    world.until("all is done", |w| w.log.done() == 3).await;
    assert_eq!(world.metric("prometheus_remote_storage_samples_dropped_total"), 5.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_by_the_time_of_a_refusal_was_not_refused() {
    let endpoint = Endpoint::default();
    *endpoint.answers.lock() = [Ok(status(500)), Ok(status(400))].into();
    let world = World::new(endpoint);
    let mut config = config();
    config.queue.sample_age_limit = Duration::from_secs(20);
    config.queue.min_backoff = Duration::from_secs(5);
    world.apply(config).await;
    world.scrape(0..3, -14_000);
    world.scrape(0..2, 0);
    world.until("all is done", |w| w.log.done() == 2).await;
    assert_eq!(world.metric("prometheus_remote_storage_samples_dropped_total"), 3.0);
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn records_without_anything_to_send_do_not_pile_up() {
    let world = World::new(Endpoint::default());
    *world.endpoint.answers.lock() = (0..1_000_000).map(|_| Ok(status(503))).collect();
    let keep = RuleFields {
        source_labels: vec!["n".into()],
        regex: "0".into(),
        action: crate::relabel::Action::Keep,
        ..RuleFields::default()
    };
    let keep = Rule::new(keep, NameValidation::Utf8).unwrap();
    world.apply(RemoteWriteConfig { write_relabel_configs: vec![keep], ..config() }).await;
    let most = crate::limits::REMOTE_WRITE_RECORDS_UNDER_WAY;
    for at in 0..most + 1000 {
        world.scrape(u32::from(at > 0)..u32::from(at > 0) + 1, at as i64);
    }
    world.until("it waits", |w| w.metric("prometheus_remote_storage_enqueue_retries_total") > 0.0).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let read = world.log.read.load(Ordering::SeqCst);
    assert!((most..most + 20).contains(&read), "{read} records were read");
    world.endpoint.answers.lock().clear();
    world.until("all is done", |w| w.log.done() == most + 1000).await;
    assert_eq!(world.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_for_a_while_costs_nothing() {
    let world = World::new(Endpoint::default());
    world.apply(config()).await;
    world.log.broken.store(true, Ordering::SeqCst);
    world.scrape(0..5, 0);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(world.taken(), 0);
    world.log.broken.store(false, Ordering::SeqCst);
    world.until("it is taken", |w| w.taken() == 5).await;

    // Neither a reader that cannot go nor one that cannot come stops the others for good.
    let second = RemoteWriteConfig { name: "second".into(), ..config() };
    let third = RemoteWriteConfig { name: "third".into(), ..config() };
    let apply = async |configs: &[&RemoteWriteConfig]| {
        world.remote.apply(configs.iter().copied().cloned().collect(), &Labels::empty()).await
    };
    apply(&[&config(), &second]).await.unwrap();
    world.log.broken.store(true, Ordering::SeqCst);
    assert!(apply(&[&second, &third]).await.is_err());
    world.log.broken.store(false, Ordering::SeqCst);
    apply(&[&second, &third]).await.unwrap();
    assert_eq!((world.remote.endpoints().len(), world.log.done.lock().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_gets_more_shards_and_each_series_stays_in_order() {
    let endpoint = Endpoint { strict: true, takes: Duration::from_millis(500), ..Endpoint::default() };
    let world = World::new(endpoint);
    let mut config = config();
    config.queue.max_samples_per_send = 10;
    config.queue.capacity = 50;
    config.queue.max_shards = 8;
    world.apply(config).await;
    // A hundred samples a second, of which one shard sends twenty.
    for at in 0..120 {
        world.scrape(0..100, at * 1000);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.until("all is taken", |w| w.taken() == 120 * 100).await;
    world.assert_in_order();
    let most = world.endpoint.most_busy.load(Ordering::SeqCst);
    assert!((5..=8).contains(&most), "{most} requests at a time");
    assert!(world.metric("prometheus_remote_storage_shards") >= 5.0);
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn stopping_sends_what_there_is_but_does_not_wait_for_who_is_away() {
    let world = World::new(Endpoint::default());
    world.apply(config()).await;
    world.scrape(0..5, 0);
    world.remote.stop(Duration::from_secs(60)).await;
    assert_eq!((world.taken(), world.log.done()), (5, 1));

    let world = World::new(Endpoint::default());
    *world.endpoint.answers.lock() = (0..100).map(|_| Ok(status(503))).collect();
    world.apply(config()).await;
    world.scrape(0..5, 0);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let started = Instant::now();
    world.remote.stop(Duration::from_secs(60)).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((world.taken(), world.log.done()), (0, 0));
    assert_eq!(world.metric("prometheus_remote_storage_samples_total"), 0.0, "its metrics are gone");

    // One that answers, but not in time.
    let world = World::new(Endpoint { takes: Duration::from_secs(25), ..Endpoint::default() });
    world.apply(config()).await;
    world.scrape(0..5, 0);
    let started = Instant::now();
    world.remote.stop(Duration::from_secs(10)).await;
    assert_eq!((started.elapsed().as_secs(), world.log.done()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_queues_that_did_not_change() {
    let world = World::new(Endpoint::default());
    let second = RemoteWriteConfig { name: "second".into(), ..config() };
    let both = vec![config(), second.clone()];
    world.remote.apply(both.clone(), &Labels::empty()).await.unwrap();
    world.scrape(0..5, 0);
    world.until("both have sent it", |w| w.endpoint.requests.lock().len() == 2).await;
    let sent = |w: &World| w.metric("prometheus_remote_storage_samples_total");
    assert_eq!((sent(&world), world.remote.endpoints().len()), (10.0, 2));
    // The same again: the queues count on.
    world.remote.apply(both, &Labels::empty()).await.unwrap();
    assert_eq!(sent(&world), 10.0);
    // One changes and goes on where it was, the other stays.
    let changed = RemoteWriteConfig { timeout: Duration::from_secs(1), ..second };
    world.remote.apply(vec![config(), changed.clone()], &Labels::empty()).await.unwrap();
    assert_eq!(sent(&world), 5.0);
    world.scrape(0..5, 1000);
    world.until("both have sent it", |w| w.endpoint.requests.lock().len() == 4).await;
    // One goes, and nothing is kept for it.
    world.remote.apply(vec![changed.clone()], &Labels::empty()).await.unwrap();
    assert_eq!(world.log.done.lock().len(), 1);
    let views = world.remote.endpoints();
    assert_eq!((views.len(), views[0].name.as_str(), views[0].failed), (1, "second", 0));
    let twice = world.remote.apply(vec![changed.clone(), changed], &Labels::empty()).await.unwrap_err();
    assert!(twice.message().contains("duplicate remote write configs are not allowed"), "{twice}");
    assert_eq!(world.remote.endpoints().len(), 1, "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn metadata_goes_out_from_time_to_time() {
    let world = World::new(Endpoint::default());
    let metadata = |name: &str| (Arc::from(name), Metadata { help: "Help.".into(), ..Metadata::default() });
    *world.log.metadata.lock() = vec![metadata("b"), metadata("a"), metadata("b")];
    let mut config = config();
    config.metadata.max_samples_per_send = 1;
    world.apply(config).await;
    tokio::time::sleep(Duration::from_secs(125)).await;
    assert_eq!(world.metric("prometheus_remote_storage_metadata_total"), 4.0, "two metrics, twice");
    let message = world.endpoint.requests.lock()[0].body.clone();
    let message = snap::raw::Decoder::new().decompress_vec(&message).unwrap();
    assert_eq!(fields(fields(&message)[0].1)[1].1, b"a");
}

#[tokio::test(start_paused = true)]
async fn version_2_needs_an_answer_that_says_what_was_written() {
    const WRITTEN: &str = "x-prometheus-remote-write-samples-written";
    let endpoint = Endpoint::default();
    let answers = [with_header(200, WRITTEN, "3"), with_header(400, WRITTEN, "1"), status(200)];
    *endpoint.answers.lock() = answers.map(Ok).into();
    let world = World::new(endpoint);
    world.apply(RemoteWriteConfig { message: WriteMessage::V2, ..config() }).await;
    let failed = |w: &World| w.metric("prometheus_remote_storage_samples_failed_total");
    for (at, want) in [0.0, 2.0, 5.0].into_iter().enumerate() {
        world.scrape(0..3, at as i64 * 1000);
        world.until("it is done", |w| w.log.done() == at + 1).await;
        assert_eq!(failed(&world), want, "request {at}");
    }
    let request = world.endpoint.requests.lock()[0].clone();
    let header = |name| request.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    assert_eq!(header("x-prometheus-remote-write-version").as_deref(), Some("2.0.0"));
    assert_eq!(
        header("content-type").as_deref(),
        Some("application/x-protobuf;proto=io.prometheus.write.v2.Request")
    );
}

#[tokio::test(start_paused = true)]
async fn of_what_may_have_been_sent_before_a_restart_a_refusal_is_no_failure() {
    const WRITTEN: &str = "x-prometheus-remote-write-samples-written";
    let config = || RemoteWriteConfig { message: WriteMessage::V2, ..config() };
    let log: Arc<MemoryLog> = Arc::default();
    let endpoint: Arc<Endpoint> = Arc::default();
    let world = World::on(log.clone(), endpoint.clone());
    *endpoint.answers.lock() = [Ok(with_header(200, WRITTEN, "3"))].into();
    world.apply(config()).await;
    world.scrape(0..3, 0);
    world.until("it is done", |w| w.log.done() == 1).await;
    world.remote.stop(Duration::from_secs(10)).await;
    // The log forgets that it was told so, and gets more before the next process reads it.
    log.done.lock().values_mut().for_each(|done| *done = 0);
    let world = World::on(log.clone(), endpoint.clone());
    *endpoint.answers.lock() =
        [with_header(400, WRITTEN, "1"), with_header(400, WRITTEN, "4")].map(Ok).into();
    endpoint.requests.lock().clear();
    world.apply(config()).await;
    world.scrape(0..5, 1000);
    world.until("all is done", |w| w.log.done() == 2).await;
    assert_eq!(endpoint.requests.lock().len(), 2, "what may have been sent goes by itself");
    assert_eq!(world.metric("bellwether_remote_write_repeated_samples_refused_total"), 2.0);
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_begins_anew_where_all_was_sent() {
    let world = World::new(Endpoint { strict: true, ..Endpoint::default() });
    world.apply(config()).await;
    let panics = [&world.log.panics, &world.endpoint.panics];
    for (at, fails) in panics.into_iter().enumerate() {
        let at = at as i64;
        world.scrape(0..50, at * 100_000);
        world.until("it is done", |w| w.taken() as i64 == 100 * at + 50).await;
        fails.store(true, Ordering::SeqCst);
        world.scrape(0..50, at * 100_000 + 1000);
        world.until("it is done after a failure", |w| w.taken() as i64 == 100 * at + 100).await;
        let restarts = world.metric("bellwether_remote_write_queue_restarts_total");
        assert_eq!(restarts, (at + 1) as f64);
        let (_, error) = world.remote.endpoints()[0].last_error.clone().unwrap();
        assert!(error.starts_with("the queue failed and begins anew: "), "{error}");
    }
    world.until("the log knows", |w| w.log.done() == 4).await;
    world.assert_in_order();
    assert_eq!(world.metric("prometheus_remote_storage_samples_pending"), 0.0);
    assert_eq!(world.metric("prometheus_remote_storage_samples_failed_total"), 0.0);
    world.scrape(0..50, 300_000);
    world.remote.stop(Duration::from_secs(60)).await;
    assert_eq!(world.taken(), 250, "it ends as any other");
}
