//! What rollups cost on disk and what they save a query: sizes of the tables beside each other, and panels over twelve days answered
//! from samples and from buckets.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark runs in real time and prints"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base::{Labels, ManualClock, WriteBatch};
use engine::{Engine, EngineOptions, Grid, QueryOptions, Value};
use lake::Lake;
use tsdb::{MetricStore, StoreOptions};

const COUNTERS: i64 = 40;
const GAUGES: i64 = 20;
const DAYS: i64 = 12;
const INTERVAL_MS: i64 = 15_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (engine, store) = write(folder.path()).await;
        let time = store.time().expect("samples");
        let samples = (COUNTERS + GAUGES) * DAYS * DAY_MS / INTERVAL_MS;
        let raw = size_bytes(&folder.path().join("tables/metrics"));
        println!("{samples} samples, {} days", (time.end_ms - time.start_ms) / DAY_MS);
        println!("{:<12} {raw:>10} bytes, {:.3} a sample", "metrics", raw as f64 / samples as f64);
        for table in ["metrics_5m", "metrics_1h"] {
            let bytes = size_bytes(&folder.path().join("tables").join(table));
            let share = bytes as f64 / raw as f64 * 100.0;
            println!("{table:<12} {bytes:>10} bytes, {share:.1} % of the samples'");
        }
        for query in [
            "sum(rate(bench_total[1h]))",
            "bench_total",
            "max_over_time(bench[1h])",
            "avg_over_time(bench[6h])",
        ] {
            let grid =
                Grid { start_ms: START_MS + 6 * HOUR_MS, end_ms: START_MS + 10 * DAY_MS, step_ms: HOUR_MS };
            let buckets = seconds(&engine, query, grid, true).await;
            // A second beside the borders of buckets only samples tell.
            let beside = Grid { start_ms: grid.start_ms + 1000, end_ms: grid.end_ms + 1000, ..grid };
            let samples = seconds(&engine, query, beside, false).await;
            println!(
                "{query:<28} samples {samples:.4} s, buckets {buckets:.4} s: {:.0} times as fast",
                samples / buckets
            );
        }
    });
}

async fn write(folder: &Path) -> (Engine, Arc<MetricStore>) {
    let clock = Arc::new(ManualClock::new(START_MS));
    let registry = prometheus::Registry::new();
    let lake = Arc::new(Lake::open_local(folder, clock.clone()).expect("a data folder"));
    let store = Box::pin(MetricStore::open(lake, StoreOptions::default(), clock.clone(), &registry)).await;
    let store = Arc::new(store.expect("a store"));
    let mut state = 1u64;
    let mut totals = vec![0.0; usize::try_from(COUNTERS).expect("few")];
    for hour in 0..DAYS * 24 {
        let mut batch = WriteBatch::new();
        for i in 0..COUNTERS + GAUGES {
            let metric = if i < COUNTERS { "bench_total" } else { "bench" };
            let number = i.to_string();
            batch.begin(&Labels::from_pairs([
                ("__name__", metric),
                ("instance", "host:9100"),
                ("n", &number),
            ]));
            for step in 0..HOUR_MS / INTERVAL_MS {
                // An xorshift, so that the values are not too easy.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let noise = (state % 100) as f64 / 100.0;
                let value = match totals.get_mut(usize::try_from(i).expect("few")) {
                    Some(total) => {
                        *total += (noise * 15.0).round() / 100.0;
                        *total
                    }
                    None => ((i * 1_000_000) as f64 + noise * 4096.0).round(),
                };
                batch.sample(START_MS + hour * HOUR_MS + step * INTERVAL_MS + 3_217, value);
            }
        }
        clock.set(START_MS + (hour + 1) * HOUR_MS);
        store.append(batch).await.expect("appended");
        store.maintain().await.expect("maintained");
    }
    clock.set(START_MS + (DAYS + 1) * DAY_MS);
    for _ in 0..3 {
        store.maintain().await.expect("maintained");
    }
    let engine = Engine::new(store.clone(), EngineOptions::default(), clock, &registry).expect("an engine");
    (engine, store)
}

/// The best of five.
async fn seconds(engine: &Engine, query: &str, grid: Grid, rollups: bool) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        let reply = engine.query_range(query, grid, &QueryOptions::default()).await.expect("a result");
        best = best.min(started.elapsed().as_secs_f64());
        assert_eq!(!reply.rollups.is_empty(), rollups, "{query}");
        assert!(matches!(&reply.output.value, Value::Matrix(m) if !m.is_empty()), "{query}");
    }
    best
}

fn size_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("metadata");
        if metadata.is_dir() {
            bytes += size_bytes(&entry.path());
        } else if entry.path().extension().is_some_and(|e| e == "parquet")
            && !entry.path().to_string_lossy().contains("_delta_log")
        {
            bytes += metadata.len();
        }
    }
    bytes
}
