//! Merging until nothing is left to merge: what an operator asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use base::Result;

use super::{Job, Outcome, Policy, decide, merge_rows};
use crate::inspect::Summary;
use crate::table::{NewSegment, Segment, Table};

/// Merges segments of one kind of table.
#[async_trait]
pub trait Merger: Sync {
    /// Makes segments of a level of others, which are of one partition.
    async fn merge(&self, table: &Table, inputs: &[Arc<Segment>], level: u8) -> Result<Vec<NewSegment>>;
}

/// Merges tables whose rows stay as they are.
#[derive(Debug, Clone, Copy)]
pub struct MergeRows;

#[async_trait]
impl Merger for MergeRows {
    async fn merge(&self, table: &Table, inputs: &[Arc<Segment>], level: u8) -> Result<Vec<NewSegment>> {
        merge_rows(table, inputs, level, None).await
    }
}

/// A merge that is about to begin.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Whose segments.
    pub tenant: &'a str,
    /// Of which date.
    pub date: &'a str,
    /// How many.
    pub segments: usize,
    /// Their bytes.
    pub size_bytes: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Merges.
    pub merges: u64,
    /// Merges that gave way to another writer.
    pub conflicts: u64,
    /// Segments before.
    pub segments_before: u64,
    /// Segments after.
    pub segments_after: u64,
    /// Bytes of all segments before.
    pub bytes_before: u64,
    /// Bytes of all segments after.
    pub bytes_after: u64,
}

impl Table {
    /// Merges what the policy says until it says nothing more, tenant by tenant. Removes nothing for its age or for the space:
    /// who asks for this does not know what is to be kept. Files go as soon as nobody can need them.
    pub async fn compact_all(
        &self,
        policy: &Policy,
        now_ms: i64,
        merger: &dyn Merger,
        tell: &mut (dyn FnMut(&Step<'_>) + Send),
    ) -> Result<Compacted> {
        let before = Summary::of(self.refresh().await?.segments.iter());
        let mut done = Compacted {
            segments_before: before.segments,
            bytes_before: before.size_bytes,
            ..Compacted::default()
        };
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            let view = self.view();
            let tenants: BTreeSet<String> = view.segments.iter().map(|s| s.tenant().to_owned()).collect();
            // It would count as a reader of what is merged.
            drop(view);
            for tenant in tenants {
                for job in decide(&self.compaction_state(&tenant, |_| 0), now_ms, policy) {
                    let Job::Merge { level, .. } = job else { continue };
                    match self.merge_one(&job, level, merger, tell).await? {
                        Some(true) => (done.merges, goes_on) = (done.merges + 1, true),
                        Some(false) => done.conflicts += 1,
                        None => {}
                    }
                }
            }
        }
        let after = Summary::of(self.view().segments.iter());
        (done.segments_after, done.bytes_after) = (after.segments, after.size_bytes);
        Ok(done)
    }

    /// Whether a merge was committed; `None` if its segments are gone.
    async fn merge_one(
        &self,
        job: &Job,
        level: u8,
        merger: &dyn Merger,
        tell: &mut (dyn FnMut(&Step<'_>) + Send),
    ) -> Result<Option<bool>> {
        let Some(inputs) = self.inputs_of(job) else { return Ok(None) };
        let Some(first) = inputs.first() else { return Ok(None) };
        tell(&Step {
            tenant: first.tenant(),
            date: first.date(),
            segments: inputs.len(),
            size_bytes: inputs.iter().map(|s| s.size_bytes()).sum(),
        });
        // Boxed: it holds whole batches.
        let merge = Box::pin(merger.merge(self, &inputs, level));
        let outcome = self.replace(&inputs, false, merge).await?;
        drop(inputs);
        // Before the next merge takes its space.
        self.vacuum().await?;
        Ok(Some(matches!(outcome, Outcome::Done(_))))
    }
}
