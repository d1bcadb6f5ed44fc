//! Samples as they are stored, without a query language in between: for those who read them elsewhere.

use base::{Histogram, Labels, Matcher, Result, Span, TimeRange, is_stale};
use rustc_hash::FxHashMap;
use tsdb::{Pool, Reservation, SelectedSeries};

use crate::Engine;

/// The last sample of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Latest {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Histogram),
}

/// A series with its last sample.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestSample {
    /// The series.
    pub labels: Labels,
    /// The time of the sample.
    pub t_ms: i64,
    /// The sample.
    pub value: Latest,
}

impl Engine {
    /// The series that satisfy all matchers, with their samples in a range, still encoded.
    pub async fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SelectedSeries> {
        Box::pin(self.store.select(matchers, range)).await
    }

    /// Room in the memory for queries, for what is made of a selection.
    pub fn query_memory(&self) -> Reservation {
        self.store.memory().reservation(Pool::Queries)
    }

    /// The last sample in a range of each series that satisfies any of the sets of matchers, in order of labels, with the memory for queries
    /// that they hold. A series that ended in the range is not among them.
    pub async fn latest(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(Vec<LatestSample>, Reservation)> {
        let mut selected = Vec::with_capacity(sets.len());
        for set in sets {
            selected.push(self.select(set, range).await?);
        }
        let (memory, decoding) = (self.query_memory(), self.query_memory());
        let find =
            move || find(&selected, memory, decoding).map_err(|e| e.context("cannot read last samples"));
        tokio::task::spawn_blocking(find)
            .await
            .map_err(|e| base::Error::internal(format!("cannot read last samples: {e}")))?
    }
}

/// What a series takes in the map of those found and then in the list of them, both with room to grow, apart from what it points to.
const ENTRY_BYTES: usize = 2 * size_of::<(Labels, Option<LatestSample>)>() + size_of::<LatestSample>();

/// The last sample of each series of some selections; `decoding` is for what is held for a moment.
fn find(
    selected: &[SelectedSeries],
    mut memory: Reservation,
    mut decoding: Reservation,
) -> Result<(Vec<LatestSample>, Reservation)> {
    let (mut found, mut columns) = (FxHashMap::default(), Columns::default());
    for selection in selected {
        for at in 0..selection.len() {
            let labels = selection.labels(at);
            if found.contains_key(labels) {
                continue;
            }
            let last = columns.last_of(selection, at)?;
            decoding.grow(columns.size_bytes().saturating_sub(decoding.bytes()))?;
            let value_bytes = match last.as_ref().map(|last| &last.value) {
                Some(Latest::Histogram(h)) => histogram_bytes(h),
                Some(Latest::Float(_)) | None => 0,
            };
            memory.grow(ENTRY_BYTES + labels.size_bytes() + value_bytes)?;
            found.insert(labels.clone(), last);
        }
    }
    let mut all: Vec<LatestSample> = found.into_values().flatten().collect();
    all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok((all, memory))
}

/// The samples of one series, in buffers that stay.
#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    values: Vec<f64>,
    histogram_times: Vec<i64>,
    histograms: Vec<Histogram>,
}

impl Columns {
    /// The last sample of a series; `None` if it has none, or if that is a marker of its end.
    fn last_of(&mut self, selection: &SelectedSeries, at: usize) -> Result<Option<LatestSample>> {
        selection.decode(at, &mut self.times, &mut self.values)?;
        selection.decode_histograms(at, &mut self.histogram_times, &mut self.histograms)?;
        let float = self.times.last().copied().zip(self.values.last().copied());
        let histogram = self.histogram_times.last().copied().zip(self.histograms.last());
        let sample = |t_ms, value| LatestSample { labels: selection.labels(at).clone(), t_ms, value };
        let of = |t_ms, h: &Histogram| (!h.is_stale()).then(|| sample(t_ms, Latest::Histogram(h.clone())));
        Ok(match (float, histogram) {
            (Some((t, _)), Some((t_ms, h))) if t_ms > t => of(t_ms, h),
            (Some((t_ms, v)), _) => (!is_stale(v)).then(|| sample(t_ms, Latest::Float(v))),
            (None, Some((t_ms, h))) => of(t_ms, h),
            (None, None) => None,
        })
    }

    fn size_bytes(&self) -> usize {
        let numbers = self.times.capacity() + self.values.capacity() + self.histogram_times.capacity();
        let histograms: usize = self.histograms.iter().map(histogram_bytes).sum();
        numbers * size_of::<f64>() + self.histograms.capacity() * size_of::<Histogram>() + histograms
    }
}

/// Bytes that a histogram points to; its bounds are those of its series.
fn histogram_bytes(h: &Histogram) -> usize {
    let spans = h.positive_spans.capacity() + h.negative_spans.capacity();
    let buckets = h.positive.capacity() + h.negative.capacity();
    spans * size_of::<Span>() + buckets * size_of::<f64>()
}
