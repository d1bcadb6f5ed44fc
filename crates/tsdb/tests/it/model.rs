//! The store against a naive model, under random lives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Labels, ManualClock, MatchOp, Matcher, TimeRange};
use lake::testing::Random;
use tsdb::{AppendOutcome, Deletion, MetricStore, StoreOptions};

use crate::support::{FaultyDisk, HOUR_MS, START_MS, append, clock_at, labels, minutes, sample, select};

/// Samples of this instance are kept for half a day.
const SHORT_LIVED: &str = "3";
const SHORT_MS: i64 = 12 * HOUR_MS;

/// What a store is: for each series, values by time; and how far it is sealed.
#[derive(Default)]
struct Model {
    series: BTreeMap<Labels, BTreeMap<i64, u64>>,
    last: BTreeMap<Labels, (i64, u64)>,
    sealed_until_ms: i64,
    latest_ms: i64,
    /// When a window received samples, by its end.
    received: BTreeMap<i64, i64>,
    /// Deletions that the store still has: what comes for their times stays hidden.
    deletions: Vec<Deletion>,
}

fn options() -> StoreOptions {
    let mut options = StoreOptions { rollups: Vec::new(), ..StoreOptions::default() };
    let short = Duration::from_millis(SHORT_MS.unsigned_abs());
    options.retention.by_matcher.push((vec![Matcher::equal("instance", SHORT_LIVED)], short));
    options
}

fn concerns(deletion: &Deletion, labels: &Labels, t_ms: i64) -> bool {
    let matched = deletion.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)));
    matched && deletion.range.contains(t_ms)
}

impl Model {
    /// The least time that a batch may have which is appended now.
    fn oldest_ms(&self, now_ms: i64) -> i64 {
        (now_ms - 15 * 24 * HOUR_MS).max(self.sealed_until_ms).max(self.latest_ms - HOUR_MS)
    }

    fn append(
        &mut self,
        labels: &Labels,
        (t_ms, oldest_ms): (i64, i64),
        value: f64,
        now_ms: i64,
        outcome: &mut AppendOutcome,
    ) {
        if t_ms < oldest_ms || t_ms > now_ms + 600_000 {
            outcome.out_of_bounds += 1;
            return;
        }
        let bits = value.to_bits();
        match self.last.get(labels) {
            Some((last_ms, _)) if t_ms < *last_ms => outcome.out_of_order += 1,
            Some(last) if (t_ms, bits) == *last => outcome.repeated += 1,
            Some((last_ms, _)) if t_ms == *last_ms => outcome.duplicate += 1,
            _ => {
                self.last.insert(labels.clone(), (t_ms, bits));
                self.latest_ms = self.latest_ms.max(t_ms);
                self.received.insert((t_ms.div_euclid(2 * HOUR_MS) + 1) * 2 * HOUR_MS, now_ms);
                if !self.deletions.iter().any(|d| concerns(d, labels, t_ms)) {
                    self.series.entry(labels.clone()).or_default().insert(t_ms, bits);
                }
                outcome.accepted += 1;
            }
        }
    }

    /// Windows of two hours are sealed once clock and data are an hour past their end, or the clock is and nothing has come for
    /// half an hour.
    fn maintain(&mut self, now_ms: i64) {
        while let Some((&end_ms, &received_ms)) = self.received.first_key_value()
            && end_ms + HOUR_MS <= now_ms
            && (end_ms + HOUR_MS <= self.latest_ms || received_ms + HOUR_MS / 2 <= now_ms)
        {
            self.sealed_until_ms = end_ms;
            self.received.pop_first();
        }
    }

    /// A start does not know when samples came.
    fn start(&mut self, now_ms: i64) {
        self.received.values_mut().for_each(|at| *at = now_ms);
    }

    fn delete(&mut self, deletion: &Deletion) {
        for (labels, samples) in &mut self.series {
            samples.retain(|t, _| !concerns(deletion, labels, *t));
        }
    }

    fn select(&self, range: TimeRange, now_ms: i64) -> Vec<(Labels, Vec<(i64, u64)>)> {
        self.series
            .iter()
            .map(|(labels, samples)| {
                let short = labels.get_or_empty("instance") == SHORT_LIVED;
                let oldest_ms = if short { now_ms - SHORT_MS } else { i64::MIN };
                let inside = samples.iter().filter(|(t, _)| range.contains(**t) && **t >= oldest_ms);
                let inside = inside.map(|(t, v)| (*t, *v));
                (labels.clone(), inside.collect())
            })
            .filter(|(_, samples): &(_, Vec<_>)| !samples.is_empty())
            .collect()
    }
}

struct Run {
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    model: Model,
    random: Random,
}

