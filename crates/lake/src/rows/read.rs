//! Reading: memory and segments as one stream of batches.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{and, filter_record_batch, prep_null_mask_filter};
use base::{Error, Result, TimeRange};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::RowStore;
use crate::Segment;
use crate::table::{Keys, RowPredicate, Scan, Table, TableSpec, times};

impl RowStore {
    /// Reads the rows of a tenant that satisfy all of a scan, whose parts hold exactly here: a row is in range if a millisecond from its beginning
    /// to its end is, keys and wanted values are compared, and the predicate is asked of what is left. One look at memory and
    /// segments: each row comes once, whatever is sealed meanwhile. Rows of a segment come in the table's order, those of memory as they
    /// came; segments are read one after the other, by batches of bounded size.
    pub fn scan(&self, tenant: &str, scan: Scan) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let spec = self.table.spec();
        let read = scan.columns.iter().chain(scan.predicate.iter().flat_map(|(columns, _)| columns));
        let probed = scan.any_of.iter().map(|(column, _)| column);
        if let Some(unknown) = read.chain(probed).find(|c| spec.schema.index_of(c).is_err()) {
            return Err(Error::invalid(format!(
                "cannot scan table {}: it has no column {unknown:?}",
                spec.name
            )));
        }
        let (segments, memory) = {
            let state = self.state.read();
            let wanted = |s: &&Arc<Segment>| s.tenant() == tenant && s.time().overlaps(scan.range);
            let segments: Vec<_> = state.view.segments.iter().filter(wanted).cloned().collect();
            (segments, state.head.select(tenant, scan.range))
        };
        let scan = Arc::new(scan);
        let from_memory = {
            let (spec, scan) = (spec.clone(), scan.clone());
            stream::iter(memory).map(move |(batch, time)| from_memory(&spec, &scan, &batch, time))
        };
        let table = self.table.clone();
        let from_segments = stream::iter(segments).then(move |segment| {
            let (table, scan) = (table.clone(), scan.clone());
            async move { from_segment(&table, &scan, segment).await }
        });
        let rows = from_memory.chain(from_segments.try_flatten());
        Ok(rows.try_filter(|batch| std::future::ready(batch.num_rows() > 0)).boxed())
    }
}

fn from_memory(spec: &TableSpec, scan: &Scan, batch: &RecordBatch, time: TimeRange) -> Result<RecordBatch> {
    let fail = |e| Error::internal(format!("cannot read rows of table {}: {e}", spec.name));
    let wanted = Condition::of(spec, scan, time).map(|condition| condition.test(batch)).transpose()?;
    let rows = match wanted {
        Some(wanted) => filter_record_batch(batch, &wanted).map_err(fail)?,
        None => batch.clone(),
    };
    project(&rows, &scan.columns).map_err(fail)
}

async fn from_segment(
    table: &Table,
    scan: &Scan,
    segment: Arc<Segment>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let condition = Condition::of(table.spec(), scan, segment.time());
    let predicate = condition.map(|condition| {
        let columns = condition.columns.clone();
        let predicate: RowPredicate = Arc::new(move |batch| condition.test(batch));
        (columns, predicate)
    });
    let rows = table.scan(&segment, &Scan { predicate, ..scan.clone() }).await?;
    // The segment is held until its last row is read, so that its file stays.
    Ok(rows.inspect(move |_| debug_assert!(!segment.path().is_empty())).boxed())
}

/// What rows have to satisfy, and the columns that say so.
struct Condition {
    spec: TableSpec,
    scan: Scan,
    columns: Vec<&'static str>,
    /// Whether some rows may be out of range.
    timed: bool,
}

impl Condition {
    /// `None` if every row of the given times satisfies the scan.
    fn of(spec: &TableSpec, scan: &Scan, time: TimeRange) -> Option<Self> {
        let timed = !(scan.range.contains(time.start_ms) && scan.range.contains(time.end_ms));
        let mut columns = Vec::new();
        if timed {
            columns.extend([spec.time.first, spec.time.last]);
        }
        if scan.keys != Keys::All {
            columns.push(spec.sort[0]);
        }
        columns.extend(scan.any_of.iter().map(|(column, _)| *column));
        columns.extend(scan.predicate.iter().flat_map(|(columns, _)| columns));
        columns.sort_unstable();
        columns.dedup();
        let all = !timed && scan.keys == Keys::All && scan.any_of.is_none() && scan.predicate.is_none();
        (!all).then(|| Self { spec: spec.clone(), scan: scan.clone(), columns, timed })
    }

    fn test(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let fail = |e| Error::internal(format!("cannot filter rows of table {}: {e}", self.spec.name));
        let rows = batch.num_rows();
        let mut wanted = BooleanArray::new(BooleanBuffer::new_set(rows), None);
        let mut narrow = |by: &dyn Fn(usize) -> bool| -> Result<()> {
            let by = BooleanArray::new(BooleanBuffer::collect_bool(rows, by), None);
            wanted = and(&wanted, &by).map_err(fail)?;
            Ok(())
        };
        if self.timed {
            let (first, last) = (times(batch, self.spec.time.first)?, times(batch, self.spec.time.last)?);
            let (start, end) = self.spec.time.bounds(self.scan.range);
            // A row without an end has its beginning.
            narrow(&|i| {
                let begins = first.value(i);
                begins <= end && (begins >= start || (!last.is_null(i) && last.value(i) >= start))
            })?;
        }
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
            column.ok_or_else(|| Error::corrupt(format!("cannot filter rows: column {name} is not text")))
        };
        if let Keys::Only(keys) = &self.scan.keys {
            let values = text(self.spec.sort[0])?;
            narrow(&|i| keys.binary_search_by(|k| k.as_str().cmp(values.value(i))).is_ok())?;
        }
        if let Some((column, any)) = &self.scan.any_of {
            let values = text(column)?;
            narrow(&|i| !values.is_null(i) && any.iter().any(|v| v == values.value(i)))?;
        }
        if let Some((columns, predicate)) = &self.scan.predicate {
            let more = predicate(&project(batch, columns).map_err(fail)?)?;
            // A null is no yes.
            let more = if more.null_count() > 0 { prep_null_mask_filter(&more) } else { more };
            wanted = and(&wanted, &more).map_err(fail)?;
        }
        Ok(wanted)
    }
}

/// Some columns of a batch, in the order of the batch.
fn project(
    batch: &RecordBatch,
    columns: &[&str],
) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let schema = batch.schema();
    let named = |i: &usize| columns.contains(&schema.field(*i).name().as_str());
    batch.project(&(0..schema.fields().len()).filter(named).collect::<Vec<_>>())
}
