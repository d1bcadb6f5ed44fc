//! The result of a selection: encoded chunks, gathered once and decoded series by series.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, Int32Array, RecordBatch};
use base::{Error, Histogram, Labels, Result, TimeRange};
use lake::Reservation;
use rustc_hash::FxHashMap;

use crate::blocks::{Matched, RowData, RowIndex, Weigh};
use crate::chunk::sealed;
use crate::head::HeadChunk;
use crate::hidden::{Hidden, Visibility};
use crate::starts::gather;
use crate::table::{COUNT, LABELS, T_MAX, T_MIN, TIMESTAMPS, VALUES, column};

/// Series with their samples in a range, in order of labels. Holds its chunks, whatever happens to the store.
pub struct SelectedSeries {
    series: Vec<(Labels, Of)>,
    range: TimeRange,
    size_bytes: usize,
    /// Its part of the memory for queries, as long as it is there.
    _memory: Reservation,
}

/// What a selection has of a series.
struct Of {
    hidden: Hidden,
    chunks: Vec<Chunk>,
}

/// A chunk of a series, wherever it came from.
struct Chunk {
    time: TimeRange,
    count: usize,
    data: ChunkData,
}

enum ChunkData {
    Head(HeadChunk),
    /// Chunks of many rows, and the row.
    Segment(Arc<RowData>, usize),
}

impl SelectedSeries {
    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The labels of the series at a position.
    pub fn labels(&self, at: usize) -> &Labels {
        &self.series[at].0
    }

    /// Bytes of chunks and labels that are held.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Samples of all chunks, of which some may be outside of the range or hidden.
    pub fn samples(&self) -> u64 {
        self.series.iter().flat_map(|(_, of)| &of.chunks).map(|chunk| chunk.count as u64).sum()
    }

    /// Replaces the content of the columns by the floats of the series at a position: those in the range, each time
    /// once, ascending. Staleness markers are among them.
    pub fn decode(&self, at: usize, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
        self.decode_with(at, timestamps, values, Chunk::decode_floats)
    }

    /// Replaces the content of the columns by the native histograms of the series at a position, likewise.
    pub fn decode_histograms(
        &self,
        at: usize,
        timestamps: &mut Vec<i64>,
        histograms: &mut Vec<Histogram>,
    ) -> Result<()> {
        self.decode_with(at, timestamps, histograms, Chunk::decode_histograms)
    }

    /// As [`SelectedSeries::decode`], with when the counting of each value began, 0 where that is unknown. Empty if it is of all.
    pub fn decode_since(
        &self,
        at: usize,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<f64>,
        starts: &mut Vec<i64>,
    ) -> Result<()> {
        self.decode_since_with(at, timestamps, values, starts, Chunk::decode_floats)
    }

    /// As [`SelectedSeries::decode_histograms`], likewise.
    pub fn decode_histograms_since(
        &self,
        at: usize,
        timestamps: &mut Vec<i64>,
        histograms: &mut Vec<Histogram>,
        starts: &mut Vec<i64>,
    ) -> Result<()> {
        self.decode_since_with(at, timestamps, histograms, starts, Chunk::decode_histograms)
    }

    fn decode_since_with<T>(
        &self,
        at: usize,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<T>,
        starts: &mut Vec<i64>,
        decode: impl Fn(&Chunk, &mut Vec<i64>, &mut Vec<T>) -> Result<()>,
    ) -> Result<()> {
        starts.clear();
        let (labels, of) = &self.series[at];
        if !of.chunks.iter().any(Chunk::has_starts) {
            return self.decode_with(at, timestamps, values, decode);
        }
        let decode = |chunk: &&Chunk, t: &mut Vec<i64>, v: &mut Vec<T>| decode(chunk, t, v);
        let decode_starts = |chunk: &&Chunk, out: &mut Vec<i64>| chunk.decode_starts(out);
        let gathered = gather(&of.chunks, decode, decode_starts, |timestamps, samples| {
            in_order(timestamps, samples, self.range);
            of.hidden.drop_from(timestamps, samples);
        })
        .map_err(|e| e.context(format!("cannot read series {labels}")))?;
        (*timestamps, *values, *starts) = (gathered.timestamps, gathered.values, gathered.starts);
        Ok(())
    }

