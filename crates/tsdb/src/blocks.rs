//! Blocks of segments, decoded and kept for the next question. Segments never change, so what is kept is right as long as it is
//! kept; it goes when other blocks are asked for more often.
//!
//! A block has two parts, because most of what is looked at is not wanted: an index of its rows (labels, times), and their
//! encoded chunks, which are read only where the index has a match.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use base::{Error, Labels, METRIC_NAME, Matcher, Result, TimeRange};
use lake::{Block, MemoryBudget, Pool, Reservation, Segment, Table};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::limits::{BLOCK_CACHE_BYTES, SEGMENT_CHUNK_SAMPLES};
use crate::metrics::BlockMetrics;
use crate::table::{COUNT, LABELS, T_MAX, T_MIN, TIMESTAMPS, VALUES, column};

/// Which rows of a segment, by their first one, and the segment's path.
type Key = (Arc<str>, Block);

/// What rows are, without their samples.
pub(crate) struct RowIndex {
    rows: Vec<IndexRow>,
    /// Consecutive rows of one metric.
    metrics: Vec<Range<usize>>,
}

/// What there is to know of a chunk without reading it.
pub(crate) struct IndexRow {
    pub(crate) labels: Labels,
    pub(crate) time: TimeRange,
    pub(crate) count: usize,
}

/// Encoded chunks of rows.
pub(crate) struct RowData {
    pub(crate) timestamps: BinaryArray,
    pub(crate) values: BinaryArray,
}

/// Something that takes memory.
pub(crate) trait Weigh {
    fn size_bytes(&self) -> usize;
}

/// What the cache holds: a part of a block, and its memory.
struct Kept<T> {
    part: Arc<T>,
    bytes: usize,
    _memory: Arc<Reservation>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { part: self.part.clone(), bytes: self.bytes, _memory: self._memory.clone() }
    }
}

#[derive(Clone)]
struct ByBytes;

impl<T> Weighter<Key, Kept<T>> for ByBytes {
    fn weight(&self, key: &Key, kept: &Kept<T>) -> u64 {
        (kept.bytes + key.0.len()) as u64
    }
}

/// The blocks that are kept, within a bound of bytes.
pub(crate) struct BlockCache {
    index: Part<RowIndex>,
    data: Part<RowData>,
}

/// One part of the blocks.
struct Part<T> {
    kept: Cache<Key, Kept<T>, ByBytes>,
    memory: Arc<MemoryBudget>,
    lookups: BlockMetrics,
}

impl BlockCache {
    /// A cache that takes its memory from the budget, and counts how often it had an answer and how often not.
    pub(crate) fn new(memory: &Arc<MemoryBudget>, lookups: &BlockMetrics) -> Self {
        let bytes = BLOCK_CACHE_BYTES.min(memory.pool_limit_bytes(Pool::Caches) as u64 / 2);
        // Chunks take several times what labels take.
        Self { index: Part::new(bytes / 4, memory, lookups), data: Part::new(bytes / 4 * 3, memory, lookups) }
    }
}

impl<T: Weigh> Part<T> {
    fn new(bytes: u64, memory: &Arc<MemoryBudget>, lookups: &BlockMetrics) -> Self {
        let typical = 64 << 10;
        Self {
            kept: Cache::with_weighter((bytes / typical) as usize, bytes, ByBytes),
            memory: memory.clone(),
            lookups: lookups.clone(),
        }
    }

    /// The parts of blocks, as far as they are kept.
    fn look(&self, path: &Arc<str>, blocks: &[Block]) -> Vec<Option<Arc<T>>> {
        let found: Vec<_> =
            blocks.iter().map(|b| self.kept.get(&(path.clone(), *b)).map(|k| k.part)).collect();
        let hits = found.iter().flatten().count() as u64;
        self.lookups.hits.inc_by(hits);
        self.lookups.misses.inc_by(found.len() as u64 - hits);
        found
    }

    /// Keeps a part of a block if there is room.
    fn keep(&self, path: &Arc<str>, block: Block, part: &Arc<T>) {
        let bytes = part.size_bytes();
        let mut memory = self.memory.reservation(Pool::Caches);
        if memory.grow(bytes).is_ok() {
            let kept = Kept { part: part.clone(), bytes, _memory: Arc::new(memory) };
            self.kept.insert((path.clone(), block), kept);
        }
    }

    /// The parts of blocks: those that are kept, and the others read, decoded and kept if there is room.
    async fn read(
        &self,
        table: &Table,
        segment: &Segment,
        columns: &[&'static str],
        blocks: &[Block],
        decode: impl Fn(&RecordBatch) -> Result<T>,
    ) -> Result<Vec<Arc<T>>> {
        let path: Arc<str> = segment.path().into();
        let found = self.look(&path, blocks);
        let missing: Vec<Block> =
            blocks.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(b, _)| *b).collect();
        let read = table.read_blocks(segment, columns, &missing).await?;
        let mut read = missing.iter().zip(&read).map(|(block, batch)| {
            let part = Arc::new(decode(batch).map_err(|e| e.context(format!("cannot read segment {path}")))?);
            self.keep(&path, *block, &part);
            Ok(part)
        });
        found
            .into_iter()
            .map(|found| match found {
                Some(part) => Ok(part),
                None => {
                    read.next().unwrap_or_else(|| Err(Error::internal("cannot find a block that was read")))
                }
            })
            .collect()
    }
}

/// Which of the rows that match are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// One of every metric, where nothing but the metrics' names is asked for.
    OneOfMetric,
}

