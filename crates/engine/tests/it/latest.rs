//! The last samples of series, as federation asks for them, within the memory for queries.

use std::sync::Arc;

use base::{Clock, ErrorKind, Labels, ManualClock, Matcher, Sample, SeriesSample, TimeRange};
use engine::{Engine, EngineOptions, Latest};
use lake::{Lake, MemoryBudget, Pool};
use tsdb::{MetricStore, StoreOptions};

const NOW_MS: i64 = 1_700_000_000_000;

#[tokio::test]
async fn last_samples_take_from_the_memory_for_queries_and_give_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
    let registry = prometheus::Registry::new();
    // Of the 6,000 bytes for queries the chunks of all series take a part, and what is made of them more than the rest.
    let memory = MemoryBudget::new(20_000);
    let lake = Lake::open_local(folder.path(), Arc::clone(&clock)).unwrap().with_memory(Arc::clone(&memory));
    let options = StoreOptions::default();
    let store = MetricStore::open(Arc::new(lake), options, Arc::clone(&clock), &registry).await.unwrap();
    let engine = Engine::new(Arc::new(store), EngineOptions::default(), clock, &registry).unwrap();
    let sample = |n: i64, t_ms| SeriesSample {
        labels: Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())]),
        sample: Sample { t_ms, value: n as f64 },
        start_ms: 0,
    };
    let samples: Vec<_> = (0..20).flat_map(|n| [sample(n, NOW_MS - 1000), sample(n, NOW_MS)]).collect();
    engine.append((&samples[..]).into()).await.unwrap();

    let all = [vec![Matcher::equal("__name__", "m")]];
    let selected = engine.select(&all[0], TimeRange::ALL).await.unwrap();
    assert_eq!(selected.len(), 20, "to select is not what is refused");
    drop(selected);
    let error = engine.latest(&all, TimeRange::ALL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().starts_with("cannot read last samples: cannot take "), "{error}");
    assert!(error.message().contains("limit limits.memory is 20000"), "{error}");
    assert_eq!((memory.used_bytes(Pool::Queries), memory.refused(Pool::Queries)), (0, 1));

    // What two sets select is there once.
    let one = vec![Matcher::equal("n", "7")];
    let (found, held) = engine.latest(&[one.clone(), one], TimeRange::ALL).await.unwrap();
    assert_eq!(found.iter().map(|f| (f.t_ms, &f.value)).collect::<Vec<_>>(), [(NOW_MS, &Latest::Float(7.0))]);
    assert!(held.bytes() > found[0].labels.size_bytes());
    assert_eq!(memory.used_bytes(Pool::Queries), held.bytes());
    drop(held);
    assert_eq!(memory.used_bytes(Pool::Queries), 0);
}
