//! Sealing: a finished window of the head becomes a segment, and its log goes.
//!
//! The order is what makes it safe: fence the window, write the segment, commit it, swap it for the head's chunks in one step, delete the
//! log. A crash between any two leaves either the log or the commit, and replay believes the commit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Labels, Result};
use lake::{SegmentWriter, Table};

use crate::chunk::sealed::Effort;
use crate::head::HeadChunk;
use crate::hidden::{Hidden, Visibility};
use crate::limits::SEAL_BATCH_ROWS;
use crate::rows::SeriesRows;
use crate::select::order;
use crate::starts::{Gathered, gather};
use crate::store::MetricStore;
use crate::table::RowBuilder;

const DAY_MS: i64 = 86_400_000;

impl MetricStore {
    /// Seals the windows that end at `end_ms`.
    pub(crate) async fn seal(&self, end_ms: i64) -> Result<()> {
        let started = self.clock.monotonic();
        let result = self.try_seal(end_ms).await;
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.compaction_seconds.observe(took.as_secs_f64());
        match &result {
            Ok(()) => self.metrics.compactions.inc(),
            Err(_) => self.metrics.compactions_failed.inc(),
        }
        result.map_err(|e| e.context(format!("cannot seal the window that ends at {end_ms} ms")))
    }

    async fn try_seal(&self, end_ms: i64) -> Result<()> {
        {
            let mut state = self.state.write();
            state.min_valid_ms = state.min_valid_ms.max(end_ms);
        }
        // What was admitted to the window before has to be in the head, or refused, before the window is read.
        self.wal.barrier().await?;
        let mut view = self.table.refresh().await?;
        // An earlier attempt may have been committed without learning it.
        if view.sealed_until < end_ms {
            let segments = self.write_segments(&self.table, end_ms).await?;
            view = self.table.commit_seal(end_ms, &segments).await?;
        }
        self.install(view);
        if let Err(error) = self.wal.delete_up_to(end_ms).await {
            // Only space is lost: the files are older than what the log of the table says, and go with the next seal or start.
            tracing::warn!("{error}");
        }
        self.manifest.lock().drop_until(end_ms);
        self.remove_stale_parts();
        Ok(())
    }

    /// Writes what the head has of the epochs up to `end_ms` for a table of metrics: a segment for each UTC date. Late samples bring dates of their own.
    pub(crate) async fn write_segments(&self, table: &Table, end_ms: i64) -> Result<Vec<lake::NewSegment>> {
        let order = self.state.read().head.order_until(end_ms);
        let visibility = Arc::new(self.visibility(self.clock.now_ms()));
        let mut writers: BTreeMap<String, SegmentWriter> = BTreeMap::new();
        for ids in order.chunks(SEAL_BATCH_ROWS) {
            let series = self.state.read().head.chunks_of(ids, end_ms);
            let visibility = visibility.clone();
            let batches = tokio::task::spawn_blocking(move || encode(&series, &visibility))
                .await
                .map_err(|e| Error::internal(format!("cannot encode a segment: {e}")))??;
            for (date, batch) in batches {
                let writer = match writers.entry(date) {
                    Entry::Occupied(writer) => writer.into_mut(),
                    Entry::Vacant(none) => {
                        let writer = table.segment_writer(&self.options.tenant, none.key(), end_ms)?;
                        none.insert(writer)
                    }
                };
                writer.write(&batch).await?;
            }
        }
        let mut segments = Vec::new();
        for writer in writers.into_values() {
            segments.push(writer.finish().await?);
        }
        Ok(segments)
    }
}

/// The rows of some series, by date, without what is hidden.
fn encode(
    series: &[(Labels, Vec<HeadChunk>)],
    visibility: &Visibility,
) -> Result<BTreeMap<String, RecordBatch>> {
    let mut rows: BTreeMap<i64, RowBuilder> = BTreeMap::new();
    let mut floats = Gathered::default();
    let mut histograms = Gathered::default();
    for (labels, chunks) in series {
        let hidden = if visibility.is_clear() { Hidden::default() } else { visibility.of(labels) };
        merge(chunks, &mut floats, &hidden, HeadChunk::decode_floats)?;
        merge(chunks, &mut histograms, &hidden, HeadChunk::decode_histograms)?;
        let mut of_series: BTreeMap<i64, SeriesRows> = BTreeMap::new();
        for (day, range) in days(&floats.timestamps) {
            let (t, v, starts) = floats.part(range);
            of_series.entry(day).or_default().floats(t, v, starts, Effort::Quick);
        }
        for (day, range) in days(&histograms.timestamps) {
            let (t, h, starts) = histograms.part(range);
            of_series.entry(day).or_default().histograms(t, h, starts, Effort::Quick);
        }
        for (day, mut of_day) in of_series {
            of_day.write(labels.into(), rows.entry(day).or_insert_with(RowBuilder::new));
        }
    }
    rows.into_iter().map(|(day, rows)| Ok((lake::date(day * DAY_MS), rows.finish()?))).collect()
}

/// Decodes chunks of one kind into columns, in order of time and each time once: of several the first chunk's counts.
fn merge<T>(
    chunks: &[HeadChunk],
    merged: &mut Gathered<T>,
    hidden: &Hidden,
    decode: impl Fn(&HeadChunk, &mut Vec<i64>, &mut Vec<T>) -> Result<()>,
) -> Result<()> {
    if chunks.iter().any(HeadChunk::has_starts) {
        let decode = |chunk: &&HeadChunk, t: &mut Vec<i64>, v: &mut Vec<T>| decode(chunk, t, v);
        let starts = |chunk: &&HeadChunk, out: &mut Vec<i64>| chunk.decode_starts(out);
        *merged = gather(chunks, decode, starts, |timestamps, samples| {
            order(timestamps, samples);
            hidden.drop_from(timestamps, samples);
        })?;
        return Ok(());
    }
    merged.clear();
    for chunk in chunks {
        decode(chunk, &mut merged.timestamps, &mut merged.values)?;
    }
    order(&mut merged.timestamps, &mut merged.values);
    hidden.drop_from(&mut merged.timestamps, &mut merged.values);
    Ok(())
}

/// The days in which ascending times lie, with the positions of these.
fn days(timestamps: &[i64]) -> impl Iterator<Item = (i64, Range<usize>)> + '_ {
    let day = |t_ms: &i64| t_ms.div_euclid(DAY_MS);
    let mut start = 0;
    timestamps.chunk_by(move |a, b| day(a) == day(b)).map(move |of_day| {
        let range = start..start + of_day.len();
        start = range.end;
        (day(&of_day[0]), range)
    })
}
