//! The table `metrics`: a row is a chunk of one series. `docs/format/metrics-segment.md` is the specification.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanArray, Int32Array, Int64Array, RecordBatch,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base::{Error, METRIC_NAME, MatchOp, Matcher, Result, TimeRange};
use lake::{Keys, Layout, RowPredicate, Scan, TableSpec, TimeColumns};

use crate::chunk::take_varint;
use crate::limits::{PAGE_ROWS, ROW_GROUP_ROWS};
use crate::rows::SeriesKey;

pub(crate) const METRIC: &str = "metric";
pub(crate) const LABELS: &str = "labels";
pub(crate) const SERIES_ID: &str = "series_id";
pub(crate) const T_MIN: &str = "t_min";
pub(crate) const T_MAX: &str = "t_max";
pub(crate) const COUNT: &str = "count";
pub(crate) const TIMESTAMPS: &str = "timestamps";
pub(crate) const VALUES: &str = "values";

/// The name of the table.
pub const METRICS_TABLE: &str = "metrics";

/// The description of the table.
pub(crate) fn spec() -> TableSpec {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    TableSpec {
        name: METRICS_TABLE,
        schema: Arc::new(Schema::new(vec![
            field(METRIC, DataType::Utf8),
            field(LABELS, DataType::Binary),
            field(SERIES_ID, DataType::Int64),
            field(T_MIN, DataType::Int64),
            field(T_MAX, DataType::Int64),
            field(COUNT, DataType::Int32),
            field(TIMESTAMPS, DataType::Binary),
            field(VALUES, DataType::Binary),
        ])),
        sort: &[METRIC, LABELS, T_MIN],
        time: TimeColumns { first: T_MIN, last: T_MAX, unit: TimeUnit::Millisecond },
        dictionary: &[METRIC, TIMESTAMPS],
        encodings: &[],
        statistics: &[],
        bloom: &[],
        layout: Layout { row_group_rows: ROW_GROUP_ROWS, page_rows: PAGE_ROWS },
    }
}

/// Collects rows.
pub(crate) struct RowBuilder {
    schema: SchemaRef,
    metric: StringBuilder,
    labels: BinaryBuilder,
    series_id: Vec<i64>,
    t_min: Vec<i64>,
    t_max: Vec<i64>,
    count: Vec<i32>,
    timestamps: BinaryBuilder,
    values: BinaryBuilder,
}

impl RowBuilder {
    pub(crate) fn new() -> Self {
        Self {
            schema: spec().schema,
            metric: StringBuilder::new(),
            labels: BinaryBuilder::new(),
            series_id: Vec::new(),
            t_min: Vec::new(),
            t_max: Vec::new(),
            count: Vec::new(),
            timestamps: BinaryBuilder::new(),
            values: BinaryBuilder::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &RowRef<'_>) {
        self.metric.append_value(row.key.metric);
        self.labels.append_value(row.key.labels);
        self.series_id.push(row.key.series_id);
        self.t_min.push(row.time.start_ms);
        self.t_max.push(row.time.end_ms);
        self.count.push(i32::try_from(row.count).expect("a chunk has few samples"));
        self.timestamps.append_value(row.timestamps);
        self.values.append_value(row.values);
    }

    pub(crate) fn finish(mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(Int64Array::from(self.series_id)),
            Arc::new(Int64Array::from(self.t_min)),
            Arc::new(Int64Array::from(self.t_max)),
            Arc::new(Int32Array::from(self.count)),
            Arc::new(self.timestamps.finish()),
            Arc::new(self.values.finish()),
        ];
        RecordBatch::try_new(self.schema, columns)
            .map_err(|e| Error::internal(format!("cannot build rows of table {METRICS_TABLE}: {e}")))
    }
}

/// A row with its chunk encoded.
pub(crate) struct RowRef<'a> {
    pub(crate) key: SeriesKey<'a>,
    pub(crate) time: TimeRange,
    pub(crate) count: usize,
    pub(crate) timestamps: &'a [u8],
    pub(crate) values: &'a [u8],
}

/// A column of a batch that a segment gave.
pub(crate) fn column<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T> {
    batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref()).ok_or_else(|| {
        Error::corrupt(format!("cannot read segment: column {name} is missing or of another type"))
    })
}

/// A scan for the chunks that a selection needs, or only for `columns` of them.
pub(crate) fn scan(matchers: &[Matcher], range: TimeRange, columns: Vec<&'static str>) -> Scan {
    let keys = keys(matchers);
    let matchers: Arc<[Matcher]> = matchers.into();
    let predicate: RowPredicate = Arc::new(move |batch| matching_rows(batch, &matchers, range));
    let predicate = Some((vec![METRIC, LABELS, T_MIN, T_MAX], predicate));
    Scan { keys, predicate, ..Scan::range(columns, range) }
}

/// The metrics that matchers ask for, by which segments are sorted.
pub(crate) fn keys(matchers: &[Matcher]) -> Keys {
    let mut names = matchers.iter().filter(|m| m.name() == METRIC_NAME);
    match names.find(|m| m.op() == MatchOp::Equal && !m.value().is_empty()) {
        Some(exact) => Keys::Only(vec![exact.value().to_owned()]),
        None => Keys::All,
    }
}

fn matching_rows(batch: &RecordBatch, matchers: &[Matcher], range: TimeRange) -> Result<BooleanArray> {
    let metrics: &StringArray = column(batch, METRIC)?;
    let labels: &BinaryArray = column(batch, LABELS)?;
    let (t_min, t_max): (&Int64Array, &Int64Array) = (column(batch, T_MIN)?, column(batch, T_MAX)?);
    // Rows of one series are neighbours, so that a series is judged once.
    let mut last: Option<(&[u8], bool)> = None;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for i in 0..batch.num_rows() {
        let in_range = range.overlaps(TimeRange::new(t_min.value(i), t_max.value(i)));
        if !in_range {
            rows.push(false);
            continue;
        }
        let packed = labels.value(i);
        let matched = match last {
            Some((before, matched)) if before == packed => matched,
            _ => matches(matchers, metrics.value(i), packed)?,
        };
        last = Some((packed, matched));
        rows.push(matched);
    }
    Ok(BooleanArray::from(rows))
}

fn matches(matchers: &[Matcher], metric: &str, packed: &[u8]) -> Result<bool> {
    for matcher in matchers {
        let value =
            if matcher.name() == METRIC_NAME { metric } else { packed_value(packed, matcher.name())? };
        if !matcher.matches(value) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value of a label in a packed set, or the empty string, without unpacking the set.
pub(crate) fn packed_value<'a>(packed: &'a [u8], name: &str) -> Result<&'a str> {
    let mut rest = packed;
    while !rest.is_empty() {
        let found = take_text(&mut rest)? == name.as_bytes();
        let value = take_text(&mut rest)?;
        if found {
            return std::str::from_utf8(value)
                .map_err(|_| Error::corrupt("cannot read label set: it is not UTF-8"));
        }
    }
    Ok("")
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    let (text, tail) =
        rest.split_at_checked(len).ok_or_else(|| Error::corrupt("cannot read label set: it is cut off"))?;
    *rest = tail;
    Ok(text)
}
