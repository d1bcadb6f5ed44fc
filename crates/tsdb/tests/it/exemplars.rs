//! Which exemplars are taken, and that what is refused is not stored either.

use std::sync::Arc;
use std::time::Duration;

use base::{Exemplar, Labels, Matcher, SeriesExemplar, TimeRange};
use tsdb::limits::EXEMPLAR_BURST_BYTES;
use tsdb::{ExemplarOptions, ExemplarOutcome, ExemplarStore};

use crate::support::*;

async fn open(dir: &std::path::Path) -> ExemplarStore {
    let lake = Arc::new(lake::Lake::open_local(dir, clock_at(START_MS)).unwrap());
    let options = ExemplarOptions {
        // So few that the disk is asked for others.
        in_memory: 1,
        out_of_order: Duration::ZERO,
        retention: Duration::from_secs(86_400),
        tenant: "default".into(),
    };
    ExemplarStore::open(lake, options, &prometheus::Registry::new()).await.unwrap()
}

fn exemplar(at: i64, value: f64) -> SeriesExemplar {
    let t_ms = START_MS + at;
    SeriesExemplar { labels: labels("m", "a"), exemplar: Exemplar { labels: Labels::empty(), value, t_ms } }
}

/// Times and values of all that are stored.
async fn stored(store: &ExemplarStore) -> Vec<(i64, f64)> {
    let found = store.select(&[vec![Matcher::equal("__name__", "m")]], TimeRange::ALL).await.unwrap();
    let all = found.series.into_iter().flat_map(|series| series.exemplars);
    all.map(|e| (e.t_ms - START_MS, e.value)).collect()
}

#[tokio::test]
async fn those_of_one_append_are_judged_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let batch =
        vec![exemplar(5, 1.0), exemplar(5, 1.0), exemplar(3, 1.0), exemplar(5, 2.0), exemplar(6, 1.0)];
    let outcome = store.append(batch.clone()).await.unwrap();
    let want = ExemplarOutcome { accepted: 3, repeated: 1, out_of_order: 1, ..ExemplarOutcome::default() };
    assert_eq!(outcome, want);
    assert_eq!(stored(&store).await, [(5, 1.0), (5, 2.0), (6, 1.0)]);
}

#[tokio::test]
async fn a_time_far_ahead_does_not_keep_out_what_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let outcome = store.append(vec![exemplar(600_001, 1.0), exemplar(0, 2.0)]).await.unwrap();
    assert_eq!(outcome, ExemplarOutcome { accepted: 1, invalid: 1, ..ExemplarOutcome::default() });
    assert_eq!(store.append(vec![exemplar(600_000, 3.0)]).await.unwrap().accepted, 1);
    assert_eq!(stored(&store).await, [(0, 2.0), (600_000, 3.0)]);
}

/// Of one series with large labels, which a row for each exemplar spells out.
#[tokio::test]
async fn an_append_stores_no_more_than_a_burst() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let large = "v".repeat(200 << 10);
    let series = Labels::from_pairs([("__name__", "m"), ("large", &large)]);
    let of = |at: i64| SeriesExemplar { labels: series.clone(), ..exemplar(at, 1.0) };
    let most = EXEMPLAR_BURST_BYTES / large.len();
    let outcome = store.append((0..2 * most as i64).map(of).collect()).await.unwrap();
    assert_eq!(outcome.accepted + outcome.beyond_burst, 2 * most as u64);
    assert!((most as u64 - 1..=most as u64).contains(&outcome.accepted), "{outcome:?}");
    let kept = store.select(&[vec![Matcher::equal("__name__", "m")]], TimeRange::ALL).await.unwrap();
    assert_eq!(kept.series[0].exemplars.len() as u64, outcome.accepted, "what is accepted is stored");
    // Others find room.
    assert_eq!(store.append(vec![exemplar(1, 1.0)]).await.unwrap().accepted, 1);
}
