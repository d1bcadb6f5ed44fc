//! Samples of one series become rows: chunks of bounded length, in order of time.

use base::{Histogram, Labels, TimeRange};

use crate::chunk::sealed::{self, Effort};
use crate::limits::{HISTOGRAM_CHUNK_SAMPLES, SEGMENT_CHUNK_SAMPLES};
use crate::table::{RowBuilder, RowRef};

/// The series that rows belong to.
#[derive(Clone, Copy)]
pub(crate) struct SeriesKey<'a> {
    pub(crate) metric: &'a str,
    /// Packed labels.
    pub(crate) labels: &'a [u8],
    pub(crate) series_id: i64,
}

impl<'a> From<&'a Labels> for SeriesKey<'a> {
    fn from(labels: &'a Labels) -> Self {
        // Delta tables have no unsigned type, so the id is the hash with its bits kept.
        let series_id = labels.stable_hash() as i64;
        Self { metric: labels.metric(), labels: labels.as_packed(), series_id }
    }
}

/// The rows of one series while they are collected.
#[derive(Default)]
pub(crate) struct SeriesRows {
    rows: Vec<Row>,
}

struct Row {
    time: TimeRange,
    count: usize,
    timestamps: Vec<u8>,
    values: Vec<u8>,
}

impl SeriesRows {
    /// Adds floats, whose times ascend, with their starts if any is known.
    pub(crate) fn floats(&mut self, timestamps: &[i64], values: &[f64], starts: &[i64], effort: Effort) {
        let each = even_length(timestamps.len(), SEGMENT_CHUNK_SAMPLES);
        let mut starts = starts.chunks(each);
        for (t, v) in timestamps.chunks(each).zip(values.chunks(each)) {
            let values = sealed::encode_values(v, effort);
            self.add(t, sealed::with_starts(values, starts.next().unwrap_or_default()), effort);
        }
    }

    /// Adds native histograms, likewise.
    pub(crate) fn histograms(
        &mut self,
        timestamps: &[i64],
        histograms: &[Histogram],
        starts: &[i64],
        effort: Effort,
    ) {
        let each = even_length(timestamps.len(), HISTOGRAM_CHUNK_SAMPLES);
        let mut starts = starts.chunks(each);
        for (t, h) in timestamps.chunks(each).zip(histograms.chunks(each)) {
            let values = sealed::encode_histograms(h);
            self.add(t, sealed::with_starts(values, starts.next().unwrap_or_default()), effort);
        }
    }

    /// Adds a row that is encoded already.
    pub(crate) fn encoded(&mut self, time: TimeRange, count: usize, timestamps: &[u8], values: &[u8]) {
        self.rows.push(Row { time, count, timestamps: timestamps.to_vec(), values: values.to_vec() });
    }

    fn add(&mut self, timestamps: &[i64], values: Vec<u8>, effort: Effort) {
        self.rows.push(Row {
            time: TimeRange::new(timestamps[0], timestamps[timestamps.len() - 1]),
            count: timestamps.len(),
            timestamps: sealed::encode_timestamps(timestamps, effort),
            values,
        });
    }

    /// Writes what was collected in order of time, and begins anew.
    pub(crate) fn write(&mut self, key: SeriesKey<'_>, out: &mut RowBuilder) {
        self.rows.sort_by_key(|row| row.time.start_ms);
        for row in self.rows.drain(..) {
            out.push(&RowRef {
                key,
                time: row.time,
                count: row.count,
                timestamps: &row.timestamps,
                values: &row.values,
            });
        }
    }
}

/// The length of chunks of about the same length, as few as the bound allows.
fn even_length(samples: usize, most: usize) -> usize {
    samples.div_ceil(samples.div_ceil(most).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_few_and_even() {
        for (samples, most, want) in [(0, 10, 1), (1, 10, 1), (10, 10, 10), (11, 10, 6), (25, 10, 9)] {
            assert_eq!(even_length(samples, most), want, "{samples}");
        }
    }
}
