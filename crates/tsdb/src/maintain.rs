//! What keeps the store in order: sealing complete windows, retention, compaction, and deleting what nobody needs.
//!
//! Each step tries its best whatever became of the one before: a seal that fails, on a full disk say, must not keep retention
//! from making room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Error, Result};
use lake::compact::{Job, Outcome, Policy, decide};
use lake::limits::COMPACTION_SPARE_BYTES;
use lake::{HeldLimits, Segment};

use crate::compact::merge_chunks;
use crate::complete::{Moment, complete};
use crate::hidden::Visibility;
use crate::limits::{COMPACTION_FAN_IN, COMPACTION_ROUND, HELD_LOG_DISK_PARTS, REWRITE_SHARE, SEAL_WAIT};
use crate::rollup::RollupReport;
use crate::store::MetricStore;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Windows sealed.
    pub sealed: usize,
    /// Segments removed because of their age or for the space that they took.
    pub expired: usize,
    /// Compactions: segments merged with others, or written again without what is deleted or due.
    pub compacted: usize,
    /// Compactions that gave way to another process.
    pub conflicts: usize,
    /// Files deleted.
    pub vacuumed: usize,
    /// What became of rollups.
    pub rollups: RollupReport,
}

impl MetricStore {
    /// Seals complete windows, applies retention, merges segments and deletes files that nobody needs. To be
    /// called every minute or so. What fails is tried again by the next call.
    pub async fn maintain(&self) -> Result<Maintenance> {
        let _one = self.maintenance.lock().await;
        let mut done = Box::pin(self.maintain_alone()).await;
        if done.is_err() && self.lake.reserve().give_way() {
            // It may have been for want of space, of which there is more.
            done = Box::pin(self.maintain_alone()).await;
        }
        self.lake.reserve().restore();
        done
    }

    async fn maintain_alone(&self) -> Result<Maintenance> {
        let mut done = Maintenance::default();
        let now_ms = self.clock.now_ms();
        self.bound_held();
        let sealed = self.seal_complete(now_ms, &mut done).await;
        let learned = self.learn_deletions().await;
        let compacted = Box::pin(self.compact(now_ms, &self.policy(), &mut done)).await;
        let rolled = Box::pin(self.roll_up(now_ms)).await.map(|report| done.rollups = report);
        // What was kept until it was rolled up may go now.
        let compacted = match done.rollups.made {
            0 => compacted,
            _ => compacted.and(Box::pin(self.compact(now_ms, &self.policy(), &mut done)).await),
        };
        let checkpointed = if self.is_checkpoint_due() { self.checkpoint_alone().await } else { Ok(()) };
        let forgotten = self.forget_deletions(now_ms).await;
        let vacuumed = self.vacuum(&mut done).await;
        // Whatever the log of the table has been found to say, also if its answer to a commit was lost.
        self.install(self.table.view());
        self.update_gauges();
        sealed
            .and(checkpointed)
            .and(learned)
            .and(compacted)
            .and(rolled)
            .and(forgotten)
            .and(vacuumed)
            .map(|()| done)
    }

    /// Merges as if every day were over: what an operator asks for. Applies retention too.
    pub async fn compact_now(&self) -> Result<Maintenance> {
        let _one = self.maintenance.lock().await;
        let mut done = Maintenance::default();
        let policy = Policy { force: true, ..self.policy() };
        let compacted = self.compact(self.clock.now_ms(), &policy, &mut done).await;
        let vacuumed = self.vacuum(&mut done).await;
        self.install(self.table.view());
        self.update_gauges();
        compacted.and(vacuumed).map(|()| done)
    }

    /// Bounds what is held for those who follow the log, by the space that there is: what is stored for good comes first.
    fn bound_held(&self) {
        let default = HeldLimits::default();
        let bytes = match self.lake.disk().space() {
            Ok(Some(space)) if space.available_bytes < COMPACTION_SPARE_BYTES => 0,
            Ok(Some(space)) => default.bytes.min(space.total_bytes / HELD_LOG_DISK_PARTS),
            Ok(None) | Err(_) => default.bytes,
        };
        self.wal.limit_held(HeldLimits { bytes, ..default });
    }

