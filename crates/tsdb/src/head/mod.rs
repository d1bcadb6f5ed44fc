//! The head: the series that are being written, with the samples that are not in a segment yet.
//!
//! Owns the series index and the chunks in memory. Does not log, lock or seal.

mod chunk;
mod index;
pub(crate) mod postings;
pub(crate) mod save;
mod series;
mod slab;

use std::sync::Arc;
use std::time::Duration;

use base::{Labels, Matcher, TimeRange};

pub(crate) use chunk::{HeadChunk, fingerprint};
pub(crate) use index::LimitReached;
pub use index::SeriesLimits;
pub(crate) use series::{Admission, Series};

use index::Index;
use postings::Postings;
use series::Growth;
use slab::Slab;

use crate::complete::Window;
use crate::record::{Point, Value};

/// Names a series as long as it is in the head, and across restarts if a checkpoint has it.
pub(crate) type SeriesId = u32;

/// All series of one tenant.
#[derive(Debug)]
pub(crate) struct Head {
    slab: Slab,
    index: Index,
    block_ms: i64,
    /// The epochs that have samples, with the times of these.
    epochs: Vec<(Window, TimeRange)>,
    /// The latest time so far.
    max_ms: i64,
    chunks: usize,
    closed_bytes: usize,
    /// The epochs up to which everything has been dropped.
    dropped_until_ms: i64,
}

/// Later than any epoch.
pub(crate) const ALL_EPOCHS: i64 = i64::MAX;

/// What a series takes beside its labels and chunks: entries of the index, and the allocator's share.
const SERIES_OVERHEAD_BYTES: usize = 96;

/// What the encoded samples of an open chunk take on average.
const OPEN_CHUNK_BYTES: usize = 128;

impl Head {
    /// An empty head whose windows are `block_ms` long.
    pub(crate) fn new(block_ms: i64) -> Self {
        Self {
            slab: Slab::default(),
            index: Index::default(),
            block_ms,
            epochs: Vec::new(),
            max_ms: i64::MIN,
            chunks: 0,
            closed_bytes: 0,
            dropped_until_ms: i64::MIN,
        }
    }

    /// The series with these labels, in packed form with their hash.
    pub(crate) fn find(&self, hash: u64, packed: &[u8]) -> Option<SeriesId> {
        self.index.find(&self.slab, hash, packed)
    }

    /// Adds a series that is not there.
    pub(crate) fn insert(&mut self, labels: &Labels) -> SeriesId {
        let id = self.slab.insert(Series::new(labels.clone()));
        self.index.insert(id, labels);
        id
    }

    /// The series with these labels, which is added if it is not there.
    pub(crate) fn find_or_insert(&mut self, labels: &Labels) -> SeriesId {
        match self.find(labels.stable_hash(), labels.as_packed()) {
            Some(id) => id,
            None => self.insert(labels),
        }
    }

    /// A series by its id, which an earlier call gave and which has samples, or an admission.
    pub(crate) fn series_mut(&mut self, id: SeriesId) -> &mut Series {
        self.slab.get_mut(id).expect("series with samples are not dropped")
    }

    /// A series by its id, if there is one.
    pub(crate) fn series(&self, id: SeriesId) -> Option<&Series> {
        self.slab.get(id)
    }

    /// The epoch of a sample: its own window, or, if that is sealed, the next that is not.
    pub(crate) fn epoch(&self, t_ms: i64, min_valid_ms: i64) -> i64 {
        window_end(t_ms.max(min_valid_ms), self.block_ms)
    }

    /// The latest time so far.
    pub(crate) fn max_ms(&self) -> i64 {
        self.max_ms
    }

    /// The least time of a sample that is not late: half a block before the latest one, as in Prometheus, unless that is sealed.
    pub(crate) fn appendable_from_ms(&self, min_valid_ms: i64) -> i64 {
        self.max_ms.saturating_sub(self.block_ms / 2).max(min_valid_ms)
    }

    /// Adds an admitted sample.
    pub(crate) fn push(&mut self, id: SeriesId, epoch_ms: i64, point: &Point<'_>) {
        let &Point { t_ms, start_ms, value, late } = point;
        let series = self.series_mut(id);
        let growth = match (value, late) {
            (Value::Float(v), false) => series.push(epoch_ms, t_ms, v, start_ms),
            (Value::Float(v), true) => series.push_late(epoch_ms, t_ms, v, start_ms),
            (Value::Histogram(h), false) => series.push_histogram(epoch_ms, t_ms, h, start_ms),
            (Value::Histogram(h), true) => series.push_late_histogram(epoch_ms, t_ms, h, start_ms),
        };
        self.note(epoch_ms, TimeRange::new(t_ms, t_ms), growth);
    }

    fn note(&mut self, epoch_ms: i64, time: TimeRange, growth: Growth) {
        self.chunks += growth.chunks;
        self.closed_bytes += growth.closed_bytes;
        self.max_ms = self.max_ms.max(time.end_ms);
        // Few epochs are open at a time, and the latest gets nearly all samples.
        match self.epochs.iter_mut().rev().find(|(w, _)| w.end_ms == epoch_ms) {
            Some((_, range)) => {
                range.start_ms = range.start_ms.min(time.start_ms);
                range.end_ms = range.end_ms.max(time.end_ms);
            }
            None => {
                let at = self.epochs.partition_point(|(w, _)| w.end_ms < epoch_ms);
                self.epochs.insert(at, (Window { end_ms: epoch_ms, received: Duration::ZERO }, time));
            }
        }
    }

