//! Sealing: the rows of an epoch become sorted segments, and its log goes.
//!
//! The order is what makes it safe: close the epoch, write its segments, commit them, swap them for the rows in memory in one step, delete the
//! log. A crash between any two leaves either the log or the commit, and replay believes the commit. An epoch is sealed with the rows it
//! was closed with, however often that is tried, so that the commit's transaction tells for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Date32Type;
use arrow::row::{RowConverter, SortField};
use base::{Error, Result};

use super::RowStore;
use super::check::day_of;
use super::head::ByTenant;
use crate::limits::SEAL_BATCH_BYTES;
use crate::table::{NewSegment, Table, TableSpec, batch_bytes, times};

/// Where a row is: its batch, and its number within that.
type Place = (usize, usize);

impl RowStore {
    /// Seals everything that was appended before, epoch by epoch.
    pub(super) async fn seal_all(&self, litter: &mut bool) -> Result<u64> {
        // Those whose seal failed before come first; as long as one of them fails no further epoch is closed.
        let mut sealed = 0;
        let closed = self.state.read().head.closed();
        for epoch in closed {
            sealed += self.seal_measured(epoch, litter).await?;
        }
        let closed = self.state.write().head.close();
        if let Some(epoch) = closed {
            sealed += self.seal_measured(epoch, litter).await?;
        }
        Ok(sealed)
    }

    async fn seal_measured(&self, epoch: i64, litter: &mut bool) -> Result<u64> {
        let started = self.clock.monotonic();
        let result = self.seal_epoch(epoch).await;
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.seal_seconds.observe(took.as_secs_f64());
        match &result {
            Ok(_) => self.metrics.seals.inc(),
            Err(_) => {
                self.metrics.seal_failures.inc();
                *litter = true;
            }
        }
        result.map_err(|e| e.context(format!("cannot seal rows of table {}", self.table.spec().name)))
    }

    async fn seal_epoch(&self, epoch: i64) -> Result<u64> {
        // What was admitted to the epoch before it was closed has to be in memory, or refused, before it is read.
        self.wal.barrier().await?;
        let mut view = self.table.refresh().await?;
        let mut rows = 0;
        // An earlier attempt may have been committed without learning it.
        if view.sealed_until < epoch {
            let part = self.state.read().head.part(epoch);
            let batches = part.iter().flat_map(|(_, batches)| batches);
            rows = batches.map(|b| b.num_rows() as u64).sum();
            if rows > 0 {
                let segments = self.write_segments(&self.table, epoch, part).await?;
                view = self.table.commit_seal(epoch, &segments).await?;
            }
        }
        self.install(view);
        if let Err(error) = self.wal.delete_up_to(epoch).await {
            // Only space is lost: the files are older than what the log of the table says, and go with the next seal or start.
            tracing::warn!("{error}");
        }
        Ok(rows)
    }

    /// Writes the rows of an epoch as segments of a table, which is told of them by the caller.
    pub(super) async fn write_segments(
        &self,
        table: &Table,
        epoch: i64,
        part: ByTenant,
    ) -> Result<Vec<NewSegment>> {
        let mut segments = Vec::new();
        for (tenant, batches) in part {
            let batches = Arc::new(batches);
            let (of, spec) = (batches.clone(), self.table.spec().clone());
            for (day, places) in blocking(move || sort(&spec, &of)).await? {
                segments.push(write_segment(table, (epoch, &tenant, day), &batches, places).await?);
            }
        }
        Ok(segments)
    }
}

async fn write_segment(
    table: &Table,
    (epoch, tenant, day): (i64, &str, i32),
    batches: &Arc<Vec<RecordBatch>>,
    places: Vec<Place>,
) -> Result<NewSegment> {
    let date = Date32Type::to_naive_date_opt(day)
        .ok_or_else(|| Error::internal(format!("cannot file rows: day {day} has no date")))?;
    let mut writer = table.segment_writer(tenant, &date.to_string(), epoch)?;
    let bytes: usize = batches.iter().map(batch_bytes).sum();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let at_once = (SEAL_BATCH_BYTES / (bytes / rows.max(1)).max(1)).max(1);
    let places = Arc::new(places);
    for from in (0..places.len()).step_by(at_once) {
        let (batches, places) = (batches.clone(), places.clone());
        let some = move || {
            let batches: Vec<&RecordBatch> = batches.iter().collect();
            let to = places.len().min(from + at_once);
            interleave_record_batch(&batches, &places[from..to])
                .map_err(|e| Error::internal(format!("cannot put rows in order: {e}")))
        };
        writer.write(&blocking(some).await?).await?;
    }
    writer.finish().await
}

/// The places of all rows by date and, within one, in the table's order. Rows of equal keys stay in the order in which they came.
fn sort(spec: &TableSpec, batches: &[RecordBatch]) -> Result<BTreeMap<i32, Vec<Place>>> {
    let fail = |e| Error::internal(format!("cannot sort rows of table {}: {e}", spec.name));
    let fields =
        spec.sort.iter().map(|name| spec.schema.field_with_name(name).map(|f| f.data_type().clone()));
    let fields = fields.map(|t| t.map(|t| SortField::new_with_options(t, TableSpec::SORT)));
    let converter = RowConverter::new(fields.collect::<Result<_, _>>().map_err(fail)?).map_err(fail)?;
    let mut keys = Vec::with_capacity(batches.len());
    let mut days: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
    for (i, batch) in batches.iter().enumerate() {
        let columns =
            spec.sort.iter().map(|name| batch.schema_ref().index_of(name).map(|c| batch.column(c).clone()));
        let columns: Vec<_> = columns.collect::<Result<_, _>>().map_err(fail)?;
        keys.push(converter.convert_columns(&columns).map_err(fail)?);
        for (row, t) in times(batch, spec.time.first)?.values().iter().enumerate() {
            days.entry(day_of(spec.time.to_ms(*t))).or_default().push((i, row));
        }
    }
    for places in days.values_mut() {
        places.sort_by(|a, b| keys[a.0].row(a.1).cmp(&keys[b.0].row(b.1)));
    }
    Ok(days)
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(f).await;
    done.map_err(|e| Error::internal(format!("cannot seal rows: {e}")))?
}