    async fn seal_complete(&self, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        for end_ms in self.complete_windows(now_ms) {
            self.seal(end_ms).await?;
            done.sealed += 1;
            self.sealed.notify_waiters();
        }
        Ok(())
    }

    fn complete_windows(&self, now_ms: i64) -> Vec<i64> {
        let state = self.state.read();
        let (monotonic, latest_ms) = (self.clock.monotonic(), state.head.max_ms());
        complete(&state.head.windows(), Moment { now_ms, monotonic, latest_ms, block_ms: self.block_ms })
    }

    /// Resolves when [`MetricStore::catch_up`] has something to do.
    pub async fn catch_up_due(&self) {
        self.catch_up_due.notified().await;
    }

    /// Does what cannot wait for the next round of maintenance while much is appended: seals complete windows, and writes a checkpoint if
    /// the log has grown long.
    pub async fn catch_up(&self) -> Result<()> {
        let mut caught_up = self.try_catch_up().await;
        if caught_up.is_err() && self.lake.reserve().give_way() {
            caught_up = self.try_catch_up().await;
        }
        caught_up
    }

    async fn try_catch_up(&self) -> Result<()> {
        let sealed = {
            let _one = self.maintenance.lock().await;
            self.seal_complete(self.clock.now_ms(), &mut Maintenance::default()).await
        };
        let checkpointed = if self.is_checkpoint_due() { self.checkpoint().await } else { Ok(()) };
        sealed.and(checkpointed)
    }

    /// Asks for [`MetricStore::catch_up`] if there is something to do for it. Returns whether there is a window to seal.
    pub(crate) fn ask_to_catch_up(&self, now_ms: i64) -> bool {
        let has_complete = !self.complete_windows(now_ms).is_empty();
        if has_complete || self.is_checkpoint_due() {
            self.catch_up_due.notify_one();
        }
        has_complete
    }

    /// Waits for windows to be sealed if the head has used up its memory and they would make room.
    pub(crate) async fn wait_for_room(&self, now_ms: i64, head_bytes: Option<usize>) -> Result<()> {
        let is_full = || head_bytes.is_some_and(|limit| self.state.read().head.size_bytes() >= limit);
        if !is_full() {
            return Ok(());
        }
        let has_room = async {
            loop {
                let sealed = self.sealed.notified();
                if !is_full() || !self.ask_to_catch_up(now_ms) {
                    return;
                }
                sealed.await;
            }
        };
        tokio::time::timeout(SEAL_WAIT, has_room).await.map_err(|_| {
            self.metrics.appends_held.inc();
            let limit = head_bytes.unwrap_or_default();
            Error::unavailable(format!(
                "cannot append samples: the head takes {limit} bytes, its share of limits.memory, and a complete window is not sealed yet"
            ))
        })
    }

    fn policy(&self) -> Policy {
        let retention = self.retention();
        // Where nobody else can write, segments of earlier writers are ours to look after.
        let writer = self.lake.is_shared().then(|| self.table.writer_id().to_owned());
        Policy {
            writer,
            fan_in: COMPACTION_FAN_IN,
            // The last window of a day is sealed half a block after its end, and the next one has what comes late.
            settle: self.options.block.saturating_mul(2),
            age: Some(retention.longest()),
            size_bytes: retention.bound_bytes(self.lake.disk().as_ref()),
            rewrite_share: REWRITE_SHARE,
            ..Policy::default()
        }
    }

    /// How many rows of each segment are to go.
    async fn due_rows(&self, now_ms: i64) -> Result<HashMap<String, u64>> {
        let view = self.table.view();
        self.inspections.retain(&view.segments);
        let (tombstones, retention) = (self.tombstones.list(), self.retention());
        let mut due = HashMap::new();
        for segment in view.segments.iter().filter(|s| s.tenant() == self.options.tenant) {
            let found = self.inspections.of(&self.table, segment, &tombstones, &retention, now_ms).await?;
            due.insert(segment.path().to_owned(), found.due_rows);
        }
        Ok(due)
    }

