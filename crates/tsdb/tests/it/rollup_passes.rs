//! Rollups of spans that have more segments than are read at once: merged in passes, which leave nothing behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{BucketColumns, Buckets, Labels, ManualClock, TimeRange};
use lake::Lake;
use lake::limits::COMPACTION_INPUTS;
use lake::testing::{Fault, FaultFs, FaultStore, Faults};
use prometheus::Registry;
use tsdb::rollup::{Resolution, kernel};
use tsdb::{MetricStore, StoreOptions};

use crate::support::{HOUR_MS, START_MS, append, clock_at, labels, sample};

const WINDOW_MS: i64 = 5 * 60_000;

type Samples = BTreeMap<Labels, BTreeMap<i64, f64>>;

/// A bucket that others write to as well, with a faultless past.
struct Bucket {
    store: FaultStore,
    known: Samples,
    end_ms: i64,
}

async fn open(store: &FaultStore, fs: &FaultFs, block_ms: i64, clock: &Arc<ManualClock>) -> MetricStore {
    let options =
        StoreOptions { block: Duration::from_millis(block_ms.unsigned_abs()), ..StoreOptions::default() };
    let lake = Lake::open(Path::new("/data"), Arc::new(fs.clone()), Arc::new(store.clone()), clock.clone());
    let lake = Arc::new(lake.unwrap().into_shared());
    Box::pin(MetricStore::open(lake, options, clock.clone(), &Registry::new())).await.unwrap()
}

/// Two writers that seal short windows and never come to merge them; one series has samples of both.
async fn of_windows(windows: i64) -> Bucket {
    let store = FaultStore::new(Faults::none());
    let mut known = Samples::new();
    for writer in 0..2_i64 {
        let clock = clock_at(START_MS + 1);
        let writing = open(&store, &FaultFs::new(Faults::none()), WINDOW_MS, &clock).await;
        let own = labels("own", if writer == 0 { "a" } else { "b" });
        for window in 0..windows {
            let mut batch = Vec::new();
            for (series, late_ms) in [(&own, 10_000), (&labels("both", "c"), 20_000)] {
                for step in 0..3 {
                    let t_ms = START_MS + window * WINDOW_MS + step * 90_000 + writer * 1000 + late_ms;
                    let value = ((window * 7 + step * 3 + writer) % 23) as f64;
                    batch.push(sample(series, t_ms, value));
                    known.entry(series.clone()).or_default().insert(t_ms, value);
                }
            }
            batch.sort_by_key(|s| s.sample.t_ms);
            clock.set(START_MS + (window + 1) * WINDOW_MS);
            assert_eq!(append(&writing, &batch).await.unwrap().accepted, 6);
            writing.catch_up().await.unwrap();
        }
        clock.set(START_MS + windows * WINDOW_MS + 48 * HOUR_MS);
        writing.catch_up().await.unwrap();
    }
    Bucket { store, known, end_ms: START_MS + windows * WINDOW_MS }
}

async fn check(store: &MetricStore, bucket: &Bucket, context: &str) {
    let ends = TimeRange::new(0, bucket.end_ms);
    let resolution = Resolution::FiveMinutes;
    let found = store.select_buckets(resolution, &[], ends, BucketColumns::ALL).await.unwrap();
    let mut left = bucket.known.clone();
    for i in 0..found.len() {
        let samples =
            left.remove(found.labels(i)).unwrap_or_else(|| panic!("{context}: {}", found.labels(i)));
        let (t, v): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
        let mut want = Buckets::default();
        kernel::roll(&t, &v, resolution.millis(), &mut want);
        let got = found.decode(i).unwrap();
        assert_eq!((&got.ends_ms, &got.count), (&want.ends_ms, &want.count), "{context}");
        assert_eq!((&got.sum, &got.min, &got.last), (&want.sum, &want.min, &want.last), "{context}");
    }
    assert!(left.is_empty(), "{context}: {left:?}");
}

async fn segment_files(store: &FaultStore, table: &str) -> usize {
    let folder = format!("tables/{table}/tenant=");
    store.paths().await.iter().filter(|path| path.starts_with(&folder)).count()
}

/// Another process rolls the day up, with a fault at a step; then a restart and another round. Returns whether the fault has happened.
async fn survives(bucket: &Bucket, step: u64, fault: Fault) -> bool {
    let raw = segment_files(&bucket.store, "metrics").await;
    assert!(raw > COMPACTION_INPUTS, "{raw} segments are read at once");
    let faults = Faults::none();
    let (store, fs) = (bucket.store.fork(faults.clone()), FaultFs::new(faults.clone()));
    // Before the day is old enough for others than its writers to merge it.
    let clock = clock_at(START_MS + 60 * HOUR_MS);
    let rolling = open(&store, &fs, 2 * HOUR_MS, &clock).await;
    faults.at(faults.steps() + step, fault);
    let first = rolling.maintain().await;
    let Some(happened) = faults.happened() else {
        assert_eq!(first.unwrap().rollups.made, 1, "the day is rolled up");
        check(&rolling, bucket, "without a fault").await;
        assert_eq!(segment_files(&store, "metrics").await, raw, "what was merged on the way is gone");
        assert_eq!(segment_files(&store, "metrics_5m").await, 1);
        return false;
    };
    faults.revive();
    drop(rolling);
    fs.crash(step);
    let rolling = open(&store, &fs, 2 * HOUR_MS, &clock).await;
    check(&rolling, bucket, &happened).await;
    rolling.maintain().await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    check(&rolling, bucket, &happened).await;
    assert_eq!(rolling.maintain().await.unwrap().rollups.made, 0, "{happened}");
    assert_eq!(segment_files(&store, "metrics").await, raw, "{happened}");
    assert_eq!(segment_files(&store, "metrics_5m").await, 1, "{happened}");
    true
}

/// Twenty segments: two merges.
async fn of_twenty(step: u64, fault: Fault) -> bool {
    static BUCKET: tokio::sync::OnceCell<Bucket> = tokio::sync::OnceCell::const_new();
    survives(BUCKET.get_or_init(|| of_windows(10)).await, step, fault).await
}

lake::sweep_faults!(of_twenty, at_least: 6 steps);

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_segments_take_two_passes() {
    let windows = (COMPACTION_INPUTS * COMPACTION_INPUTS / 2 + 1) as i64;
    let never = Fault::Fail { done: false };
    assert!(!survives(&of_windows(windows).await, u64::MAX / 2, never).await);
}
