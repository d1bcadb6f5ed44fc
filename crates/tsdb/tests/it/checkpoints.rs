//! Checkpoints of the head, late samples, native histograms and limits: through restarts, and with what they refuse.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Histogram, Labels, Span, TimeRange, WriteBatch};
use lake::fs::Fs;
use tsdb::{AppendOutcome, SeriesLimits, Tunable};

use crate::support::{
    FaultyDisk, HOUR_MS, START_MS, append, clock_at, labels, minutes, open, sample, select,
};

fn histogram(n: f64) -> Histogram {
    Histogram {
        count: 3.0 * n,
        sum: n,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive: vec![n, 2.0 * n],
        ..Histogram::default()
    }
}

/// Files of the log that a replay reads.
fn log_files(disk: &FaultyDisk) -> usize {
    let names = Fs::list(&disk.fs, "/data/wal/metrics".as_ref()).unwrap();
    names.iter().filter(|n| lake::filenames::parse_wal_file(n).is_some()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reads_the_checkpoint_and_what_the_log_has_behind_it() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open(&clock).await.unwrap();
    store.tune(Tunable { out_of_order: Duration::from_secs(3600), ..Tunable::default() });
    let series: Vec<Labels> = (0..40).map(|i| labels(["a", "b"][i % 2], &i.to_string())).collect();
    let mut expected = 0;
    for round in 0..600 {
        let now_ms = clock.now_ms();
        // Half of the series end after a while, others begin.
        let some = if round < 300 { &series[..20] } else { &series[10..] };
        let mut batch: Vec<_> = some.iter().map(|l| sample(l, now_ms, f64::from(round))).collect();
        if round % 7 == 6 {
            batch.push(sample(&series[12], now_ms - 12_345, 0.25));
        }
        expected += append(&store, &batch).await.unwrap().accepted;
        if round % 150 == 149 {
            store.checkpoint().await.unwrap();
            assert_eq!(log_files(&disk), 0, "the checkpoint has all");
        }
        clock.advance(Duration::from_secs(10));
    }
    // Behind the last checkpoint: known series without their labels in the log, and a new one with them.
    let tail = [sample(&series[39], clock.now_ms(), 1.0), sample(&labels("c", "new"), clock.now_ms(), 2.0)];
    expected += append(&store, &tail).await.unwrap().accepted;
    let before = select(&store, &[], TimeRange::ALL).await;
    assert_eq!(before.iter().map(|(_, samples)| samples.len() as u64).sum::<u64>(), expected);
    let stats = store.stats();
    drop(store);
    disk.fs.crash(5);
    let store = disk.open(&clock).await.unwrap();
    assert_eq!(store.stats(), stats);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, before);
    // Sealed, and dropped from head and checkpoint, it is still the same.
    clock.advance(minutes(240));
    assert_eq!(store.maintain().await.unwrap().sealed, 1);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, before);
    drop(store);
    let store = disk.open(&clock).await.unwrap();
    assert_eq!(store.stats().head_series, 0);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_samples_go_where_they_belong_even_if_their_window_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS + 24 * HOUR_MS);
    let store = open(dir.path(), &clock).await;
    let l = labels("a", "1");
    let now_ms = clock.now_ms();
    append(&store, &[sample(&l, now_ms, 1.0)]).await.unwrap();
    let refused = append(&store, &[sample(&l, now_ms - 1000, 2.0)]).await.unwrap();
    assert_eq!(refused, AppendOutcome { out_of_order: 1, ..AppendOutcome::default() });
    store.tune(Tunable { out_of_order: Duration::from_secs(6 * 3600), ..Tunable::default() });
    clock.advance(minutes(200));
    assert_eq!(store.maintain().await.unwrap().sealed, 1);
    // Before midnight, of a day that has no segment, in a sealed window, and too old.
    let late = [now_ms - HOUR_MS, now_ms - 2000, now_ms + 5, now_ms - 7 * HOUR_MS];
    let batch: Vec<_> = late.iter().map(|t_ms| sample(&l, *t_ms, 3.0)).collect();
    let outcome = append(&store, &batch).await.unwrap();
    assert_eq!((outcome.accepted, outcome.late, outcome.too_old + outcome.out_of_bounds), (3, 3, 1));
    let (one, three) = (1f64.to_bits(), 3f64.to_bits());
    let samples = vec![(late[0], three), (late[1], three), (now_ms, one), (late[2], three)];
    assert_eq!(select(&store, &[], TimeRange::ALL).await, [(l.clone(), samples.clone())]);
    clock.advance(minutes(240));
    assert_eq!(store.maintain().await.unwrap().sealed, 1);
    assert_eq!(store.stats().head_series, 0);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, [(l, samples)]);
    let dates = std::fs::read_dir(dir.path().join("tables/metrics/tenant=default")).unwrap().count();
    assert_eq!(dates, 2, "each day has its segments");
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_survive_log_checkpoint_and_seal_beside_floats() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let mut store = disk.open(&clock).await.unwrap();
    let l = labels("h", "1");
    let mut want = Vec::new();
    for n in 0..300 {
        let mut batch = WriteBatch::new();
        batch.begin(&l);
        if n == 150 {
            batch.sample(clock.now_ms(), 0.5);
        } else {
            batch.histogram(clock.now_ms(), histogram(f64::from(n)));
            want.push((clock.now_ms(), histogram(f64::from(n))));
        }
        assert_eq!(store.append(batch.clone()).await.unwrap().accepted, 1);
        assert_eq!(store.append(batch).await.unwrap().repeated, 1);
        if n % 100 == 60 {
            store.checkpoint().await.unwrap();
        }
        if n % 100 == 80 {
            drop(store);
            disk.fs.crash(n as u64);
            store = disk.open(&clock).await.unwrap();
        }
        clock.advance(Duration::from_secs(15));
    }
    for round in 0..2 {
        let selected = store.select(&[], TimeRange::ALL).await.unwrap();
        let (mut t, mut h) = (Vec::new(), Vec::new());
        selected.decode_histograms(0, &mut t, &mut h).unwrap();
        assert_eq!(t.into_iter().zip(h).collect::<Vec<_>>(), want, "round {round}");
        let floats = select(&store, &[], TimeRange::ALL).await;
        assert_eq!(floats, [(l.clone(), vec![(START_MS + 150 * 15_000, 0.5f64.to_bits())])]);
        clock.advance(minutes(240));
        store.maintain().await.unwrap();
    }
    assert_eq!(store.stats().head_series, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_keeps_new_series_out_and_lets_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = Arc::new(open(dir.path(), &clock).await);
    let many: Vec<_> = (0..10).map(|i| sample(&labels("a", &i.to_string()), START_MS, 1.0)).collect();
    let cases = [
        (SeriesLimits { per_tenant: Some(3), ..SeriesLimits::default() }, 3),
        (SeriesLimits { per_metric: Some(5), ..SeriesLimits::default() }, 5),
        (SeriesLimits { per_target: Some(1), ..SeriesLimits::default() }, 10),
        (SeriesLimits { head_bytes: Some(1), ..SeriesLimits::default() }, 10),
    ];
    let mut known = 0;
    for (series, want) in cases {
        store.tune(Tunable { series, ..Tunable::default() });
        let outcome = append(&store, &many).await.unwrap();
        assert_eq!(outcome.new_series, want - known, "{series:?}");
        assert_eq!(outcome.limited, 10 - want, "{series:?}");
        assert_eq!(outcome.repeated, known, "{series:?}");
        known = want;
    }
    let other = [sample(&labels("b", "0"), START_MS, 1.0), sample(&labels("a", "0"), START_MS + 1, 1.0)];
    let outcome = append(&store, &other).await.unwrap();
    assert_eq!((outcome.limited, outcome.accepted), (1, 1), "memory is used up");
}

