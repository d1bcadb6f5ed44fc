//! Doing a job: one at a time, with room for it, and in one commit.

use std::sync::Arc;

use base::{Error, Result};

use super::{Job, SegmentState, State};
use crate::limits::COMPACTION_SPARE_BYTES;
use crate::table::{NewSegment, Segment, Table, TableView};

/// What became of a job.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is committed.
    Done(TableView),
    /// Someone else removed or replaced one of its segments first: nothing changed, and what was written goes with the next vacuum.
    Conflict,
}

impl Table {
    /// What [`super::decide`] asks of the active segments of a tenant. `due_rows` says how many rows of a segment are to go.
    pub fn compaction_state(&self, tenant: &str, due_rows: impl Fn(&Segment) -> u64) -> State {
        let view = self.view();
        let segments = view.segments.iter().filter(|s| s.tenant() == tenant);
        State {
            segments: segments
                .map(|s| SegmentState {
                    path: s.path().to_owned(),
                    size_bytes: s.size_bytes(),
                    rows: s.rows(),
                    time: s.time(),
                    tenant: s.tenant().to_owned(),
                    date: s.date().to_owned(),
                    writer: s.name().map(|n| n.writer_id.to_owned()),
                    level: s.name().map_or(0, |n| n.level),
                    due_rows: due_rows(s),
                })
                .collect(),
        }
    }

    /// The active segments that a job is about; `None` if one of them is not there any more.
    pub fn inputs_of(&self, job: &Job) -> Option<Vec<Arc<Segment>>> {
        let view = self.view();
        let find = |path: &String| view.segments.iter().find(|s| s.path() == path).cloned();
        job.inputs().iter().map(find).collect()
    }

    /// Puts what `merge` makes of segments in their place. Waits for the compaction that may be running in the lake, and refuses to
    /// begin without space for it. `data_change` says whether rows change, and not only their arrangement.
    pub async fn replace<F>(&self, inputs: &[Arc<Segment>], data_change: bool, merge: F) -> Result<Outcome>
    where
        F: Future<Output = Result<Vec<NewSegment>>>,
    {
        let needed_bytes = inputs.iter().map(|s| s.size_bytes()).sum();
        // Boxed, for merges are large.
        Box::pin(self.replace_with_room(inputs, needed_bytes, data_change, merge)).await
    }

    /// The same where more is read than what is replaced: says how many bytes what `merge` writes may take.
    pub async fn replace_with_room<F>(
        &self,
        inputs: &[Arc<Segment>],
        needed_bytes: u64,
        data_change: bool,
        merge: F,
    ) -> Result<Outcome>
    where
        F: Future<Output = Result<Vec<NewSegment>>>,
    {
        let _one = self.compaction.lock().await;
        self.check_space(needed_bytes)?;
        let made = merge.await?;
        let removes: Vec<String> = inputs.iter().map(|s| s.path().to_owned()).collect();
        let committed = self.commit_replace(&removes, &made, data_change).await?;
        Ok(committed.map_or(Outcome::Conflict, Outcome::Done))
    }

    fn check_space(&self, needed_bytes: u64) -> Result<()> {
        let space = self
            .disk()
            .space()
            .map_err(|e| Error::unavailable(format!("cannot compact table {}: {e}", self.spec().name)))?;
        let needed_bytes = needed_bytes.saturating_add(COMPACTION_SPARE_BYTES);
        match space {
            Some(space) if space.available_bytes < needed_bytes => Err(Error::unavailable(format!(
                "cannot compact table {}: it may take {needed_bytes} bytes and the disk has {} left",
                self.spec().name,
                space.available_bytes
            ))),
            _ => Ok(()),
        }
    }
}
