//! One fault at each step of a store's life: nothing acknowledged is lost, nothing is there twice, and the store goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{ErrorKind, Labels, ManualClock, TimeRange};
use lake::testing::Fault;
use tsdb::MetricStore;

use crate::support::{FaultyDisk, HOUR_MS, START_MS, append, clock_at, labels, minutes, sample, select};

/// What the client knows of each sample: its value, and whether it was acknowledged.
#[derive(Default)]
struct Known {
    samples: BTreeMap<(Labels, i64), (u64, bool)>,
}

impl Known {
    async fn append(&mut self, store: &MetricStore, t_ms: i64) {
        let series = [labels("a", "1"), labels("a", "2"), labels("b", "1")];
        let batch: Vec<_> = (0u32..).zip(&series).map(|(i, l)| sample(l, t_ms, f64::from(i) + 0.5)).collect();
        let outcome = append(store, &batch).await;
        let acknowledged = match outcome {
            Ok(outcome) => {
                assert_eq!(outcome.accepted + outcome.repeated, 3, "{outcome:?}");
                true
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
                false
            }
        };
        for s in batch {
            let entry = self.samples.entry((s.labels, t_ms)).or_default();
            *entry = (s.sample.value.to_bits(), entry.1 || acknowledged);
        }
    }

    async fn check(&self, store: &MetricStore, context: &str) {
        let found = select(store, &[], TimeRange::ALL).await;
        let mut left = self.samples.clone();
        for (labels, samples) in found {
            for (t_ms, bits) in samples {
                // Taken out, so that a second one of the same time is a surprise.
                let known = left.remove(&(labels.clone(), t_ms));
                assert_eq!(known.map(|(bits, _)| bits), Some(bits), "{context}: {labels} at {t_ms}");
            }
        }
        left.retain(|_, (_, acknowledged)| *acknowledged);
        assert!(left.is_empty(), "{context}: lost {left:?}");
    }
}

/// Appends over six hours, with maintenance in between, twice the same sample, and a clean restart.
async fn life(disk: &FaultyDisk, clock: &Arc<ManualClock>, known: &mut Known) -> base::Result<()> {
    let store = disk.open(clock).await?;
    for step in 0..4 {
        known.append(&store, START_MS + step * 40 * 60_000).await;
        clock.advance(minutes(40));
    }
    // Samples from before and from behind the checkpoint, in epochs that are sealed later and that are not.
    store.checkpoint().await.ok();
    clock.advance(minutes(40));
    // What fails is tried again by the next round.
    store.maintain().await.ok();
    known.append(&store, START_MS + 3 * HOUR_MS + 20 * 60_000).await;
    known.check(&store, "alive").await;
    store.close().await?;
    drop(store);
    let store = disk.open(clock).await?;
    known.append(&store, START_MS + 3 * HOUR_MS + 20 * 60_000).await;
    store.checkpoint().await.ok();
    clock.advance(minutes(150));
    store.maintain().await.ok();
    known.check(&store, "alive").await;
    store.close().await
}

/// The life with a fault at a step; then a power cut, a restart, and more life. Returns whether the fault has happened.
async fn survives(step: u64, fault: Fault) -> bool {
    let disk = FaultyDisk::new();
    disk.faults.at(step, fault);
    let clock = clock_at(START_MS);
    let mut known = Known::default();
    life(&disk, &clock, &mut known).await.ok();
    let Some(happened) = disk.faults.happened() else { return false };
    disk.faults.revive();
    disk.fs.crash(step);
    let store = disk.open(&clock).await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    known.check(&store, &happened).await;
    clock.set(START_MS + 9 * HOUR_MS);
    known.append(&store, START_MS + 9 * HOUR_MS).await;
    store.maintain().await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    known.check(&store, &happened).await;
    drop(store);
    disk.fs.crash(step + 1);
    known.check(&disk.open(&clock).await.unwrap(), &happened).await;
    disk.check_invariants(&clock, &happened).await;
    true
}

lake::sweep_faults!(survives, at_least: 30 steps);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_leaves_reads_and_order_intact() {
    let disk = FaultyDisk::new();
    let clock = clock_at(START_MS);
    let store = disk.open(&clock).await.unwrap();
    let mut known = Known::default();
    known.append(&store, START_MS).await;
    disk.faults.set_disk_full(true);
    known.append(&store, START_MS + 1).await;
    assert!(known.samples.values().any(|(_, acknowledged)| !acknowledged));
    known.check(&store, "full").await;
    disk.faults.set_disk_full(false);
    // The refused samples are not taken for stored ones when they come again.
    let again = append(&store, &[sample(&labels("a", "1"), START_MS + 1, 0.5)]).await.unwrap();
    assert_eq!((again.accepted, again.repeated), (1, 0));
    known.append(&store, START_MS + 2).await;
    drop(store);
    disk.fs.crash(3);
    known.check(&disk.open(&clock).await.unwrap(), "reopened").await;
}
