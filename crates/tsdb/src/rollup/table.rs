//! The tables of rollups: a row is what one series has of buckets in one span. `docs/format/rollup-segment.md` is the specification.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, Int32Array, Int64Array, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use base::{BucketColumns, Buckets, Error, Labels, Result};
use lake::{Layout, TableSpec, TimeColumns};

use super::Resolution;
use super::codec::{self, corrupt};
use crate::chunk::sealed::{self, Effort};
use crate::limits::{PAGE_ROWS, ROW_GROUP_ROWS, SEGMENT_CHUNK_SAMPLES};
use crate::table::{COUNT, LABELS, METRIC, T_MAX, T_MIN, column};

const SERIES_ID: &str = "series_id";
const ENDS: &str = "ends";
const COUNTS: &str = "counts";
const FIRST_TIMES: &str = "first_times";
const LAST_TIMES: &str = "last_times";
const STALE_TIMES: &str = "stale_times";
const SUM: &str = "sum";
const MIN: &str = "min";
const MAX: &str = "max";
const FIRST: &str = "first";
const LAST: &str = "last";
const RESETS: &str = "resets";

/// The columns that hold buckets, in the order of the schema.
const ENCODED: [&str; 11] =
    [ENDS, COUNTS, FIRST_TIMES, LAST_TIMES, STALE_TIMES, SUM, MIN, MAX, FIRST, LAST, RESETS];

/// The description of the table of a resolution.
pub(crate) fn spec(resolution: Resolution) -> TableSpec {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    let mut fields = vec![
        field(METRIC, DataType::Utf8),
        field(LABELS, DataType::Binary),
        field(SERIES_ID, DataType::Int64),
        field(T_MIN, DataType::Int64),
        field(T_MAX, DataType::Int64),
        field(COUNT, DataType::Int32),
    ];
    fields.extend(ENCODED.map(|name| field(name, DataType::Binary)));
    TableSpec {
        name: resolution.table(),
        schema: Arc::new(Schema::new(fields)),
        sort: &[METRIC, LABELS, T_MIN],
        time: TimeColumns { first: T_MIN, last: T_MAX, unit: TimeUnit::Millisecond },
        // Series that are scraped together have these in common.
        dictionary: &[METRIC, ENDS, COUNTS, FIRST_TIMES, LAST_TIMES, STALE_TIMES, RESETS],
        encodings: &[],
        statistics: &[],
        bloom: &[],
        layout: Layout { row_group_rows: ROW_GROUP_ROWS, page_rows: PAGE_ROWS },
    }
}

/// The columns to read for some columns of buckets: a prediction's sources among them.
pub(super) fn columns(wanted: BucketColumns) -> Vec<&'static str> {
    let mut columns = vec![LABELS, T_MIN, T_MAX, COUNT, ENDS, COUNTS];
    let mut add = |needed: bool, name| {
        if needed {
            columns.push(name);
        }
    };
    add(wanted.times, FIRST_TIMES);
    add(wanted.times || wanted.last, LAST_TIMES);
    add(wanted.last, STALE_TIMES);
    add(wanted.sum, SUM);
    add(wanted.extremes, MIN);
    add(wanted.extremes, MAX);
    add(wanted.first || wanted.extremes, FIRST);
    add(wanted.last || wanted.first || wanted.extremes, LAST);
    add(wanted.resets, RESETS);
    columns
}

/// Collects rows.
pub(super) struct RowBuilder {
    resolution: Resolution,
    metric: StringBuilder,
    labels: BinaryBuilder,
    series_id: Vec<i64>,
    t_min: Vec<i64>,
    t_max: Vec<i64>,
    count: Vec<i32>,
    encoded: [BinaryBuilder; ENCODED.len()],
}

impl RowBuilder {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            metric: StringBuilder::new(),
            labels: BinaryBuilder::new(),
            series_id: Vec::new(),
            t_min: Vec::new(),
            t_max: Vec::new(),
            count: Vec::new(),
            encoded: std::array::from_fn(|_| BinaryBuilder::new()),
        }
    }

    /// Adds the buckets of a series in one span, at least one, with all columns.
    pub(super) fn push(&mut self, labels: &Labels, b: &Buckets) {
        let (Some(first_end), Some(last_end)) = (b.ends_ms.first(), b.ends_ms.last()) else { return };
        self.metric.append_value(labels.metric());
        self.labels.append_value(labels.as_packed());
        self.series_id.push(labels.stable_hash() as i64);
        self.t_min.push(first_end - self.resolution.millis() + 1);
        self.t_max.push(*last_end);
        self.count.push(i32::try_from(b.len()).expect("a span has few buckets"));
        let columns = [
            sealed::encode_timestamps(&b.ends_ms, Effort::Thorough),
            codec::encode_counts(&b.count),
            sealed::encode_timestamps(&b.first_ms, Effort::Thorough),
            sealed::encode_timestamps(&b.last_ms, Effort::Thorough),
            codec::encode_stale(&b.stale_ms, &b.ends_ms),
            sealed::encode_values(&b.sum, Effort::Thorough),
            codec::encode_values(&b.min, &lower(&b.first, &b.last)),
            codec::encode_values(&b.max, &upper(&b.first, &b.last)),
            codec::encode_values(&b.first, &before(&b.last)),
            sealed::encode_values(&b.last, Effort::Thorough),
            sealed::encode_values(&b.resets, Effort::Thorough),
        ];
        for (builder, bytes) in self.encoded.iter_mut().zip(columns) {
            builder.append_value(bytes);
        }
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(Int64Array::from(self.series_id)),
            Arc::new(Int64Array::from(self.t_min)),
            Arc::new(Int64Array::from(self.t_max)),
            Arc::new(Int32Array::from(self.count)),
        ];
        columns.extend(self.encoded.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        RecordBatch::try_new(spec(self.resolution).schema, columns)
            .map_err(|e| Error::internal(format!("cannot build rows of rollups: {e}")))
    }
}