/// Rows of a block that satisfy a selection.
pub(crate) struct Matched {
    pub(crate) index: Arc<RowIndex>,
    /// Positions within the block, in order; at least one.
    pub(crate) rows: Vec<usize>,
    block: Block,
}

impl BlockCache {
    /// The rows among blocks of a segment that satisfy all matchers and overlap a range.
    pub(crate) async fn matched(
        &self,
        table: &Table,
        segment: &Segment,
        blocks: &[Block],
        matchers: &[Matcher],
        range: TimeRange,
        which: Which,
    ) -> Result<Vec<Matched>> {
        let index = self.index.read(table, segment, &[LABELS, T_MIN, T_MAX, COUNT], blocks, RowIndex::decode);
        let matched = blocks.iter().zip(index.await?).map(|(block, index)| {
            let rows = index.matching(matchers, range, which);
            Matched { index, rows, block: *block }
        });
        Ok(matched.filter(|m| !m.rows.is_empty()).collect())
    }

    /// The chunks of the blocks that have matches.
    pub(crate) async fn data(
        &self,
        table: &Table,
        segment: &Segment,
        matched: &[Matched],
    ) -> Result<Vec<Arc<RowData>>> {
        let blocks: Vec<Block> = matched.iter().map(|m| m.block).collect();
        self.data.read(table, segment, &[TIMESTAMPS, VALUES], &blocks, RowData::decode).await
    }
}

impl RowIndex {
    pub(crate) fn decode(batch: &RecordBatch) -> Result<Self> {
        let labels: &BinaryArray = column(batch, LABELS)?;
        let (t_min, t_max): (&Int64Array, &Int64Array) = (column(batch, T_MIN)?, column(batch, T_MAX)?);
        let counts: &Int32Array = column(batch, COUNT)?;
        let mut rows: Vec<IndexRow> = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let labels = match rows.last() {
                Some(last) if last.labels.as_packed() == labels.value(row) => last.labels.clone(),
                _ => Labels::from_packed(labels.value(row))?,
            };
            let count = usize::try_from(counts.value(row)).unwrap_or(0);
            if !(1..=SEGMENT_CHUNK_SAMPLES).contains(&count) {
                return Err(Error::corrupt(format!(
                    "cannot read series {labels}: a chunk has {count} samples"
                )));
            }
            rows.push(IndexRow { labels, time: TimeRange::new(t_min.value(row), t_max.value(row)), count });
        }
        let same = |a: &IndexRow, b: &IndexRow| a.labels.metric() == b.labels.metric();
        let mut first = 0;
        let metrics = rows.chunk_by(same).map(|run| {
            first += run.len();
            first - run.len()..first
        });
        let metrics = metrics.collect();
        Ok(Self { rows, metrics })
    }

    pub(crate) fn row(&self, at: usize) -> &IndexRow {
        &self.rows[at]
    }

    fn matching(&self, matchers: &[Matcher], range: TimeRange, which: Which) -> Vec<usize> {
        let (of_metric, others): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|m| m.name() == METRIC_NAME);
        let mut found = Vec::new();
        for run in &self.metrics {
            let metric = self.rows[run.start].labels.metric();
            if of_metric.iter().all(|m| m.matches(metric)) {
                let rows = self.matching_of(run.clone(), &others, range);
                match which {
                    Which::All => found.extend(rows),
                    Which::OneOfMetric => found.extend(rows.take(1)),
                }
            }
        }
        found
    }

    fn matching_of(
        &self,
        run: Range<usize>,
        matchers: &[&Matcher],
        range: TimeRange,
    ) -> impl Iterator<Item = usize> {
        // Rows of one series are neighbours, so that a series is judged once.
        let mut last: Option<(&Labels, bool)> = None;
        run.filter(move |at| {
            let row = &self.rows[*at];
            if !range.overlaps(row.time) {
                return false;
            }
            let matched = match last {
                Some((labels, matched)) if labels.is_same(&row.labels) => matched,
                _ => matchers.iter().all(|m| m.matches(row.labels.get_or_empty(m.name()))),
            };
            last = Some((&row.labels, matched));
            matched
        })
    }
}

impl Weigh for RowIndex {
    fn size_bytes(&self) -> usize {
        let labels = |row: &IndexRow| row.labels.size_bytes() + LABELS_OVERHEAD;
        size_of_val(&*self.rows) + self.rows.iter().map(labels).sum::<usize>() + size_of_val(&*self.metrics)
    }
}

/// What a label set takes beside its bytes: two counters, and what an allocation costs.
const LABELS_OVERHEAD: usize = 32;

impl RowData {
    pub(crate) fn decode(batch: &RecordBatch) -> Result<Self> {
        let (timestamps, values): (&BinaryArray, &BinaryArray) =
            (column(batch, TIMESTAMPS)?, column(batch, VALUES)?);
        Ok(Self { timestamps: timestamps.clone(), values: values.clone() })
    }

    /// A copy of some rows only.
    pub(crate) fn only(&self, rows: &[usize]) -> Result<Self> {
        let rows: UInt32Array = rows.iter().map(|r| *r as u32).collect();
        let taken = |of: &BinaryArray| -> Result<BinaryArray> {
            let array = take(of, &rows, None)
                .map_err(|e| Error::internal(format!("cannot take rows of a block: {e}")))?;
            Ok(array.as_binary::<i32>().clone())
        };
        Ok(Self { timestamps: taken(&self.timestamps)?, values: taken(&self.values)? })
    }
}

impl Weigh for RowData {
    fn size_bytes(&self) -> usize {
        self.timestamps.get_array_memory_size() + self.values.get_array_memory_size()
    }
}
