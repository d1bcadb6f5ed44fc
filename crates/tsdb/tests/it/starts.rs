//! Start timestamps: what was acknowledged with one has it over crashes, checkpoints, seals and compactions.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Clock, Histogram, Labels, ManualClock, Span, TimeRange, WriteBatch};
use tsdb::{MetricStore, StoreOptions, Tunable};

use crate::support::{FaultyDisk, START_MS, clock_at, labels, minutes};

const STEP_MS: i64 = 15_000;

/// Times, bits or sums of the values, and starts, by series.
type Stored = BTreeMap<Labels, Vec<(i64, u64, i64)>>;

fn histogram(n: f64) -> Histogram {
    Histogram {
        count: n,
        sum: n,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive: vec![n],
        ..Histogram::default()
    }
}

async fn read(store: &MetricStore) -> Stored {
    let selected = store.select(&[], TimeRange::ALL).await.unwrap();
    let mut out = Stored::new();
    let (mut t, mut v, mut h, mut starts) = (Vec::new(), Vec::new(), Vec::new(), vec![1]);
    for i in 0..selected.len() {
        let samples = out.entry(selected.labels(i).clone()).or_default();
        selected.decode_since(i, &mut t, &mut v, &mut starts).unwrap();
        assert!(starts.is_empty() || starts.len() == t.len());
        let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(0);
        samples.extend((0..t.len()).map(|at| (t[at], v[at].to_bits(), start(&starts, at))));
        let mut plain = (Vec::new(), Vec::new());
        selected.decode(i, &mut plain.0, &mut plain.1).unwrap();
        assert_eq!((&plain.0, &plain.1), (&t, &v), "values are those without starts too");
        selected.decode_histograms_since(i, &mut t, &mut h, &mut starts).unwrap();
        samples.extend((0..t.len()).map(|at| (t[at], h[at].sum.to_bits(), start(&starts, at))));
        samples.sort_unstable();
    }
    out
}

/// What is written at a round: a counter that begins anew now and then, deltas, histograms of which some have no start, and a gauge.
fn write(n: i64, t_ms: i64, want: &mut Stored) -> WriteBatch {
    let mut batch = WriteBatch::new();
    let mut add = |metric: &str, start_ms: i64, is_histogram: bool| {
        let l = labels(metric, "1");
        batch.begin(&l);
        match is_histogram {
            true => batch.histogram_since(t_ms, histogram(n as f64), start_ms),
            false => batch.sample_since(t_ms, n as f64, start_ms),
        }
        want.entry(l).or_default().push((t_ms, (n as f64).to_bits(), start_ms));
    };
    add("counter", START_MS - 1000 + n / 70 * 70 * STEP_MS, false);
    add("delta", t_ms - STEP_MS, false);
    add("gauge", 0, false);
    add("histogram", if n % 50 < 10 { 0 } else { START_MS - 5 }, true);
    // It is known of a series that is stored already.
    add("later", if n < 30 { 0 } else { START_MS }, false);
    batch
}

/// Writes for a while, with checkpoints and crashes between.
async fn live(disk: &FaultyDisk, clock: &std::sync::Arc<ManualClock>, rounds: i64) -> (MetricStore, Stored) {
    let tunable = Tunable { out_of_order: minutes(5), ..Tunable::default() };
    let options = StoreOptions { rollups: Vec::new(), tunable, ..StoreOptions::default() };
    let mut store = disk.open_with(clock, options.clone()).await.unwrap();
    let mut want = Stored::new();
    for n in 0..rounds {
        let t_ms = clock.now_ms();
        let batch = write(n, t_ms, &mut want);
        assert_eq!(store.append(batch.clone()).await.unwrap().accepted, 5);
        assert_eq!(store.append(batch).await.unwrap().repeated, 5);
        if n % 40 == 20 {
            let l = labels("counter", "1");
            let mut late = WriteBatch::new();
            late.begin(&l);
            late.sample_since(t_ms - 7000, 0.5, 77);
            late.histogram_since(t_ms - 6000, histogram(2.5), 78);
            let outcome = store.append(late).await.unwrap();
            assert_eq!((outcome.accepted, outcome.late), (2, 2));
            let of = want.get_mut(&l).unwrap();
            of.push((t_ms - 7000, 0.5f64.to_bits(), 77));
            of.push((t_ms - 6000, 2.5f64.to_bits(), 78));
            of.sort_unstable();
        }
        if n % 100 == 63 {
            store.checkpoint().await.unwrap();
        }
        if n % 50 == 45 {
            assert_eq!(read(&store).await, want, "before the crash at {n}");
            drop(store);
            disk.fs.crash(n as u64);
            store = disk.open_with(clock, options.clone()).await.unwrap();
            assert_eq!(read(&store).await, want, "after the crash at {n}");
        }
        clock.advance(Duration::from_millis(STEP_MS as u64));
    }
    (store, want)
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_survive_log_checkpoint_seal_and_compaction() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    // Over the end of a window.
    let (store, want) = live(&disk, &clock, 600).await;
    assert_eq!(read(&store).await, want, "in the head");
    for _ in 0..3 {
        clock.advance(minutes(240));
        store.maintain().await.unwrap();
        assert_eq!(read(&store).await, want, "sealed");
    }
    assert_eq!(store.stats().head_series, 0);
    disk.check_invariants(&clock, "sealed").await;
    assert!(store.compact_now().await.unwrap().compacted > 0);
    assert_eq!(read(&store).await, want, "merged");
    disk.check_invariants(&clock, "merged").await;
    store.close().await.unwrap();
    drop(store);
    let store = disk.open(&clock).await.unwrap();
    assert_eq!(read(&store).await, want, "after a restart");
    let range = TimeRange::new(START_MS + 10 * STEP_MS, START_MS + 12 * STEP_MS);
    let some = store.select(&[base::Matcher::equal("__name__", "delta")], range).await.unwrap();
    let (mut t, mut v, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    some.decode_since(0, &mut t, &mut v, &mut starts).unwrap();
    assert_eq!(starts, t.iter().map(|t| t - STEP_MS).collect::<Vec<_>>());
    let some = store.select(&[base::Matcher::equal("__name__", "gauge")], range).await.unwrap();
    some.decode_since(0, &mut t, &mut v, &mut starts).unwrap();
    assert_eq!((t.len(), starts.len()), (3, 0));
}
