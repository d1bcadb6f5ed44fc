//! Which segments to remove, to rewrite, and to merge: a pure function of what there is and of the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::TimeRange;

use crate::calendar::date_end_ms;
use crate::limits::{ADOPTED_AFTER, COMPACTION_INPUTS, COMPACTION_JOB_BYTES};

/// The level of segments whose partition was merged when its day was over. They are not merged with one another again.
pub const TOP_LEVEL: u8 = 2;

/// A top segment is merged again if what came late is more than this part of it: less would cost more than it gains.
const LATE_PART: u64 = 4;

/// The active segments, of as many tenants and writers as there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// In any order.
    pub segments: Vec<SegmentState>,
}

/// What a decision needs to know of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentState {
    /// Its path within the table, which names it.
    pub path: String,
    /// Bytes of its file.
    pub size_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// First and last millisecond.
    pub time: TimeRange,
    /// Partition.
    pub tenant: String,
    /// Partition, `yyyy-mm-dd`.
    pub date: String,
    /// The data folder that made it; `None` if another program did.
    pub writer: Option<String>,
    /// How often its rows were merged.
    pub level: u8,
    /// Rows that are to go: beyond retention, or deleted.
    pub due_rows: u64,
}

/// The rules of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Merges and rewrites only segments of this writer, where several share a table: the others look after theirs, unless a day has
    /// been over for [`ADOPTED_AFTER`].
    pub writer: Option<String>,
    /// Segments of a day that is not over are merged in groups of this many; 0 leaves them until it is.
    pub fan_in: usize,
    /// A day is over this long after its last millisecond, when nothing more of it is expected.
    pub settle: Duration,
    /// Removes segments whose last row is older; `None` keeps them.
    pub age: Option<Duration>,
    /// Removes the oldest segments of a tenant that has more bytes than this.
    pub size_bytes: Option<u64>,
    /// Rewrites a segment without its due rows if they are at least this part of it; a merge drops them anyway.
    pub rewrite_share: f64,
    /// Most bytes that the inputs of one job may have, and so the space that it may need beside them.
    pub job_bytes: u64,
    /// Most inputs of one job.
    pub job_inputs: usize,
    /// Merges as if every day were over and however little there is to gain: what an operator asks for.
    pub force: bool,
}

impl Default for Policy {
    /// Merges what everybody made, removes nothing.
    fn default() -> Self {
        Self {
            writer: None,
            fan_in: 8,
            settle: Duration::from_secs(7200),
            age: None,
            size_bytes: None,
            rewrite_share: 0.1,
            job_bytes: COMPACTION_JOB_BYTES,
            job_inputs: COMPACTION_INPUTS,
            force: false,
        }
    }
}

/// Something to do. A segment is in one job at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Take these out of the table.
    Remove {
        /// Paths.
        segments: Vec<String>,
    },
    /// Write this one again without the rows that are due.
    Rewrite {
        /// Path.
        segment: String,
        /// The level of the result.
        level: u8,
    },
    /// Put one sorted run in the place of these, which are of one partition.
    Merge {
        /// Paths, in order of time.
        segments: Vec<String>,
        /// The level of the result.
        level: u8,
    },
}

impl Job {
    /// The segments that it is about.
    pub fn inputs(&self) -> &[String] {
        match self {
            Self::Remove { segments } | Self::Merge { segments, .. } => segments,
            Self::Rewrite { segment, .. } => std::slice::from_ref(segment),
        }
    }
}

/// Decides what to do, removals first. Doing all of it leaves a state for which, at the same time, there is less to do, and after
/// a few rounds nothing.
pub fn decide(state: &State, now_ms: i64, policy: &Policy) -> Vec<Job> {
    let mut segments: Vec<&SegmentState> = state.segments.iter().collect();
    segments.sort_by(|a, b| order(a).cmp(&order(b)));
    let removed = removals(&segments, now_ms, policy);
    segments.retain(|s| !removed.contains(s.path.as_str()));
    let mut jobs = Vec::new();
    if !removed.is_empty() {
        jobs.push(Job::Remove { segments: removed.iter().map(|p| (*p).to_owned()).collect() });
    }
    let mut partitions: BTreeMap<(&str, &str), Vec<&SegmentState>> = BTreeMap::new();
    for segment in segments {
        let is_own = policy.writer.is_none() || policy.writer == segment.writer;
        if is_own || is_over(&segment.date, ADOPTED_AFTER, now_ms) {
            partitions.entry((&segment.tenant, &segment.date)).or_default().push(segment);
        }
    }
    for ((_, date), members) in partitions {
        let merges = merges(date, &members, now_ms, policy);
        let merged: BTreeSet<&str> = merges.iter().flat_map(Job::inputs).map(String::as_str).collect();
        jobs.extend(
            members.iter().filter(|s| !merged.contains(s.path.as_str())).filter_map(|s| rewrite(s, policy)),
        );
        jobs.extend(merges);
    }
    jobs
}

