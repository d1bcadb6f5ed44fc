//! The head: the series that are being written, with the samples that are not in a segment yet.
//!
//! Owns the series index and the chunks in memory. Does not log, lock or seal.

pub(crate) mod postings;
mod series;

use std::sync::Arc;

use base::{Labels, Matcher, TimeRange};
use hashbrown::HashTable;

pub(crate) use series::{Admission, HeadChunk, Series};

use postings::Postings;

/// Names a series as long as it is in the head.
pub(crate) type SeriesId = u32;

/// All series of one tenant.
#[derive(Debug)]
pub(crate) struct Head {
    /// By id; ids of series that are gone are taken again.
    series: Vec<Option<Box<Series>>>,
    free: Vec<SeriesId>,
    by_labels: HashTable<SeriesId>,
    postings: Postings,
    block_ms: i64,
    chunks: usize,
}

impl Head {
    /// An empty head whose windows are `block_ms` long.
    pub(crate) fn new(block_ms: i64) -> Self {
        Self {
            series: Vec::new(),
            free: Vec::new(),
            by_labels: HashTable::new(),
            postings: Postings::default(),
            block_ms,
            chunks: 0,
        }
    }

    /// The series with these labels, and whether it is new.
    pub(crate) fn get_or_insert(&mut self, labels: &Labels) -> (SeriesId, bool) {
        let hash = labels.stable_hash();
        let series = &self.series;
        let same = |id: &SeriesId| series[*id as usize].as_ref().is_some_and(|s| s.labels() == labels);
        if let Some(id) = self.by_labels.find(hash, same) {
            return (*id, false);
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            SeriesId::try_from(self.series.len() - 1).expect("memory ends before 2^32 series")
        });
        self.series[id as usize] = Some(Box::new(Series::new(labels.clone())));
        let series = &self.series;
        self.by_labels.insert_unique(hash, id, |id| {
            series[*id as usize].as_ref().map_or(0, |s| s.labels().stable_hash())
        });
        self.postings.insert(id, labels);
        (id, true)
    }

    /// A series by its id, which an earlier call gave and which has samples or an admission in an unsealed window.
    pub(crate) fn series_mut(&mut self, id: SeriesId) -> &mut Series {
        self.series[id as usize].as_mut().expect("series with unsealed samples are not dropped")
    }

    /// Adds an admitted sample.
    pub(crate) fn push(&mut self, id: SeriesId, t_ms: i64, value: f64) {
        let window_end_ms = window_end(t_ms, self.block_ms);
        if self.series_mut(id).push(window_end_ms, t_ms, value) {
            self.chunks += 1;
        }
    }

    /// The chunks in a range of the series that satisfy the matchers, in no order.
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, Vec<HeadChunk>)> {
        let matched = self.postings.select(matchers);
        let mut selected = Vec::new();
        for series in matched.iter().filter_map(|id| self.series[id as usize].as_ref()) {
            let chunks = series.chunks(|c| c.time().overlaps(range));
            if !chunks.is_empty() {
                selected.push((series.labels().clone(), chunks));
            }
        }
        selected
    }

    /// The series that satisfy the matchers and have samples in a range, in no order.
    pub(crate) fn labels(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Labels> {
        let matched = self.postings.select(matchers);
        let matched = matched.iter().filter_map(|id| self.series[id as usize].as_ref());
        matched.filter(|s| s.overlaps(range)).map(|s| s.labels().clone()).collect()
    }

    /// The windows with samples, by their exclusive ends, in order.
    pub(crate) fn windows(&self) -> Vec<i64> {
        let mut ends: Vec<i64> = self.iter().flat_map(Series::windows).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// What a segment of the windows up to `end_ms` consists of, in the order of the table: metric, then labels.
    pub(crate) fn chunks_until(&self, end_ms: i64) -> Vec<(Labels, Vec<HeadChunk>)> {
        let mut found: Vec<(Labels, Vec<HeadChunk>)> = self
            .iter()
            .map(|s| (s.labels().clone(), s.chunks(|c| c.window_end_ms() <= end_ms)))
            .filter(|(_, chunks)| !chunks.is_empty())
            .collect();
        found.sort_unstable_by(|(a, _), (b, _)| (a.metric(), a).cmp(&(b.metric(), b)));
        found
    }

    /// Drops the windows up to `end_ms`, and the series that have no samples in later ones.
    pub(crate) fn drop_until(&mut self, end_ms: i64) {
        for id in 0..self.series.len() {
            let Some(series) = &mut self.series[id] else { continue };
            self.chunks -= series.drop_until(end_ms);
            if !series.is_idle(end_ms) {
                continue;
            }
            let labels = series.labels().clone();
            let wanted = SeriesId::try_from(id).expect("ids are 32 bits");
            if let Ok(entry) = self.by_labels.find_entry(labels.stable_hash(), |id| *id == wanted) {
                entry.remove();
            }
            self.postings.remove(wanted, &labels);
            self.series[id] = None;
            self.free.push(wanted);
        }
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> usize {
        self.by_labels.len()
    }

    /// Number of chunks.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks
    }

    /// First and last millisecond of the samples.
    pub(crate) fn time(&self) -> Option<TimeRange> {
        let mut times = self.iter().filter_map(Series::time);
        let first = times.next()?;
        Some(times.fold(first, |a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms))))
    }

    /// The index.
    pub(crate) fn postings(&self) -> &Postings {
        &self.postings
    }

    fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().flatten().map(AsRef::as_ref)
    }
}

/// The exclusive end of the window that a time lies in.
pub(crate) fn window_end(t_ms: i64, block_ms: i64) -> i64 {
    (t_ms.div_euclid(block_ms) + 1) * block_ms
}

/// Encoded samples, shared between the head and those who read them.
pub(crate) type ChunkBytes = Arc<[u8]>;
