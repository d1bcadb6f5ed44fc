//! The scrape manager with a transport and a sink of the test, in paused time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Error, Labels, Result, SeriesExemplar, SeriesHistogram, SeriesSample, is_stale};
use collect::config::{FileSdConfig, NameValidation, Scheme, ScrapeConfig, TargetGroup};
use collect::relabel::{Action, Rule, RuleFields};
use collect::scrape::{
    FetchRequest, FetchedBody, Health, LocalSource, ScrapeManager, Sink, Transport, Transports,
};
use tokio::time::{Instant, sleep};

const START_MS: i64 = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_secs(15);

/// Shows what the runtime's clock shows, which stands still while the test works.
struct RuntimeClock {
    origin: Instant,
}

impl Clock for RuntimeClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.monotonic().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        Instant::now() - self.origin
    }
}

#[derive(Clone)]
enum Answer {
    Body(String),
    Refused,
    Never,
}

/// Answers by URL; what it was not told of it refuses.
#[derive(Default)]
struct FakeTransport {
    answers: Mutex<HashMap<String, Answer>>,
    fetched: Mutex<Vec<(String, Instant)>>,
}

impl FakeTransport {
    fn answer(&self, url: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(url.into(), answer);
    }

    fn body(&self, url: &str, text: &str) {
        self.answer(url, Answer::Body(text.into()));
    }
}

#[async_trait]
impl Transport for FakeTransport {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody> {
        self.fetched.lock().unwrap().push((request.url.to_string(), Instant::now()));
        let answer = self.answers.lock().unwrap().get(&*request.url).cloned();
        match answer.unwrap_or(Answer::Refused) {
            Answer::Body(text) => {
                // Gauges take their time, so that durations are seen.
                sleep(Duration::from_millis(50)).await;
                Ok(FetchedBody { content_type: "text/plain".into(), bytes: text.into_bytes() })
            }
            Answer::Refused => Err(Error::unavailable("Connection refused")),
            Answer::Never => std::future::pending().await,
        }
    }
}

#[derive(Default)]
struct MemorySink {
    samples: Mutex<Vec<SeriesSample>>,
    histograms: Mutex<Vec<SeriesHistogram>>,
    exemplars: Mutex<Vec<SeriesExemplar>>,
    failing: Mutex<bool>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn append(
        &self,
        samples: &[SeriesSample],
        histograms: Vec<SeriesHistogram>,
        exemplars: &[SeriesExemplar],
    ) -> Result<()> {
        if *self.failing.lock().unwrap() {
            return Err(Error::unavailable("disk full"));
        }
        self.samples.lock().unwrap().extend_from_slice(samples);
        self.histograms.lock().unwrap().extend(histograms);
        self.exemplars.lock().unwrap().extend_from_slice(exemplars);
        Ok(())
    }
}

impl MemorySink {
    /// Takes what came in since the last call, without the reports, as `series value`, sorted.
    fn take(&self) -> Vec<String> {
        let reports = |metric: &str| metric == "up" || metric.starts_with("scrape_");
        self.take_where(|s| !reports(s.labels.metric()))
    }

    fn take_where(&self, keep: impl Fn(&SeriesSample) -> bool) -> Vec<String> {
        let taken = std::mem::take(&mut *self.samples.lock().unwrap());
        let mut out: Vec<_> = taken.iter().filter(|s| keep(s)).map(show).collect();
        out.sort();
        out
    }
}

fn show(s: &SeriesSample) -> String {
    let value = if is_stale(s.sample.value) { "stale".into() } else { s.sample.value.to_string() };
    format!("{} {value}", s.labels)
}

struct Fixture {
    manager: ScrapeManager,
    transport: Arc<FakeTransport>,
    sink: Arc<MemorySink>,
    registry: prometheus::Registry,
}

struct NodeSource;

#[async_trait]
impl LocalSource for NodeSource {
    async fn gather(&self) -> Result<Vec<u8>> {
        Ok(b"node_load1 0.5\n".to_vec())
    }
}

fn fixture() -> Fixture {
    let (transport, sink) = (Arc::new(FakeTransport::default()), Arc::new(MemorySink::default()));
    let registry = prometheus::Registry::new();
    let clock = Arc::new(RuntimeClock { origin: Instant::now() });
    let transports = Transports::new(transport.clone()).with_local("node", Arc::new(NodeSource));
    let manager = ScrapeManager::new(sink.clone(), clock, &registry, Arc::new(transports)).unwrap();
    Fixture { manager, transport, sink, registry }
}

fn config(job: &str, addresses: &[&str]) -> ScrapeConfig {
    let mut config = ScrapeConfig::new(job);
    config.scrape_interval = INTERVAL;
    config.static_configs = vec![TargetGroup::new("0", addresses.iter().copied(), Labels::empty())];
    config
}

