//! The budget of memory: queries that are too large for it are refused by its name, and leave nothing behind.

use std::sync::Arc;

use base::{ErrorKind, Matcher, TimeRange};
use lake::{Lake, MemoryBudget, Pool};
use tsdb::{MetricStore, StoreOptions};

use crate::support::{clock_at, labels, sample};

#[tokio::test]
async fn a_selection_takes_from_the_memory_for_queries_and_gives_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock_at(1_700_000_000_000);
    // A pool that one series fits into, and a hundred do not.
    let memory = MemoryBudget::new(10_000);
    let lake = Lake::open_local(folder.path(), clock.clone()).unwrap().with_memory(memory.clone());
    let registry = prometheus::Registry::new();
    let store = MetricStore::open(Arc::new(lake), StoreOptions::default(), clock, &registry).await.unwrap();
    let samples: Vec<_> =
        (0..100).map(|i| sample(&labels("m", &format!("host-{i:040}")), 1_700_000_000_000, 1.0)).collect();
    store.append((&samples[..]).into()).await.unwrap();

    let of = |name: &str, value: &str| vec![Matcher::equal(name, value)];
    let one = of("instance", &format!("host-{:040}", 7));
    let error = store.select(&of("__name__", "m"), TimeRange::ALL).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("limit limits.memory is 10000"), "{error}");
    assert_eq!((memory.used_bytes(Pool::Queries), memory.refused(Pool::Queries)), (0, 1));
    let found = store.select(&one, TimeRange::ALL).await.unwrap();
    assert_eq!((found.len(), memory.used_bytes(Pool::Queries)), (1, found.size_bytes()));
    drop(found);
    assert_eq!(memory.used_bytes(Pool::Queries), 0);
}
