//! Copying a table of rows into a snapshot: its segments, and what is in memory as segments of the copy's own.

use base::Result;

use super::RowStore;

impl RowStore {
    /// Copies everything into `snapshots/<name>`, which can be opened as a lake; `skip_head` leaves out what is not sealed.
    pub async fn copy_to(&self, name: &str, skip_head: bool) -> Result<()> {
        // Nothing moves from memory to segments meanwhile.
        let _one = self.maintenance.lock().await;
        // A seal whose answer was lost left rows in memory that segments have as well.
        self.install(self.table.refresh().await?);
        let target = self.lake.snapshot_table(self.table.spec().clone(), name).await?;
        let parts = match skip_head {
            true => Vec::new(),
            false => self.state.read().head.all(),
        };
        let mut segments = Vec::new();
        for (epoch, part) in parts {
            segments.extend(self.write_segments(&target, epoch, part).await?);
        }
        self.table.copy_to(&target, &segments).await.map(drop)
    }
}
