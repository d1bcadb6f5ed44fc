//! Deleting, cleaning, retention of some series, and snapshots, on a real folder.

use std::path::Path;
use std::time::Duration;

use base::{Clock, MatchOp, Matcher, TimeRange};
use tsdb::{MetricStore, Retention, StoreOptions};

use crate::support::{
    FaultyDisk, Found, HOUR_MS, START_MS, append, clock_at, labels, minutes, open, sample, select,
};

/// Five hours of a sample a minute of four series, of which four hours are sealed.
async fn filled(store: &MetricStore, clock: &base::ManualClock) -> Found {
    let series = [labels("a", "1"), labels("a", "2"), labels("b", "1"), labels("b", "2")];
    let mut want: Found = series.iter().map(|l| (l.clone(), Vec::new())).collect();
    for i in 0..300i64 {
        let t_ms = START_MS + i * 60_000;
        let batch: Vec<_> = series.iter().map(|l| sample(l, t_ms, i as f64)).collect();
        assert_eq!(append(store, &batch).await.unwrap().accepted, 4);
        want.iter_mut().for_each(|(_, s)| s.push((t_ms, (i as f64).to_bits())));
        clock.advance(minutes(1));
    }
    assert_eq!(store.maintain().await.unwrap().sealed, 2);
    want
}

fn without(found: &Found, metric: &str, range: TimeRange) -> Found {
    let mut left = found.clone();
    for (labels, samples) in &mut left {
        samples.retain(|(t, _)| labels.metric() != metric || !range.contains(*t));
    }
    left.retain(|(_, samples)| !samples.is_empty());
    left
}

