//! Rollups through the life of a store: what they hold, that they are made once whatever fails, and what retention leaves of them.

use std::collections::BTreeMap;

use base::{
    Bucket, BucketColumns, Buckets, Clock, Histogram, Labels, ManualClock, Matcher, STALE_NAN, TimeRange,
    WriteBatch,
};
use lake::testing::{Fault, Random};
use tsdb::rollup::{Resolution, kernel};
use tsdb::{MetricStore, Retention, StoreOptions};

use crate::support::{FaultyDisk, HOUR_MS, START_MS, append, clock_at, labels, sample};

const DAY_MS: i64 = 24 * HOUR_MS;

type Samples = BTreeMap<Labels, BTreeMap<i64, f64>>;

/// A counter with resets and a gauge with a gap, one of them ending; a sample every ten minutes, some right on the border.
async fn fill(
    store: &MetricStore,
    clock: &ManualClock,
    hours: i64,
    random: &mut Random,
    known: &mut Samples,
) {
    let from_ms = clock.now_ms();
    for step in 0..hours * 6 {
        let t_ms = from_ms + step * 600_000;
        clock.set(t_ms);
        let mut batch = Vec::new();
        for (i, metric) in ["c_total", "g"].into_iter().enumerate() {
            let labels = labels(metric, "1");
            let before = known.get(&labels).and_then(|s| s.values().next_back()).copied().unwrap_or(0.0);
            let before = if before.is_nan() { 0.0 } else { before };
            let value = match (i, random.below(30)) {
                (_, 0) => continue,
                (0, 1) => 1.0,
                (0, n) => before + n as f64,
                (_, 1) => f64::from_bits(STALE_NAN),
                (_, n) => n as f64 - 15.0,
            };
            batch.push(sample(&labels, t_ms, value));
            known.entry(labels).or_default().insert(t_ms, value);
        }
        let accepted = append(store, &batch).await.unwrap().accepted;
        assert_eq!(accepted, batch.len() as u64);
        if step % 48 == 20 {
            store.maintain().await.unwrap();
        }
    }
    clock.set(from_ms + hours * HOUR_MS);
}

fn expected(known: &Samples, resolution: Resolution, ends: TimeRange) -> BTreeMap<Labels, Buckets> {
    let mut out = BTreeMap::new();
    for (labels, samples) in known {
        let (t, v): (Vec<i64>, Vec<f64>) = samples.iter().map(|(t, v)| (*t, *v)).unzip();
        let mut buckets = Buckets::default();
        kernel::roll(&t, &v, resolution.millis(), &mut buckets);
        buckets.crop(ends);
        if !buckets.is_empty() {
            out.insert(labels.clone(), buckets);
        }
    }
    out
}

async fn selected(store: &MetricStore, resolution: Resolution, ends: TimeRange) -> BTreeMap<Labels, Buckets> {
    let found = store.select_buckets(resolution, &[], ends, BucketColumns::ALL).await.unwrap();
    let all = (0..found.len()).map(|i| (found.labels(i).clone(), found.decode(i).unwrap()));
    all.filter(|(_, b)| !b.is_empty()).collect()
}

/// Whether two buckets mean the same.
fn same(a: &Bucket, b: &Bucket) -> bool {
    let meaning = |b: &Bucket| match b.count {
        0 => None,
        _ => Some([b.sum, b.min, b.max, b.first, b.last].map(f64::to_bits)),
    };
    (a.end_ms, a.count, a.first_ms, a.last_ms, a.stale_ms)
        == (b.end_ms, b.count, b.first_ms, b.last_ms, b.stale_ms)
        && meaning(a) == meaning(b)
        && a.resets == b.resets
}

async fn check(store: &MetricStore, known: &Samples, ends: TimeRange, context: &str) {
    for resolution in Resolution::ALL {
        let (got, want) = (selected(store, resolution, ends).await, expected(known, resolution, ends));
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{context}");
        for (labels, want) in want {
            let got = &got[&labels];
            assert!(got.ends_ms == want.ends_ms, "{context}: {labels} at {resolution:?}");
            for i in 0..want.len() {
                let (got, want) = (got.get(i), want.get(i));
                assert!(same(&got, &want), "{context}: {labels} at {resolution:?}: {got:?}, not {want:?}");
            }
        }
    }
}

