//! Merging segments of a table whose rows stay as they are.
//!
//! The segments are sorted, so that one batch of each is all that is in memory, and the result is written as it comes.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::row::{RowConverter, Rows, SortField};
use base::{Error, Result};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::limits::{SCAN_BATCH_BYTES, SCAN_BATCH_PAGES, SEGMENT_TARGET_BYTES};
use crate::table::{NewSegment, Segment, SegmentWriter, Table, TableSpec};

/// Decides which rows of a batch stay.
pub type RowFilter = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync>;

/// Merges segments of one partition by the table's sort columns, without the rows that `keep` drops. Rows with equal keys come in the
/// order of `inputs`. To be given to [`Table::replace`].
pub async fn merge_rows(
    table: &Table,
    inputs: &[Arc<Segment>],
    level: u8,
    keep: Option<RowFilter>,
) -> Result<Vec<NewSegment>> {
    let converter = converter(table)?;
    let mut runs = Vec::new();
    for segment in inputs {
        let batches = table.scan_all(segment).await?;
        let mut run = Run { batches, keep: keep.clone(), current: None, at: 0 };
        run.advance(table, &converter).await?;
        runs.push(run);
    }
    let mut out = Output::new(table, inputs, level)?;
    while let Some(least) = least(&runs) {
        let run = &mut runs[least];
        let Some(current) = &run.current else { break };
        out.take(&current.batch, run.at).await?;
        run.at += 1;
        if run.at == current.batch.num_rows() {
            run.advance(table, &converter).await?;
        }
    }
    out.finish().await
}

fn converter(table: &Table) -> Result<RowConverter> {
    let spec = table.spec();
    let field = |name: &&str| {
        Ok(SortField::new_with_options(
            spec.schema.field_with_name(name)?.data_type().clone(),
            TableSpec::SORT,
        ))
    };
    let fields: std::result::Result<Vec<SortField>, arrow::error::ArrowError> =
        spec.sort.iter().map(field).collect();
    fields.and_then(RowConverter::new).map_err(|e| cannot_merge(table, &e))
}

fn cannot_merge(table: &Table, e: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("cannot merge segments of table {}: {e}", table.spec().name))
}

/// The run whose next row comes first; of equal ones the first run.
fn least(runs: &[Run]) -> Option<usize> {
    let mut best: Option<(usize, arrow::row::Row<'_>)> = None;
    for (i, run) in runs.iter().enumerate() {
        let Some(current) = &run.current else { continue };
        let key = current.keys.row(run.at);
        if best.as_ref().is_none_or(|(_, least)| key < *least) {
            best = Some((i, key));
        }
    }
    best.map(|(i, _)| i)
}

/// A segment while it is read.
struct Run {
    batches: BoxStream<'static, Result<RecordBatch>>,
    keep: Option<RowFilter>,
    current: Option<Current>,
    at: usize,
}

struct Current {
    batch: Arc<RecordBatch>,
    keys: Rows,
}

impl Run {
    /// Goes on to the next batch that has rows.
    async fn advance(&mut self, table: &Table, converter: &RowConverter) -> Result<()> {
        (self.current, self.at) = (None, 0);
        while let Some(batch) = self.batches.next().await {
            let mut batch = batch?;
            if let Some(keep) = &self.keep {
                batch = filter_record_batch(&batch, &keep(&batch)?).map_err(|e| cannot_merge(table, &e))?;
            }
            if batch.num_rows() == 0 {
                continue;
            }
            let columns: Option<Vec<_>> =
                table.spec().sort.iter().map(|name| batch.column_by_name(name).cloned()).collect();
            let columns = columns.ok_or_else(|| cannot_merge(table, &"a sort column is missing"))?;
            let keys = converter.convert_columns(&columns).map_err(|e| cannot_merge(table, &e))?;
            self.current = Some(Current { batch: Arc::new(batch), keys });
            return Ok(());
        }
        Ok(())
    }
}

/// The rows that were chosen and are not written yet, and the segments that were.
struct Output<'a> {
    table: &'a Table,
    partition: [String; 2],
    epoch: i64,
    level: u8,
    batches: Vec<Arc<RecordBatch>>,
    rows: Vec<(usize, usize)>,
    bytes: usize,
    writer: Option<SegmentWriter>,
    made: Vec<NewSegment>,
}

impl<'a> Output<'a> {
    fn new(table: &'a Table, inputs: &[Arc<Segment>], level: u8) -> Result<Self> {
        let first = inputs.first().ok_or_else(|| Error::internal("cannot merge no segments"))?;
        let epoch = inputs.iter().filter_map(|s| s.name()).map(|n| n.epoch).max().unwrap_or(0);
        Ok(Self {
            table,
            partition: [first.tenant().to_owned(), first.date().to_owned()],
            epoch,
            level,
            batches: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
            writer: None,
            made: Vec::new(),
        })
    }

    async fn take(&mut self, batch: &Arc<RecordBatch>, row: usize) -> Result<()> {
        // Runs take turns, so the batch is among the last ones used.
        let at = match self.batches.iter().rposition(|b| Arc::ptr_eq(b, batch)) {
            Some(at) => at,
            None => {
                self.batches.push(batch.clone());
                self.batches.len() - 1
            }
        };
        self.rows.push((at, row));
        self.bytes += batch.get_array_memory_size() / batch.num_rows().max(1);
        let full = self.rows.len() >= SCAN_BATCH_PAGES * self.table.spec().layout.page_rows;
        if full || self.bytes >= SCAN_BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().map(AsRef::as_ref).collect();
        let merged =
            interleave_record_batch(&batches, &self.rows).map_err(|e| cannot_merge(self.table, &e))?;
        self.batches.clear();
        self.rows.clear();
        self.bytes = 0;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let [tenant, date] = &self.partition;
                none.insert(self.table.compacted_writer(tenant, date, self.epoch, self.level)?)
            }
        };
        writer.write(&merged).await?;
        if writer.bytes_written() >= SEGMENT_TARGET_BYTES.unsigned_abs() {
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
        self.flush().await?;
        self.end_segment().await?;
        Ok(self.made)
    }
}