fn all_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries
        .map(
            |e| {
                if e.file_type().unwrap().is_dir() {
                    all_bytes(&e.path())
                } else {
                    e.metadata().unwrap().len()
                }
            },
        )
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_at_once_and_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let all = filled(&store, &clock).await;
    let a = vec![vec![Matcher::equal("__name__", "a")]];
    // Across both segments and the head, from the middle of one to the middle of the other.
    let range = TimeRange::new(START_MS + HOUR_MS, START_MS + 4 * HOUR_MS + 30 * 60_000);
    store.delete_series(&a, range).await.unwrap();
    let want = without(&all, "a", range);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, want);
    let inside = TimeRange::new(START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS);
    assert_eq!(store.label_values("__name__", &[], inside).await.unwrap(), ["b"]);
    assert_eq!(store.label_values("__name__", &a, TimeRange::ALL).await.unwrap(), ["a"]);
    assert!(store.series(&a, inside, None).await.unwrap().is_empty());
    store.close().await.unwrap();
    drop(store);

    let store = open(dir.path(), &clock).await;
    assert_eq!(select(&store, &[], TimeRange::ALL).await, want, "a restart remembers");
    store.clean_tombstones().await.unwrap();
    assert_eq!(select(&store, &[], TimeRange::ALL).await, want);
    assert_eq!(store.deletions().len(), 1, "samples in memory are concerned");
    assert_eq!(store.segments_by_level(), [(1, 2)], "both segments were written again");
    clock.advance(minutes(150));
    store.maintain().await.unwrap();
    assert_eq!(store.deletions(), []);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, want);
    // Everything of b too, for all times: then nothing is left.
    let b = vec![vec![Matcher::new("__name__", MatchOp::Regex, "b").unwrap()]];
    store.delete_series(&b, TimeRange::ALL).await.unwrap();
    store.delete_series(&a, TimeRange::ALL).await.unwrap();
    assert!(select(&store, &[], TimeRange::ALL).await.is_empty());
    assert!(store.series(&[], TimeRange::ALL, None).await.unwrap().is_empty());
    store.clean_tombstones().await.unwrap();
    assert_eq!((store.deletions(), store.segments_by_level()), (vec![], vec![]));
    let late = clock.now_ms();
    assert_eq!(append(&store, &[sample(&labels("b", "1"), late, 1.0)]).await.unwrap().accepted, 1);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, [(labels("b", "1"), vec![(late, 1f64.to_bits())])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_all_times_leaves_the_future_alone_and_is_bounded() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open(&clock).await.unwrap();
    let l = labels("a", "1");
    let one = vec![vec![Matcher::equal("__name__", "a")]];
    store.delete_series(&one, TimeRange::ALL).await.unwrap();
    assert_eq!(store.deletions(), [], "there is nothing to delete");
    append(&store, &[sample(&l, START_MS, 1.0)]).await.unwrap();
    store.delete_series(&one, TimeRange::ALL).await.unwrap();
    append(&store, &[sample(&l, START_MS + 1, 2.0)]).await.unwrap();
    assert_eq!(select(&store, &[], TimeRange::ALL).await, [(l, vec![(START_MS + 1, 2f64.to_bits())])]);
    for sets in [vec![], vec![vec![]], vec![one[0].clone(), vec![]]] {
        assert_eq!(
            store.delete_series(&sets, TimeRange::ALL).await.unwrap_err().kind(),
            base::ErrorKind::Invalid
        );
    }
    for _ in 1..tsdb::limits::TOMBSTONES {
        store.delete_series(&one, TimeRange::ALL).await.unwrap();
    }
    let refused = store.delete_series(&one, TimeRange::ALL).await.unwrap_err();
    assert_eq!(refused.kind(), base::ErrorKind::Limit, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn some_series_are_kept_for_a_shorter_time_and_some_for_longer() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let hours = |n: u64| Duration::from_secs(3600 * n);
    let rule = |instance: &str, age| (vec![Matcher::equal("instance", instance)], age);
    let retention = Retention {
        by_matcher: vec![rule("1", hours(3)), rule("2", hours(200))],
        ..Retention::of_age(hours(100))
    };
    let options = StoreOptions { retention, ..StoreOptions::default() };
    let store = disk.open_with(&clock, options).await.unwrap();
    let all = filled(&store, &clock).await;
    // At five hours, two hours are too old for instance 1; rows that are not rewritten yet are hidden.
    let of = |found: &Found, instance: &str, from_ms: i64| -> Found {
        let mut some = found.clone();
        some.retain(|(l, _)| l.get_or_empty("instance") == instance);
        some.iter_mut().for_each(|(_, s)| s.retain(|(t, _)| *t >= from_ms));
        some
    };
    let one = [Matcher::equal("instance", "1")];
    assert_eq!(select(&store, &one, TimeRange::ALL).await, of(&all, "1", START_MS + 2 * HOUR_MS));
    let two = [Matcher::equal("instance", "2")];
    assert_eq!(select(&store, &two, TimeRange::ALL).await, of(&all, "2", 0));
    let early = TimeRange::new(START_MS, START_MS + HOUR_MS);
    assert_eq!(store.label_values("instance", &[], early).await.unwrap(), ["2"]);
    assert_eq!(store.maintain().await.unwrap().compacted, 0, "the seal of the first window has left it out");
    clock.advance(minutes(121));
    let done = store.maintain().await.unwrap();
    assert_eq!((done.expired, done.compacted), (0, 1), "the second window is written again");
    assert_eq!(store.maintain().await.unwrap().compacted, 0, "and once is enough");
    assert_eq!(select(&store, &two, TimeRange::ALL).await, of(&all, "2", 0));
    // Beyond the general age only what is kept for longer is left, and beyond that nothing.
    clock.set(START_MS + 150 * HOUR_MS);
    store.maintain().await.unwrap();
    assert_eq!(select(&store, &[], TimeRange::ALL).await, of(&all, "2", 0));
    clock.set(START_MS + 206 * HOUR_MS);
    store.maintain().await.unwrap();
    assert!(store.segments_by_level().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_changes_while_the_store_is_open() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open(&clock).await.unwrap();
    let all = filled(&store, &clock).await;
    assert_eq!(select(&store, &[], TimeRange::ALL).await, all);
    let hours = |n: u64| Duration::from_secs(3600 * n);
    let rule = |instance: &str, n| (vec![Matcher::equal("instance", instance)], hours(n));
    let by = |rules| Retention { by_matcher: rules, ..Retention::default() };
    let without_one = |found: &Found, before_ms: i64| -> Found {
        let mut some = found.clone();
        let one = some.iter_mut().filter(|(l, _)| l.get_or_empty("instance") == "1");
        one.for_each(|(_, s)| s.retain(|(t, _)| *t >= before_ms));
        some
    };
    store.retain(by(vec![rule("1", 3)]));
    let want = without_one(&all, START_MS + 2 * HOUR_MS);
    assert_eq!(select(&store, &[], TimeRange::ALL).await, want, "hidden at once");
    store.retain(by(vec![rule("1", 300)]));
    assert_eq!(select(&store, &[], TimeRange::ALL).await, all, "and seen again as long as it is stored");
    // The same number of rules that all concern the same segments, but others.
    store.retain(by(vec![rule("2", 3)]));
    assert_eq!(store.maintain().await.unwrap().compacted, 1);
    store.retain(by(vec![rule("1", 3)]));
    assert_eq!(store.maintain().await.unwrap().expired, 1, "nothing was left of the segment");
    store.retain(Retention::default());
    let mut gone = all.clone();
    gone.iter_mut().for_each(|(_, s)| s.retain(|(t, _)| *t >= START_MS + 2 * HOUR_MS));
    assert_eq!(select(&store, &[], TimeRange::ALL).await, gone, "what is removed does not come back");
    store.retain(Retention::of_age(hours(1)));
    store.maintain().await.unwrap();
    assert!(store.segments_by_level().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_goes_when_space_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let all = filled(&store, &clock).await;
    assert_eq!(store.segments_by_level(), [(0, 2)]);
    drop(store);
    let segments = all_bytes(&dir.path().join("tables/metrics/tenant=default"));
    let retention = Retention { size_bytes: Some(segments - 1), ..Retention::default() };
    let options = StoreOptions { retention, ..StoreOptions::default() };
    let lake = std::sync::Arc::new(lake::Lake::open_local(dir.path(), clock.clone()).unwrap());
    let store = MetricStore::open(lake, options, clock.clone(), &prometheus::Registry::new()).await.unwrap();
    assert_eq!(store.maintain().await.unwrap().expired, 1);
    let left = TimeRange::new(START_MS + 2 * HOUR_MS, i64::MAX);
    let inside = |(l, s): &(base::Labels, Vec<(i64, u64)>)| {
        (l.clone(), s.iter().copied().filter(|(t, _)| left.contains(*t)).collect::<Vec<_>>())
    };
    assert_eq!(select(&store, &[], TimeRange::ALL).await, all.iter().map(inside).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_opens_as_a_store_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let all = filled(&store, &clock).await;
    let deleted = TimeRange::new(START_MS, START_MS + HOUR_MS);
    store.delete_series(&[vec![Matcher::equal("__name__", "a")]], deleted).await.unwrap();
    let want = without(&all, "a", deleted);
    let before = all_bytes(dir.path());
    let (with_head, without_head) =
        (store.snapshot(None, false).await.unwrap(), store.snapshot(None, true).await.unwrap());
    assert!(with_head.starts_with("20260101T050000Z-"), "{with_head}");
    assert!(all_bytes(dir.path()) > before);
    // The original goes on, and its files go.
    clock.advance(minutes(15 * 24 * 60));
    assert_eq!(store.maintain().await.unwrap().expired, 3);
    store.close().await.unwrap();
    clock.set(START_MS + 5 * HOUR_MS);
    let folder = |name: &str| dir.path().join("snapshots").join(name);
    let copy = open(&folder(&with_head), &clock).await;
    assert_eq!(select(&copy, &[], TimeRange::ALL).await, want);
    let more = sample(&labels("a", "1"), clock.now_ms(), 7.0);
    assert_eq!(append(&copy, &[more]).await.unwrap().accepted, 1);
    copy.clean_tombstones().await.unwrap();
    assert_eq!(copy.deletions(), []);
    assert_eq!(copy.compact_now().await.unwrap().compacted, 1);
    let found = select(&copy, &[Matcher::equal("__name__", "b")], TimeRange::ALL).await;
    assert_eq!(found, want[2..]);
    let copy = open(&folder(&without_head), &clock).await;
    let sealed = TimeRange::new(START_MS + 4 * HOUR_MS, i64::MAX);
    assert_eq!(select(&copy, &[], TimeRange::ALL).await, without(&without(&want, "a", sealed), "b", sealed));
}
