//! The chunks of one series become as few as hold its samples.

use arrow::array::BinaryArray;
use base::{Labels, Result, TimeRange};

use crate::chunk::sealed;
use crate::hidden::{Hidden, Visibility};
use crate::limits::COMPACTED_CHUNK_SAMPLES;
use crate::table::{RowBuilder, RowRef};

/// The rows that the inputs of a compaction have of one series.
pub(super) struct SeriesRows {
    pub(super) metric: String,
    /// Packed labels.
    pub(super) labels: Vec<u8>,
    pub(super) series_id: i64,
    pub(super) chunks: Vec<Chunk>,
}

/// A row's chunk, still encoded. Shares the batch that it was read with.
pub(super) struct Chunk {
    pub(super) time: TimeRange,
    pub(super) count: usize,
    pub(super) timestamps: BinaryArray,
    pub(super) values: BinaryArray,
    pub(super) row: usize,
}

impl Chunk {
    fn encoded(&self) -> (&[u8], &[u8]) {
        (self.timestamps.value(self.row), self.values.value(self.row))
    }

    pub(super) fn size_bytes(&self) -> usize {
        let (timestamps, values) = self.encoded();
        timestamps.len() + values.len()
    }

    fn holds_floats(&self) -> bool {
        sealed::holds_floats(self.values.value(self.row))
    }
}

/// Buffers that are used for one series after the other.
#[derive(Default)]
pub(super) struct Joiner {
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Joiner {
    /// Adds what is visible of a series to `out`.
    pub(super) fn join(
        &mut self,
        series: &mut SeriesRows,
        visibility: &Visibility,
        out: &mut RowBuilder,
    ) -> Result<()> {
        let hidden = if visibility.is_clear() {
            Hidden::default()
        } else {
            visibility.of(&Labels::from_packed(&series.labels)?)
        };
        series.chunks.sort_by_key(|c| c.time.start_ms);
        series.chunks.retain(|c| !hidden.covers(c.time));
        let floats = series.chunks.iter().filter(|c| c.holds_floats()).count();
        let touched = series.chunks.iter().any(|c| c.holds_floats() && hidden.meets(c.time));
        if floats <= 1 && !touched {
            series.chunks.iter().for_each(|chunk| pass(series, chunk, out));
            return Ok(());
        }
        self.decode(series, &hidden)?;
        let mut joined = even_chunks(&self.timestamps, &self.values).peekable();
        // Rows that are not floats stay as they are, in their place in time.
        for other in series.chunks.iter().filter(|c| !c.holds_floats()) {
            while let Some((t, v)) = joined.next_if(|(t, _)| t[0] <= other.time.start_ms) {
                encode(series, t, v, out);
            }
            pass(series, other, out);
        }
        joined.for_each(|(t, v)| encode(series, t, v, out));
        Ok(())
    }

    /// Fills the buffers with the floats that stay, in order of time and each time once.
    fn decode(&mut self, series: &SeriesRows, hidden: &Hidden) -> Result<()> {
        self.timestamps.clear();
        self.values.clear();
        for chunk in series.chunks.iter().filter(|c| c.holds_floats()) {
            let (timestamps, values) = chunk.encoded();
            sealed::decode_timestamps(timestamps, chunk.count, &mut self.timestamps)
                .and_then(|()| sealed::decode_values(values, chunk.count, &mut self.values))
                .map_err(|e| match Labels::from_packed(&series.labels) {
                    Ok(labels) => e.context(format!("cannot read series {labels}")),
                    Err(_) => e,
                })?;
        }
        crate::select::order(&mut self.timestamps, &mut self.values);
        hidden.drop_from(&mut self.timestamps, &mut self.values);
        Ok(())
    }
}

/// Divides samples into as few chunks as the bound allows, of about the same length.
fn even_chunks<'a>(timestamps: &'a [i64], values: &'a [f64]) -> impl Iterator<Item = (&'a [i64], &'a [f64])> {
    let chunks = timestamps.len().div_ceil(COMPACTED_CHUNK_SAMPLES).max(1);
    let each = timestamps.len().div_ceil(chunks).max(1);
    timestamps.chunks(each).zip(values.chunks(each))
}

fn encode(series: &SeriesRows, timestamps: &[i64], values: &[f64], out: &mut RowBuilder) {
    out.push_row(&RowRef {
        metric: &series.metric,
        labels: &series.labels,
        series_id: series.series_id,
        time: TimeRange::new(timestamps[0], timestamps[timestamps.len() - 1]),
        count: timestamps.len(),
        timestamps: &sealed::encode_timestamps(timestamps),
        values: &sealed::encode_values(values),
    });
}

fn pass(series: &SeriesRows, chunk: &Chunk, out: &mut RowBuilder) {
    let (timestamps, values) = chunk.encoded();
    out.push_row(&RowRef {
        metric: &series.metric,
        labels: &series.labels,
        series_id: series.series_id,
        time: chunk.time,
        count: chunk.count,
        timestamps,
        values,
    });
}
