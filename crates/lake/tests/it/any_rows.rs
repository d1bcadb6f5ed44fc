//! Rows of any table, made from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::util::display::array_value_to_string;
use lake::TableSpec;
use lake::testing::Random;

/// 2026-01-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Rows that begin within `span_ms` from `start_ms` on.
pub(crate) fn batch(
    spec: &TableSpec,
    random: &mut Random,
    rows: usize,
    start_ms: i64,
    span_ms: i64,
) -> RecordBatch {
    let per_ms = spec.time.bounds(base::TimeRange::new(1, 1)).0;
    let first: Vec<i64> =
        (0..rows).map(|_| start_ms * per_ms + random.below((span_ms * per_ms) as u64) as i64).collect();
    let columns = spec.schema.fields().iter().map(|field| {
        let times = |times: Vec<Option<i64>>| -> ArrayRef {
            match field.data_type() {
                DataType::Timestamp(..) => {
                    Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
                }
                _ => Arc::new(Int64Array::from(times)),
            }
        };
        if field.name() == spec.time.first {
            times(first.iter().map(|t| Some(*t)).collect())
        } else if field.name() == spec.time.last {
            let open = |random: &mut Random| field.is_nullable() && random.below(2) == 0;
            let last = first.iter().map(|t| (!open(random)).then(|| t + random.below(5_000_000) as i64));
            times(last.collect())
        } else {
            array(field, rows, random)
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(spec.schema.clone(), columns).unwrap()
}

/// Any values of a column.
fn array(field: &Field, rows: usize, random: &mut Random) -> ArrayRef {
    let nulls: Vec<bool> = (0..rows).map(|_| !field.is_nullable() || random.below(4) > 0).collect();
    let mut each = |make: &mut dyn FnMut(&mut Random) -> i64| -> Vec<Option<i64>> {
        nulls.iter().map(|valid| valid.then(|| make(random))).collect()
    };
    match field.data_type() {
        DataType::Utf8 => {
            let texts = each(&mut |r| r.draw() as i64);
            Arc::new(texts.into_iter().map(|t| t.map(text)).collect::<StringArray>())
        }
        DataType::Int32 => Arc::new(
            each(&mut |r| r.below(20) as i64 - 4).iter().map(|v| v.map(|v| v as i32)).collect::<Int32Array>(),
        ),
        DataType::Int64 => Arc::new(Int64Array::from(each(&mut |r| r.draw() as i64))),
        DataType::Float64 => Arc::new(
            each(&mut |r| r.below(1000) as i64)
                .iter()
                .map(|v| v.map(|v| v as f64 / 8.0))
                .collect::<Float64Array>(),
        ),
        DataType::Decimal128(precision, scale) => {
            let values = each(&mut |r| r.draw() as i64 >> 20);
            let values = values.iter().map(|v| v.map(|v| i128::from(v) * 1_000_000_007));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Timestamp(..) => {
            let times = each(&mut |r| START_MS * 1000 + r.below(1 << 40) as i64);
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
        }
        DataType::Boolean => Arc::new(
            each(&mut |r| r.below(2) as i64).iter().map(|v| v.map(|v| v == 1)).collect::<BooleanArray>(),
        ),
        DataType::Map(entry, _) => {
            let offsets = offsets(rows, random, 4);
            let DataType::Struct(fields) = entry.data_type() else { unreachable!("a map has entries") };
            let total = *offsets.last().unwrap() as usize;
            let columns = fields.iter().map(|f| array(f, total, random)).collect();
            let entries = StructArray::new(fields.clone(), columns, None);
            Arc::new(MapArray::new(entry.clone(), offsets, entries, None, false))
        }
        DataType::List(element) => {
            let offsets = offsets(rows, random, 3);
            let DataType::Struct(fields) = element.data_type() else {
                unreachable!("lists are of structures")
            };
            let total = *offsets.last().unwrap() as usize;
            let columns = fields.iter().map(|f| array(f, total, random)).collect();
            let values = Arc::new(StructArray::new(fields.clone(), columns, None));
            let nulls = field.is_nullable().then(|| NullBuffer::from(nulls));
            Arc::new(ListArray::new(element.clone(), offsets, values, nulls))
        }
        other => unreachable!("no table has {other}"),
    }
}

fn text(seed: i64) -> String {
    match seed.rem_euclid(16) {
        0 => String::new(),
        1 => "ünïcode \u{1f411} \"quoted\"".into(),
        2 => format!("{seed:x}").repeat(20),
        3..8 => format!("{seed:016x}"),
        n => format!("value-{n}"),
    }
}

fn offsets(rows: usize, random: &mut Random, below: u64) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..rows).map(|_| random.below(below) as usize))
}

/// Rows as text, and how often each is there.
pub(crate) fn counted<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|c| {
                if c.is_null(row) { "null".to_owned() } else { array_value_to_string(c, row).unwrap() }
            });
            *found.entry(cells.collect::<Vec<_>>().join("|")).or_insert(0) += 1;
        }
    }
    found
}
