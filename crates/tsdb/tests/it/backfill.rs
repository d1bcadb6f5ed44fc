//! Old data that is sent in order, quicker or slower than it was made: none is refused, and little of it is in memory at a time.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, ErrorKind, Labels, ManualClock, TimeRange};
use tsdb::{AppendOutcome, MetricStore, SeriesLimits, Tunable};

use crate::support::{Found, HOUR_MS, START_MS, append, clock_at, labels, minutes, open, sample, select};

const SERIES: usize = 3;

fn series() -> [Labels; SERIES] {
    [labels("a", "1"), labels("a", "2"), labels("b", "1")]
}

/// Sends a day at five minutes, while the clock shows later days and moves by `pace` between two requests. Maintenance runs
/// every minute of the clock, and whatever cannot wait at once, as in the program.
async fn backfill(store: &MetricStore, clock: &ManualClock, pace: Duration) -> (Found, usize) {
    let mut want: Found = series().into_iter().map(|l| (l, Vec::new())).collect();
    let (mut most_in_memory, mut last_ms) = (0, clock.now_ms());
    for i in 0..24 * 12 {
        let t_ms = START_MS + i * 5 * 60_000;
        // The second series is half an hour behind, as is the shard of a sender that had to wait.
        let behind = [0, 30 * 60_000, 0];
        let batch: Vec<_> =
            want.iter().zip(behind).map(|((l, _), by)| sample(l, t_ms - by, i as f64)).collect();
        let outcome = append(store, &batch).await.unwrap();
        assert_eq!((outcome.accepted, outcome.out_of_bounds), (SERIES as u64, 0), "request {i}");
        for ((_, samples), s) in want.iter_mut().zip(&batch) {
            samples.push((s.sample.t_ms, s.sample.value.to_bits()));
        }
        if clock.now_ms() - last_ms >= 60_000 {
            store.maintain().await.unwrap();
            last_ms = clock.now_ms();
        }
        // Ready at once if something asked for it.
        tokio::select! {
            biased;
            () = store.catch_up_due() => store.catch_up().await.unwrap(),
            () = std::future::ready(()) => {}
        }
        let head = store.stats().head_time.unwrap();
        most_in_memory =
            most_in_memory.max(usize::try_from((head.end_ms - head.start_ms) / HOUR_MS).unwrap());
        clock.advance(pace);
    }
    (want, most_in_memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_old_data_is_stored_at_any_pace_and_leaves_memory_as_it_goes_on() {
    // A day in 0.3 seconds, in five minutes, as it was made, and at a quarter of that.
    for pace_ms in [1, 1_000, 300_000, 1_200_000] {
        let dir = tempfile::tempdir().unwrap();
        let clock = clock_at(START_MS + 30 * HOUR_MS);
        let store = open(dir.path(), &clock).await;
        let (want, most_in_memory) = backfill(&store, &clock, Duration::from_millis(pace_ms)).await;
        assert!(most_in_memory <= 3, "{most_in_memory} hours were in memory, a request each {pace_ms} ms");
        assert_eq!(select(&store, &[], TimeRange::ALL).await, want);
        // What is left is sealed once nothing comes.
        clock.advance(minutes(31));
        assert_eq!(store.maintain().await.unwrap().sealed, 1);
        assert_eq!(store.stats().head_series, 0);
        assert_eq!(select(&store, &[], TimeRange::ALL).await, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_half_a_block_older_than_the_latest_is_out_of_bounds_unless_it_may_be_late() {
    let dir = tempfile::tempdir().unwrap();
    let t_ms = START_MS + 24 * HOUR_MS;
    let clock = clock_at(t_ms);
    let store = open(dir.path(), &clock).await;
    append(&store, &[sample(&labels("a", "1"), t_ms, 1.0)]).await.unwrap();
    let of = |instance, age_ms| [sample(&labels("a", instance), t_ms - age_ms, 1.0)];
    let outcome = append(&store, &of("2", HOUR_MS + 1)).await.unwrap();
    assert_eq!(outcome, AppendOutcome { out_of_bounds: 1, ..AppendOutcome::default() });
    let outcome = append(&store, &of("2", HOUR_MS)).await.unwrap();
    assert_eq!((outcome.accepted, outcome.late), (1, 0));
    // Five minutes are for those that come after later ones of their series.
    store.tune(Tunable { out_of_order: minutes(5), ..Tunable::default() });
    let outcome = append(&store, &of("3", 30 * 60_000)).await.unwrap();
    assert_eq!((outcome.accepted, outcome.late), (1, 0));
    assert_eq!(append(&store, &of("1", 6 * 60_000)).await.unwrap().too_old, 1);
    assert_eq!(append(&store, &of("1", 4 * 60_000)).await.unwrap().late, 1);
    store.tune(Tunable { out_of_order: minutes(180), ..Tunable::default() });
    let outcome = append(&store, &of("4", 2 * HOUR_MS)).await.unwrap();
    assert_eq!((outcome.accepted, outcome.late), (1, 1));
    assert_eq!(append(&store, &of("3", 4 * HOUR_MS)).await.unwrap().too_old, 1);
}

/// A store that has no memory left, and a window to seal.
async fn full(dir: &std::path::Path) -> Arc<MetricStore> {
    let clock = clock_at(START_MS + 30 * HOUR_MS);
    let store = Arc::new(open(dir, &clock).await);
    for (l, t_ms) in series().iter().zip([START_MS, START_MS + 1, START_MS + 4 * HOUR_MS]) {
        append(&store, &[sample(l, t_ms, 1.0)]).await.unwrap();
    }
    store.tune(Tunable {
        series: SeriesLimits { head_bytes: Some(1), ..SeriesLimits::default() },
        ..Tunable::default()
    });
    store
}

#[tokio::test(start_paused = true)]
async fn an_append_that_finds_memory_used_up_waits_for_the_seal_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = full(dir.path()).await;
    let next = [sample(&series()[2], START_MS + 5 * HOUR_MS, 2.0)];
    let refused = append(&store, &next).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("share of limits.memory"), "{refused}");
    tokio::time::resume();
    let maintenance = {
        let store = store.clone();
        tokio::spawn(async move {
            store.catch_up_due().await;
            store.catch_up().await
        })
    };
    assert_eq!(append(&store, &next).await.unwrap().accepted, 1);
    maintenance.await.unwrap().unwrap();
    assert_eq!(store.stats().head_series, 1);
}
