//! Deleting the files of segments that are no part of the table: those removed, and uploads that never were committed.
//!
//! A file goes only when nobody can need it. This process' own files it knows all about; those of other writers, and what other
//! processes may still be reading, go by their age.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base::{Error, Result};
use deltalake_core::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::{NewSegment, Table, TableView};
use crate::filenames;
use crate::limits::{ABANDONED_AFTER, REMOVED_KEPT, SEARCH_EVERY, STAGED_KEPT};
use crate::local_store::Staged;
use crate::remote::explain;

/// A file that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// Its path within the table.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Why nobody needs it.
    pub reason: Reason,
}

/// Why nobody needs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its segment left the table.
    Removed,
    /// This writer uploaded it and then did not commit it.
    NotCommitted,
    /// Some writer uploaded it long ago, and the log does not name it.
    Abandoned,
    /// A process died while it wrote the file, before that had its name.
    Unfinished,
}

/// What decides about a file that the log does not name and this process neither reads nor is about to commit.
struct Facts {
    /// When the log says that it was removed, in milliseconds.
    removed_ms: Option<i64>,
    /// This writer made it, and knows that no commit of it is to come.
    given_up: bool,
    modified_ms: i64,
}

impl Table {
    /// Deletes files that nobody needs; returns how many. A table that other processes share is searched only now and then.
    pub async fn vacuum(&self) -> Result<usize> {
        let now = self.clock.monotonic();
        let recently = self.searched.lock().is_some_and(|last| now.saturating_sub(last) < SEARCH_EVERY);
        if self.shared && recently {
            // What others did to the table is learned all the same.
            self.refresh().await?;
            return Ok(0);
        }
        Ok(self.delete_garbage().await?.len())
    }

    /// Searches for files that nobody needs and deletes them.
    pub async fn delete_garbage(&self) -> Result<Vec<Garbage>> {
        // With the log locked no commit can begin to name a file that is about to go.
        let mut delta = self.delta.lock().await;
        let view = self.reload(&mut delta).await?;
        let now = self.clock.monotonic();
        let garbage = self.find_garbage(&delta, &view).await?;
        for file in &garbage {
            match file.reason {
                Reason::Unfinished => self.delete_staged(&file.path).await?,
                _ => self.delete(&file.path).await?,
            }
        }
        *self.searched.lock() = Some(now);
        Ok(garbage)
    }

    /// What [`Table::vacuum`] would delete if it searched now.
    pub async fn garbage(&self) -> Result<Vec<Garbage>> {
        let mut delta = self.delta.lock().await;
        let view = self.reload(&mut delta).await?;
        self.find_garbage(&delta, &view).await
    }

    /// Segments' files that the log does not name and nobody of this process reads or writes, with their sizes; of all ages.
    pub async fn unreferenced(&self) -> Result<Vec<(String, u64)>> {
        let mut delta = self.delta.lock().await;
        let view = self.reload(&mut delta).await?;
        let active: HashSet<&str> = view.segments.iter().map(|s| s.path()).collect();
        let removed = self.removed(&delta).await?;
        let found = self.files().await?.into_iter().map(|file| (file.location.to_string(), file.size));
        let unknown = found.filter(|(path, _)| {
            !active.contains(path.as_str()) && !removed.contains_key(path) && !self.pending.contains(path)
        });
        Ok(unknown.collect())
    }

    /// Deletes a segment that was uploaded and will not be committed. One that stays goes with a vacuum.
    pub async fn discard(&self, segment: NewSegment) {
        self.metadata.remove(segment.path());
        if let Err(error) = self.delete(segment.path()).await {
            tracing::warn!("{error}; the next vacuum tries again");
        }
    }

    async fn find_garbage(&self, delta: &DeltaTable, view: &TableView) -> Result<Vec<Garbage>> {
        let active: HashSet<&str> = view.segments.iter().map(|s| s.path()).collect();
        let needed = |path: &str| active.contains(path) || self.pending.contains(path) || self.is_held(path);
        let mut files = self.files().await?;
        files.retain(|file| !needed(file.location.as_ref()));
        let mut garbage = self.unfinished(&active).await?;
        if files.is_empty() {
            return Ok(garbage);
        }
        let removed = self.removed(delta).await?;
        let now_ms = self.clock.now_ms();
        for file in files {
            let path = file.location.as_ref();
            let ours = filenames::parse_segment(path).filter(|name| name.writer_id == self.writer_id);
            let facts = Facts {
                removed_ms: removed.get(path).copied(),
                // What was merged has no epoch to wait for: it is pending, in the log, or of no use.
                given_up: ours
                    .is_some_and(|name| self.idle || name.level > 0 || name.epoch <= view.sealed_until),
                modified_ms: file.last_modified.timestamp_millis(),
            };
            if let Some(reason) = decide(&facts, now_ms, self.shared) {
                garbage.push(Garbage { path: path.to_owned(), size_bytes: file.size, reason });
            }
        }
        Ok(garbage)
    }

