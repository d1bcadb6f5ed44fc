//! Exemplars as rows of the table `exemplars`, and back. `docs/format/tables.md` has the columns.
//!
//! A `trace_id` or `span_id` that is as the columns of that name want it stands there, where it can be searched for; any other is a label
//! among the others.

use std::iter::Peekable;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, MapArray, RecordBatch, StringArray, StringBuilder,
    new_null_array,
};
use arrow::datatypes::DataType;
use base::{Error, Exemplar, Labels, Result, SeriesExemplar};
use lake::catalog::{AttributesBuilder, EXEMPLARS, attributes_builder};

use super::unreadable;

const NANOS_PER_MS: i64 = 1_000_000;
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
const TRACE_ID_DIGITS: usize = 32;
const SPAN_ID_DIGITS: usize = 16;

/// The columns that decoding needs.
pub(super) const COLUMNS: [&str; 6] =
    ["time_unix_nano", "value", TRACE_ID, SPAN_ID, "series_labels", "filtered_attributes"];

/// Whether a time has nanoseconds in 64 bits, and lies after 1970.
pub(super) fn can_hold(t_ms: i64) -> bool {
    (0..=i64::MAX / NANOS_PER_MS).contains(&t_ms)
}

/// Bytes of the columns of one row that are not labels, with the offsets of the others.
const ROW_BYTES: usize = 128;

/// About how many bytes an exemplar takes as a row, where its series' labels are spelled out.
pub(super) fn size_bytes(e: &SeriesExemplar) -> usize {
    ROW_BYTES + e.labels.size_bytes() + e.exemplar.labels.size_bytes()
}

/// The next exemplars whose rows have so many bytes together; one at least.
pub(super) fn take_batch(
    rest: &mut Peekable<impl Iterator<Item = SeriesExemplar>>,
    max_bytes: usize,
) -> Vec<SeriesExemplar> {
    let mut batch = Vec::from_iter(rest.next());
    let mut bytes: usize = batch.iter().map(size_bytes).sum();
    while let Some(next) = rest.next_if(|next| bytes + size_bytes(next) <= max_bytes) {
        bytes += size_bytes(&next);
        batch.push(next);
    }
    batch
}

/// The rows of some exemplars, whose times can be held.
pub(super) fn encode(exemplars: &[SeriesExemplar]) -> Result<RecordBatch> {
    let fail = |e| Error::internal(format!("cannot build rows of exemplars: {e}"));
    let (mut metric, mut trace_id, mut span_id) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut series_labels, mut others) = (attributes_builder(), attributes_builder());
    for SeriesExemplar { labels, exemplar } in exemplars {
        metric.append_value(labels.metric());
        put(&mut series_labels, labels.iter()).map_err(fail)?;
        trace_id.append_option(id_of(exemplar, TRACE_ID, TRACE_ID_DIGITS));
        span_id.append_option(id_of(exemplar, SPAN_ID, SPAN_ID_DIGITS));
        let rest = exemplar.labels.iter().filter(|(name, value)| match *name {
            TRACE_ID => !is_hex(value, TRACE_ID_DIGITS),
            SPAN_ID => !is_hex(value, SPAN_ID_DIGITS),
            _ => true,
        });
        put(&mut others, rest).map_err(fail)?;
    }
    let ids: Int64Array = exemplars.iter().map(|e| Some(e.labels.stable_hash() as i64)).collect();
    let times: Int64Array = exemplars.iter().map(|e| Some(e.exemplar.t_ms * NANOS_PER_MS)).collect();
    let values: Float64Array = exemplars.iter().map(|e| Some(e.exemplar.value)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(metric.finish()),
        Arc::new(ids),
        Arc::new(times),
        Arc::new(values),
        Arc::new(trace_id.finish()),
        Arc::new(span_id.finish()),
        Arc::new(series_labels.finish()),
        Arc::new(others.finish()),
        // All values are text.
        new_null_array(&DataType::Utf8, exemplars.len()),
    ];
    RecordBatch::try_new(EXEMPLARS.spec().schema, columns).map_err(fail)
}

fn put<'a>(
    out: &mut AttributesBuilder,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> std::result::Result<(), arrow::error::ArrowError> {
    for (name, value) in pairs {
        out.keys().append_value(name);
        out.values().append_value(value);
    }
    out.append(true)
}

fn id_of<'a>(exemplar: &'a Exemplar, name: &str, digits: usize) -> Option<&'a str> {
    exemplar.labels.get(name).filter(|id| is_hex(id, digits))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The exemplars of rows whose series `wanted` accepts.
