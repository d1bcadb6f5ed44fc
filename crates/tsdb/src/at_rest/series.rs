//! Whether rows of any table of this crate are of the series that they say, and in order.

use std::cmp::Ordering;

use arrow::array::{BinaryArray, Int64Array, RecordBatch, StringArray};
use base::{Labels, Result};
use lake::Findings;
use lake::inspect::invariants::SEGMENT_SORTED;

use super::invariants::CHUNK_SERIES;
use crate::table::{LABELS, METRIC, SERIES_ID, T_MIN, column};

/// The columns that every table begins with.
pub(super) struct SeriesColumns<'a> {
    metric: &'a StringArray,
    labels: &'a BinaryArray,
    series_id: &'a Int64Array,
    t_min: &'a Int64Array,
}

impl<'a> SeriesColumns<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            metric: column(batch, METRIC)?,
            labels: column(batch, LABELS)?,
            series_id: column(batch, SERIES_ID)?,
            t_min: column(batch, T_MIN)?,
        })
    }
}

/// Looks at the series of rows, one after the other.
#[derive(Default)]
pub(super) struct SeriesOrder {
    last: Option<Last>,
}

/// The row before.
struct Last {
    metric: String,
    labels: Vec<u8>,
    series_id: i64,
    t_min: i64,
}

impl SeriesOrder {
    /// Looks at a row of a batch, the one of this number in the segment. Returns whether its series is that of the row before.
    pub(super) fn check(
        &mut self,
        number: u64,
        columns: &SeriesColumns<'_>,
        row: usize,
        found: &mut Findings,
    ) -> bool {
        let (metric, packed) = (columns.metric.value(row), columns.labels.value(row));
        let (series_id, t_min) = (columns.series_id.value(row), columns.t_min.value(row));
        let order = |last: &Last| {
            last.metric.as_str().cmp(metric).then_with(|| base::cmp_packed(&last.labels, packed))
        };
        match (self.last.as_ref().map(order), &mut self.last) {
            (Some(Ordering::Equal), Some(last)) => {
                if last.t_min > t_min {
                    found.add(&SEGMENT_SORTED, || format!("row {number} begins before the one ahead of it"));
                }
                if last.series_id != series_id {
                    found.add(&CHUNK_SERIES, || {
                        format!("row {number} has another id than the one ahead of it")
                    });
                }
                last.t_min = t_min;
                return true;
            }
            (Some(Ordering::Greater), _) => {
                found.add(&SEGMENT_SORTED, || format!("row {number} belongs before the one ahead of it"));
            }
            _ => {}
        }
        match Labels::from_packed(packed) {
            Ok(labels) if labels.metric() != metric => {
                found.add(&CHUNK_SERIES, || format!("row {number} says metric {metric:?} and has {labels}"));
            }
            Ok(labels) if labels.stable_hash() as i64 != series_id => {
                found.add(&CHUNK_SERIES, || {
                    format!("row {number} has id {series_id}, which is not that of {labels}")
                });
            }
            Ok(_) => {}
            Err(e) => found.add(&CHUNK_SERIES, || format!("row {number}: {}", e.message())),
        }
        self.last = Some(Last { metric: metric.to_owned(), labels: packed.to_vec(), series_id, t_min });
        false
    }
}
