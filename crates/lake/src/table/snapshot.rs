//! Copies of a table under another prefix of its store: hard links on a local disk, copies within the store elsewhere.

use std::collections::HashMap;

use base::{Error, Result};
use deltalake_core::kernel::{Action, Add, LogicalFileView};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::segment::checksum_tags;
use super::{NewSegment, PARTITIONS, Segment, Table, TableView};
use crate::limits::{COMMIT_RETRIES, SNAPSHOT_COPIES};

impl Table {
    /// Makes a new table `target` of the same lake a copy of this one, with `more` segments that were written to the copy. The copy
    /// has nothing before all of its files are there: it gets them in one commit.
    pub async fn copy_to(&self, target: &Self, more: &[NewSegment]) -> Result<TableView> {
        // The view is kept until the end, so that none of its files is vacuumed by this process.
        let (adds, _held) = {
            let mut delta = self.delta.lock().await;
            let view = self.reload(&mut delta).await?;
            let snapshot = delta.snapshot().map_err(|e| self.error("copy", &e))?;
            let now_ms = target.clock.now_ms();
            let segments: HashMap<&str, &Segment> =
                view.segments.iter().map(|s| (s.path(), s.as_ref())).collect();
            let add = |file: LogicalFileView| {
                let path = file.object_store_path();
                let segment = segments.get(path.as_ref());
                let partition = segment.map(|s| [s.tenant(), s.date()]);
                Add {
                    path: path.to_string(),
                    size: file.size(),
                    modification_time: now_ms,
                    data_change: true,
                    stats: file.stats(),
                    partition_values: PARTITIONS
                        .iter()
                        .zip(partition.unwrap_or_default())
                        .map(|(name, value)| ((*name).to_owned(), Some(value.to_owned())))
                        .collect(),
                    tags: segment.and_then(|s| s.crc()).map(checksum_tags),
                    ..Add::default()
                }
            };
            let adds: Vec<Add> = snapshot.log_data().into_iter().map(add).collect();
            (adds, view)
        };
        let copy = |file: String| async move {
            let (from, to) = (Path::from(self.full_path(&file)), Path::from(target.full_path(&file)));
            self.root.copy(&from, &to).await.map_err(|e| {
                Error::unavailable(format!("cannot copy {file} of table {}: {e}", self.spec.name))
            })
        };
        let files: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
        stream::iter(files).map(copy).buffer_unordered(SNAPSHOT_COPIES).try_collect::<()>().await?;
        let now_ms = target.clock.now_ms();
        let mut actions: Vec<Action> = adds.into_iter().map(Action::Add).collect();
        actions.extend(more.iter().map(|s| Action::Add(s.add(now_ms, true))));
        let mut delta = target.delta.lock().await;
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(PARTITIONS.map(str::to_owned).to_vec()),
            predicate: None,
        };
        target.commit(&mut delta, actions, Vec::new(), operation, COMMIT_RETRIES).await
    }

    /// A path within the table as one within the store that the lake lies in.
    fn full_path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }
}
