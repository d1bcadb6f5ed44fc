//! Merging sorted segments series by series, as a stream.
//!
//! In memory are a row group of each input run, the rows of the series at hand, a bounded number of batches that are being encoded on
//! blocking threads, and the writer's row group.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use arrow::array::{Array, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use base::{Error, Result, TimeRange};
use futures::StreamExt;
use futures::stream::BoxStream;
use lake::{NewSegment, Segment, SegmentWriter, Table};
use tokio::task::JoinHandle;

use super::join::{Chunk, Joiner, Series};
use crate::hidden::Visibility;
use crate::limits::{
    COMPACTION_BATCH_BYTES, COMPACTION_BATCH_SERIES, COMPACTION_TASKS, SEGMENT_CHUNK_SAMPLES,
};
use crate::table::{COUNT, LABELS, METRIC, RowBuilder, SERIES_ID, T_MAX, T_MIN, TIMESTAMPS, VALUES, column};

/// Merges segments of one partition into segments of a level, without what is hidden. Ends with an error soon after `stop` is set.
pub(crate) async fn merge_chunks(
    table: &Table,
    inputs: &[Arc<Segment>],
    level: u8,
    visibility: Visibility,
    stop: &AtomicBool,
) -> Result<Vec<NewSegment>> {
    let inputs: Vec<Vec<Arc<Segment>>> = inputs.iter().map(|s| vec![s.clone()]).collect();
    merge_runs(table, &inputs, level, visibility, stop).await
}

/// The same for sorted runs, each of which is one or several segments that follow one another.
pub(crate) async fn merge_runs(
    table: &Table,
    inputs: &[Vec<Arc<Segment>>],
    level: u8,
    visibility: Visibility,
    stop: &AtomicBool,
) -> Result<Vec<NewSegment>> {
    let mut output = Output::new(table, inputs.iter().flatten(), level, visibility)?;
    let mut runs = Vec::new();
    for segments in inputs {
        let mut run = Run::new(table, segments);
        run.next_batch().await?;
        runs.push(run);
    }
    while let Some(series) = next_series(&mut runs).await? {
        if stop.load(Atomic::Relaxed) {
            return Err(Error::unavailable("cannot compact segments: the store is closing"));
        }
        output.take(series).await?;
    }
    output.finish().await
}

/// A sorted run while it is read, one segment after the other.
struct Run<'a> {
    table: &'a Table,
    segments: VecDeque<Arc<Segment>>,
    batches: BoxStream<'static, Result<RecordBatch>>,
    rows: Option<Rows>,
    at: usize,
}

/// The columns of a batch.
struct Rows {
    metric: StringArray,
    labels: BinaryArray,
    series_id: Int64Array,
    t_min: Int64Array,
    t_max: Int64Array,
    count: Int32Array,
    timestamps: BinaryArray,
    values: BinaryArray,
}

impl Rows {
    fn of(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            metric: column::<StringArray>(batch, METRIC)?.clone(),
            labels: column::<BinaryArray>(batch, LABELS)?.clone(),
            series_id: column::<Int64Array>(batch, SERIES_ID)?.clone(),
            t_min: column::<Int64Array>(batch, T_MIN)?.clone(),
            t_max: column::<Int64Array>(batch, T_MAX)?.clone(),
            count: column::<Int32Array>(batch, COUNT)?.clone(),
            timestamps: column::<BinaryArray>(batch, TIMESTAMPS)?.clone(),
            values: column::<BinaryArray>(batch, VALUES)?.clone(),
        })
    }

    fn key(&self, row: usize) -> (&str, &[u8]) {
        (self.metric.value(row), self.labels.value(row))
    }

    fn chunk(&self, row: usize) -> Result<Chunk> {
        let count = usize::try_from(self.count.value(row)).unwrap_or(0);
        if !(1..=SEGMENT_CHUNK_SAMPLES).contains(&count) {
            return Err(Error::corrupt(format!("cannot merge segments: a chunk has {count} samples")));
        }
        Ok(Chunk {
            time: TimeRange::new(self.t_min.value(row), self.t_max.value(row)),
            count,
            timestamps: self.timestamps.clone(),
            values: self.values.clone(),
            row,
        })
    }
}

impl<'a> Run<'a> {
    fn new(table: &'a Table, segments: &[Arc<Segment>]) -> Self {
        let segments = segments.iter().cloned().collect();
        Self { table, segments, batches: futures::stream::empty().boxed(), rows: None, at: 0 }
    }

    async fn next_batch(&mut self) -> Result<()> {
        (self.rows, self.at) = (None, 0);
        loop {
            while let Some(batch) = self.batches.next().await {
                let batch = batch?;
                if batch.num_rows() > 0 {
                    self.rows = Some(Rows::of(&batch)?);
                    return Ok(());
                }
            }
            let Some(segment) = self.segments.pop_front() else { return Ok(()) };
            self.batches = self.table.scan_all(&segment).await?;
        }
    }

