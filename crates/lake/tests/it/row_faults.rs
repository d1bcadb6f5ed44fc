//! One fault at each step of a store's life: nothing acknowledged is lost, nothing is there twice, and the store goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use base::{Clock, ErrorKind, TimeRange};
use futures::TryStreamExt;
use lake::catalog::LOGS;
use lake::testing::{Fault, Random};
use lake::{RowOptions, RowStore, Scan};

use crate::any_rows::{DAY_MS, START_MS, batch};
use crate::rows::FaultyDisk;

/// What the client knows of each row, which has a number: its tenant, its time, and whether it was acknowledged.
#[derive(Default)]
struct Known {
    rows: BTreeMap<u64, (&'static str, i64, bool)>,
    random: Option<Random>,
}

impl Known {
    /// Appends a few rows of one tenant, on up to three dates.
    async fn append(&mut self, store: &RowStore, rows: u64) {
        let random = self.random.get_or_insert(Random::new(11));
        let tenant = ["a", "b"][random.below(2) as usize];
        let first = self.rows.len() as u64;
        let times: Vec<i64> = (0..rows).map(|_| START_MS + random.below(3 * DAY_MS as u64) as i64).collect();
        let batch = logs(random, first, &times);
        let acknowledged = match store.append(tenant, &batch).await {
            Ok(()) => true,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
                false
            }
        };
        self.rows.extend((first..).zip(times).map(|(n, t_ms)| (n, (tenant, t_ms, acknowledged))));
    }

    /// Whether what is there is what was appended, in a range of times.
    async fn check(&self, store: &RowStore, range: TimeRange, context: &str) {
        for tenant in ["a", "b"] {
            let known = self.rows.iter().filter(|(_, (t, t_ms, _))| *t == tenant && range.contains(*t_ms));
            let mut left: BTreeMap<u64, bool> =
                known.map(|(n, (_, _, acknowledged))| (*n, *acknowledged)).collect();
            let scan = Scan::range(vec!["body"], range);
            let batches: Vec<RecordBatch> = store.scan(tenant, scan).unwrap().try_collect().await.unwrap();
            for body in batches.iter().flat_map(|b| b.column(0).as_string::<i32>()) {
                let number: u64 = body.unwrap().parse().unwrap();
                // Taken out, so that a second one is a surprise.
                assert!(
                    left.remove(&number).is_some(),
                    "{context}: row {number} of {tenant} is there again or unknown"
                );
            }
            left.retain(|_, acknowledged| *acknowledged);
            assert!(left.is_empty(), "{context}: lost {left:?} of {tenant}");
        }
    }
}

/// Log records whose bodies are numbers.
fn logs(random: &mut Random, first: u64, times_ms: &[i64]) -> RecordBatch {
    let spec = LOGS.spec();
    let any = batch(&spec, random, times_ms.len(), START_MS, 1);
    let columns = spec.schema.fields().iter().zip(any.columns()).map(|(field, any)| -> ArrayRef {
        match field.name().as_str() {
            "body" => {
                Arc::new((first..).take(times_ms.len()).map(|n| Some(n.to_string())).collect::<StringArray>())
            }
            "time_unix_nano" => {
                Arc::new(Int64Array::from_iter_values(times_ms.iter().map(|t| t * 1_000_000)))
            }
            _ => any.clone(),
        }
    });
    RecordBatch::try_new(spec.schema.clone(), columns.collect()).unwrap()
}

async fn open(disk: &FaultyDisk) -> base::Result<RowStore> {
    disk.open(LOGS.spec(), RowOptions::default()).await
}

/// Appends, seals twice with rows in between, restarts, and seals again.
async fn life(disk: &FaultyDisk, known: &mut Known) -> base::Result<()> {
    let store = open(disk).await?;
    known.append(&store, 5).await;
    known.append(&store, 1).await;
    // What fails is tried again by the next round.
    store.seal().await.ok();
    known.append(&store, 3).await;
    known.check(&store, TimeRange::ALL, "alive").await;
    store.seal().await.ok();
    known.append(&store, 2).await;
    known.check(&store, TimeRange::ALL, "alive").await;
    store.close().await?;
    drop(store);
    let store = open(disk).await?;
    known.append(&store, 4).await;
    store.seal().await.ok();
    known.check(&store, TimeRange::ALL, "alive").await;
    store.close().await
}

