//! Samples as they are stored, without a query language in between: for those who read them elsewhere.

use base::{Histogram, Labels, Matcher, Result, TimeRange, is_stale};
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

    /// The last sample in a range of each series that satisfies any of the sets of matchers, in order of labels. A series that ended in
    /// the range is not among them.
    pub async fn latest(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<LatestSample>> {
        let mut selected = Vec::with_capacity(sets.len());
        for set in sets {
            selected.push(self.select(set, range).await?);
        }
        let find = move || {
            let mut found = FxHashMap::default();
            for selection in &selected {
                for at in 0..selection.len() {
                    if !found.contains_key(selection.labels(at)) {
                        found.insert(selection.labels(at).clone(), last_of(selection, at)?);
                    }
                }
            }
            let mut all: Vec<LatestSample> = found.into_values().flatten().collect();
            all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
            Ok(all)
        };
        tokio::task::spawn_blocking(find)
            .await
            .map_err(|e| base::Error::internal(format!("cannot read last samples: {e}")))?
    }
}

/// The last sample of a series; `None` if it has none, or if that is a marker of its end.
fn last_of(selection: &SelectedSeries, at: usize) -> Result<Option<LatestSample>> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    selection.decode(at, &mut times, &mut values)?;
    let float = times.last().copied().zip(values.last().copied());
    let (mut times, mut histograms) = (Vec::new(), Vec::new());
    selection.decode_histograms(at, &mut times, &mut histograms)?;
    let histogram = times.last().copied().zip(histograms.pop());
    let sample = |t_ms, value| LatestSample { labels: selection.labels(at).clone(), t_ms, value };
    Ok(match (float, histogram) {
        (Some((t, _)), Some((t_ms, h))) if t_ms > t => {
            (!h.is_stale()).then(|| sample(t_ms, Latest::Histogram(h)))
        }
        (Some((t_ms, v)), _) => (!is_stale(v)).then(|| sample(t_ms, Latest::Float(v))),
        (None, Some((t_ms, h))) => (!h.is_stale()).then(|| sample(t_ms, Latest::Histogram(h))),
        (None, None) => None,
    })
}