    fn key(&self) -> Option<(&str, &[u8])> {
        self.rows.as_ref().map(|rows| rows.key(self.at))
    }
}

fn cmp_keys(a: (&str, &[u8]), b: (&str, &[u8])) -> Ordering {
    a.0.cmp(b.0).then_with(|| base::cmp_packed(a.1, b.1))
}

/// Takes the rows of the series that comes first off all runs.
async fn next_series(runs: &mut [Run<'_>]) -> Result<Option<Series>> {
    let mut least: Option<(usize, (&str, &[u8]))> = None;
    for (i, run) in runs.iter().enumerate() {
        let Some(key) = run.key() else { continue };
        if least.is_none_or(|(_, least)| cmp_keys(key, least) == Ordering::Less) {
            least = Some((i, key));
        }
    }
    let Some((first, (metric, labels))) = least else { return Ok(None) };
    let series_id = runs[first].rows.as_ref().map_or(0, |rows| rows.series_id.value(runs[first].at));
    let mut series =
        Series { metric: metric.to_owned(), labels: labels.to_vec(), series_id, chunks: Vec::new() };
    for run in runs {
        while let Some(rows) = &run.rows {
            if rows.labels.value(run.at) != series.labels {
                break;
            }
            series.chunks.push(rows.chunk(run.at)?);
            run.at += 1;
            if run.at == rows.labels.len() {
                run.next_batch().await?;
            }
        }
    }
    Ok(Some(series))
}

/// Encodes series in batches, some at the same time, and writes them in order.
struct Output<'a> {
    table: &'a Table,
    partition: [String; 2],
    epoch: i64,
    level: u8,
    visibility: Arc<Visibility>,
    series: Vec<Series>,
    bytes: usize,
    encoding: VecDeque<JoinHandle<Result<RecordBatch>>>,
    writer: Option<SegmentWriter>,
    made: Vec<NewSegment>,
}

impl<'a> Output<'a> {
    fn new<'s>(
        table: &'a Table,
        inputs: impl Iterator<Item = &'s Arc<Segment>> + Clone,
        level: u8,
        visibility: Visibility,
    ) -> Result<Self> {
        let first = inputs.clone().next().ok_or_else(|| Error::internal("cannot merge no segments"))?;
        Ok(Self {
            table,
            partition: [first.tenant().to_owned(), first.date().to_owned()],
            epoch: inputs.filter_map(|s| s.name()).map(|n| n.epoch).max().unwrap_or(0),
            level,
            visibility: Arc::new(visibility),
            series: Vec::new(),
            bytes: 0,
            encoding: VecDeque::new(),
            writer: None,
            made: Vec::new(),
        })
    }

    async fn take(&mut self, series: Series) -> Result<()> {
        self.bytes += series.labels.len() + series.chunks.iter().map(Chunk::size_bytes).sum::<usize>();
        self.series.push(series);
        if self.series.len() < COMPACTION_BATCH_SERIES && self.bytes < COMPACTION_BATCH_BYTES {
            return Ok(());
        }
        self.begin_encoding();
        if self.encoding.len() >= COMPACTION_TASKS { self.write_next().await } else { Ok(()) }
    }

    fn begin_encoding(&mut self) {
        if self.series.is_empty() {
            return;
        }
        let (series, visibility) = (std::mem::take(&mut self.series), self.visibility.clone());
        self.bytes = 0;
        self.encoding.push_back(tokio::task::spawn_blocking(move || encode(series, &visibility)));
    }

    async fn write_next(&mut self) -> Result<()> {
        let Some(encoding) = self.encoding.pop_front() else { return Ok(()) };
        let batch =
            encoding.await.map_err(|e| Error::internal(format!("cannot encode a segment: {e}")))??;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let [tenant, date] = &self.partition;
                none.insert(self.table.compacted_writer(tenant, date, self.epoch, self.level)?)
            }
        };
        writer.write(&batch).await?;
        if writer.bytes_written() >= lake::limits::SEGMENT_TARGET_BYTES.unsigned_abs() {
            self.end_segment().await?;
        }
        Ok(())
    }

    async fn end_segment(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.made.push(writer.finish().await?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<NewSegment>> {
        self.begin_encoding();
        while !self.encoding.is_empty() {
            self.write_next().await?;
        }
        self.end_segment().await?;
        Ok(self.made)
    }
}

fn encode(series: Vec<Series>, visibility: &Visibility) -> Result<RecordBatch> {
    let mut rows = RowBuilder::new();
    let mut joiner = Joiner::default();
    for mut series in series {
        joiner.join(&mut series, visibility, &mut rows)?;
    }
    rows.finish()
}