    /// What a process left that died while it wrote: no listing shows it, and no log names it. A write that goes on changes its file
    /// more often than once in [`STAGED_KEPT`], and while nobody else can use the folder none goes on.
    async fn unfinished(&self, active: &HashSet<&str>) -> Result<Vec<Garbage>> {
        let Some(local) = self.local.clone() else { return Ok(Vec::new()) };
        let folder = self.folder.clone();
        let staged = blocking(move || local.staged(&folder)).await.map_err(|e| self.cannot_delete(&e))?;
        let now_ms = self.clock.now_ms();
        let given_up = |s: &Staged| self.idle || is_past(now_ms, s.modified_ms, STAGED_KEPT);
        let staged = staged.into_iter().filter(|s| given_up(s) && !active.contains(s.path.as_str()));
        let garbage =
            |s: Staged| Garbage { path: s.path, size_bytes: s.size_bytes, reason: Reason::Unfinished };
        Ok(staged.map(garbage).collect())
    }

    async fn delete_staged(&self, path: &str) -> Result<()> {
        let Some(local) = self.local.clone() else { return Ok(()) };
        let (folder, path) = (self.folder.clone(), path.to_owned());
        blocking(move || local.remove_staged(&folder, &path)).await.map_err(|e| self.cannot_delete(&e))
    }

    fn cannot_delete(&self, e: &std::io::Error) -> Error {
        Error::unavailable(format!("cannot vacuum table {}: {e}", self.spec.name))
    }

    /// The files of segments, in or out of the table.
    async fn files(&self) -> Result<Vec<ObjectMeta>> {
        let all: Vec<ObjectMeta> =
            self.store.list(None).try_collect().await.map_err(|e| self.cannot_vacuum(&e))?;
        Ok(all.into_iter().filter(|file| filenames::is_segment(file.location.as_ref())).collect())
    }

    /// When the log says that files were removed. It forgets after a week.
    async fn removed(&self, delta: &DeltaTable) -> Result<HashMap<String, i64>> {
        let snapshot = delta.snapshot().map_err(|e| self.error("read the log of", &e))?;
        let log_store = delta.log_store();
        let removed = snapshot.all_tombstones(log_store.as_ref());
        let named = removed.map_ok(|file| (file.path().into_owned(), file.deletion_timestamp().unwrap_or(0)));
        named.try_collect().await.map_err(|e| self.error("read the log of", &e))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let deleted = self.store.delete(&Path::from(path)).await;
        deleted.map_err(|e| self.cannot_vacuum(&e))?;
        self.retired.lock().remove(path);
        Ok(())
    }

    fn is_held(&self, path: &str) -> bool {
        self.retired.lock().get(path).is_some_and(|segment| segment.strong_count() > 0)
    }

    fn cannot_vacuum(&self, e: &object_store::Error) -> Error {
        Error::unavailable(format!("cannot vacuum table {}: {}", self.spec.name, explain::cause(e)))
    }
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(std::io::Error::other)?
}

fn is_past(now_ms: i64, since_ms: i64, age: Duration) -> bool {
    u128::try_from(now_ms.saturating_sub(since_ms)).is_ok_and(|past_ms| past_ms >= age.as_millis())
}

fn decide(file: &Facts, now_ms: i64, shared: bool) -> Option<Reason> {
    match file {
        Facts { removed_ms: Some(at), .. } => {
            (!shared || is_past(now_ms, *at, REMOVED_KEPT)).then_some(Reason::Removed)
        }
        // Nobody else has ever heard of it.
        Facts { given_up: true, .. } => Some(Reason::NotCommitted),
        Facts { modified_ms, .. } => {
            is_past(now_ms, *modified_ms, ABANDONED_AFTER).then_some(Reason::Abandoned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_when_nobody_can_need_it() {
        let (hour, week) = (3_600_000, 7 * 86_400_000);
        let now = 100 * week;
        let check = |removed_ago: Option<i64>, given_up, modified_ago: i64, shared, want| {
            let removed_ms = removed_ago.map(|ago| now - ago);
            let facts = Facts { removed_ms, given_up, modified_ms: now - modified_ago };
            assert_eq!(
                decide(&facts, now, shared),
                want,
                "{removed_ago:?} {given_up} {modified_ago} {shared}"
            );
        };
        check(Some(0), true, week, false, Some(Reason::Removed));
        check(Some(hour - 1), true, week, true, None);
        check(Some(hour), false, week, true, Some(Reason::Removed));
        check(None, true, 0, true, Some(Reason::NotCommitted));
        check(None, false, week - 1, true, None);
        check(None, false, week, true, Some(Reason::Abandoned));
        check(None, false, week, false, Some(Reason::Abandoned));
        // A clock that is behind the store's deletes nothing.
        check(Some(-hour), false, -week, true, None);
    }
}
