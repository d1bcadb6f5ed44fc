//! Sums over segments, as the Delta log and the files' footers tell them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Result, TimeRange};

use crate::table::{ColumnSize, Segment, Table};

/// What a partition has, or several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Segments.
    pub segments: u64,
    /// Rows, as far as the log tells.
    pub rows: u64,
    /// Bytes of the files.
    pub size_bytes: u64,
    /// First and last millisecond; `None` without segments, or if the log does not tell of one of them.
    pub time: Option<TimeRange>,
}

impl Summary {
    /// Of some segments.
    pub fn of<'a>(segments: impl IntoIterator<Item = &'a Arc<Segment>>) -> Self {
        let mut summary = Self::default();
        for segment in segments {
            let time = match summary.time {
                Some(time) => TimeRange::new(
                    time.start_ms.min(segment.time().start_ms),
                    time.end_ms.max(segment.time().end_ms),
                ),
                None => segment.time(),
            };
            summary.time = Some(time);
            summary.segments += 1;
            summary.rows += segment.rows();
            summary.size_bytes += segment.size_bytes();
        }
        // The log's way to say nothing of a time.
        summary.time = summary.time.filter(|t| t.start_ms > i64::MIN && t.end_ms < i64::MAX);
        summary
    }
}

/// The partitions that segments lie in, by tenant and date, in order.
pub fn partitions(segments: &[Arc<Segment>]) -> BTreeMap<(String, String), Vec<Arc<Segment>>> {
    let mut partitions: BTreeMap<(String, String), Vec<Arc<Segment>>> = BTreeMap::new();
    for segment in segments {
        let key = (segment.tenant().to_owned(), segment.date().to_owned());
        partitions.entry(key).or_default().push(segment.clone());
    }
    partitions
}

/// What each column of segments takes together.
pub async fn column_sizes(table: &Table, segments: &[Arc<Segment>]) -> Result<Vec<ColumnSize>> {
    let mut all: Vec<ColumnSize> = Vec::new();
    for segment in segments {
        for column in table.column_sizes(segment).await? {
            match all.iter_mut().find(|c| c.name == column.name) {
                Some(sum) => {
                    sum.stored_bytes += column.stored_bytes;
                    sum.plain_bytes += column.plain_bytes;
                }
                None => all.push(column),
            }
        }
    }
    Ok(all)
}
