//! The head as the log's client: admits rows, logs them, and shows them once they are durable.

use std::sync::Arc;

use base::{Clock, Error, Result};
use parking_lot::RwLock;

use super::check::Rows;
use super::metrics::RowMetrics;
use super::{RowOptions, State, record};
use crate::wal::{Group, WalClient};

/// Rows on their way through the log.
pub(super) struct Append {
    rows: Rows,
    payload: Vec<u8>,
    /// The epoch that they are logged in, or why they are not.
    admitted: Result<i64>,
}

impl Append {
    pub(super) fn new(rows: Rows) -> Result<Self> {
        let payload = record::encode(&rows.tenant, &rows.batch)?;
        Ok(Self {
            rows,
            payload,
            admitted: Err(Error::internal("cannot append rows: the log has not seen them")),
        })
    }

    /// Bytes while it waits.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes + self.payload.len()
    }
}

pub(super) struct RowLog {
    pub(super) state: Arc<RwLock<State>>,
    pub(super) metrics: Arc<RowMetrics>,
    pub(super) options: RowOptions,
    pub(super) clock: Arc<dyn Clock>,
    /// Told when there are enough rows to seal.
    pub(super) large: Arc<tokio::sync::Notify>,
}

impl WalClient for RowLog {
    type Item = Append;
    type Outcome = Result<()>;

    fn encode(&mut self, item: &mut Append, group: &mut Group) {
        item.admitted = self.state.write().head.admit(&item.rows, self.options.head_bytes);
        let payload = std::mem::take(&mut item.payload);
        if let Ok(epoch) = &item.admitted {
            group.frame(*epoch, |out| out.extend_from_slice(&payload));
        }
    }

    fn apply(&mut self, item: Append) -> Result<()> {
        let epoch = item.admitted?;
        let rows = item.rows.batch.num_rows() as u64;
        let mut state = self.state.write();
        let before = state.head.bytes();
        state.head.push(epoch, item.rows, self.clock.now_ms());
        let after = state.head.bytes();
        drop(state);
        self.metrics.appended.inc_by(rows);
        if (before..after).contains(&self.options.seal_bytes.saturating_sub(1)) {
            self.large.notify_one();
        }
        Ok(())
    }

    fn abandon(&mut self, items: &mut [Append]) {
        let mut state = self.state.write();
        for item in items.iter().filter(|i| i.admitted.is_ok()) {
            state.head.withdraw(&item.rows);
        }
    }
}
