//! Fetching what a query selects, from samples or from rollups. Which of them is decided in `choose.rs`.

use std::sync::Arc;
use std::time::Duration;

use base::{BucketColumns, Result, TimeRange};
use datafusion_execution::TaskContext;
use datafusion_execution::config::SessionConfig;
use promql::{EvalOptions, Expr, Grid, Selection, Usage};
use tsdb::rollup::{Resolution, SelectedBuckets};
use tsdb::{Pool, SelectedSeries};

use crate::Engine;
use crate::cancel::{Deadline, Guard};
use crate::choose::{Choice, choose};
use crate::plan::{SeriesFetcher, Surroundings};
use crate::source::{Found, FoundRollups, FoundSeries};

/// A resolution that took the place of samples in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupUse {
    /// The length of a bucket.
    pub resolution: Resolution,
    /// Whether the results are those that samples would give.
    pub exact: bool,
    /// The time from which on samples were used; `None` if they were not.
    pub until_ms: Option<i64>,
}

/// What was gathered for a selection, still encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// The range of times.
    pub range: TimeRange,
    /// Series with samples in it.
    pub sample_series: usize,
    /// Series with buckets in it, and how long these are.
    pub rolled_up: Option<(Resolution, usize)>,
    /// Bytes of chunks, buckets and labels.
    pub size_bytes: usize,
    /// How long it took.
    pub took: Duration,
}

impl Gathered {
    fn new(selection: &Selection, found: &Found, took: Duration) -> Self {
        let rollups = found.rollups.as_ref().map(|r| &r.buckets);
        let samples = found.samples.as_ref();
        Self {
            range: selection.range,
            sample_series: samples.map_or(0, SelectedSeries::len),
            rolled_up: rollups.map(|b| (b.resolution(), b.len())),
            size_bytes: samples.map_or(0, SelectedSeries::size_bytes)
                + rollups.map_or(0, SelectedBuckets::size_bytes),
            took,
        }
    }
}

impl Engine {
    /// Fetches what a query selects.
    pub(crate) async fn fetch(
        &self,
        expr: &Expr,
        grid: &Grid,
        eval: &EvalOptions,
        notes: &mut Notes,
    ) -> Result<Vec<(Selection, Arc<FoundSeries>)>> {
        let mut fetched = Vec::new();
        for selection in promql::selections(expr, grid, eval)? {
            let begin = self.clock.monotonic();
            let found = self.find(&selection, notes).await?;
            notes.gathered.push(Gathered::new(
                &selection,
                &found,
                self.clock.monotonic().saturating_sub(begin),
            ));
            fetched.push((selection, Arc::new(FoundSeries::new(found))));
        }
        Ok(fetched)
    }

    /// The session in which plans of leaves that came as bytes ([`crate::LeafCodec`]) are carried out over this engine's store. They
    /// end when a query would have to, and when the session is dropped.
    pub fn session(self: &Arc<Self>) -> Arc<TaskContext> {
        let engine = Arc::clone(self);
        let (deadline, present) = Deadline::after(self.options.query_timeout, &self.clock);
        let guard = Arc::new(Guard::new(deadline, self.store.memory().reservation(Pool::Queries)));
        let around = Surroundings { interrupt: guard, clock: None };
        let fetcher = SeriesFetcher(Box::new(move |selection| {
            let _held_as_long_as_this = &present;
            let (engine, around) = (Arc::clone(&engine), around.clone());
            Box::pin(async move {
                let found = engine.find(&selection, &mut Notes::default()).await?;
                Ok((Arc::new(FoundSeries::new(found)), around))
            })
        }));
        let config = SessionConfig::new().with_extension(Arc::new(fetcher));
        Arc::new(TaskContext::default().with_session_config(config))
    }

    /// Fetches what answers a selection.
    async fn find(&self, selection: &Selection, notes: &mut Notes) -> Result<Found> {
        let now_ms = self.clock.now_ms();
        // Looked at before the data, so that what goes meanwhile is not expected.
        let samples_from = self.store.samples_from(now_ms);
        let coverage = self.store.coverage(now_ms);
        let choice = choose(&selection.usages, selection.range, &coverage);
        let resolution = match choice {
            Choice::Samples => return self.find_samples(selection, selection.range).await,
            Choice::Exact(resolution) | Choice::Near(resolution) => resolution,
        };
        let wanted = selection.usages.iter().map(Usage::columns);
        let wanted = wanted.fold(BucketColumns::default(), BucketColumns::union);
        let reach_ms = selection.usages.iter().map(Usage::reach_ms).max().unwrap_or(0);
        let ends = match choice {
            Choice::Exact(_) => selection.range,
            // Windows are widened by up to two buckets.
            _ => TimeRange::new(
                selection.range.start_ms.saturating_sub(2 * resolution.millis()),
                selection
                    .range
                    .end_ms
                    .min(coverage.samples_from_ms.saturating_add(reach_ms))
                    .saturating_add(resolution.millis()),
            ),
        };
        let buckets = self.store.select_buckets(resolution, &selection.matchers, ends, wanted).await?;
        let gone = selection.range.start_ms < coverage.samples_from_ms;
        if buckets.may_miss_histograms() {
            if !gone {
                return self.find_samples(selection, selection.range).await;
            }
            notes.histograms = true;
        }
        self.metrics.selections.with_label_values(&[resolution.as_str()]).inc();
        let exact = matches!(choice, Choice::Exact(_));
        let until_ms = (!exact).then_some(coverage.samples_from_ms);
        notes.add(RollupUse { resolution, exact, until_ms });
        let samples = match exact {
            true => None,
            false => {
                let from_ms = selection.range.start_ms.max(samples_from.of_any());
                let range = TimeRange::new(from_ms, selection.range.end_ms);
                Some(self.store.select(&selection.matchers, range).await?)
            }
        };
        let samples_from = (!exact).then_some(samples_from);
        Ok(Found { samples, rollups: Some(FoundRollups { buckets, samples_from }) })
    }

    async fn find_samples(&self, selection: &Selection, range: TimeRange) -> Result<Found> {
        self.metrics.selections.with_label_values(&["raw"]).inc();
        let samples = Some(self.store.select(&selection.matchers, range).await?);
        Ok(Found { samples, rollups: None })
    }
}

/// What there is to tell about a query's selections.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) rollups: Vec<RollupUse>,
    /// By selection, in the order in which the language announced them.
    pub(crate) gathered: Vec<Gathered>,
    /// Whether native histograms were asked for where they are gone.
    histograms: bool,
}

impl Notes {
    fn add(&mut self, used: RollupUse) {
        if !self.rollups.contains(&used) {
            self.rollups.push(used);
        }
    }

    pub(crate) fn infos(&self) -> Vec<String> {
        let near = self.rollups.iter().filter(|r| !r.exact).map(|r| {
            let until = promql::rfc3339(r.until_ms.unwrap_or(0).div_euclid(1000));
            let resolution = r.resolution.as_str();
            format!(
                "samples from before {until} are gone: answered approximately from rollups of {resolution}"
            )
        });
        let histograms = self.histograms.then(|| {
            "native histograms have no rollups: those that retention has taken are missing".to_owned()
        });
        near.chain(histograms).collect()
    }
}