fn all_until(t_ms: i64) -> TimeRange {
    TimeRange::new(0, t_ms)
}

/// Eight hours a window: commits are what takes time here.
fn few_windows() -> StoreOptions {
    StoreOptions { block: std::time::Duration::from_secs(8 * 3600), ..StoreOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_those_of_the_samples_before_and_after_they_are_stored() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open_with(&clock, few_windows()).await.unwrap();
    let (mut known, mut random) = (Samples::new(), Random::new(1));
    let mut made = 0;
    for day in 0..10 {
        fill(&store, &clock, 24, &mut random, &mut known).await;
        check(&store, &known, all_until(clock.now_ms()), &format!("day {day}")).await;
        let some = TimeRange::new(clock.now_ms() - 30 * HOUR_MS, clock.now_ms() - 3 * HOUR_MS);
        check(&store, &known, some, &format!("part of day {day}")).await;
        made = store.coverage(clock.now_ms()).rollups.len();
    }
    assert_eq!(made, 2, "both resolutions have segments");
    drop(store);
    let store = disk.open_with(&clock, few_windows()).await.unwrap();
    check(&store, &known, all_until(clock.now_ms()), "reopened").await;
    disk.check_invariants(&clock, "at the end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_outlive_their_samples_and_go_at_their_own_age() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let mut options = few_windows();
    options.retention = Retention::of_age(std::time::Duration::from_secs(3 * 86_400));
    for rollup in &mut options.rollups {
        rollup.age = match rollup.resolution {
            Resolution::FiveMinutes => std::time::Duration::from_secs(9 * 86_400),
            Resolution::OneHour => std::time::Duration::from_secs(30 * 86_400),
        };
    }
    let store = disk.open_with(&clock, options).await.unwrap();
    let (mut known, mut random) = (Samples::new(), Random::new(2));
    for _ in 0..16 {
        fill(&store, &clock, 24, &mut random, &mut known).await;
    }
    let now_ms = clock.now_ms();
    let coverage = store.coverage(now_ms);
    assert_eq!(coverage.samples_from_ms, now_ms - 3 * DAY_MS);
    let from = |r: Resolution| coverage.rollups.iter().find(|of| of.resolution == r).unwrap().from_ms;
    assert!(from(Resolution::FiveMinutes) > now_ms - 11 * DAY_MS);
    assert!(from(Resolution::OneHour) <= START_MS);
    let raw = store.select(&[], TimeRange::new(0, now_ms - 5 * DAY_MS)).await.unwrap();
    assert!(raw.is_empty(), "samples are gone");
    let hours = selected(&store, Resolution::OneHour, all_until(now_ms)).await;
    let want = expected(&known, Resolution::OneHour, all_until(now_ms));
    for (labels, want) in &want {
        assert!(hours[labels].ends_ms == want.ends_ms && hours[labels].last == want.last, "{labels}");
    }
    // Everything goes at its age, and its files with it.
    clock.set(now_ms + 60 * DAY_MS);
    store.maintain().await.unwrap();
    assert!(store.coverage(clock.now_ms()).rollups.is_empty());
    assert_eq!(disk.segment_files("metrics_5m").await + disk.segment_files("metrics_1h").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_samples_are_seen_at_once_and_their_day_is_rolled_up_again() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS + HOUR_MS);
    let mut options = few_windows();
    options.tunable.out_of_order = std::time::Duration::from_secs(7 * 86_400);
    let store = disk.open_with(&clock, options).await.unwrap();
    let (mut known, mut random) = (Samples::new(), Random::new(4));
    for _ in 0..3 {
        fill(&store, &clock, 24, &mut random, &mut known).await;
    }
    check(&store, &known, all_until(clock.now_ms()), "in time").await;
    assert!(disk.segment_files("metrics_5m").await > 0, "some days are rolled up");
    let late = [("c_total", "1", 5), ("late", "2", 7)].map(|(metric, instance, minute)| {
        sample(&labels(metric, instance), START_MS + 10 * HOUR_MS + minute * 60_000, 3.5)
    });
    assert_eq!(append(&store, &late).await.unwrap().accepted, 2);
    for s in &late {
        known.entry(s.labels.clone()).or_default().insert(s.sample.t_ms, s.sample.value);
    }
    check(&store, &known, all_until(clock.now_ms()), "late").await;
    fill(&store, &clock, 24, &mut random, &mut known).await;
    let until_ms = clock.now_ms();
    clock.set(until_ms + 24 * HOUR_MS);
    store.maintain().await.unwrap();
    check(&store, &known, all_until(until_ms), "sealed").await;
    assert_eq!(store.maintain().await.unwrap().rollups.made, 0);
    disk.check_invariants(&clock, "at the end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollup_tells_of_the_histograms_that_it_leaves_out() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS + HOUR_MS);
    let store = disk.open_with(&clock, few_windows()).await.unwrap();
    let mut batch = WriteBatch::new();
    batch.begin(&labels("native", "1"));
    batch.histogram(START_MS + HOUR_MS, Histogram { count: 1.0, zero_count: 1.0, ..Histogram::default() });
    batch.begin(&labels("plain", "1"));
    batch.sample(START_MS + HOUR_MS, 1.0);
    assert_eq!(store.append(batch).await.unwrap().accepted, 2);
    clock.set(START_MS + 9 * DAY_MS);
    assert_eq!(store.maintain().await.unwrap().rollups.made, 2);
    disk.check_invariants(&clock, "with histograms").await;
    for resolution in Resolution::ALL {
        for (metric, want) in [("native", true), ("plain", false)] {
            let matchers = [Matcher::equal("__name__", metric)];
            let ends = all_until(clock.now_ms());
            let found = store.select_buckets(resolution, &matchers, ends, BucketColumns::ALL).await.unwrap();
            assert_eq!((found.may_miss_histograms(), found.is_empty()), (want, want), "{metric}");
        }
    }
}

fn whole_days() -> StoreOptions {
    StoreOptions { block: std::time::Duration::from_secs(86_400), ..StoreOptions::default() }
}

/// Two days that are sealed and rolled up in one round, with a fault at a step; then a power cut, a restart and another round. Returns
/// whether the fault has happened.
async fn survives(step: u64, fault: Fault) -> bool {
    let disk = FaultyDisk::new();
    // Not on the border, where a sample belongs to the day before.
    let clock = clock_at(START_MS + HOUR_MS);
    let (mut known, mut random) = (Samples::new(), Random::new(3));
    let store = disk.open_with(&clock, whole_days()).await.unwrap();
    for _ in 0..47 {
        // Never at the hour at which a round is due.
        fill(&store, &clock, 1, &mut random, &mut known).await;
    }
    clock.set(clock.now_ms() + 49 * HOUR_MS);
    disk.faults.at(disk.faults.steps() + step, fault);
    let first = store.maintain().await;
    let Some(happened) = disk.faults.happened() else {
        assert_eq!(first.unwrap().rollups.made, 2, "the round rolls two days up");
        return false;
    };
    disk.faults.revive();
    drop(store);
    disk.fs.crash(step);
    let store = disk.open_with(&clock, whole_days()).await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    check(&store, &known, all_until(clock.now_ms()), &happened).await;
    // A start does not know how long nothing has come for the windows.
    clock.set(clock.now_ms() + HOUR_MS);
    store.maintain().await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    check(&store, &known, all_until(clock.now_ms()), &happened).await;
    // Done is done: a segment a day, and nothing left to do but what a compaction that the fault has delayed brings about.
    store.maintain().await.unwrap();
    assert_eq!(store.maintain().await.unwrap().rollups.made, 0, "{happened}");
    assert_eq!(disk.segment_files("metrics_5m").await, 2, "{happened}");
    disk.check_invariants(&clock, &happened).await;
    true
}

lake::sweep_faults!(survives, at_least: 8 steps);

fn without(known: &Samples, metric: &str, range: TimeRange) -> Samples {
    let mut left = known.clone();
    for (labels, samples) in &mut left {
        if labels.metric() == metric {
            samples.retain(|t, _| !range.contains(*t));
        }
    }
    left.retain(|_, samples| !samples.is_empty());
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_samples_do_not_count_before_and_after_their_rollups_are_made_again() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open_with(&clock, few_windows()).await.unwrap();
    let (mut known, mut random) = (Samples::new(), Random::new(5));
    for _ in 0..9 {
        fill(&store, &clock, 24, &mut random, &mut known).await;
    }
    store.maintain().await.unwrap();
    let until = all_until(clock.now_ms());
    check(&store, &known, until, "before").await;
    // From within a bucket to within another, over the border of two days.
    let range = TimeRange::new(START_MS + 13 * HOUR_MS + 700_000, START_MS + 40 * HOUR_MS + 1_500_000);
    let counter = vec![Matcher::equal("__name__", "c_total")];
    store.delete_series(&[counter], range).await.unwrap();
    let known = without(&known, "c_total", range);
    check(&store, &known, until, "deleted").await;
    let made = store.maintain().await.unwrap().rollups.made;
    assert!(made >= 3, "two days and a week are made again, not {made}");
    check(&store, &known, until, "made again").await;
    store.clean_tombstones().await.unwrap();
    assert!(store.deletions().is_empty(), "nothing is left of them");
    check(&store, &known, until, "forgotten").await;
    store.maintain().await.unwrap();
    check(&store, &known, until, "maintained").await;
    assert_eq!(store.maintain().await.unwrap().rollups.made, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_buckets_whose_samples_are_gone_and_others_stay() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let mut options = few_windows();
    options.retention = Retention::of_age(std::time::Duration::from_secs(3 * 86_400));
    // Its segments stay and are written again without the other series: these keep their rollups all the same.
    let longer = vec![Matcher::equal("__name__", "c_total")];
    options.retention.by_matcher.push((longer, std::time::Duration::from_secs(30 * 86_400)));
    let store = disk.open_with(&clock, options).await.unwrap();
    let (mut known, mut random) = (Samples::new(), Random::new(6));
    for _ in 0..10 {
        fill(&store, &clock, 24, &mut random, &mut known).await;
    }
    clock.set(clock.now_ms() + 6 * HOUR_MS);
    store.maintain().await.unwrap();
    let gauge = vec![Matcher::equal("__name__", "g")];
    let early = TimeRange::new(0, START_MS + 5 * DAY_MS);
    assert!(store.select(&gauge, early).await.unwrap().is_empty(), "its samples are gone");
    let found = store.series(std::slice::from_ref(&gauge), early, None).await.unwrap();
    assert_eq!(found, [labels("g", "1")], "and it is found all the same");
    check(&store, &known, early, "samples are gone").await;
    let range = TimeRange::new(START_MS + 13 * HOUR_MS + 700_000, START_MS + 40 * HOUR_MS + 1_500_000);
    store.delete_series(&[gauge], range).await.unwrap();
    for round in 0..4 {
        for resolution in Resolution::ALL {
            let got = selected(&store, resolution, early).await;
            for (labels, mut fine) in expected(&known, Resolution::FiveMinutes, early) {
                // Nobody knows what is left of five minutes that are deleted in part. An hour has what is left of these.
                let touched = |end_ms| range.overlaps(TimeRange::new(end_ms - 299_999, end_ms));
                fine.retain(|end_ms| labels.metric() != "g" || !touched(end_ms));
                let mut want = Buckets::default();
                kernel::coarsen(&fine, resolution.millis(), &mut want);
                assert_eq!(got[&labels].ends_ms, want.ends_ms, "{labels} at {resolution:?} in round {round}");
                assert_eq!(got[&labels].count, want.count, "{labels} at {resolution:?} in round {round}");
            }
        }
        store.maintain().await.unwrap();
        store.clean_tombstones().await.unwrap();
    }
    assert!(store.deletions().is_empty(), "it is forgotten and stays true");
}
