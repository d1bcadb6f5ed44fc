//! The tables of metrics in a lake that nobody serves: which there are, and what they hold.
//!
//! Owns what an operator's commands need to know of chunks. Opens no store and replays no log.

mod compact;
pub mod invariants;
mod log;
mod rules;
mod series;

use arrow::array::Int32Array;
use base::{ErrorKind, Result, TimeRange};
use futures::TryStreamExt;
use lake::{Findings, Scan, Segment, Table, TableSpec};

pub use compact::MergeChunks;
pub use log::examine_log;
pub use rules::rules;

use crate::rollup::{self, Resolution};
use crate::table::{self, COUNT, METRICS_TABLE, column};
use crate::tombstones::Tombstones;

/// The tables that this crate writes.
pub fn specs() -> Vec<TableSpec> {
    std::iter::once(table::spec()).chain(Resolution::ALL.map(rollup::spec)).collect()
}

/// Looks at the tombstones beside a table, if it may have some.
pub async fn examine_tombstones(table: &Table) -> Result<Findings> {
    let mut found = Findings::default();
    if table.spec().name != METRICS_TABLE {
        return Ok(found);
    }
    match Tombstones::open(table, "").await {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::Corrupt => {
            found.add(&invariants::TOMBSTONE, || e.message().to_owned());
        }
        Err(e) => return Err(e),
    }
    Ok(found)
}

/// How many samples a segment has; `None` if its table holds something else.
pub async fn samples(table: &Table, segment: &Segment) -> Result<Option<u64>> {
    if table.spec().name != METRICS_TABLE {
        return Ok(None);
    }
    let mut batches = table.scan(segment, &Scan::range(vec![COUNT], TimeRange::ALL)).await?;
    let mut samples = 0;
    while let Some(batch) = batches.try_next().await? {
        let counts: &Int32Array = column(&batch, COUNT)?;
        samples += counts.iter().flatten().map(|count| u64::try_from(count).unwrap_or(0)).sum::<u64>();
    }
    Ok(Some(samples))
}
