//! Compaction: a day becomes one segment with the same samples, and readers do not notice.

use base::{Clock, ManualClock, Matcher, TimeRange};
use tsdb::MetricStore;

use crate::support::{Found, HOUR_MS, START_MS, clock_at, labels, open, sample, select};

/// Appends a sample a minute to three series, one of which lives for ten minutes only, with a round of maintenance each hour.
async fn live(store: &MetricStore, clock: &ManualClock, minutes_long: i64) -> (Found, usize) {
    let series = [labels("a", "1"), labels("a", "2"), labels("b", "1")];
    let mut want: Found = series.iter().map(|l| (l.clone(), Vec::new())).collect();
    let mut compacted = 0;
    for i in 0..minutes_long {
        let t_ms = START_MS + i * 60_000;
        clock.set(t_ms);
        let alive = if (300..310).contains(&i) { 3 } else { 2 };
        let batch: Vec<_> =
            (0..alive).map(|n| sample(&series[n], t_ms, (i * 7 % 50 + n as i64) as f64)).collect();
        store.append(batch.as_slice().into()).await.unwrap();
        for s in &batch {
            want.iter_mut().find(|(l, _)| *l == s.labels).unwrap().1.push((t_ms, s.sample.value.to_bits()));
        }
        if i % 60 == 0 {
            compacted += store.maintain().await.unwrap().compacted;
        }
    }
    (want, compacted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_becomes_one_segment_with_the_same_samples() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let (want, compacted) = live(&store, &clock, 30 * 60).await;
    assert_eq!(compacted, 4, "three times four windows, then all of the day");
    let segments = |store: &MetricStore| store.segments_by_level();
    let check = async |store: &MetricStore| {
        assert_eq!(select(store, &[], TimeRange::ALL).await, want);
        let range = TimeRange::new(START_MS + 3 * HOUR_MS + 1, START_MS + 9 * HOUR_MS);
        let one = select(store, &[Matcher::equal("__name__", "a")], range).await;
        let inside = |(l, s): &(_, Vec<(i64, u64)>)| {
            (Clone::clone(l), s.iter().copied().filter(|(t, _)| range.contains(*t)).collect::<Vec<_>>())
        };
        assert_eq!(one, want[..2].iter().map(inside).collect::<Vec<_>>());
        assert_eq!(store.label_values("__name__", &[], range).await.unwrap(), ["a", "b"]);
    };
    assert_eq!(segments(&store), [(0, 2), (2, 1)], "the day, and two windows of the next one");
    check(&store).await;
    store.close().await.unwrap();
    drop(store);
    let store = open(dir.path(), &clock).await;
    check(&store).await;
    assert_eq!(store.compact_now().await.unwrap().compacted, 1, "the two windows of the day that goes on");
    assert_eq!(segments(&store), [(2, 2)]);
    check(&store).await;
    assert_eq!(store.compact_now().await.unwrap().compacted, 0);
    assert!(clock.now_ms() < START_MS + 30 * HOUR_MS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_was_made_before_reads_on() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let (want, _) = live(&store, &clock, 9 * 60).await;
    let held = store.select(&[], TimeRange::ALL).await.unwrap();
    assert_eq!(store.compact_now().await.unwrap().compacted, 1);
    let (mut t, mut v) = (Vec::new(), Vec::new());
    held.decode(0, &mut t, &mut v).unwrap();
    assert_eq!(t.len(), want[0].1.len());
}