/// Replaces the content of `out` by the wanted columns of a row of a batch. Times ascend, also in what is damaged.
pub(crate) fn decode_row(
    batch: &RecordBatch,
    row: usize,
    wanted: BucketColumns,
    out: &mut Buckets,
) -> Result<()> {
    out.clear();
    let counts: &Int32Array = column(batch, COUNT)?;
    let count = usize::try_from(counts.value(row)).unwrap_or(0);
    if !(1..=SEGMENT_CHUNK_SAMPLES).contains(&count) {
        return Err(corrupt("the number of buckets is out of range"));
    }
    let bytes = |name: &str| column::<BinaryArray>(batch, name).map(|c| c.value(row));
    sealed::decode_timestamps(bytes(ENDS)?, count, &mut out.ends_ms)?;
    codec::decode_counts(bytes(COUNTS)?, count, &mut out.count)?;
    if wanted.times {
        sealed::decode_timestamps(bytes(FIRST_TIMES)?, count, &mut out.first_ms)?;
    }
    if wanted.times || wanted.last {
        sealed::decode_timestamps(bytes(LAST_TIMES)?, count, &mut out.last_ms)?;
    }
    if wanted.last {
        codec::decode_stale(bytes(STALE_TIMES)?, &out.ends_ms, &mut out.stale_ms)?;
    }
    if wanted.sum {
        sealed::decode_values(bytes(SUM)?, count, &mut out.sum)?;
    }
    if wanted.resets {
        sealed::decode_values(bytes(RESETS)?, count, &mut out.resets)?;
    }
    let (mut guessed, mut ends) = (false, false);
    if wanted.extremes {
        ends = codec::needs_prediction(bytes(MIN)?) || codec::needs_prediction(bytes(MAX)?);
    }
    if wanted.first || ends {
        guessed = codec::needs_prediction(bytes(FIRST)?);
    }
    if wanted.last || ends || guessed {
        sealed::decode_values(bytes(LAST)?, count, &mut out.last)?;
    }
    if wanted.first || ends {
        let predicted = if guessed { before(&out.last) } else { Vec::new() };
        codec::decode_values(bytes(FIRST)?, count, &predicted, &mut out.first)?;
    }
    if wanted.extremes {
        let (low, high) = if ends {
            (lower(&out.first, &out.last), upper(&out.first, &out.last))
        } else {
            Default::default()
        };
        codec::decode_values(bytes(MIN)?, count, &low, &mut out.min)?;
        codec::decode_values(bytes(MAX)?, count, &high, &mut out.max)?;
    }
    Ok(())
}

/// What first values are likely to be: the last ones of the buckets before.
fn before(last: &[f64]) -> Vec<f64> {
    std::iter::once(0.0).chain(last.iter().copied()).take(last.len()).collect()
}

fn lower(first: &[f64], last: &[f64]) -> Vec<f64> {
    first.iter().zip(last).map(|(a, b)| if b < a { *b } else { *a }).collect()
}

fn upper(first: &[f64], last: &[f64]) -> Vec<f64> {
    first.iter().zip(last).map(|(a, b)| if b > a { *b } else { *a }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::kernel;
    use super::*;

    /// What `columns` leaves out is not in the batch.
    fn project(batch: &RecordBatch, wanted: BucketColumns) -> RecordBatch {
        let names = columns(wanted);
        let indexes: Vec<usize> = names.iter().map(|n| batch.schema().index_of(n).unwrap()).collect();
        batch.project(&indexes).unwrap()
    }

    proptest! {
        #[test]
        fn rows_read_back_in_whole_and_in_part(
            steps in prop::collection::vec((1i64..200_000, prop_oneof![-50.0f64..50.0, Just(f64::NAN)]), 1..200),
            counter: bool,
            flags in 0u8..64,
        ) {
            let (mut t, mut total) = (0, 0.0);
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for (step, v) in steps {
                t += step;
                total += v.abs();
                times.push(t);
                values.push(if counter { total } else { v });
            }
            let mut buckets = Buckets::default();
            kernel::roll(&times, &values, 300_000, &mut buckets);
            let mut rows = RowBuilder::new(Resolution::FiveMinutes);
            rows.push(&Labels::from_pairs([("__name__", "x")]), &buckets);
            let batch = rows.finish().unwrap();
            let flag = |bit: u8| flags & (1 << bit) != 0;
            let wanted = BucketColumns {
                sum: flag(0), extremes: flag(1), first: flag(2), last: flag(3), resets: flag(4), times: flag(5),
            };
            let mut out = Buckets::default();
            decode_row(&project(&batch, wanted), 0, wanted, &mut out).unwrap();
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!((&out.ends_ms, &out.count), (&buckets.ends_ms, &buckets.count));
            if wanted.sum { prop_assert_eq!(bits(&out.sum), bits(&buckets.sum)); }
            if wanted.extremes {
                prop_assert_eq!(bits(&out.min), bits(&buckets.min));
                prop_assert_eq!(bits(&out.max), bits(&buckets.max));
            }
            if wanted.first { prop_assert_eq!(bits(&out.first), bits(&buckets.first)); }
            if wanted.last { prop_assert_eq!(bits(&out.last), bits(&buckets.last)); }
            if wanted.resets { prop_assert_eq!(bits(&out.resets), bits(&buckets.resets)); }
            if wanted.times { prop_assert_eq!(&out.first_ms, &buckets.first_ms); }
        }
    }
}