const A: &str = "http://a:1/metrics";
const B: &str = "http://b:1/metrics";

#[tokio::test(start_paused = true)]
async fn scrapes_every_target_once_an_interval_at_its_own_phase() {
    let f = fixture();
    f.transport.body(A, "m 1\n");
    f.transport.body(B, "m 2\n");
    f.manager.apply(vec![config("j", &["a:1", "b:1"])]).await.unwrap();
    sleep(INTERVAL * 4).await;
    let fetched = f.transport.fetched.lock().unwrap().clone();
    let times = |url: &str| -> Vec<_> { fetched.iter().filter(|(u, _)| u == url).map(|(_, t)| *t).collect() };
    let (a, b) = (times(A), times(B));
    assert_eq!((a.len(), b.len()), (4, 4));
    assert!(a.windows(2).chain(b.windows(2)).all(|w| w[1] - w[0] == INTERVAL));
    assert_ne!(a[0], b[0]);
    // Timestamps are equally far apart, and lie at the scrape's start.
    let samples = f.sink.samples.lock().unwrap().clone();
    let stamps: Vec<_> = samples
        .iter()
        .filter(|s| s.labels.metric() == "m" && s.labels.get("instance") == Some("a:1"))
        .map(|s| s.sample.t_ms)
        .collect();
    assert!(stamps.windows(2).all(|w| w[1] - w[0] == 15_000), "{stamps:?}");
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reports_tell_of_each_scrape() {
    let f = fixture();
    let drop_go = Rule::new(
        RuleFields {
            source_labels: vec!["__name__".into()],
            regex: "go_.*".into(),
            action: Action::Drop,
            ..RuleFields::default()
        },
        NameValidation::Utf8,
    );
    let mut c = config("j", &["a:1"]);
    c.metric_relabel_configs = vec![drop_go.unwrap()];
    f.transport.body(A, "m 1\ngo_x 1\nup 7\n");
    f.manager.apply(vec![c]).await.unwrap();
    sleep(INTERVAL).await;
    assert_eq!(
        f.sink.take_where(|_| true),
        [
            r#"m{instance="a:1", job="j"} 1"#,
            r#"scrape_duration_seconds{instance="a:1", job="j"} 0.05"#,
            r#"scrape_samples_post_metric_relabeling{instance="a:1", job="j"} 2"#,
            r#"scrape_samples_scraped{instance="a:1", job="j"} 3"#,
            r#"scrape_series_added{instance="a:1", job="j"} 2"#,
            r#"up{instance="a:1", job="j"} 1"#,
            r#"up{instance="a:1", job="j"} 7"#,
        ]
    );
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_label_of_a_target_says_what_becomes_of_its_histograms() {
    let f = fixture();
    let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    f.transport.body(A, page);
    f.transport.body(B, page);
    let mut c = config("j", &["a:1"]);
    let converted = Labels::from_pairs([("__convert_classic_histograms_to_nhcb__", "true")]);
    c.static_configs.push(TargetGroup::new("1", ["b:1"], converted));
    f.manager.apply(vec![c]).await.unwrap();
    sleep(INTERVAL).await;
    let classic = f.sink.take();
    assert_eq!(classic.len(), 4, "{classic:?}");
    assert!(classic.iter().all(|s| s.contains(r#"instance="a:1""#)), "{classic:?}");
    let native: Vec<_> = f.sink.histograms.lock().unwrap().iter().map(|h| h.labels.to_string()).collect();
    assert_eq!(native, [r#"h{instance="b:1", job="j"}"#]);
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_scrape_ends_series_and_says_why() {
    let check = async |answer: Answer, want: &str| {
        let f = fixture();
        f.transport.body(A, "m 1\n");
        // A scrape that gets no answer ends before the interval does, but for phases in its last second.
        let timeout = Duration::from_secs(1);
        let c = ScrapeConfig { scrape_timeout: timeout, ..config("j", &["a:1"]) };
        f.manager.apply(vec![c]).await.unwrap();
        assert_eq!(f.manager.targets().active[0].health, Health::Unknown);
        sleep(INTERVAL).await;
        assert_eq!(f.manager.targets().active[0].health, Health::Up);
        f.sink.take();
        f.transport.answer(A, answer);
        sleep(INTERVAL * 2).await;
        let active = f.manager.targets().active.remove(0);
        assert_eq!((active.health, active.last_error.as_str()), (Health::Down, want));
        let all = f.sink.take_where(|s| matches!(s.labels.metric(), "m" | "up"));
        assert_eq!(
            all,
            [
                r#"m{instance="a:1", job="j"} stale"#,
                r#"up{instance="a:1", job="j"} 0"#,
                r#"up{instance="a:1", job="j"} 0"#
            ]
        );
        f.transport.body(A, "m 2\n");
        sleep(INTERVAL * 2).await;
        assert_eq!(f.manager.targets().active[0].health, Health::Up);
        f.manager.stop().await;
    };
    check(Answer::Refused, "Connection refused").await;
    check(Answer::Never, "cannot scrape http://a:1/metrics: no answer within 1s").await;
    check(
        Answer::Body("ok 1\n\"garbage".into()),
        r#"line 2: expected a valid start token, got "\"" ("INVALID") while parsing: "\"""#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_ends_and_hands_over() {
    let f = fixture();
    f.transport.body(A, "m 1\nn 1\n");
    f.transport.body(B, "m 2\n");
    f.manager.apply(vec![config("j", &["a:1", "b:1"]), config("k", &["a:1"])]).await.unwrap();
    sleep(INTERVAL).await;
    assert_eq!(f.sink.take().len(), 5);
    let before = f.transport.fetched.lock().unwrap().len();
    // Of pool j one target goes; pool k goes whole.
    f.manager.apply(vec![config("j", &["a:1"])]).await.unwrap();
    assert_eq!(
        f.sink.take_where(|_| true),
        [
            r#"m{instance="a:1", job="k"} stale"#,
            r#"m{instance="b:1", job="j"} stale"#,
            r#"n{instance="a:1", job="k"} stale"#,
            r#"scrape_duration_seconds{instance="a:1", job="k"} stale"#,
            r#"scrape_duration_seconds{instance="b:1", job="j"} stale"#,
            r#"scrape_samples_post_metric_relabeling{instance="a:1", job="k"} stale"#,
            r#"scrape_samples_post_metric_relabeling{instance="b:1", job="j"} stale"#,
            r#"scrape_samples_scraped{instance="a:1", job="k"} stale"#,
            r#"scrape_samples_scraped{instance="b:1", job="j"} stale"#,
            r#"scrape_series_added{instance="a:1", job="k"} stale"#,
            r#"scrape_series_added{instance="b:1", job="j"} stale"#,
            r#"up{instance="a:1", job="k"} stale"#,
            r#"up{instance="b:1", job="j"} stale"#,
        ]
    );
    assert_eq!(f.manager.targets().pools.len(), 1);
    // The target that stayed is scraped at the same phase.
    sleep(INTERVAL).await;
    let fetched = f.transport.fetched.lock().unwrap().clone();
    let of_a: Vec<_> = fetched.iter().filter(|(u, _)| u == A).map(|(_, t)| *t).collect();
    assert_eq!(fetched.len(), before + 1);
    assert!(of_a.iter().any(|t| *t + INTERVAL == of_a[of_a.len() - 1]));
    f.sink.take();
    // New rules restart its loop. Only what they drop ends.
    let drop_n = RuleFields {
        source_labels: vec!["__name__".into()],
        regex: "n".into(),
        action: Action::Drop,
        ..RuleFields::default()
    };
    let mut c = config("j", &["a:1"]);
    c.metric_relabel_configs = vec![Rule::new(drop_n, NameValidation::Utf8).unwrap()];
    f.manager.apply(vec![c]).await.unwrap();
    assert_eq!(f.manager.targets().active[0].health, Health::Up);
    sleep(INTERVAL).await;
    assert_eq!(f.sink.take(), [r#"m{instance="a:1", job="j"} 1"#, r#"n{instance="a:1", job="j"} stale"#]);
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_no_target_and_leaves_series_live() {
    let f = fixture();
    f.transport.body(A, "m 1\n");
    f.manager.apply(vec![config("j", &["a:1"])]).await.unwrap();
    sleep(INTERVAL).await;
    f.sink.take();
    f.transport.answer(A, Answer::Never);
    while f.transport.fetched.lock().unwrap().len() < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    let before = Instant::now();
    f.manager.stop().await;
    assert_eq!(Instant::now(), before);
    assert!(f.sink.take().is_empty());
    assert!(f.manager.apply(vec![config("j", &["a:1"])]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_bad_configuration_changes_nothing() {
    let f = fixture();
    f.manager.apply(vec![config("j", &["a:1"])]).await.unwrap();
    let twice = f.manager.apply(vec![config("x", &["b:1"]), config("x", &["c:1"])]).await;
    assert_eq!(twice.unwrap_err().message(), "found multiple scrape configs with job name \"x\"");
    let mut zero = config("y", &["b:1"]);
    zero.scrape_interval = Duration::ZERO;
    assert!(f.manager.apply(vec![zero]).await.is_err());
    let pools: Vec<_> = f.manager.targets().pools.into_iter().map(|p| p.scrape_pool).collect();
    assert_eq!(pools, ["j"]);
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_many_targets_fail_the_pool() {
    let f = fixture();
    f.transport.body(A, "m 1\n");
    let mut c = config("j", &["a:1", "b:1"]);
    c.limits.target_limit = 1;
    f.manager.apply(vec![c.clone()]).await.unwrap();
    sleep(INTERVAL).await;
    let error = f.manager.targets().active.remove(0).last_error;
    assert_eq!(error, "target_limit exceeded (number of targets: 2, limit: 1)");
    assert!(f.transport.fetched.lock().unwrap().is_empty());
    c.limits.target_limit = 2;
    f.manager.apply(vec![c]).await.unwrap();
    sleep(INTERVAL).await;
    assert_eq!(f.manager.targets().active[0].last_error, "");
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn targets_and_metadata_are_shown() {
    let f = fixture();
    f.transport.body(A, "# HELP m Help of m.\n# TYPE m counter\nm 1\n");
    let mut c = config("j", &["a:1", "drop:1", "a:1", "bad/host"]);
    let drop = RuleFields {
        source_labels: vec!["__address__".into()],
        regex: "drop.*".into(),
        action: Action::Drop,
        ..RuleFields::default()
    };
    c.relabel_configs = vec![Rule::new(drop, NameValidation::Utf8).unwrap()];
    f.manager.apply(vec![c]).await.unwrap();
    sleep(INTERVAL).await;
    let snapshot = f.manager.targets();
    assert_eq!((snapshot.active.len(), snapshot.dropped.len()), (1, 1));
    assert_eq!((snapshot.pools[0].active, snapshot.pools[0].dropped), (1, 1));
    let active = &snapshot.active[0];
    assert_eq!(&*active.scrape_url, A);
    assert_eq!(active.last_scrape_duration, Duration::from_millis(50));
    assert_eq!(active.discovered_labels.get("__address__"), Some("a:1"));
    assert_eq!(snapshot.dropped[0].discovered_labels.get("__address__"), Some("drop:1"));
    let metadata = f.manager.metadata();
    assert_eq!(metadata.len(), 1);
    assert_eq!((&*metadata[0].metric, &*metadata[0].metadata.help), ("m", "Help of m."));
    let text = prometheus::TextEncoder::new().encode_to_string(&f.registry.gather()).unwrap();
    assert!(text.contains("prometheus_target_scrape_pool_targets{scrape_job=\"j\"} 1\n"), "{text}");
    assert!(text.contains("prometheus_target_sync_failed_total{scrape_job=\"j\"} 1\n"), "{text}");
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_of_this_process_is_scraped_at_once() {
    let f = fixture();
    let mut c = ScrapeConfig::new("node");
    c.scheme = Scheme::InProcess;
    c.scrape_interval = Duration::from_secs(3_600);
    let instance = Labels::from_pairs([("instance", "host1")]);
    c.static_configs = vec![TargetGroup::new("0", ["node", "nobody"], instance)];
    f.manager.apply(vec![c]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(f.sink.take(), [r#"node_load1{instance="host1", job="node"} 0.5"#]);
    let errors: Vec<_> = f.manager.targets().active.into_iter().map(|a| a.last_error).collect();
    assert_eq!(
        errors,
        ["cannot scrape inprocess://nobody/metrics: this process has no source \"nobody\"", ""]
    );
    f.manager.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_does_not_stop_scraping() {
    let f = fixture();
    f.transport.body(A, "m 1\n");
    *f.sink.failing.lock().unwrap() = true;
    f.manager.apply(vec![config("j", &["a:1"])]).await.unwrap();
    sleep(INTERVAL).await;
    *f.sink.failing.lock().unwrap() = false;
    sleep(INTERVAL).await;
    assert_eq!(f.sink.take(), [r#"m{instance="a:1", job="j"} 1"#]);
    let text = prometheus::TextEncoder::new().encode_to_string(&f.registry.gather()).unwrap();
    assert!(text.contains("bellwether_target_scrapes_append_failed_total 1\n"), "{text}");
    f.manager.stop().await;
}

#[tokio::test]
async fn files_bring_targets_and_take_them_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("targets.json");
    std::fs::write(&path, r#"[{"targets": ["a:1"], "labels": {"dc": "x"}}]"#).unwrap();
    let f = fixture();
    let mut c = ScrapeConfig::new("files");
    c.file_sd_configs =
        vec![FileSdConfig { files: vec![path.clone()], refresh_interval: Duration::from_millis(50) }];
    f.manager.apply(vec![c]).await.unwrap();
    let urls = || -> Vec<_> { f.manager.targets().active.iter().map(|a| a.scrape_url.to_string()).collect() };
    assert_eq!(urls(), [A]);
    assert_eq!(f.manager.targets().active[0].labels.get("dc"), Some("x"));
    std::fs::write(&path, r#"[{"targets": ["a:1", "b:1"]}]"#).unwrap();
    for _ in 0..200 {
        if urls() == [A, B] {
            return f.manager.stop().await;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the file's change was not seen: {:?}", urls());
}
