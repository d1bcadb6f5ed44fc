//! Blocks of segments that are kept in memory: the second question needs no disk, and without room for them answers are the same.

use std::sync::Arc;

use base::{ManualClock, Matcher, TimeRange};
use lake::testing::{FaultFs, FaultStore, Faults};
use lake::{Lake, MemoryBudget, Pool};
use prometheus::Registry;
use tsdb::{MetricStore, StoreOptions};

use crate::support::{HOUR_MS, START_MS, append, clock_at, labels, sample, select};

struct Sealed {
    store: MetricStore,
    memory: Arc<MemoryBudget>,
    registry: Registry,
}

/// A store with a window of two thousand series of two metrics in a segment.
async fn sealed(memory: Arc<MemoryBudget>) -> Sealed {
    let clock: Arc<ManualClock> = clock_at(START_MS);
    let faults = Faults::none();
    let (fs, objects) = (FaultFs::new(faults.clone()), FaultStore::new(faults));
    let lake = Lake::open("/data".as_ref(), Arc::new(fs), Arc::new(objects), clock.clone()).unwrap();
    let lake = Arc::new(lake.with_memory(memory.clone()));
    let registry = Registry::new();
    let options = StoreOptions { rollups: Vec::new(), ..StoreOptions::default() };
    let store = MetricStore::open(lake, options, clock.clone(), &registry).await.unwrap();
    for minute in 0..5 {
        let batch: Vec<_> = (0..2000)
            .map(|i| {
                let labels = labels(["a", "b"][i % 2], &format!("host-{:04}", i / 2));
                sample(&labels, START_MS + minute * 60_000, (i * 7) as f64 + minute as f64)
            })
            .collect();
        append(&store, &batch).await.unwrap();
    }
    clock.set(START_MS + 9 * HOUR_MS);
    store.maintain().await.unwrap();
    assert_eq!(store.stats().head_series, 0, "all of it is in the segment");
    Sealed { store, memory, registry }
}

impl Sealed {
    fn counted(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name() == name).unwrap();
        family.get_metric()[0].get_counter().get_value() as u64
    }
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher::equal(name, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_found_in_memory() {
    let sealed = sealed(MemoryBudget::unlimited()).await;
    let store = &sealed.store;
    let one = [equal("__name__", "b"), equal("instance", "host-0700")];
    let first = select(store, &one, TimeRange::ALL).await;
    assert_eq!(first.len(), 1);
    let read = sealed.counted("bellwether_tsdb_block_cache_misses_total");
    assert!(read > 0 && sealed.memory.used_bytes(Pool::Caches) > 0);
    assert_eq!(select(store, &one, TimeRange::ALL).await, first);
    assert_eq!(sealed.counted("bellwether_tsdb_block_cache_misses_total"), read, "nothing is read again");
    assert!(sealed.counted("bellwether_tsdb_block_cache_hits_total") > 0);
    let names = store.label_values("__name__", &[vec![one[1].clone()]], TimeRange::ALL).await.unwrap();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_answers_are_the_same() {
    let roomy = sealed(MemoryBudget::unlimited()).await;
    // Ten million bytes: a part of the blocks of either kind fits.
    for limit_bytes in [10_000_000, 2_000_000] {
        let tight = sealed(MemoryBudget::new(limit_bytes)).await;
        for matchers in [vec![equal("__name__", "a")], vec![equal("instance", "host-0003")], vec![]] {
            for _ in 0..2 {
                let want = select(&roomy.store, &matchers, TimeRange::ALL).await;
                assert!(want.len() > 1);
                assert_eq!(select(&tight.store, &matchers, TimeRange::ALL).await, want);
                let (got, want) = (
                    tight.store.series(std::slice::from_ref(&matchers), TimeRange::ALL, None).await.unwrap(),
                    want.into_iter().map(|(l, _)| l).collect::<Vec<_>>(),
                );
                assert_eq!(got, want);
            }
        }
        let (used, limit) =
            (tight.memory.used_bytes(Pool::Caches), tight.memory.pool_limit_bytes(Pool::Caches));
        assert!(used <= limit, "{used} of {limit}");
    }
}
