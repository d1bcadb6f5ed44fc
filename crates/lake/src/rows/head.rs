//! Rows in memory, by the epoch of the log that has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use base::{Error, Result, TimeRange};

use super::check::Rows;
use crate::limits::{HEAD_BATCH_BYTES, HEAD_BATCH_ROWS, HEAD_PARTITIONS};

/// Rows of tenants, in the order in which they came.
pub(super) type ByTenant = Vec<(Arc<str>, Vec<RecordBatch>)>;

/// The rows that are not sealed.
#[derive(Debug)]
pub(super) struct Head {
    parts: BTreeMap<i64, Part>,
    /// The epoch that new rows go to.
    open: i64,
    /// Bytes of rows that are being logged.
    reserved: usize,
}

/// The rows of one epoch.
#[derive(Debug, Default)]
struct Part {
    tenants: BTreeMap<Arc<str>, Vec<Batch>>,
    partitions: BTreeSet<(Arc<str>, i32)>,
    rows: u64,
    bytes: usize,
    /// When the first of them came.
    since_ms: Option<i64>,
}

#[derive(Debug)]
struct Batch {
    batch: RecordBatch,
    time: TimeRange,
    bytes: usize,
}

impl Head {
    /// Without rows; epochs up to `sealed_until` are taken.
    pub(super) fn new(sealed_until: i64) -> Self {
        Self { parts: BTreeMap::new(), open: sealed_until.max(0) + 1, reserved: 0 }
    }

    /// Takes note of rows that are about to be logged. Returns the epoch to log them in.
    pub(super) fn admit(&mut self, rows: &Rows, limit_bytes: usize) -> Result<i64> {
        if self.reserved + self.bytes() + rows.bytes > limit_bytes {
            return Err(Error::unavailable(format!(
                "cannot append {} bytes of rows: {} wait to be sealed (limit head_bytes is {limit_bytes})",
                rows.bytes,
                self.reserved + self.bytes(),
            )));
        }
        let known =
            |key: &(Arc<str>, i32)| self.parts.get(&self.open).is_some_and(|p| p.partitions.contains(key));
        let new: Vec<_> =
            rows.dates.iter().map(|d| (rows.tenant.clone(), *d)).filter(|k| !known(k)).collect();
        let have: usize = self.parts.values().map(|p| p.partitions.len()).sum();
        if !new.is_empty() && have + new.len() > HEAD_PARTITIONS {
            return Err(Error::unavailable(format!(
                "cannot append rows of {} more dates: {have} tenants and dates wait to be sealed (limit head_partitions is {HEAD_PARTITIONS})",
                new.len(),
            )));
        }
        if !new.is_empty() {
            self.parts.entry(self.open).or_default().partitions.extend(new);
        }
        self.reserved += rows.bytes;
        Ok(self.open)
    }

    /// Takes back what was admitted: it could not be logged.
    pub(super) fn withdraw(&mut self, rows: &Rows) {
        self.reserved -= rows.bytes;
    }

    /// Shows rows that were admitted and are durable now.
    pub(super) fn push(&mut self, epoch: i64, rows: Rows, now_ms: i64) {
        self.reserved -= rows.bytes;
        self.parts.entry(epoch).or_default().push(rows, now_ms);
    }

    /// Shows rows that the log has.
    pub(super) fn replay(&mut self, epoch: i64, rows: Rows, now_ms: i64) {
        self.open = self.open.max(epoch.saturating_add(1));
        let part = self.parts.entry(epoch).or_default();
        part.partitions.extend(rows.dates.iter().map(|d| (rows.tenant.clone(), *d)));
        part.push(rows, now_ms);
    }

    /// Epochs that get no more rows, in order.
    pub(super) fn closed(&self) -> Vec<i64> {
        self.parts.range(..self.open).map(|(epoch, _)| *epoch).collect()
    }