/// Bytes of the log's folder.
fn wal_bytes(disk: &FaultyDisk) -> u64 {
    let folder = Path::new("/data/wal/metrics");
    let names = Fs::list(&disk.fs, folder).unwrap();
    let mut all = vec![0; 16 << 20];
    names.iter().map(|name| Fs::read_at(&disk.fs, &folder.join(name), 0, &mut all).unwrap() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_does_not_keep_the_names_of_series_that_are_gone() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open(&clock).await.unwrap();
    let batch: Vec<_> =
        (0..6000).map(|i| sample(&labels("m", &format!("host-{i:06}")), START_MS, 1.0)).collect();
    append(&store, &batch).await.unwrap();
    store.checkpoint().await.unwrap();
    let before = wal_bytes(&disk);
    clock.set(START_MS + 9 * HOUR_MS);
    append(&store, &[sample(&labels("n", "1"), START_MS + 9 * HOUR_MS, 2.0)]).await.unwrap();
    store.maintain().await.unwrap();
    assert_eq!(store.stats().head_series, 1);
    let after = wal_bytes(&disk);
    assert!(before > 100_000 && after < 1_000, "{before} bytes became {after}");
    drop(store);
    disk.fs.crash(1);
    let found = select(&disk.open(&clock).await.unwrap(), &[], TimeRange::ALL).await;
    assert_eq!(found.len(), 6001);
}
