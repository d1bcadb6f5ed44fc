//! Appending, selecting, sealing, retention and reopening on a real folder.

use base::{Histogram, MatchOp, Matcher, STALE_NAN, TimeRange, WriteBatch};
use tsdb::{AppendOutcome, Refusal};

use crate::support::{HOUR_MS, START_MS, append, clock_at, labels, minutes, open, sample, select};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_is_found_in_head_segments_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    let series = [labels("b", "1"), labels("a", "2"), labels("a", "1")];
    let mut want: Vec<(i64, u64)> = Vec::new();
    // Seven hours at one minute: three sealed windows and a head.
    for i in 0..420i64 {
        let t_ms = START_MS + i * 60_000;
        let value = if i % 50 == 49 { f64::from_bits(STALE_NAN) } else { i as f64 * 0.5 };
        let batch: Vec<_> = series.iter().map(|l| sample(l, t_ms, value)).collect();
        let outcome = append(&store, &batch).await.unwrap();
        assert_eq!((outcome.accepted, outcome.new_series), (3, if i == 0 { 3 } else { 0 }));
        want.push((t_ms, value.to_bits()));
        clock.advance(minutes(1));
    }
    let all = Matcher::new("__name__", MatchOp::Regex, ".+").unwrap();
    let sorted = [labels("a", "1"), labels("a", "2"), labels("b", "1")];
    let check = async |store: &tsdb::MetricStore| {
        let found = select(store, std::slice::from_ref(&all), TimeRange::ALL).await;
        assert_eq!(found.iter().map(|(l, _)| l.clone()).collect::<Vec<_>>(), sorted);
        for (labels, samples) in &found {
            assert_eq!(samples, &want, "{labels}");
        }
        let range = TimeRange::new(START_MS + HOUR_MS + 1, START_MS + 5 * HOUR_MS);
        let one = select(store, &[Matcher::equal("__name__", "b")], range).await;
        let in_range: Vec<_> = want.iter().copied().filter(|(t, _)| range.contains(*t)).collect();
        assert_eq!(one, [(labels("b", "1"), in_range)]);
    };
    check(&store).await;
    let done = store.maintain().await.unwrap();
    assert_eq!((done.sealed, done.expired, done.vacuumed), (3, 0, 0));
    check(&store).await;
    let stats = store.stats();
    assert_eq!((stats.head_series, stats.series_by_metric[0].name.as_str()), (3, "a"));
    assert_eq!(store.label_names(&[], TimeRange::ALL).await.unwrap(), ["__name__", "instance"]);
    assert_eq!(store.label_values("instance", &[], TimeRange::ALL).await.unwrap(), ["1", "2"]);
    let a = vec![Matcher::equal("__name__", "a")];
    assert_eq!(store.series(&[a], TimeRange::ALL, Some(1)).await.unwrap(), [labels("a", "1")]);

    store.close().await.unwrap();
    assert!(append(&store, &[sample(&series[0], clock_ms(&clock), 1.0)]).await.is_err());
    drop(store);
    let store = open(dir.path(), &clock).await;
    check(&store).await;
    let again =
        append(&store, &[sample(&series[0], want[419].0, f64::from_bits(want[419].1))]).await.unwrap();
    assert_eq!(again, AppendOutcome { repeated: 1, ..AppendOutcome::default() });
    drop(store);
    // Without closing, as after a kill.
    check(&open(dir.path(), &clock).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_with_a_reason_what_cannot_be_stored() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS + HOUR_MS);
    let store = open(dir.path(), &clock).await;
    let l = labels("up", "1");
    let t = START_MS + HOUR_MS;
    let batch = [
        sample(&l, t, 1.0),
        sample(&l, t, 1.0),
        sample(&l, t, 2.0),
        sample(&l, t - 1, 1.0),
        sample(&l, t + 11 * 60_000, 1.0),
        sample(&l, -1, 1.0),
        sample(&l, t + 1, 3.0),
    ];
    let outcome = append(&store, &batch).await.unwrap();
    let want = AppendOutcome {
        accepted: 2,
        repeated: 1,
        duplicate: 1,
        out_of_order: 1,
        out_of_bounds: 2,
        new_series: 1,
        ..AppendOutcome::default()
    };
    assert_eq!(outcome, want);
    // A window that is sealed takes nothing more, and an idle series leaves the head.
    clock.advance(minutes(121));
    assert_eq!(store.maintain().await.unwrap().sealed, 1);
    assert_eq!(store.stats().head_series, 0);
    let late = append(&store, &[sample(&l, t + 2, 1.0)]).await.unwrap();
    assert_eq!(late.out_of_bounds, 1);
    let found = select(&store, &[], TimeRange::ALL).await;
    assert_eq!(found, [(l, vec![(t, 1f64.to_bits()), (t + 1, 3f64.to_bits())])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_tells_histograms_apart_and_names_the_first_series_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &clock_at(START_MS)).await;
    let [a, b, c] = ["a", "b", "c"].map(|metric| labels(metric, "1"));
    let batch = |t_ms| {
        let mut batch = WriteBatch::new();
        batch.begin(&a);
        batch.sample(START_MS, 1.0);
        batch.begin(&b);
        batch.sample(t_ms, 1.0);
        batch.begin(&c);
        batch.histogram(START_MS, Histogram { count: 1.0, zero_count: 1.0, ..Histogram::default() });
        batch
    };
    let first = store.append(batch(START_MS)).await.unwrap();
    assert_eq!((first.accepted, first.histograms, first.first_refused), (3, 1, None));
    let again = store.append(batch(START_MS - 1)).await.unwrap();
    assert_eq!((again.accepted, again.repeated, again.histograms, again.out_of_order), (0, 2, 1, 1));
    assert_eq!(again.first_refused, Some((Refusal::OutOfOrder, b)));
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_segments_and_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(START_MS);
    let store = open(dir.path(), &clock).await;
    append(&store, &[sample(&labels("up", "1"), START_MS, 1.0)]).await.unwrap();
    clock.advance(minutes(181));
    store.maintain().await.unwrap();
    let held = store.select(&[], TimeRange::ALL).await.unwrap();
    clock.advance(minutes(15 * 24 * 60));
    let done = store.maintain().await.unwrap();
    assert_eq!((done.expired, done.vacuumed), (1, 1));
    assert!(store.select(&[], TimeRange::ALL).await.unwrap().is_empty());
    let (mut t, mut v) = (Vec::new(), Vec::new());
    held.decode(0, &mut t, &mut v).unwrap();
    assert_eq!((t, v), (vec![START_MS], vec![1.0]), "a selection keeps what it has gathered");
}

fn clock_ms(clock: &base::ManualClock) -> i64 {
    use base::Clock;
    clock.now_ms()
}