/// The life with a fault at a step; then a power cut, a restart, and more life. Returns whether the fault has happened.
async fn survives(step: u64, fault: Fault) -> bool {
    let disk = FaultyDisk::new();
    disk.faults.at(step, fault);
    let mut known = Known::default();
    life(&disk, &mut known).await.ok();
    let Some(happened) = disk.faults.happened() else { return false };
    disk.faults.revive();
    disk.fs.crash(step);
    let store = open(&disk).await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    known.check(&store, TimeRange::ALL, &happened).await;
    known.append(&store, 3).await;
    store.seal().await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    assert_eq!(store.head_size(), (0, 0), "{happened}");
    store.maintain().await.unwrap_or_else(|e| panic!("{happened}: {e}"));
    known.check(&store, TimeRange::ALL, &happened).await;
    drop(store);
    disk.fs.crash(step + 1);
    known.check(&open(&disk).await.unwrap(), TimeRange::ALL, &happened).await;
    true
}

lake::sweep_faults!(survives, at_least: 30 steps);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_leaves_reads_intact() {
    let disk = FaultyDisk::new();
    let store = open(&disk).await.unwrap();
    let mut known = Known::default();
    known.append(&store, 3).await;
    store.seal().await.unwrap();
    known.append(&store, 3).await;
    disk.faults.set_disk_full(true);
    known.append(&store, 3).await;
    assert_eq!(known.rows.values().filter(|(_, _, acknowledged)| !acknowledged).count(), 3);
    known.check(&store, TimeRange::ALL, "full").await;
    disk.faults.set_disk_full(false);
    known.append(&store, 3).await;
    assert_eq!(known.rows.values().filter(|(_, _, acknowledged)| !acknowledged).count(), 3);
    drop(store);
    disk.fs.crash(3);
    known.check(&open(&disk).await.unwrap(), TimeRange::ALL, "reopened").await;
}

/// Random lives: a failing seed is named by the panic's context.
#[tokio::test(flavor = "multi_thread")]
async fn behaves_like_a_list_of_rows_under_random_lives() {
    for seed in 0..8u64 {
        let disk = FaultyDisk::new();
        let mut random = Random::new(seed);
        let mut known = Known { random: Some(Random::new(seed ^ 0xff)), ..Known::default() };
        let mut store = open(&disk).await.unwrap();
        for step in 0..60 {
            let context = format!("seed {seed} step {step}");
            match random.below(16) {
                0 => {
                    store.close().await.unwrap();
                    drop(store);
                    store = open(&disk).await.unwrap();
                }
                1 => {
                    drop(store);
                    disk.fs.crash(random.draw());
                    store = open(&disk).await.unwrap();
                }
                2 => {
                    store.seal().await.unwrap();
                }
                3 => {
                    disk.clock.advance(std::time::Duration::from_secs(random.below(400)));
                    store.maintain().await.unwrap();
                }
                4 => {
                    // One operation fails, and with it an append or a seal.
                    disk.faults.at(
                        disk.faults.steps() + random.below(6),
                        Fault::Fail { done: random.below(2) == 0 },
                    );
                    known.append(&store, 2).await;
                    store.seal().await.ok();
                    disk.faults.revive();
                }
                5..8 => {
                    let start_ms = START_MS + random.below(4 * DAY_MS as u64) as i64 - DAY_MS / 2;
                    let range = TimeRange::new(start_ms, start_ms + random.below(2 * DAY_MS as u64) as i64);
                    known.check(&store, range, &context).await;
                }
                _ => {
                    let rows = 1 + random.below(20);
                    known.append(&store, rows).await;
                }
            }
        }
        known.check(&store, TimeRange::ALL, &format!("seed {seed} at {}", disk.clock.now_ms())).await;
    }
}
