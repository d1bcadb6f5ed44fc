//! Snapshots: a consistent copy of all that is stored, in a folder that opens as a store.

use base::Result;

use crate::exemplars::ExemplarStore;
use crate::head;
use crate::store::MetricStore;
use crate::table;

impl MetricStore {
    /// Copies what is stored into `snapshots/<name>` of the data folder or bucket, and returns the name. What is in memory comes as
    /// segments of its own, unless `skip_head` leaves it out. Exemplars come along, where there are any. No samples are seen there
    /// before all of it is.
    pub async fn snapshot(&self, exemplars: Option<&ExemplarStore>, skip_head: bool) -> Result<String> {
        // Nothing moves from the head to segments meanwhile.
        let _one = self.maintenance.lock().await;
        let name = self.lake.snapshot_name();
        if let Some(exemplars) = exemplars {
            Box::pin(exemplars.copy_to(&name, skip_head)).await?;
        }
        let target = self.lake.snapshot_table(table::spec(), &name).await?;
        let head = match skip_head {
            true => Vec::new(),
            false => self.write_segments(&target, head::ALL_EPOCHS).await?,
        };
        self.tombstones.copy_to(&target).await?;
        self.copy_rollups(&name).await?;
        self.table.copy_to(&target, &head).await?;
        Ok(name)
    }
}