    /// Carries out what is decided. A job that fails does not keep the others from being done.
    async fn compact(&self, now_ms: i64, policy: &Policy, done: &mut Maintenance) -> Result<()> {
        let began = self.clock.monotonic();
        // A segment that cannot be read must not keep the others from being looked after.
        let (due, mut result) = match self.due_rows(now_ms).await {
            Ok(due) => (due, Ok(())),
            Err(error) => (HashMap::new(), Err(error)),
        };
        let due = |s: &Segment| due.get(s.path()).copied().unwrap_or(0);
        let state = self.table.compaction_state(&self.options.tenant, due);
        for job in decide(&state, now_ms, policy) {
            let late = self.clock.monotonic().saturating_sub(began) >= COMPACTION_ROUND && !policy.force;
            if self.stopping.load(Ordering::Relaxed) || (late && !matches!(job, Job::Remove { .. })) {
                break;
            }
            let carried_out = self.carry_out(&job, now_ms, done).await;
            // Windows of a backfill that goes on meanwhile must not wait for all of the merges.
            let sealed = self.seal_complete(self.clock.now_ms(), done).await;
            result = result.and(carried_out).and(sealed);
        }
        result
    }

    async fn carry_out(&self, job: &Job, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        let level = match job {
            Job::Remove { segments } => {
                let awaited = self.awaiting_rollup(now_ms).await;
                let segments: Vec<String> =
                    segments.iter().filter(|s| !awaited.contains(*s)).cloned().collect();
                if !segments.is_empty() {
                    self.install(self.table.remove(&segments).await?);
                    self.metrics.time_retentions.inc();
                    done.expired += segments.len();
                }
                return Ok(());
            }
            Job::Rewrite { level, .. } | Job::Merge { level, .. } => *level,
        };
        let Some(inputs) = self.table.inputs_of(job) else { return Ok(()) };
        let visibility = self.visibility(now_ms);
        match self.replace(&inputs, level, visibility).await? {
            Outcome::Done(view) => {
                self.install(view);
                done.compacted += 1;
            }
            Outcome::Conflict => done.conflicts += 1,
        }
        // Before the next compaction takes its space.
        drop(inputs);
        self.vacuum(done).await
    }

    pub(crate) async fn replace(
        &self,
        inputs: &[Arc<Segment>],
        level: u8,
        visibility: Visibility,
    ) -> Result<Outcome> {
        let started = self.clock.monotonic();
        let data_change = !visibility.is_clear();
        let merge = merge_chunks(&self.table, inputs, level, visibility, &self.stopping);
        // Boxed, for it is large and part of many futures.
        let result = Box::pin(self.table.replace(inputs, data_change, merge)).await;
        self.metrics.merge_seconds.observe(self.clock.monotonic().saturating_sub(started).as_secs_f64());
        match &result {
            Ok(Outcome::Done(_)) => self.metrics.merges.with_label_values(&["done"]).inc(),
            Ok(Outcome::Conflict) => self.metrics.merges.with_label_values(&["conflict"]).inc(),
            Err(_) => self.metrics.merges.with_label_values(&["failed"]).inc(),
        }
        result
    }

    pub(crate) async fn vacuum(&self, done: &mut Maintenance) -> Result<()> {
        // Otherwise the view would count as a reader of what has left it.
        self.install(self.table.view());
        done.vacuumed += self.table.vacuum().await?;
        Ok(())
    }

    /// How many active segments there are of each level, by level: 0 are sealed windows, 2 whole days.
    pub fn segments_by_level(&self) -> Vec<(u8, usize)> {
        let mut levels: BTreeMap<u8, usize> = BTreeMap::new();
        for segment in self.state.read().view.segments.iter().filter(|s| s.tenant() == self.options.tenant) {
            *levels.entry(segment.name().map_or(0, |n| n.level)).or_default() += 1;
        }
        levels.into_iter().collect()
    }

    /// What is hidden now.
    pub(crate) fn visibility(&self, now_ms: i64) -> Visibility {
        Visibility::new(&self.tombstones.list(), &self.retention(), now_ms)
    }
}
