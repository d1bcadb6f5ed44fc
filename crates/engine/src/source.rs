//! The store as the language sees it: selections fetched beforehand, decoded one series at a time.

use std::sync::Arc;

use base::{CounterResetHint, Error, Histogram, Labels, Result};
use promql::{Coarse, Columns, HistogramColumns, Selection, SeriesCursor, SeriesSource};
use tsdb::SelectedSeries;
use tsdb::rollup::{SamplesFrom, SelectedBuckets};

/// What the query's selections found, still encoded.
pub(crate) struct Fetched {
    selections: Vec<(Selection, Found)>,
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
    pub(crate) fn new(selections: Vec<(Selection, Found)>) -> Self {
        Self { selections }
    }
}

impl SeriesSource for Fetched {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesCursor + '_>> {
        let (_, found) = self
            .selections
            .iter()
            .find(|(s, _)| s == selection)
            .ok_or_else(|| Error::internal("cannot read a selection that was not announced"))?;
        Ok(Box::new(Cursor { found, sample: 0, bucket: 0, decoded: Vec::new() }))
    }
}

/// Walks over series with samples, with buckets, or with both.
struct Cursor<'a> {
    found: &'a Found,
    sample: usize,
    bucket: usize,
    /// Histograms on their way into columns, for its memory.
    decoded: Vec<Histogram>,
}

impl SeriesCursor for Cursor<'_> {
    fn next(&mut self, columns: &mut Columns) -> Result<Option<Labels>> {
        columns.clear();
        let samples = self.found.samples.as_ref().filter(|s| self.sample < s.len());
        let rollups = self.found.rollups.as_ref().filter(|r| self.bucket < r.buckets.len());
        let (in_samples, in_buckets) =
            (samples.map(|s| s.labels(self.sample)), rollups.map(|r| r.buckets.labels(self.bucket)));
        let Some(labels) = in_samples.into_iter().chain(in_buckets).min().cloned() else { return Ok(None) };
        if let Some(samples) = samples
            && in_samples == Some(&labels)
        {
            samples.decode(self.sample, &mut columns.timestamps_ms, &mut columns.values)?;
            let histograms = &mut columns.histograms;
            samples.decode_histograms(self.sample, &mut histograms.timestamps_ms, &mut self.decoded)?;
            share(&mut self.decoded, histograms);
            self.sample += 1;
        }
        if let Some(all) = &self.found.rollups {
            let mut coarse = Coarse {
                bucket_ms: all.buckets.resolution().millis(),
                samples_from_ms: all.samples_from.as_ref().map_or(i64::MAX, |from| from.of(&labels)),
                ..Coarse::default()
            };
            if in_buckets == Some(&labels) {
                coarse.buckets = all.buckets.decode(self.bucket)?;
                self.bucket += 1;
            }
            columns.coarse = Some(coarse);
        }
        Ok(Some(labels))
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
