//! The chunks of one series become as few as hold its samples.

use arrow::array::BinaryArray;
use base::{Error, Histogram, Labels, Result, TimeRange};

use crate::chunk::sealed::{self, Effort};
use crate::hidden::{Hidden, Visibility};
use crate::rows::{SeriesKey, SeriesRows};
use crate::select::order;
use crate::starts::{Gathered, gather};
use crate::table::RowBuilder;

/// The rows that the inputs of a compaction have of one series.
pub(super) struct Series {
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

/// What a chunk holds. A kind that this program does not know is carried along as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Floats,
    Histograms,
    Unknown,
}

impl Chunk {
    fn encoded(&self) -> (&[u8], &[u8]) {
        (self.timestamps.value(self.row), self.values.value(self.row))
    }

    pub(super) fn size_bytes(&self) -> usize {
        let (timestamps, values) = self.encoded();
        timestamps.len() + values.len()
    }

    fn kind(&self) -> Kind {
        let values = self.values.value(self.row);
        if sealed::holds_floats(values) {
            Kind::Floats
        } else if sealed::holds_histograms(values) {
            Kind::Histograms
        } else {
            Kind::Unknown
        }
    }
}

/// Buffers that are used for one series after the other.
#[derive(Default)]
pub(super) struct Joiner {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    histograms: Vec<Histogram>,
    rows: SeriesRows,
}

impl Joiner {
    /// Adds what is visible of a series to `out`.
    pub(super) fn join(
        &mut self,
        series: &mut Series,
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
        for kind in [Kind::Floats, Kind::Histograms, Kind::Unknown] {
            let of_kind: Vec<&Chunk> = series.chunks.iter().filter(|c| c.kind() == kind).collect();
            let alone = of_kind.len() == 1 && !hidden.meets(of_kind[0].time);
            if alone || kind == Kind::Unknown {
                for chunk in of_kind {
                    let (timestamps, values) = chunk.encoded();
                    self.rows.encoded(chunk.time, chunk.count, timestamps, values);
                }
            } else {
                self.merge(kind, &of_kind, &hidden).map_err(|e| of_series(&series.labels, e))?;
            }
        }
        let key = SeriesKey { metric: &series.metric, labels: &series.labels, series_id: series.series_id };
        self.rows.write(key, out);
        Ok(())
    }

    /// Decodes the chunks of a kind and encodes what stays of them as a whole.
    fn merge(&mut self, kind: Kind, chunks: &[&Chunk], hidden: &Hidden) -> Result<()> {
        if chunks.iter().any(|chunk| sealed::has_starts(chunk.encoded().1)) {
            return self.merge_with_starts(kind, chunks, hidden);
        }
        self.timestamps.clear();
        for chunk in chunks {
            sealed::decode_timestamps(chunk.encoded().0, chunk.count, &mut self.timestamps)?;
        }
        if kind == Kind::Histograms {
            self.histograms.clear();
            for chunk in chunks {
                sealed::decode_histograms(chunk.encoded().1, chunk.count, &mut self.histograms)?;
            }
            order(&mut self.timestamps, &mut self.histograms);
            hidden.drop_from(&mut self.timestamps, &mut self.histograms);
            self.rows.histograms(&self.timestamps, &self.histograms, &[], Effort::Thorough);
        } else {
            self.values.clear();
            for chunk in chunks {
                sealed::decode_values(chunk.encoded().1, chunk.count, &mut self.values)?;
            }
            order(&mut self.timestamps, &mut self.values);
            hidden.drop_from(&mut self.timestamps, &mut self.values);
            self.rows.floats(&self.timestamps, &self.values, &[], Effort::Thorough);
        }
        Ok(())
    }

    /// The same where it is known of some samples when their counting began.
    fn merge_with_starts(&mut self, kind: Kind, chunks: &[&Chunk], hidden: &Hidden) -> Result<()> {
        if kind == Kind::Histograms {
            let all = gather_visible(chunks, hidden, sealed::decode_histograms)?;
            self.rows.histograms(&all.timestamps, &all.values, &all.starts, Effort::Thorough);
        } else {
            let all = gather_visible(chunks, hidden, sealed::decode_values)?;
            self.rows.floats(&all.timestamps, &all.values, &all.starts, Effort::Thorough);
        }
        Ok(())
    }
}

/// What is visible of chunks, in order of time and with starts.
fn gather_visible<T>(
    chunks: &[&Chunk],
    hidden: &Hidden,
    decode: impl Fn(&[u8], usize, &mut Vec<T>) -> Result<()>,
) -> Result<Gathered<T>> {
    gather(
        chunks,
        |chunk, timestamps, values| {
            let (times, encoded) = chunk.encoded();
            sealed::decode_timestamps(times, chunk.count, timestamps)?;
            decode(encoded, chunk.count, values)
        },
        |chunk, starts| sealed::decode_starts(chunk.encoded().1, chunk.count, starts),
        |timestamps, samples| {
            order(timestamps, samples);
            hidden.drop_from(timestamps, samples);
        },
    )
}

fn of_series(labels: &[u8], error: Error) -> Error {
    match Labels::from_packed(labels) {
        Ok(labels) => error.context(format!("cannot read series {labels}")),
        Err(_) => error,
    }
}
