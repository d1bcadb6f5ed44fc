//! What keeps the store in order: sealing complete windows, retention, and deleting what nobody needs.

use base::Result;

use crate::store::MetricStore;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Windows sealed.
    pub sealed: usize,
    /// Segments removed because of their age.
    pub expired: usize,
    /// Files deleted.
    pub vacuumed: usize,
}

impl MetricStore {
    /// Seals windows half a block after their end, removes segments older than retention and deletes their files. To be
    /// called every minute or so. What fails is tried again by the next call.
    pub async fn maintain(&self) -> Result<Maintenance> {
        let _one = self.maintenance.lock().await;
        let mut done = Maintenance::default();
        let now_ms = self.clock.now_ms();
        // A seal that fails, on a full disk say, must not keep retention from making room.
        let sealed = self.seal_complete(now_ms, &mut done).await;
        let expired = self.expire(now_ms, &mut done).await;
        // Whatever the log of the table has been found to say, also if its answer to a commit was lost.
        self.install(self.table.view());
        self.update_gauges();
        sealed.and(expired).map(|()| done)
    }

    async fn seal_complete(&self, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        let windows = self.state.read().head.windows();
        // Half a block is the time that samples may be late, as in Prometheus.
        for end_ms in windows.into_iter().filter(|end| end.saturating_add(self.block_ms / 2) <= now_ms) {
            self.seal(end_ms).await?;
            done.sealed += 1;
        }
        Ok(())
    }

    async fn expire(&self, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        let oldest_ms = self.options.retention.oldest_ms(now_ms);
        let view = self.table.view();
        let expired: Vec<String> = view
            .segments
            .iter()
            .filter(|s| s.tenant() == self.options.tenant && s.time().end_ms < oldest_ms)
            .map(|s| s.path().to_owned())
            .collect();
        // Its segments would count as held by a reader.
        drop(view);
        if !expired.is_empty() {
            self.install(self.table.remove(&expired).await?);
            self.metrics.time_retentions.inc();
            done.expired = expired.len();
        }
        done.vacuumed = self.table.vacuum().await?;
        Ok(())
    }
}
