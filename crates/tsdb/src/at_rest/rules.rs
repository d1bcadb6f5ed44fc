//! What holds of the rows of the tables of samples and of rollups.

use arrow::array::{BinaryArray, Int32Array, Int64Array, RecordBatch};
use base::{BucketColumns, Buckets, Error, Result};
use lake::{Findings, RowChecker, RowRules};

use super::invariants::{BUCKET_COLUMNS, BUCKET_ONCE, CHUNK_DISJOINT, CHUNK_SAMPLES};
use super::series::{SeriesColumns, SeriesOrder};
use crate::chunk::sealed;
use crate::rollup::{self, Resolution};
use crate::table::{COUNT, METRICS_TABLE, T_MAX, T_MIN, TIMESTAMPS, VALUES, column};

const DAY_MS: i64 = 86_400_000;

/// What holds of the rows of a table of this crate; `None` for others.
pub fn rules(table: &str) -> Option<RowRules> {
    if table == METRICS_TABLE {
        return Some(RowRules { days: 1, whole: true, checker: |_| Ok(Box::<ChunkRows>::default()) });
    }
    let resolution = resolution_of(table)?;
    // A bucket ends with the first millisecond behind its span, which is why rows do not end within it.
    Some(RowRules {
        days: resolution.span_ms() / DAY_MS,
        whole: false,
        checker: |spec| {
            let resolution = resolution_of(spec.name)
                .ok_or_else(|| Error::internal(format!("cannot check table {}", spec.name)))?;
            Ok(Box::new(BucketRows {
                resolution,
                series: SeriesOrder::default(),
                buckets: Buckets::default(),
            }))
        },
    })
}

fn resolution_of(table: &str) -> Option<Resolution> {
    Resolution::ALL.into_iter().find(|r| rollup::spec(*r).name == table)
}

/// Looks at chunks: their series, their order, their samples.
#[derive(Default)]
struct ChunkRows {
    series: SeriesOrder,
    /// The end of the series' last chunk of floats.
    floats_end: Option<i64>,
    timestamps: Vec<i64>,
    floats: Vec<f64>,
    histograms: Vec<base::Histogram>,
    starts: Vec<i64>,
}

/// The columns that hold a chunk.
struct Chunks<'a> {
    t_min: &'a Int64Array,
    t_max: &'a Int64Array,
    count: &'a Int32Array,
    timestamps: &'a BinaryArray,
    values: &'a BinaryArray,
}

impl RowChecker for ChunkRows {
    fn check(&mut self, first: u64, batch: &RecordBatch, found: &mut Findings) -> Result<()> {
        let series = SeriesColumns::of(batch)?;
        let chunks = Chunks {
            t_min: column(batch, T_MIN)?,
            t_max: column(batch, T_MAX)?,
            count: column(batch, COUNT)?,
            timestamps: column(batch, TIMESTAMPS)?,
            values: column(batch, VALUES)?,
        };
        for row in 0..batch.num_rows() {
            let number = first + row as u64;
            if !self.series.check(number, &series, row, found) {
                self.floats_end = None;
            }
            self.check_times(number, &chunks, row, found);
            self.check_samples(number, &chunks, row, found);
        }
        Ok(())
    }
}

impl ChunkRows {
    /// Whether a chunk comes after the one before of its series.
    fn check_times(&mut self, number: u64, chunks: &Chunks<'_>, row: usize, found: &mut Findings) {
        if sealed::holds_histograms(chunks.values.value(row)) {
            return;
        }
        let t_min = chunks.t_min.value(row);
        if self.floats_end.is_some_and(|end| t_min <= end) {
            found.add(&CHUNK_DISJOINT, || {
                format!("row {number} begins at {t_min} ms, before another of its series has ended")
            });
        }
        self.floats_end = self.floats_end.max(Some(chunks.t_max.value(row)));
    }

    /// Whether a chunk has the samples that its row says.
    fn check_samples(&mut self, number: u64, chunks: &Chunks<'_>, row: usize, found: &mut Findings) {
        let decoded = self.decode(chunks, row);
        if let Err(e) = decoded {
            return found.add(&CHUNK_SAMPLES, || format!("row {number}: {}", e.message()));
        }
        let says = (Some(chunks.t_min.value(row)), Some(chunks.t_max.value(row)));
        let has = (self.timestamps.first().copied(), self.timestamps.last().copied());
        if says != has {
            found.add(&CHUNK_SAMPLES, || format!("row {number} says {says:?} ms and has {has:?} ms"));
        }
    }

    fn decode(&mut self, chunks: &Chunks<'_>, row: usize) -> Result<()> {
        let count = usize::try_from(chunks.count.value(row)).unwrap_or(0);
        let values = chunks.values.value(row);
        self.timestamps.clear();
        sealed::decode_timestamps(chunks.timestamps.value(row), count, &mut self.timestamps)?;
        self.starts.clear();
        sealed::decode_starts(values, count, &mut self.starts)?;
        if sealed::holds_histograms(values) {
            self.histograms.clear();
            sealed::decode_histograms(values, count, &mut self.histograms)
        } else {
            self.floats.clear();
            sealed::decode_values(values, count, &mut self.floats)
        }
    }
}

/// Looks at rollups: their series, their order, their buckets.
struct BucketRows {
    resolution: Resolution,
    series: SeriesOrder,
    buckets: Buckets,
}

impl RowChecker for BucketRows {
    fn check(&mut self, first: u64, batch: &RecordBatch, found: &mut Findings) -> Result<()> {
        let series = SeriesColumns::of(batch)?;
        let (t_min, t_max): (&Int64Array, &Int64Array) = (column(batch, T_MIN)?, column(batch, T_MAX)?);
        for row in 0..batch.num_rows() {
            let number = first + row as u64;
            if self.series.check(number, &series, row, found) {
                found.add(&BUCKET_ONCE, || format!("row {number} is another of the same series"));
            }
            if let Err(e) = rollup::decode_row(batch, row, BucketColumns::ALL, &mut self.buckets) {
                found.add(&BUCKET_COLUMNS, || format!("row {number}: {}", e.message()));
                continue;
            }
            let (ends, length) = (&self.buckets.ends_ms, self.resolution.millis());
            let begin = |end: &i64| end - length + 1;
            let says = (Some(t_min.value(row)), Some(t_max.value(row)));
            let has = (ends.first().map(begin), ends.last().copied());
            if says != has {
                found.add(&BUCKET_COLUMNS, || format!("row {number} says {says:?} ms and has {has:?} ms"));
            }
            if let Some(end) = ends.iter().find(|end| *end % length != 0) {
                found.add(&BUCKET_COLUMNS, || format!("row {number} has a bucket that ends at {end} ms"));
            }
        }
        Ok(())
    }
}
