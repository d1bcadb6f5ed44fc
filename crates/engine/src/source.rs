//! The store as the language sees it: selections fetched beforehand, decoded one series after the other, by any thread.

use std::sync::Arc;

use base::{CounterResetHint, Error, Histogram, Labels, Result};
use parking_lot::Mutex;
use promql::leaf::{Around, Block, Leaf};
use promql::{Coarse, Columns, HistogramColumns, Selection, SeriesSet, SeriesSource};
use tsdb::SelectedSeries;
use tsdb::rollup::{SamplesFrom, SelectedBuckets};

use crate::plan::{self, Surroundings};
use crate::threads::{Share, Threads};

/// Bytes of a bucket of a rollup, about.
const BUCKET_BYTES: u64 = 8;

/// What the query's selections found, still encoded.
pub(crate) struct Fetched {
    selections: Vec<(Selection, Arc<FoundSeries>)>,
    around: Surroundings,
    threads: Arc<Threads>,
    /// What was executed, if somebody wants to know.
    plans: Mutex<Vec<String>>,
}

/// What one selection found.
pub(crate) struct Found {
    pub(crate) samples: Option<SelectedSeries>,
    pub(crate) rollups: Option<FoundRollups>,
}

/// Buckets, and where samples take over.
pub(crate) struct FoundRollups {
    pub(crate) buckets: SelectedBuckets,
    /// `None` if buckets answer all steps.
    pub(crate) samples_from: Option<SamplesFrom>,
}

impl Fetched {
    /// What was found, for a query that has these surroundings, and a share of the threads.
    pub(crate) fn new(
        selections: Vec<(Selection, Arc<FoundSeries>)>,
        around: Surroundings,
        threads: Arc<Threads>,
    ) -> Self {
        Self { selections, around, threads, plans: Mutex::default() }
    }

    /// The plans of the leaves that were measured.
    pub(crate) fn into_plans(self) -> Vec<String> {
        self.plans.into_inner()
    }

    fn found(&self, selection: &Selection) -> Result<&Arc<FoundSeries>> {
        let found = self.selections.iter().find(|(s, _)| s == selection);
        found
            .map(|(_, found)| found)
            .ok_or_else(|| Error::internal("cannot read a selection that was not announced"))
    }
}

impl SeriesSource for Fetched {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>> {
        Ok(Box::new(&**self.found(selection)?))
    }

    fn run(&self, leaf: &Leaf, _: Around<'_>, absorb: &mut dyn FnMut(Block) -> Result<()>) -> Result<()> {
        let found = self.found(leaf.selection())?;
        // One that is measured has one thread, so that times add up.
        let share = match self.around.clock {
            Some(_) => None,
            None => self.threads.share(found.samples(), leaf.blocks(&**found).count()),
        };
        let partitions = share.as_ref().map_or(1, Share::threads);
        let leaf = Arc::new(leaf.clone());
        let plan = plan::leaf_plan(&leaf, Arc::clone(found), self.around.clone(), partitions);
        if self.around.clock.is_some() {
            self.plans.lock().push(plan::shown(&*plan));
        }
        plan::run(&*plan, plan::task_context(), leaf.steps(), absorb)
    }
}

/// The series with samples, with buckets, or with both.
pub(crate) struct FoundSeries {
    found: Found,
    /// Where each of them is. Without buckets, the series with samples are all.
    places: Option<Vec<Place>>,
}

impl FoundSeries {
    pub(crate) fn new(found: Found) -> Self {
        let places = found.rollups.as_ref().map(|rollups| places(found.samples.as_ref(), rollups));
        Self { found, places }
    }

    fn place(&self, at: usize) -> Place {
        match &self.places {
            Some(places) => places[at],
            None => Place { sample: Some(at), bucket: None },
        }
    }
}

/// Positions of a series.
#[derive(Clone, Copy)]
struct Place {
    sample: Option<usize>,
    bucket: Option<usize>,
}

