//! What of a segment is to go: looked at once for each segment, and again only when another rule or deletion reaches it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch};
use base::{Labels, Result, TimeRange};
use futures::StreamExt;
use lake::{RowPredicate, Scan, Segment, Table};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::chunk::sealed;
use crate::hidden::Visibility;
use crate::retention::Retention;
use crate::store::millis;
use crate::table::{COUNT, LABELS, T_MAX, T_MIN, TIMESTAMPS, column};
use crate::tombstones::Tombstone;

/// What an inspection found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Rows of which nothing is left to see.
    pub(crate) due_rows: u64,
    /// The tombstones that have samples in the segment.
    pub(crate) tombstones: FxHashSet<String>,
}

/// What was found in the active segments, by path.
#[derive(Default)]
pub(crate) struct Inspections {
    found: Mutex<HashMap<String, (Reach, Arc<Found>)>>,
}

/// Which rules and deletions reach a segment: as long as this stays, so does what there is to find.
#[derive(Debug, Clone, PartialEq)]
struct Reach {
    retention: Arc<Retention>,
    tombstones: Vec<String>,
    /// The entries of the retention whose age all of the segment has, and at the end whether it has the age of the others.
    rules: Vec<bool>,
}

impl Reach {
    fn of(segment: &Segment, tombstones: &[Arc<Tombstone>], retention: &Arc<Retention>, now_ms: i64) -> Self {
        let reaching = tombstones.iter().filter(|t| t.range().overlaps(segment.time()));
        let ages = retention.by_matcher.iter().map(|(_, age)| *age).chain([retention.age]);
        let past = |age| segment.time().end_ms < now_ms.saturating_sub(millis(age));
        Self {
            retention: retention.clone(),
            tombstones: reaching.map(|t| t.name().to_owned()).collect(),
            rules: ages.map(past).collect(),
        }
    }

    fn is_nothing(&self) -> bool {
        let by_rule = !self.retention.by_matcher.is_empty() && self.rules.contains(&true);
        self.tombstones.is_empty() && !by_rule
    }
}

impl Inspections {
    /// What there is to go of a segment.
    pub(crate) async fn of(
        &self,
        table: &Table,
        segment: &Segment,
        tombstones: &[Arc<Tombstone>],
        retention: &Arc<Retention>,
        now_ms: i64,
    ) -> Result<Arc<Found>> {
        let reach = Reach::of(segment, tombstones, retention, now_ms);
        if reach.is_nothing() {
            return Ok(Arc::default());
        }
        if let Some((before, found)) = self.found.lock().get(segment.path())
            && *before == reach
        {
            return Ok(found.clone());
        }
        let reaching: Vec<Arc<Tombstone>> =
            tombstones.iter().filter(|t| t.range().overlaps(segment.time())).cloned().collect();
        let visibility = Visibility::new(&reaching, retention, now_ms);
        let found = Arc::new(look_at(table, segment, &reaching, visibility).await?);
        self.found.lock().insert(segment.path().to_owned(), (reach, found.clone()));
        Ok(found)
    }

    /// Forgets segments that are not active any more.
    pub(crate) fn retain(&self, segments: &[Arc<Segment>]) {
        let active: FxHashSet<&str> = segments.iter().map(|s| s.path()).collect();
        self.found.lock().retain(|path, _| active.contains(path.as_str()));
    }
}

async fn look_at(
    table: &Table,
    segment: &Segment,
    tombstones: &[Arc<Tombstone>],
    visibility: Visibility,
) -> Result<Found> {
    let visibility = Arc::new(visibility);
    let scan = Scan {
        predicate: Some((vec![LABELS, T_MIN, T_MAX], touched_rows(visibility.clone()))),
        ..Scan::range(vec![LABELS, T_MIN, T_MAX, COUNT, TIMESTAMPS], TimeRange::ALL)
    };
    let mut batches = table.scan(segment, &scan).await?;
    let mut found = Found::default();
    let mut timestamps = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let labels: &BinaryArray = column(&batch, LABELS)?;
        let (t_min, t_max): (&Int64Array, &Int64Array) = (column(&batch, T_MIN)?, column(&batch, T_MAX)?);
        let counts: &Int32Array = column(&batch, COUNT)?;
        let encoded: &BinaryArray = column(&batch, TIMESTAMPS)?;
        for row in 0..batch.num_rows() {
            let of_series = Labels::from_packed(labels.value(row))?;
            let time = TimeRange::new(t_min.value(row), t_max.value(row));
            if visibility.of(&of_series).covers(time) {
                found.due_rows += 1;
            }
            let open = tombstones.iter().filter(|t| {
                t.range().overlaps(time) && !found.tombstones.contains(t.name()) && t.concerns(&of_series)
            });
            let open: Vec<&Arc<Tombstone>> = open.collect();
            if open.is_empty() {
                continue;
            }
            timestamps.clear();
            let count = usize::try_from(counts.value(row)).unwrap_or(0);
            sealed::decode_timestamps(encoded.value(row), count, &mut timestamps)?;
            let has = |t: &&Arc<Tombstone>| timestamps.iter().any(|ms| t.range().contains(*ms));
            found.tombstones.extend(open.into_iter().filter(has).map(|t| t.name().to_owned()));
        }
    }
    Ok(found)
}

/// The rows of which something is hidden.
fn touched_rows(visibility: Arc<Visibility>) -> RowPredicate {
    Arc::new(move |batch: &RecordBatch| {
        let labels: &BinaryArray = column(batch, LABELS)?;
        let (t_min, t_max): (&Int64Array, &Int64Array) = (column(batch, T_MIN)?, column(batch, T_MAX)?);
        let mut last: Option<(&[u8], crate::hidden::Hidden)> = None;
        let mut touched = Vec::with_capacity(labels.len());
        for row in 0..labels.len() {
            let packed = labels.value(row);
            let hidden = match last.take() {
                Some((same, hidden)) if same == packed => hidden,
                _ => visibility.of(&Labels::from_packed(packed)?),
            };
            touched.push(hidden.meets(TimeRange::new(t_min.value(row), t_max.value(row))));
            last = Some((packed, hidden));
        }
        Ok(BooleanArray::from(touched))
    })
}