    /// Notes when the epochs that `of` names received samples.
    pub(crate) fn note_received(&mut self, at: Duration, of: impl Fn(i64) -> bool) {
        for (window, _) in self.epochs.iter_mut().filter(|(window, _)| of(window.end_ms)) {
            window.received = at;
        }
    }

    /// The chunks in a range of the series that satisfy the matchers, in no order.
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, Vec<HeadChunk>)> {
        let matched = self.index.postings().select(matchers);
        let mut selected = Vec::new();
        for series in matched.iter().filter_map(|id| self.slab.get(id)) {
            let chunks = series.chunks(|_, time| time.overlaps(range));
            if !chunks.is_empty() {
                selected.push((series.labels().clone(), chunks));
            }
        }
        selected
    }

    /// The series that satisfy the matchers and have samples in a range, in no order.
    pub(crate) fn labels(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Labels> {
        let matched = self.index.postings().select(matchers);
        let matched = matched.iter().filter_map(|id| self.slab.get(id));
        matched.filter(|s| s.overlaps(range)).map(|s| s.labels().clone()).collect()
    }

    /// Calls `visit` for each value that a label has in those series, some more than once.
    pub(crate) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut impl FnMut(&str),
    ) {
        let overlaps = |id: SeriesId| self.slab.get(id).is_some_and(|s| s.overlaps(range));
        let matched = self.index.postings().select(matchers);
        // By value or by series, whichever there are fewer of: metrics of a job, or devices of a host.
        if (self.postings().value_count(name) as u64) < matched.len() {
            self.postings().values_in(name, &matched, overlaps).for_each(visit);
        } else {
            let series = matched.iter().filter_map(|id| self.slab.get(id)).filter(|s| s.overlaps(range));
            series.filter_map(|s| s.labels().get(name)).for_each(visit);
        }
    }

    /// The epochs with samples, in order.
    pub(crate) fn windows(&self) -> Vec<Window> {
        self.epochs.iter().map(|(window, _)| *window).collect()
    }

    /// The series with samples of the epochs up to `epoch_ms`, in the order of the table: metric, then labels.
    pub(crate) fn order_until(&self, epoch_ms: i64) -> Vec<SeriesId> {
        let wanted = self.slab.iter().filter(|(_, s)| s.has_until(epoch_ms));
        let mut found: Vec<(SeriesId, &Labels)> = wanted.map(|(id, s)| (id, s.labels())).collect();
        found.sort_unstable_by(|(_, a), (_, b)| (a.metric(), a).cmp(&(b.metric(), b)));
        found.into_iter().map(|(id, _)| id).collect()
    }

    /// What series have of the epochs up to `epoch_ms`.
    pub(crate) fn chunks_of(&self, ids: &[SeriesId], epoch_ms: i64) -> Vec<(Labels, Vec<HeadChunk>)> {
        let series = ids.iter().filter_map(|id| self.slab.get(*id));
        series.map(|s| (s.labels().clone(), s.chunks(|epoch, _| epoch <= epoch_ms))).collect()
    }

    /// Drops the epochs up to `epoch_ms`, and the series that have no samples in later ones.
    pub(crate) fn drop_until(&mut self, epoch_ms: i64) {
        if epoch_ms <= self.dropped_until_ms {
            return;
        }
        self.dropped_until_ms = epoch_ms;
        self.epochs.retain(|(window, _)| window.end_ms > epoch_ms);
        for id in 0..self.slab.len() {
            let id = SeriesId::try_from(id).expect("ids are 32 bits");
            let Some(series) = self.slab.get_mut(id) else { continue };
            let (chunks, bytes) = series.size();
            series.drop_until(epoch_ms);
            let (chunks_left, bytes_left) = series.size();
            self.chunks -= chunks - chunks_left;
            self.closed_bytes -= bytes - bytes_left;
        }
        self.drop_idle();
    }

    /// Drops the series that have no samples.
    pub(crate) fn drop_idle(&mut self) {
        let idle: Vec<SeriesId> = self.slab.iter().filter(|(_, s)| s.is_idle()).map(|(id, _)| id).collect();
        for id in idle {
            let labels = self.series_mut(id).labels().clone();
            self.index.remove(id, &labels);
            self.slab.remove(id);
        }
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> usize {
        self.index.len()
    }

    /// Number of chunks.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks
    }

    /// Bytes of memory, about.
    pub(crate) fn size_bytes(&self) -> usize {
        let series = self.index.len();
        series * (size_of::<Series>() + SERIES_OVERHEAD_BYTES + OPEN_CHUNK_BYTES)
            + self.index.label_bytes()
            + self.closed_bytes
            + self.chunks * size_of::<HeadChunk>()
    }

    /// First and last millisecond of the samples.
    pub(crate) fn time(&self) -> Option<TimeRange> {
        let times = self.epochs.iter().map(|(_, time)| *time);
        times.reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)))
    }

    /// The index of labels.
    pub(crate) fn postings(&self) -> &Postings {
        self.index.postings()
    }

    /// Whether one more series with these labels is too many.
    pub(crate) fn check_limits(
        &mut self,
        labels: &Labels,
        limits: &SeriesLimits,
    ) -> Result<(), LimitReached> {
        if limits.head_bytes.is_some_and(|limit| self.size_bytes() >= limit) {
            return Err(LimitReached::Memory);
        }
        self.index.check_limits(&self.slab, labels, limits)
    }
}

/// The exclusive end of the window that a time lies in.
pub(crate) fn window_end(t_ms: i64, block_ms: i64) -> i64 {
    t_ms.div_euclid(block_ms).saturating_add(1).saturating_mul(block_ms)
}

/// Encoded samples, shared between the head and those who read them.
pub(crate) type ChunkBytes = Arc<[u8]>;
