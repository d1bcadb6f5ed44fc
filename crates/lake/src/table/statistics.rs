//! Least and greatest values of a segment's columns, as the Delta log keeps them.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::compute::{cast, max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::temporal_conversions::timestamp_ms_to_datetime;
use base::{Error, TimeRange};
use serde_json::{Map, Value, json};

use super::TableSpec;
use super::spec::to_ms;
use crate::limits::STATISTICS_TEXT_BYTES;

/// What is known of the rows written so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Statistics {
    rows: u64,
    columns: BTreeMap<&'static str, Column>,
}

#[derive(Debug, Clone, Default)]
struct Column {
    nulls: u64,
    bounds: Option<Bounds>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bounds {
    Integer(i64, i64),
    /// Milliseconds: the log has no finer times.
    Time(i64, i64),
    Text(String, String),
}

impl Statistics {
    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes rows into account.
    pub(super) fn note(&mut self, spec: &TableSpec, batch: &RecordBatch) -> base::Result<()> {
        self.rows += batch.num_rows() as u64;
        let named = [spec.sort[0], spec.time.first, spec.time.last];
        // A column that has several uses is noted once.
        let mut names: Vec<&'static str> = named.iter().chain(spec.statistics).copied().collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(values) = batch.column_by_name(name) else {
                return Err(Error::internal(format!("batch has no column {name}")));
            };
            let column = self.columns.entry(name).or_default();
            column.nulls += values.null_count() as u64;
            let found = bounds(values)
                .map_err(|e| Error::internal(format!("cannot compare values of column {name}: {e}")))?;
            column.bounds = match (column.bounds.take(), found) {
                (Some(a), Some(b)) => Some(a.merge(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(())
    }

    /// The statistics of an `add` action.
    pub(super) fn to_json(&self) -> String {
        let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, column) in &self.columns {
            nulls.insert((*name).into(), column.nulls.into());
            let Some((least, greatest)) = column.bounds.as_ref().map(Bounds::to_json) else { continue };
            min.insert((*name).into(), least);
            if let Some(greatest) = greatest {
                max.insert((*name).into(), greatest);
            }
        }
        json!({"numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": nulls}).to_string()
    }
}

fn bounds(values: &dyn Array) -> Result<Option<Bounds>, ArrowError> {
    Ok(match values.data_type() {
        DataType::Utf8 => {
            let text = values.as_string::<i32>();
            min_string(text).zip(max_string(text)).map(|(a, b)| Bounds::Text(a.to_owned(), b.to_owned()))
        }
        DataType::Int64 | DataType::Int32 => integers(values)?.map(|(a, b)| Bounds::Integer(a, b)),
        DataType::Timestamp(unit, _) => {
            let ms = |t| to_ms(*unit, t);
            integers(values)?.map(|(a, b)| Bounds::Time(ms(a), ms(b)))
        }
        // Parquet's own statistics have them; the log does without.
        _ => None,
    })
}

fn integers(values: &dyn Array) -> Result<Option<(i64, i64)>, ArrowError> {
    let wide = cast(values, &DataType::Int64)?;
    let wide = wide.as_primitive::<Int64Type>();
    Ok(min(wide).zip(max(wide)))
}

impl Bounds {
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Integer(a, b), Self::Integer(c, d)) => Self::Integer(a.min(c), b.max(d)),
            (Self::Time(a, b), Self::Time(c, d)) => Self::Time(a.min(c), b.max(d)),
            (Self::Text(a, b), Self::Text(c, d)) => Self::Text(a.min(c), b.max(d)),
            // A column has one type.
            (first, _) => first,
        }
    }

    /// The least value, and the greatest if it is short enough to be kept.
    fn to_json(&self) -> (Value, Option<Value>) {
        match self {
            Self::Integer(a, b) => ((*a).into(), Some((*b).into())),
            Self::Time(a, b) => (time_text(*a), Some(time_text(*b))),
            Self::Text(a, b) => {
                // A prefix is no greater than the text; nothing as short is no less.
                let prefix = &a[..a.floor_char_boundary(STATISTICS_TEXT_BYTES)];
                (prefix.into(), (b.len() <= STATISTICS_TEXT_BYTES).then(|| b.as_str().into()))
            }
        }
    }
}

/// As Delta writes times: UTC, milliseconds.
fn time_text(t_ms: i64) -> Value {
    match timestamp_ms_to_datetime(t_ms) {
        Some(t) => t.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into(),
        None => Value::Null,
    }
}

/// What the log says of a segment that prunes it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) rows: u64,
    pub(super) time: TimeRange,
    /// Least and greatest value of the first sort column.
    pub(super) key: (Option<String>, Option<String>),
}

/// Reads the statistics of an `add` action. An engine that rewrote the file may have left them out: then it may hold
/// anything.
pub(super) fn read(spec: &TableSpec, stats: Option<&str>) -> Known {
    let stats: Value = stats.and_then(|s| serde_json::from_str(s).ok()).unwrap_or(Value::Null);
    let rows = stats["numRecords"].as_u64().unwrap_or(0);
    let [min, max] = ["minValues", "maxValues"].map(|side| &stats[side]);
    let ms = |value: &Value| match value {
        Value::Number(n) => n.as_i64().map(|t| to_ms(spec.time.unit, t)),
        Value::String(text) => string_to_timestamp_nanos(text).ok().map(|t| t.div_euclid(1_000_000)),
        _ => None,
    };
    let begins = ms(&min[spec.time.first]);
    let last_beginning = ms(&max[spec.time.first]);
    // Rows without an end have their beginning, so that where none has one the beginnings say it all.
    let endless = rows > 0 && stats["nullCount"][spec.time.last].as_u64() == Some(rows);
    let ends = match ms(&max[spec.time.last]) {
        Some(last) => Some(last_beginning.map_or(last, |t| t.max(last))),
        None if endless => last_beginning,
        None => None,
    };
    let key = |side: &Value| side[spec.sort[0]].as_str().map(str::to_owned);
    let time = TimeRange::new(begins.unwrap_or(i64::MIN), ends.unwrap_or(i64::MAX));
    Known { rows, time, key: (key(min), key(max)) }
}
