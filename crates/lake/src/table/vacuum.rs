//! Deleting the files of segments that are no part of the table: those removed, and uploads that never were committed.

use base::{Error, Result};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::Table;
use crate::filenames;

impl Table {
    /// Deletes files that this writer made for epochs it has sealed or by merging, that the log does not name, and that nobody
    /// of this process reads or writes. Returns how many. Files of other writers stay: only they know whether these are being committed.
    pub async fn vacuum(&self) -> Result<usize> {
        // With the log locked no commit can begin to name a file that is about to go.
        let mut delta = self.delta.lock().await;
        let view = self.reload(&mut delta).await?;
        let fail = |e: object_store::Error| {
            Error::unavailable(format!("cannot vacuum table {}: {e}", self.spec.name))
        };
        let files: Vec<ObjectMeta> = self.store.list(None).try_collect().await.map_err(fail)?;
        let mut deleted = 0;
        for file in files {
            let path = file.location.as_ref();
            let ours = filenames::parse_segment(path).filter(|name| name.writer_id == self.writer_id);
            // What was merged has no epoch to wait for: it is pending, in the log, or of no use.
            let decided = ours.is_some_and(|name| name.level > 0 || name.epoch <= view.sealed_until);
            let active = view.segments.iter().any(|s| s.path() == path);
            if !decided || active || self.pending.contains(path) || self.is_held(path) {
                continue;
            }
            self.store.delete(&file.location).await.map_err(fail)?;
            self.retired.lock().remove(path);
            deleted += 1;
        }
        Ok(deleted)
    }

    fn is_held(&self, path: &str) -> bool {
        self.retired.lock().get(path).is_some_and(|segment| segment.strong_count() > 0)
    }
}
