//! The rows of several sorted runs, series by series, in the order of the tables, with one row group of each run in memory.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch};
use base::{Labels, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use lake::{Scan, Segment, Table};

use crate::table::{LABELS, column};

/// A row of a batch, which it shares.
pub(super) struct Row {
    pub(super) batch: RecordBatch,
    pub(super) at: usize,
    /// The position of its run among those that are walked over.
    pub(super) run: usize,
}

/// Walks over sorted runs of one table at once.
pub(super) struct Merge<'a> {
    cursors: Vec<Cursor<'a>>,
}

/// A run while it is read, one segment after the other.
struct Cursor<'a> {
    table: &'a Table,
    scan: Arc<Scan>,
    segments: VecDeque<Arc<Segment>>,
    batches: BoxStream<'static, Result<RecordBatch>>,
    /// The batch that is being read, and the series at the row; `None` at the end.
    here: Option<(RecordBatch, Labels)>,
    row: usize,
}

impl<'a> Merge<'a> {
    /// Begins with the first rows of all runs. The segments of a run follow one another in the table's order.
    pub(super) async fn begin(
        table: &'a Table,
        runs: Vec<VecDeque<Arc<Segment>>>,
        scan: &Scan,
    ) -> Result<Self> {
        let scan = Arc::new(scan.clone());
        let mut cursors = Vec::new();
        for segments in runs {
            let batches = futures::stream::empty().boxed();
            let mut cursor = Cursor { table, scan: scan.clone(), segments, batches, here: None, row: 0 };
            cursor.next_batch().await?;
            cursors.push(cursor);
        }
        Ok(Self { cursors })
    }

    /// The series that comes next.
    pub(super) fn peek(&self) -> Option<&Labels> {
        let series = self.cursors.iter().filter_map(|c| c.here.as_ref().map(|(_, labels)| labels));
        series.min_by(|a, b| order(a, b))
    }

    /// Takes the rows of a series, if it comes next.
    pub(super) async fn take(&mut self, labels: &Labels) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (run, cursor) in self.cursors.iter_mut().enumerate() {
            while let Some((batch, at)) = cursor.here.as_ref()
                && at == labels
            {
                rows.push(Row { batch: batch.clone(), at: cursor.row, run });
                cursor.next_row().await?;
            }
        }
        Ok(rows)
    }
}

impl Cursor<'_> {
    async fn next_row(&mut self) -> Result<()> {
        let Some((batch, labels)) = &mut self.here else { return Ok(()) };
        self.row += 1;
        if self.row >= batch.num_rows() {
            return self.next_batch().await;
        }
        let packed = column::<BinaryArray>(batch, LABELS)?.value(self.row);
        if labels.as_packed() != packed {
            *labels = Labels::from_packed(packed)?;
        }
        Ok(())
    }

    async fn next_batch(&mut self) -> Result<()> {
        self.here = None;
        self.row = 0;
        loop {
            while let Some(batch) = self.batches.next().await.transpose()? {
                if batch.num_rows() > 0 {
                    let labels = Labels::from_packed(column::<BinaryArray>(&batch, LABELS)?.value(0))?;
                    self.here = Some((batch, labels));
                    return Ok(());
                }
            }
            let Some(segment) = self.segments.pop_front() else { return Ok(()) };
            self.batches = self.table.scan(&segment, &self.scan).await?;
        }
    }
}

/// The order of the tables: by metric, then by labels.
pub(super) fn order(a: &Labels, b: &Labels) -> Ordering {
    (a.metric(), a).cmp(&(b.metric(), b))
}