    /// Closes the open epoch if it has rows, or may get some that are being logged.
    pub(super) fn close(&mut self) -> Option<i64> {
        let epoch = self.open;
        if self.reserved == 0 && self.parts.get(&epoch).is_none_or(|p| p.rows == 0) {
            return None;
        }
        self.open += 1;
        Some(epoch)
    }

    /// The rows of an epoch by tenant, in the order in which they came.
    pub(super) fn part(&self, epoch: i64) -> ByTenant {
        let Some(part) = self.parts.get(&epoch) else { return Vec::new() };
        let batches = |list: &Vec<Batch>| list.iter().map(|b| b.batch.clone()).collect();
        part.tenants.iter().map(|(tenant, list)| (tenant.clone(), batches(list))).collect()
    }

    /// The rows of all epochs, likewise.
    pub(super) fn all(&self) -> Vec<(i64, ByTenant)> {
        self.parts.keys().map(|epoch| (*epoch, self.part(*epoch))).collect()
    }

    /// Drops the rows of epochs that are sealed. One that is open stays open.
    pub(super) fn drop_until(&mut self, sealed_until: i64) {
        self.parts.retain(|epoch, _| *epoch > sealed_until);
        self.open = self.open.max(sealed_until.saturating_add(1));
    }

    /// Batches of a tenant that may have rows of a range.
    pub(super) fn select(&self, tenant: &str, range: TimeRange) -> Vec<(RecordBatch, TimeRange)> {
        let lists = self.parts.values().filter_map(|p| p.tenants.get(tenant));
        let wanted = lists.flatten().filter(|b| b.time.overlaps(range));
        wanted.map(|b| (b.batch.clone(), b.time)).collect()
    }

    /// Whether there are so many rows, or so old ones, that they should be sealed.
    pub(super) fn is_due(&self, now_ms: i64, seal_bytes: usize, seal_age: Duration) -> bool {
        let age_ms = i64::try_from(seal_age.as_millis()).unwrap_or(i64::MAX);
        let old = |p: &Part| p.since_ms.is_some_and(|t| now_ms.saturating_sub(t) >= age_ms);
        let partitions: usize = self.parts.values().map(|p| p.partitions.len()).sum();
        self.bytes() >= seal_bytes || partitions >= HEAD_PARTITIONS / 2 || self.parts.values().any(old)
    }

    /// Rows.
    pub(super) fn rows(&self) -> u64 {
        self.parts.values().map(|p| p.rows).sum()
    }

    /// Bytes of the rows.
    pub(super) fn bytes(&self) -> usize {
        self.parts.values().map(|p| p.bytes).sum()
    }

    /// First and last millisecond of the rows.
    pub(super) fn time(&self) -> Option<TimeRange> {
        let times = self.parts.values().flat_map(|p| p.tenants.values().flatten()).map(|b| b.time);
        times.reduce(join)
    }
}

impl Part {
    fn push(&mut self, rows: Rows, now_ms: i64) {
        self.since_ms.get_or_insert(now_ms);
        self.rows += rows.batch.num_rows() as u64;
        self.bytes += rows.bytes;
        let list = self.tenants.entry(rows.tenant).or_default();
        list.push(Batch { batch: rows.batch, time: rows.time, bytes: rows.bytes });
        // Neighbours of like size are put together, so that a row is copied a few times at most and the list stays short.
        while let [.., a, b] = list.as_slice()
            && a.batch.num_rows() <= 2 * b.batch.num_rows()
            && a.batch.num_rows() + b.batch.num_rows() <= HEAD_BATCH_ROWS
            && a.bytes + b.bytes <= HEAD_BATCH_BYTES
        {
            let Ok(batch) = concat_batches(a.batch.schema_ref(), [&a.batch, &b.batch]) else { break };
            let both = Batch { batch, time: join(a.time, b.time), bytes: a.bytes + b.bytes };
            list.truncate(list.len() - 2);
            list.push(both);
        }
    }
}

fn join(a: TimeRange, b: TimeRange) -> TimeRange {
    TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms))
}