impl Run {
    async fn open(&self) -> MetricStore {
        self.disk.open_with(&self.clock, options()).await.unwrap()
    }

    async fn step(&mut self, store: MetricStore) -> MetricStore {
        match self.random.below(24) {
            0 => {
                store.close().await.unwrap();
                drop(store);
                self.model.start(self.clock.now_ms());
                return self.open().await;
            }
            1 => {
                drop(store);
                self.disk.fs.crash(self.random.draw());
                self.model.start(self.clock.now_ms());
                return self.open().await;
            }
            2 => store.checkpoint().await.unwrap(),
            3..5 => {
                store.maintain().await.unwrap();
                self.model.maintain(self.clock.now_ms());
            }
            5..8 => self.look(&store).await,
            8..10 => self.clock.advance(minutes(self.random.below(300))),
            10 => drop(store.compact_now().await.unwrap()),
            11 => {
                store.clean_tombstones().await.unwrap();
                let left = store.deletions();
                assert!(left.iter().all(|d| d.range.end_ms >= self.model.sealed_until_ms), "{left:?}");
            }
            12 => self.delete(&store).await,
            _ => self.append(&store).await,
        }
        store
    }

    async fn look(&mut self, store: &MetricStore) {
        let now_ms = self.clock.now_ms();
        let start_ms = now_ms - self.random.below(40 * HOUR_MS as u64) as i64;
        let range = TimeRange::new(start_ms, start_ms + self.random.below(20 * HOUR_MS as u64) as i64);
        let want = self.model.select(range, now_ms);
        assert_eq!(select(store, &[], range).await, want, "{range:?}");
        // Series are looked up by chunks, which may reach into the range without a sample in it.
        let found = store.series(&[], range, None).await.unwrap();
        assert!(want.iter().all(|(labels, _)| found.contains(labels)), "{range:?}");
        let absent = |l: &Labels| !self.model.series.contains_key(l);
        assert!(!found.iter().any(absent), "{found:?}");
    }

    async fn delete(&mut self, store: &MetricStore) {
        let instance = ["1|2|3", "4", ".*"][self.random.below(3) as usize];
        let one = Matcher::new("instance", MatchOp::Regex, instance).unwrap();
        let sets = [vec![Matcher::equal("__name__", "a"), one.clone()], vec![one]];
        let sets = &sets[self.random.below(2) as usize..];
        let start_ms = self.clock.now_ms() - self.random.below(30 * HOUR_MS as u64) as i64;
        let range = TimeRange::new(start_ms, start_ms + self.random.below(12 * HOUR_MS as u64) as i64);
        let before = store.deletions().len();
        store.delete_series(sets, range).await.unwrap();
        // What was asked for ends with what is stored.
        if let Some(deletion) = store.deletions().get(before) {
            assert!(deletion.range.end_ms <= range.end_ms && deletion.range.start_ms == range.start_ms);
            self.model.delete(deletion);
        }
    }

    async fn append(&mut self, store: &MetricStore) {
        let now_ms = self.clock.now_ms();
        let oldest_ms = self.model.oldest_ms(now_ms);
        let (mut batch, mut want) = (Vec::new(), AppendOutcome::default());
        for _ in 0..=self.random.below(60) {
            let instance = self.random.below(7).to_string();
            let labels = labels(["a", "b"][self.random.below(2) as usize], &instance);
            let age_ms = match self.random.below(20) {
                0 => self.random.below(30 * HOUR_MS as u64) as i64,
                2 => self.random.below(HOUR_MS as u64) as i64,
                1 => -(self.random.below(1_200_000) as i64),
                _ => self.random.below(60_000) as i64,
            };
            let value = self.random.below(3) as f64;
            self.model.deletions = store.deletions();
            self.model.append(&labels, (now_ms - age_ms, oldest_ms), value, now_ms, &mut want);
            batch.push(sample(&labels, now_ms - age_ms, value));
        }
        let got = append(store, &batch).await.unwrap();
        assert_eq!(AppendOutcome { new_series: 0, ..got }, want);
        self.clock.advance(Duration::from_secs(15));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behaves_like_the_model() {
    for seed in 0..12u64 {
        // A failing seed is printed by the panic's context: the test runs seeds in order and says which one it is at.
        println!("seed {seed}");
        let clock = clock_at(START_MS);
        let disk = FaultyDisk::new();
        let mut run = Run { disk, clock, model: Model::default(), random: Random::new(seed) };
        let mut store = run.open().await;
        for _ in 0..120 {
            store = run.step(store).await;
        }
        let now_ms = run.clock.now_ms();
        assert_eq!(select(&store, &[], TimeRange::ALL).await, run.model.select(TimeRange::ALL, now_ms));
        run.disk.check_invariants(&run.clock, &format!("seed {seed}")).await;
    }
}
