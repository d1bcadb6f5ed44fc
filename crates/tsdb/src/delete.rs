//! Deleting series, and cleaning up after deletions.
//!
//! A deletion hides samples at once and for everybody, and they go from the segments when these are merged or cleaned. It concerns
//! what was stored when it was made: times beyond the newest sample of then are not deleted. Samples that come later for times
//! that are deleted stay hidden until the deletion is forgotten, as in Prometheus.

use std::sync::Arc;

use base::{Error, Matcher, Result, TimeRange};
use lake::Segment;
use lake::compact::Outcome;

use crate::limits::{CLEANING_ROUNDS, SHARED_TOMBSTONE_AGE};
use crate::maintain::Maintenance;
use crate::store::{MetricStore, millis};
use crate::tombstones::Tombstone;

/// A deletion that still hides something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Sets of matchers: a series that satisfies all of one is concerned.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// The times that are deleted, both ends included.
    pub range: TimeRange,
}

impl MetricStore {
    /// The deletions in force, in the order in which they were made by this process, after those of before.
    pub fn deletions(&self) -> Vec<Deletion> {
        let list = self.tombstones.list();
        list.iter().map(|t| Deletion { matcher_sets: t.matcher_sets().to_vec(), range: t.range() }).collect()
    }

    /// Deletes the samples in a range, both ends included, of the series that satisfy any of the sets of matchers. Once it resolves
    /// nobody sees them any more, whatever happens; after an error they may be deleted or not.
    pub async fn delete_series(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<()> {
        if matcher_sets.is_empty() || matcher_sets.iter().any(Vec::is_empty) {
            return Err(Error::invalid(
                "cannot delete series: a set of matchers is empty, which would mean all",
            ));
        }
        let rollups = self.coverage(self.clock.now_ms()).rollups;
        let rolled_up = rollups.iter().map(|r| r.until_ms);
        let Some(newest_ms) = self.time().map(|t| t.end_ms).into_iter().chain(rolled_up).max() else {
            return Ok(());
        };
        // Others may have newer samples in their memory.
        let newest_ms = if self.lake.is_shared() { newest_ms.max(self.clock.now_ms()) } else { newest_ms };
        let range = TimeRange::new(range.start_ms, range.end_ms.min(newest_ms));
        if range.start_ms > range.end_ms {
            return Ok(());
        }
        self.tombstones.add(&self.table, matcher_sets, range, self.clock.now_ms()).await?;
        self.metrics.tombstones.set(i64::try_from(self.tombstones.list().len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Writes every segment that has deleted samples again without them, and forgets the deletions of which nothing is left. A deletion
    /// that concerns samples in memory stays until these are sealed.
    pub async fn clean_tombstones(&self) -> Result<()> {
        let _one = self.maintenance.lock().await;
        let now_ms = self.clock.now_ms();
        self.learn_deletions().await?;
        for _ in 0..CLEANING_ROUNDS {
            let affected = self.affected_segments(now_ms).await?;
            if affected.is_empty() {
                break;
            }
            for segment in affected {
                self.clean_segment(segment, now_ms).await?;
            }
        }
        Box::pin(self.roll_up(now_ms)).await?;
        self.forget_deletions(now_ms).await
    }

    /// Learns what others that share the tables have deleted.
    pub(crate) async fn learn_deletions(&self) -> Result<()> {
        if self.lake.is_shared() {
            self.tombstones.reload(&self.table).await?;
        }
        Ok(())
    }

    /// Forgets deletions that have nothing left to hide. Nobody seals or compacts meanwhile.
    pub(crate) async fn forget_deletions(&self, now_ms: i64) -> Result<()> {
        let list = self.tombstones.list();
        if list.is_empty() {
            return Ok(());
        }
        // What was admitted before is in memory now, or refused.
        self.wal.barrier().await?;
        let view = if self.lake.is_shared() { self.table.refresh().await? } else { self.table.view() };
        let retention = self.retention();
        let mut needed: Vec<String> = Vec::new();
        for segment in view.segments.iter().filter(|s| s.tenant() == self.options.tenant) {
            let found = self.inspections.of(&self.table, segment, &list, &retention, now_ms).await?;
            needed.extend(found.tombstones.iter().cloned());
        }
        for tombstone in list.iter() {
            if self.rollups_need(tombstone).await? {
                needed.push(tombstone.name().to_owned());
            }
        }
        let shared = self.lake.is_shared();
        let may_go =
            |t: &Tombstone| !shared || now_ms.saturating_sub(t.created_ms()) >= millis(SHARED_TOMBSTONE_AGE);
        let forgotten: Vec<String> = list
            .iter()
            .filter(|t| may_go(t) && !needed.iter().any(|name| name == t.name()))
            .filter(|t| !self.head_has(t))
            .map(|t| t.name().to_owned())
            .collect();
        let result = self.tombstones.remove(&self.table, &forgotten).await;
        self.metrics.tombstones.set(i64::try_from(self.tombstones.list().len()).unwrap_or(i64::MAX));
        result
    }

    async fn affected_segments(&self, now_ms: i64) -> Result<Vec<Arc<Segment>>> {
        let (list, retention) = (self.tombstones.list(), self.retention());
        let view = self.table.view();
        let mut affected = Vec::new();
        for segment in view.segments.iter().filter(|s| s.tenant() == self.options.tenant) {
            let found = self.inspections.of(&self.table, segment, &list, &retention, now_ms).await?;
            if !found.tombstones.is_empty() {
                affected.push(segment.clone());
            }
        }
        Ok(affected)
    }

    async fn clean_segment(&self, segment: Arc<Segment>, now_ms: i64) -> Result<()> {
        let level = segment.name().map_or(0, |name| name.level);
        match self.replace(std::slice::from_ref(&segment), level, self.visibility(now_ms)).await? {
            Outcome::Done(view) => self.install(view),
            // Somebody else has replaced it; what came in its place is looked at in the next round.
            Outcome::Conflict => {}
        }
        drop(segment);
        self.vacuum(&mut Maintenance::default()).await
    }

    /// Whether samples in memory are deleted by it. What cannot be decoded counts as such.
    fn head_has(&self, tombstone: &Tombstone) -> bool {
        let chunks: Vec<_> = {
            let state = self.state.read();
            let select = |set: &Vec<Matcher>| state.head.select(set, tombstone.range());
            tombstone.matcher_sets().iter().flat_map(select).flat_map(|(_, chunks)| chunks).collect()
        };
        let (mut times, mut floats, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        chunks.iter().any(|chunk| {
            times.clear();
            let decoded = chunk
                .decode_floats(&mut times, &mut floats)
                .and_then(|()| chunk.decode_histograms(&mut times, &mut histograms));
            decoded.is_err() || times.iter().any(|t| tombstone.range().contains(*t))
        })
    }
}