    fn decode_with<T>(
        &self,
        at: usize,
        timestamps: &mut Vec<i64>,
        values: &mut Vec<T>,
        decode: impl Fn(&Chunk, &mut Vec<i64>, &mut Vec<T>) -> Result<()>,
    ) -> Result<()> {
        timestamps.clear();
        values.clear();
        let (labels, of) = &self.series[at];
        // Times ascend within a chunk.
        let mut ascends = true;
        for chunk in &of.chunks {
            let start = timestamps.len();
            decode(chunk, timestamps, values)
                .map_err(|e| e.context(format!("cannot read series {labels}")))?;
            ascends &= start == 0 || timestamps.get(start).is_none_or(|t| *t > timestamps[start - 1]);
        }
        if !ascends {
            order(timestamps, values);
        }
        clip(timestamps, values, self.range);
        of.hidden.drop_from(timestamps, values);
        Ok(())
    }
}

impl Chunk {
    fn has_starts(&self) -> bool {
        match &self.data {
            ChunkData::Head(chunk) => chunk.has_starts(),
            ChunkData::Segment(rows, row) => sealed::has_starts(rows.values.value(*row)),
        }
    }

    fn decode_starts(&self, out: &mut Vec<i64>) -> Result<()> {
        match &self.data {
            ChunkData::Head(chunk) => chunk.decode_starts(out),
            ChunkData::Segment(rows, row) => sealed::decode_starts(rows.values.value(*row), self.count, out),
        }
    }

    fn decode_floats(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
        match &self.data {
            ChunkData::Head(chunk) => chunk.decode_floats(timestamps, values),
            ChunkData::Segment(rows, row) if sealed::holds_histograms(rows.values.value(*row)) => Ok(()),
            ChunkData::Segment(rows, row) => {
                sealed::decode_timestamps(rows.timestamps.value(*row), self.count, timestamps)?;
                sealed::decode_values(rows.values.value(*row), self.count, values)
            }
        }
    }

    fn decode_histograms(&self, timestamps: &mut Vec<i64>, histograms: &mut Vec<Histogram>) -> Result<()> {
        match &self.data {
            ChunkData::Head(chunk) => chunk.decode_histograms(timestamps, histograms),
            ChunkData::Segment(rows, row) if sealed::holds_histograms(rows.values.value(*row)) => {
                sealed::decode_timestamps(rows.timestamps.value(*row), self.count, timestamps)?;
                sealed::decode_histograms(rows.values.value(*row), self.count, histograms)
            }
            ChunkData::Segment(..) => Ok(()),
        }
    }
}

