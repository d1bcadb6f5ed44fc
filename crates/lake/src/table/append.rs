//! Adding segments of a source exactly once: each source has its own application transaction in the log.

use base::Result;
use deltalake_core::kernel::{Action, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};

use super::{NewSegment, PARTITIONS, Table, TableView};
use crate::limits::COMMIT_RETRIES;

impl Table {
    /// Which part of a source was committed last; `None` if none was.
    pub async fn appended_until(&self, app_id: &str) -> Result<Option<i64>> {
        let mut delta = self.delta.lock().await;
        self.reload(&mut delta).await?;
        let snapshot = delta.snapshot().map_err(|e| self.error("read the log of", &e))?;
        snapshot
            .transaction_version(delta.log_store().as_ref(), app_id)
            .await
            .map_err(|e| self.error("read the log of", &e))
    }

    /// Adds the segments of a part of a source, exactly once: parts have ascending numbers, and if the log has this one already, which
    /// an earlier attempt cannot always know, nothing changes. After an error the part may be committed;
    /// [`Table::appended_until`] tells.
    pub async fn commit_append(&self, app_id: &str, part: i64, segments: &[NewSegment]) -> Result<TableView> {
        if self.appended_until(app_id).await?.is_some_and(|last| last >= part) {
            return Ok(self.view());
        }
        let now_ms = self.clock.now_ms();
        let adds = segments.iter().map(|s| Action::Add(s.add(now_ms, true))).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(PARTITIONS.map(str::to_owned).to_vec()),
            predicate: None,
        };
        let txn = Transaction::new_with_last_update(app_id, part, Some(now_ms));
        let committed = {
            let mut delta = self.delta.lock().await;
            self.commit(&mut delta, adds, vec![txn], operation, COMMIT_RETRIES).await
        };
        match committed {
            Ok(view) => Ok(view),
            Err(error) => match self.appended_until(app_id).await {
                Ok(Some(last)) if last >= part => Ok(self.view()),
                _ => Err(error.context(format!("cannot commit part {part} of {app_id}"))),
            },
        }
    }
}
