//! What the tests share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Labels, ManualClock, Matcher, Sample, SeriesSample, TimeRange};
use lake::testing::{FaultFs, FaultStore, Faults};
use lake::{Findings, Lake};
use prometheus::Registry;
use tsdb::{AppendOutcome, MetricStore, StoreOptions};

/// 2026-01-01T00:00:00Z, the beginning of a window.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) type Found = Vec<(Labels, Vec<(i64, u64)>)>;

pub(crate) fn clock_at(t_ms: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(t_ms))
}

pub(crate) async fn open(folder: &Path, clock: &Arc<ManualClock>) -> MetricStore {
    let lake = Arc::new(Lake::open_local(folder, clock.clone()).unwrap());
    MetricStore::open(lake, StoreOptions::default(), clock.clone(), &Registry::new()).await.unwrap()
}

pub(crate) fn labels(metric: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", metric), ("instance", instance)])
}

pub(crate) fn sample(labels: &Labels, t_ms: i64, value: f64) -> SeriesSample {
    SeriesSample { labels: labels.clone(), sample: Sample { t_ms, value }, start_ms: 0 }
}

/// Appends and counts; which sample was refused first is left out.
pub(crate) async fn append(store: &MetricStore, samples: &[SeriesSample]) -> base::Result<AppendOutcome> {
    let outcome = store.append(samples.into()).await?;
    Ok(AppendOutcome { first_refused: None, ..outcome })
}

/// Everything that a selection gives, with values as bits.
pub(crate) async fn select(store: &MetricStore, matchers: &[Matcher], range: TimeRange) -> Found {
    let selected = store.select(matchers, range).await.unwrap();
    let (mut t, mut v) = (Vec::new(), Vec::new());
    (0..selected.len())
        .map(|i| {
            selected.decode(i, &mut t, &mut v).unwrap();
            let samples = t.iter().copied().zip(v.iter().map(|v| v.to_bits())).collect();
            (selected.labels(i).clone(), samples)
        })
        .filter(|(_, samples): &(_, Vec<_>)| !samples.is_empty())
        .collect()
}

pub(crate) fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// A store whose files and objects fail as planned.
pub(crate) struct FaultyDisk {
    pub(crate) faults: Arc<Faults>,
    pub(crate) fs: FaultFs,
    pub(crate) store: FaultStore,
}

impl FaultyDisk {
    pub(crate) fn new() -> Self {
        let faults = Faults::none();
        Self { fs: FaultFs::new(faults.clone()), store: FaultStore::new(faults.clone()), faults }
    }

    pub(crate) async fn open(&self, clock: &Arc<ManualClock>) -> base::Result<MetricStore> {
        // Rollups have tests of their own; here they would double the steps of each round.
        self.open_with(clock, StoreOptions { rollups: Vec::new(), ..StoreOptions::default() }).await
    }

    pub(crate) async fn open_with(
        &self,
        clock: &Arc<ManualClock>,
        options: StoreOptions,
    ) -> base::Result<MetricStore> {
        let (fs, store) = (Arc::new(self.fs.clone()), Arc::new(self.store.clone()));
        let lake = Arc::new(Lake::open(Path::new("/data"), fs, store, clock.clone())?);
        Box::pin(MetricStore::open(lake, options, clock.clone(), &Registry::new())).await
    }

    /// Fails if a segment of any table does not keep what `verify` checks.
    pub(crate) async fn check_invariants(&self, clock: &Arc<ManualClock>, context: &str) {
        let (fs, store) = (Arc::new(self.fs.clone()), Arc::new(self.store.clone()));
        let lake = Lake::open(Path::new("/data"), fs, store, clock.clone()).unwrap();
        let paths = self.store.paths().await;
        for spec in tsdb::at_rest::specs() {
            let rules = tsdb::at_rest::rules(spec.name).unwrap();
            let folder = format!("tables/{}/", spec.name);
            if !paths.iter().any(|p| p.starts_with(&folder)) {
                continue;
            }
            let table = lake.table(spec).await.unwrap();
            for segment in table.view().segments.iter() {
                let found = table.verify_segment(segment, &rules).await.unwrap();
                assert_eq!(found, Findings::default(), "{context}: {folder}{}", segment.path());
            }
        }
    }

    /// Segments that lie in a table's folder, whether they are part of it or not.
    pub(crate) async fn segment_files(&self, table: &str) -> usize {
        let folder = format!("tables/{table}/");
        let paths = self.store.paths().await;
        paths
            .iter()
            .filter(|p| p.starts_with(&folder) && p.ends_with(".parquet") && !p.contains("_delta_log"))
            .count()
    }
}