/// Appends the floats of a row of a segment; `false` if it has native histograms instead.
pub(crate) fn decode_segment_floats(
    batch: &RecordBatch,
    row: usize,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<bool> {
    let encoded = column::<BinaryArray>(batch, VALUES)?.value(row);
    if sealed::holds_histograms(encoded) {
        return Ok(false);
    }
    let count = usize::try_from(column::<Int32Array>(batch, COUNT)?.value(row)).unwrap_or(0);
    sealed::decode_timestamps(column::<BinaryArray>(batch, TIMESTAMPS)?.value(row), count, timestamps)?;
    sealed::decode_values(encoded, count, values)?;
    Ok(true)
}

/// Orders samples of several chunks by time, each time once, and keeps those in a range.
pub(crate) fn in_order<T>(timestamps: &mut Vec<i64>, values: &mut Vec<T>, range: TimeRange) {
    order(timestamps, values);
    clip(timestamps, values, range);
}

/// Keeps samples in order that are in a range.
fn clip<T>(timestamps: &mut Vec<i64>, values: &mut Vec<T>, range: TimeRange) {
    let start = timestamps.partition_point(|t| *t < range.start_ms);
    let end = timestamps.partition_point(|t| *t <= range.end_ms);
    timestamps.truncate(end);
    values.truncate(end);
    if start > 0 {
        timestamps.drain(..start.min(end));
        values.drain(..start.min(end));
    }
}

/// Orders samples of overlapping chunks by time; of those with one time the first chunk's stays.
pub(crate) fn order<T>(timestamps: &mut Vec<i64>, values: &mut Vec<T>) {
    if timestamps.windows(2).all(|w| w[0] < w[1]) {
        return;
    }
    let mut samples: Vec<(i64, T)> = timestamps.drain(..).zip(values.drain(..)).collect();
    samples.sort_by_key(|(t, _)| *t);
    samples.dedup_by_key(|(t, _)| *t);
    (*timestamps, *values) = samples.into_iter().unzip();
}

/// Rows of a block of which fewer than one in so many are wanted are copied.
const SPARSE: usize = 4;

/// Gathers a selection within a bound of bytes.
pub(crate) struct Gather {
    /// In the order in which they came: segments have series in order of labels, and sorting runs that are in order is quick.
    series: Vec<(Labels, Of)>,
    places: FxHashMap<Labels, usize>,
    /// The last one that was added to.
    last: usize,
    visibility: Visibility,
    size_bytes: usize,
    limit_bytes: usize,
    memory: Reservation,
}

impl Gather {
    /// The columns that it reads of a segment.
    pub(crate) const COLUMNS: [&'static str; 6] = [LABELS, T_MIN, T_MAX, COUNT, TIMESTAMPS, VALUES];

    pub(crate) fn new(limit_bytes: usize, visibility: Visibility, memory: Reservation) -> Self {
        Self {
            series: Vec::new(),
            places: FxHashMap::default(),
            last: 0,
            visibility,
            size_bytes: 0,
            limit_bytes,
            memory,
        }
    }

    pub(crate) fn add_head(&mut self, found: Vec<(Labels, Vec<HeadChunk>)>) -> Result<()> {
        for (labels, chunks) in found {
            let bytes: usize = chunks.iter().map(|c| c.bytes().len()).sum();
            self.charge(bytes + labels.size_bytes())?;
            let of = self.of(&labels);
            of.chunks.extend(chunks.into_iter().filter(|c| !of.hidden.covers(c.time())).map(|chunk| Chunk {
                time: chunk.time(),
                count: chunk.count(),
                data: ChunkData::Head(chunk),
            }));
        }
        Ok(())
    }

    /// Adds all rows of a batch.
    pub(crate) fn add_segment(&mut self, batch: &RecordBatch) -> Result<()> {
        let (index, data) = (RowIndex::decode(batch)?, Arc::new(RowData::decode(batch)?));
        self.charge(batch.get_array_memory_size())?;
        self.add_rows(&index, (0..batch.num_rows()).map(|row| (row, row)), &data);
        Ok(())
    }

    /// Adds those rows of a block that were selected.
    pub(crate) fn add_matched(&mut self, matched: &Matched, data: &Arc<RowData>) -> Result<()> {
        // A few rows are copied, lest they hold all of them in memory.
        if matched.rows.len() < data.values.len() / SPARSE {
            let few = Arc::new(data.only(&matched.rows)?);
            self.charge(few.size_bytes())?;
            self.add_rows(&matched.index, matched.rows.iter().copied().zip(0..), &few);
        } else {
            self.charge(data.size_bytes())?;
            self.add_rows(&matched.index, matched.rows.iter().map(|row| (*row, *row)), data);
        }
        Ok(())
    }

    /// Adds rows, each with its position in an index and among chunks.
    fn add_rows(
        &mut self,
        index: &RowIndex,
        rows: impl Iterator<Item = (usize, usize)>,
        data: &Arc<RowData>,
    ) {
        for (at, row) in rows {
            let found = index.row(at);
            let of = self.of(&found.labels);
            if !of.hidden.covers(found.time) {
                let data = ChunkData::Segment(data.clone(), row);
                of.chunks.push(Chunk { time: found.time, count: found.count, data });
            }
        }
    }

    pub(crate) fn finish(self, range: TimeRange) -> SelectedSeries {
        let mut series = self.series;
        series.retain(|(_, of)| !of.chunks.is_empty());
        series.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, of) in &mut series {
            // Of samples of one time that are in both, the head's counts.
            of.chunks.sort_by_key(|c| (c.time.start_ms, matches!(c.data, ChunkData::Segment(..))));
        }
        SelectedSeries { series, range, size_bytes: self.size_bytes, _memory: self.memory }
    }

    fn of(&mut self, labels: &Labels) -> &mut Of {
        // Chunks of a series follow each other, and segments have mostly the same series.
        let is_at = |at: &usize| self.series.get(*at).is_some_and(|(known, _)| known == labels);
        if let Some(at) = [self.last, self.last + 1].into_iter().find(is_at) {
            self.last = at;
            return &mut self.series[at].1;
        }
        self.last = *self.places.entry(labels.clone()).or_insert_with(|| {
            let clear = self.visibility.is_clear();
            let hidden = if clear { Hidden::default() } else { self.visibility.of(labels) };
            self.series.push((labels.clone(), Of { hidden, chunks: Vec::new() }));
            self.series.len() - 1
        });
        &mut self.series[self.last].1
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.size_bytes += bytes;
        if self.size_bytes <= self.limit_bytes {
            return self.memory.grow(bytes).map_err(|e| e.context("cannot select series"));
        }
        let limit = self.limit_bytes;
        Err(Error::limit(format!(
            "cannot select series: they have more than {limit} bytes of chunks (limit select_bytes)"
        )))
    }
}
