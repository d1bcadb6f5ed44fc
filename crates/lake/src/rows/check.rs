//! What may be appended: rows of the table's columns, with times that have a date, within bounds.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{max, min};
use base::{Error, Result, TimeRange};

use crate::calendar::DATED_MS;
use crate::limits::{APPEND_BYTES, TENANT_BYTES};
use crate::table::{TableSpec, batch_bytes, is_tenant, times};

/// Rows of one tenant that fit the table.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) tenant: Arc<str>,
    pub(super) batch: RecordBatch,
    /// From the first beginning to the last end.
    pub(super) time: TimeRange,
    pub(super) bytes: usize,
    /// The dates under which they will be filed, in days since 1970.
    pub(super) dates: Vec<i32>,
}

impl Rows {
    /// Takes rows that may be appended.
    pub(super) fn check(spec: &TableSpec, tenant: &str, batch: &RecordBatch) -> Result<Self> {
        let refuse = |why: String| Error::invalid(format!("cannot append to table {}: {why}", spec.name));
        if tenant.len() > TENANT_BYTES || !is_tenant(tenant) {
            let start: String = tenant.chars().take(TENANT_BYTES).collect();
            return Err(refuse(format!(
                "tenant {start:?} has other characters than letters, digits, '_' and '-', or more than {TENANT_BYTES} of them (limit tenant_bytes)"
            )));
        }
        let bytes = batch_bytes(batch);
        if bytes > APPEND_BYTES {
            return Err(Error::limit(format!(
                "cannot append to table {}: the rows have {bytes} bytes (limit append_bytes is {APPEND_BYTES})",
                spec.name
            )));
        }
        let (want, have) = (spec.schema.fields(), batch.schema_ref().fields());
        if want.len() != have.len() {
            return Err(refuse(format!(
                "the rows have {} columns, the table has {}",
                have.len(),
                want.len()
            )));
        }
        for (want, have) in want.iter().zip(have) {
            if want.name() != have.name() || want.data_type() != have.data_type() {
                let [want, have] = [want, have].map(|f| format!("{:?} of type {}", f.name(), f.data_type()));
                return Err(refuse(format!("the rows have column {have} where the table has {want}")));
            }
        }
        // Checks that there are nulls only where there may be.
        let batch = RecordBatch::try_new(spec.schema.clone(), batch.columns().to_vec())
            .map_err(|e| refuse(e.to_string()))?;
        let mut dates = BTreeSet::new();
        let first = times(&batch, spec.time.first)?;
        for t_ms in first.values().iter().map(|t| spec.time.to_ms(*t)) {
            if !(0..DATED_MS.end).contains(&t_ms) {
                return Err(refuse(format!("a row's {} is not within 1970 to 9999", spec.time.first)));
            }
            dates.insert(day_of(t_ms));
        }
        let last = times(&batch, spec.time.last)?;
        let begins = min(&first).unwrap_or(i64::MAX);
        let ends = max(&first).max(max(&last)).unwrap_or(i64::MIN);
        Ok(Self {
            tenant: tenant.into(),
            time: TimeRange::new(spec.time.to_ms(begins), spec.time.to_ms(ends)),
            batch,
            bytes,
            dates: dates.into_iter().collect(),
        })
    }
}

/// The UTC date of a time of a row, in days since 1970.
pub(super) fn day_of(t_ms: i64) -> i32 {
    i32::try_from(t_ms.div_euclid(86_400_000)).expect("times within 1970 to 9999 were checked")
}
