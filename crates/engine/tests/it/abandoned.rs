//! Queries whose callers leave.

use std::sync::Arc;

use base::{Clock, ManualClock};
use engine::{Engine, EngineOptions, QueryLog, QueryOptions, QueryRecord};
use futures::FutureExt;
use lake::Lake;
use parking_lot::Mutex;
use tsdb::{MetricStore, StoreOptions};

#[derive(Default)]
struct Kept(Mutex<Vec<(String, Option<String>)>>);

impl QueryLog for Kept {
    fn record(&self, record: &QueryRecord<'_>) {
        self.0.lock().push((record.query.to_owned(), record.error.clone()));
    }
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_any_more_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    let registry = prometheus::Registry::new();
    let lake = Arc::new(Lake::open_local(folder.path(), Arc::clone(&clock)).unwrap());
    let store =
        MetricStore::open(lake, StoreOptions::default(), Arc::clone(&clock), &registry).await.unwrap();
    // Without places every query waits.
    let options = EngineOptions { query_max_concurrency: 0, ..EngineOptions::default() };
    let engine = Engine::new(Arc::new(store), options, clock, &registry).unwrap();
    let log = Arc::new(Kept::default());
    engine.set_query_log(Some(Arc::clone(&log) as _));
    let options = QueryOptions::default();
    assert!(engine.query_instant("up", 0, &options).now_or_never().is_none());
    assert!(engine.query_instant("up(", 0, &options).now_or_never().is_some(), "is no query");
    let left = Some("query was canceled: the client left".to_owned());
    assert_eq!(*log.0.lock(), [("up".to_owned(), left)]);
    assert!(engine.active_queries().is_empty());
}