/// Brings the series with samples and those with buckets together, both of which are in order of labels.
fn places(samples: Option<&SelectedSeries>, rollups: &FoundRollups) -> Vec<Place> {
    let (in_samples, in_buckets) = (samples.map_or(0, SelectedSeries::len), rollups.buckets.len());
    let mut places = Vec::with_capacity(in_samples.max(in_buckets));
    let (mut sample, mut bucket) = (0, 0);
    loop {
        let a = samples.filter(|_| sample < in_samples).map(|s| s.labels(sample));
        let b = (bucket < in_buckets).then(|| rollups.buckets.labels(bucket));
        let Some(first) = a.into_iter().chain(b).min() else { return places };
        let (has_samples, has_buckets) = (a == Some(first), b == Some(first));
        let place = Place { sample: has_samples.then_some(sample), bucket: has_buckets.then_some(bucket) };
        places.push(place);
        sample += usize::from(has_samples);
        bucket += usize::from(has_buckets);
    }
}

impl SeriesSet for FoundSeries {
    fn count(&self) -> usize {
        let samples = || self.found.samples.as_ref().map_or(0, SelectedSeries::len);
        self.places.as_ref().map_or_else(samples, Vec::len)
    }

    fn samples(&self) -> u64 {
        let samples = self.found.samples.as_ref().map_or(0, SelectedSeries::samples);
        samples + self.found.rollups.as_ref().map_or(0, |r| r.buckets.size_bytes() as u64 / BUCKET_BYTES)
    }

    fn size_bytes(&self) -> u64 {
        let samples = self.found.samples.as_ref().map_or(0, SelectedSeries::size_bytes);
        (samples + self.found.rollups.as_ref().map_or(0, |r| r.buckets.size_bytes())) as u64
    }

    fn labels(&self, at: usize) -> Labels {
        let Place { sample, bucket } = self.place(at);
        let samples = self.found.samples.as_ref().zip(sample).map(|(samples, at)| samples.labels(at));
        let buckets = || self.found.rollups.as_ref().zip(bucket).map(|(all, at)| all.buckets.labels(at));
        samples.or_else(buckets).cloned().unwrap_or_default()
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        columns.clear();
        let place = self.place(at);
        let mut labels = None;
        if let (Some(samples), Some(at)) = (&self.found.samples, place.sample) {
            let Columns { timestamps_ms, values, starts_ms, .. } = columns;
            samples.decode_since(at, timestamps_ms, values, starts_ms)?;
            let histograms = &mut columns.histograms;
            let mut decoded = Vec::new();
            let HistogramColumns { timestamps_ms, starts_ms, .. } = &mut *histograms;
            samples.decode_histograms_since(at, timestamps_ms, &mut decoded, starts_ms)?;
            share(&mut decoded, histograms);
            labels = Some(samples.labels(at));
        }
        if let Some(all) = &self.found.rollups {
            let bucket = place.bucket.map(|at| (all.buckets.labels(at), at));
            labels = labels.or(bucket.map(|(labels, _)| labels));
            let mut coarse = Coarse {
                bucket_ms: all.buckets.resolution().millis(),
                samples_from_ms: match (&all.samples_from, labels) {
                    (Some(from), Some(labels)) => from.of(labels),
                    _ => i64::MAX,
                },
                ..Coarse::default()
            };
            if let Some((_, at)) = bucket {
                coarse.buckets = all.buckets.decode(at)?;
            }
            columns.coarse = Some(coarse);
        }
        labels.cloned().ok_or_else(|| Error::internal("cannot read a series that is in no table"))
    }
}

/// Hands histograms over to the language. What a sender says of counter resets is about the sample that it sent before, which may
/// not be the one that is stored before, so that the language has to compare the two.
fn share(decoded: &mut Vec<Histogram>, columns: &mut HistogramColumns) {
    columns.values.extend(decoded.drain(..).map(|mut h| {
        if h.counter_reset_hint != CounterResetHint::Gauge {
            h.counter_reset_hint = CounterResetHint::Unknown;
        }
        Arc::new(h)
    }));
}
