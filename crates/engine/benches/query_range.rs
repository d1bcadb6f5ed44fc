//! A dashboard's panel over sealed segments and the head: one series, and a hundred, over six hours.
//!
//! Writes eight hours of a host's samples at 15 s, ending now, into the folder that `BELLWETHER_BENCH_FOLDER` names
//! (kept, so that a real server can be started on it) or into a temporary one, and seals what is due.
#![expect(clippy::disallowed_methods, reason = "a benchmark runs in real time")]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use base::{Clock, Labels, ManualClock, Sample, SeriesSample};
use divan::Bencher;
use engine::{Engine, EngineOptions, Grid, QueryOptions};
use lake::Lake;
use tokio::runtime::Runtime;
use tsdb::{MetricStore, StoreOptions};

const SERIES: usize = 1_000;
const HOURS: i64 = 8;
const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;

struct Setup {
    runtime: Runtime,
    engine: Engine,
    end_ms: i64,
    _temporary: Option<tempfile::TempDir>,
}

fn main() {
    divan::main();
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let named = std::env::var_os("BELLWETHER_BENCH_FOLDER").map(PathBuf::from);
        let temporary = named.is_none().then(|| tempfile::tempdir().expect("a temporary folder"));
        let folder =
            named.or_else(|| temporary.as_ref().map(|t| t.path().to_path_buf())).expect("one of both");
        let runtime = Runtime::new().expect("a runtime");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let end_ms = i64::try_from(now.as_millis()).expect("before the end of time");
        let engine = runtime.block_on(write(&folder, end_ms));
        Setup { runtime, engine, end_ms, _temporary: temporary }
    })
}

async fn write(folder: &std::path::Path, end_ms: i64) -> Engine {
    let manual = Arc::new(ManualClock::new(end_ms - HOURS * HOUR_MS));
    let clock: Arc<dyn Clock> = Arc::clone(&manual) as _;
    let registry = prometheus::Registry::new();
    let lake = Arc::new(Lake::open_local(folder, Arc::clone(&clock)).expect("a data folder"));
    let store = MetricStore::open(lake, StoreOptions::default(), Arc::clone(&clock), &registry).await;
    let store = Arc::new(store.expect("a store"));
    let labels: Vec<Labels> = (0..SERIES)
        .map(|i| {
            let (cpu, mode) = ((i / 8).to_string(), format!("mode{}", i % 8));
            Labels::from_pairs([
                ("__name__", "bench_cpu_seconds_total"),
                ("instance", "bench"),
                ("job", "bench"),
                ("cpu", &cpu),
                ("mode", &mode),
            ])
        })
        .collect();
    let mut t_ms = end_ms - HOURS * HOUR_MS;
    let mut step = 0u32;
    while t_ms <= end_ms {
        manual.set(t_ms);
        let value = |i: usize| f64::from(step) * 0.15 + f64::from(step % 7) * 0.01 * i as f64;
        let samples: Vec<_> = labels
            .iter()
            .enumerate()
            .map(|(i, l)| SeriesSample {
                labels: l.clone(),
                sample: Sample { t_ms, value: value(i) },
                start_ms: 0,
            })
            .collect();
        store.append(samples.as_slice().into()).await.expect("appended");
        if step.is_multiple_of(40) {
            store.maintain().await.expect("maintained");
        }
        t_ms += INTERVAL_MS;
        step += 1;
    }
    Engine::new(store, EngineOptions::default(), clock, &registry).expect("an engine")
}

fn six_hours(bencher: Bencher, query: &str, series: usize) {
    let s = setup();
    let grid = Grid { start_ms: s.end_ms - 6 * HOUR_MS, end_ms: s.end_ms, step_ms: 15_000 };
    bencher.bench_local(|| {
        let reply = s.runtime.block_on(s.engine.query_range(query, grid, &QueryOptions::default()));
        let reply = reply.expect("a result");
        assert!(matches!(&reply.output.value, engine::Value::Matrix(m) if m.len() == series));
        reply
    });
}

#[divan::bench]
fn one_series_6h(bencher: Bencher) {
    six_hours(bencher, r#"bench_cpu_seconds_total{cpu="7",mode="mode3"}"#, 1);
}

#[divan::bench]
fn rate_of_one_series_6h(bencher: Bencher) {
    six_hours(bencher, r#"rate(bench_cpu_seconds_total{cpu="7",mode="mode3"}[5m])"#, 1);
}

#[divan::bench]
fn sum_by_mode_of_1000_series_6h(bencher: Bencher) {
    six_hours(bencher, "sum by (mode) (rate(bench_cpu_seconds_total[5m]))", 8);
}