/// Oldest first; the path makes the order one.
fn order(segment: &SegmentState) -> (i64, i64, &str) {
    (segment.time.end_ms, segment.time.start_ms, &segment.path)
}

fn removals<'a>(sorted: &[&'a SegmentState], now_ms: i64, policy: &Policy) -> BTreeSet<&'a str> {
    let oldest_ms = policy.age.map(|age| now_ms.saturating_sub(millis(age)));
    let expired = |s: &SegmentState| oldest_ms.is_some_and(|oldest_ms| s.time.end_ms < oldest_ms);
    let empty = |s: &SegmentState| s.rows > 0 && s.due_rows >= s.rows;
    let mut removed: BTreeSet<&str> =
        sorted.iter().filter(|s| expired(s) || empty(s)).map(|s| s.path.as_str()).collect();
    let Some(size_bytes) = policy.size_bytes else { return removed };
    let mut by_tenant: BTreeMap<&str, Vec<&SegmentState>> = BTreeMap::new();
    for segment in sorted.iter().filter(|s| !removed.contains(s.path.as_str())) {
        by_tenant.entry(&segment.tenant).or_default().push(segment);
    }
    for segments in by_tenant.values() {
        let mut total: u64 = segments.iter().map(|s| s.size_bytes).sum();
        for segment in segments {
            if total <= size_bytes {
                break;
            }
            total -= segment.size_bytes;
            removed.insert(&segment.path);
        }
    }
    removed
}

fn rewrite(segment: &SegmentState, policy: &Policy) -> Option<Job> {
    let share = segment.due_rows as f64 / segment.rows.max(1) as f64;
    let worth = segment.due_rows > 0 && (share >= policy.rewrite_share || policy.force);
    (worth && segment.size_bytes <= policy.job_bytes)
        .then(|| Job::Rewrite { segment: segment.path.clone(), level: segment.level })
}

/// The merges within one partition, whose segments come in order of time.
fn merges(date: &str, segments: &[&SegmentState], now_ms: i64, policy: &Policy) -> Vec<Job> {
    let over = policy.force || is_over(date, policy.settle, now_ms);
    if !over {
        let fresh: Vec<&SegmentState> = segments.iter().copied().filter(|s| s.level == 0).collect();
        let groups = if policy.fan_in < 2 { 0 } else { fresh.len() / policy.fan_in };
        let groups = fresh.chunks(policy.fan_in.max(1)).take(groups);
        return groups.flat_map(|group| runs(group, 1, policy)).collect();
    }
    let (tops, low): (Vec<&SegmentState>, Vec<&SegmentState>) =
        segments.iter().copied().partition(|s| s.level >= TOP_LEVEL);
    if low.is_empty() || segments.len() < 2 {
        return Vec::new();
    }
    let bytes = |of: &[&SegmentState]| of.iter().map(|s| s.size_bytes).sum::<u64>();
    let fits = segments.len() <= policy.job_inputs && bytes(segments) <= policy.job_bytes;
    let worth = tops.is_empty()
        || policy.force
        || bytes(&low) >= bytes(&tops) / LATE_PART
        || (policy.fan_in > 1 && low.len() >= policy.fan_in);
    match (fits, worth) {
        (true, true) => runs(segments, TOP_LEVEL, policy),
        (true, false) => Vec::new(),
        // Then at least what is not merged yet, as far as it goes.
        (false, _) => runs(&low, TOP_LEVEL, policy),
    }
}

/// Divides neighbours into merges of two or more that each keep the bounds of a job.
fn runs(segments: &[&SegmentState], level: u8, policy: &Policy) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut run: Vec<String> = Vec::new();
    let mut run_bytes = 0;
    let mut end = |run: &mut Vec<String>| {
        let segments = std::mem::take(run);
        if segments.len() > 1 {
            jobs.push(Job::Merge { segments, level });
        }
    };
    for segment in segments {
        if run_bytes + segment.size_bytes > policy.job_bytes || run.len() >= policy.job_inputs {
            end(&mut run);
            run_bytes = 0;
        }
        run_bytes += segment.size_bytes;
        run.push(segment.path.clone());
    }
    end(&mut run);
    jobs
}

/// Whether a day has been over for a time.
fn is_over(date: &str, since: Duration, now_ms: i64) -> bool {
    date_end_ms(date).is_some_and(|end| end.saturating_add(millis(since)) <= now_ms)
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