pub(super) fn decode(
    batch: &RecordBatch,
    mut wanted: impl FnMut(&Labels) -> bool,
) -> Result<Vec<SeriesExemplar>> {
    let rows = Rows::of(batch)?;
    let mut found = Vec::new();
    // Rows of one series are often neighbours.
    let mut last: Option<(Labels, bool)> = None;
    for row in 0..batch.num_rows() {
        let labels = Labels::from_pairs(pairs(rows.series_labels, row)?);
        let is_wanted = match &last {
            Some((before, is_wanted)) if *before == labels => *is_wanted,
            _ => wanted(&labels),
        };
        if is_wanted {
            found.push(SeriesExemplar { labels: labels.clone(), exemplar: rows.exemplar(row)? });
        }
        last = Some((labels, is_wanted));
    }
    Ok(found)
}

/// The columns of a batch.
struct Rows<'a> {
    times: &'a Int64Array,
    values: &'a Float64Array,
    trace_ids: &'a StringArray,
    span_ids: &'a StringArray,
    series_labels: &'a MapArray,
    others: &'a MapArray,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| unreadable(format!("column {name} is missing")))
        };
        let other = |name: &str| unreadable(format!("column {name} is of another type"));
        let text = |name: &str| column(name)?.as_string_opt::<i32>().ok_or_else(|| other(name));
        let map = |name: &str| column(name)?.as_map_opt().ok_or_else(|| other(name));
        Ok(Self {
            times: column("time_unix_nano")?.as_primitive_opt().ok_or_else(|| other("time_unix_nano"))?,
            values: column("value")?.as_primitive_opt().ok_or_else(|| other("value"))?,
            trace_ids: text(TRACE_ID)?,
            span_ids: text(SPAN_ID)?,
            series_labels: map("series_labels")?,
            others: map("filtered_attributes")?,
        })
    }

    fn exemplar(&self, row: usize) -> Result<Exemplar> {
        let mut all = pairs(self.others, row)?;
        for (name, ids) in [(TRACE_ID, self.trace_ids), (SPAN_ID, self.span_ids)] {
            if !ids.is_null(row) {
                all.push((name, ids.value(row)));
            }
        }
        Ok(Exemplar {
            labels: Labels::from_pairs(all),
            value: self.values.value(row),
            t_ms: self.times.value(row).div_euclid(NANOS_PER_MS),
        })
    }
}

/// The entries of one row of a map.
fn pairs(map: &MapArray, row: usize) -> Result<Vec<(&str, &str)>> {
    let text = |array: &'_ ArrayRef| -> Result<()> {
        array.as_string_opt::<i32>().map(drop).ok_or_else(|| unreadable("a map is not one of texts"))
    };
    text(map.keys())?;
    text(map.values())?;
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let offsets = map.value_offsets();
    let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);
    let entries = (at(row)..at(row + 1)).filter(|i| !values.is_null(*i));
    Ok(entries.map(|i| (keys.value(i), values.value(i))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_back_what_went_in() {
        let hex = "0123456789abcdef0123456789abcdef";
        let exemplar = |pairs: &[(&str, &str)], t_ms, value| SeriesExemplar {
            labels: Labels::from_pairs([("__name__", "m"), ("le", "0.5")]),
            exemplar: Exemplar { labels: Labels::from_pairs(pairs.iter().copied()), value, t_ms },
        };
        let all = [
            exemplar(&[("trace_id", hex), ("span_id", &hex[..16])], 0, 0.5),
            exemplar(&[("trace_id", "ABC"), ("span_id", hex), ("ü.x", "y")], 1_700_000_000_123, -1.0),
            exemplar(&[], 9_000_000_000_000, f64::INFINITY),
        ];
        let batch = encode(&all).unwrap();
        assert_eq!(batch.column_by_name("trace_id").unwrap().null_count(), 2);
        assert_eq!(batch.column_by_name("span_id").unwrap().null_count(), 2);
        let indices: Vec<usize> = COLUMNS.iter().map(|c| batch.schema_ref().index_of(c).unwrap()).collect();
        let read = batch.project(&indices).unwrap();
        assert_eq!(decode(&read, |_| true).unwrap(), all);
        assert_eq!(decode(&read, |_| false).unwrap(), []);
        assert!(can_hold(9_223_372_036_854) && !can_hold(9_223_372_036_855) && !can_hold(-1));
    }
}
