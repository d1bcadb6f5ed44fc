//! Carrying out what was decided: span by span, each put in the place of what it replaces, and removing rollups at their age.
//!
//! One commit per span, which names what the rollup was made of; a crash at any step leaves the span as it was or done. What is written is
//! the affair of `write.rs`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base::{Error, Result, TimeRange};
use futures::StreamExt;
use lake::limits::COMPACTION_INPUTS;
use lake::{Lake, Segment, Table, TableView};
use parking_lot::Mutex;

use super::decide::{self, Done, Input, Job, Rules};
use super::{Resolution, RollupOptions, table, write};
use crate::hidden::Visibility;
use crate::limits::{ROLLUP_HOLD, ROLLUP_ROUND};
use crate::store::{MetricStore, millis};
use crate::table::LABELS;
use crate::tombstones::Tombstone;

/// The key under which a segment of rollups names what it was made of, one path a line.
pub(super) const SOURCES: &str = "bellwether.rollup.sources";

/// The key under which it names the deletions that it was made without the samples of, one a line.
pub(super) const DELETIONS: &str = "bellwether.rollup.deletions";

/// The key under which it names the metrics that have native histograms, of which there are no buckets, likewise.
pub(super) const HISTOGRAMS: &str = "bellwether.rollup.histograms";

/// What a round of rolling up did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollupReport {
    /// Spans rolled up, at any resolution.
    pub made: usize,
    /// Spans that are left for the next round.
    pub left: usize,
    /// Segments of rollups removed because of their age.
    pub expired: usize,
}

/// The tables of rollups that a store keeps, the finest first.
pub(crate) struct Rollups {
    pub(super) kept: Vec<Kept>,
}

/// What a segment of rollups was made of, and without what.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// Paths of segments.
    pub(super) sources: Arc<HashSet<String>>,
    /// Names of tombstones.
    pub(super) deletions: Arc<HashSet<String>>,
}

/// A resolution that is kept.
pub(super) struct Kept {
    pub(super) resolution: Resolution,
    pub(super) age_ms: i64,
    pub(super) table: Table,
    /// What segments say of themselves, by path, so that each is asked once.
    origins: Mutex<HashMap<String, Origin>>,
    /// Paths of segments and names of deletions that concern none of their series.
    untouched: Mutex<HashSet<(String, String)>>,
    /// Spans that have nothing to keep, and what this was found from.
    barren: Mutex<HashMap<i64, Vec<String>>>,
}

impl Rollups {
    pub(crate) async fn open(lake: &Lake, options: &[RollupOptions]) -> Result<Self> {
        let mut options = options.to_vec();
        options.sort_by_key(|o| o.resolution);
        options.dedup_by_key(|o| o.resolution);
        if options.first().is_some_and(|o| o.resolution != Resolution::FiveMinutes) {
            return Err(Error::invalid(
                "cannot open metric store: rollups of 1h are made from those of 5m, which are not kept",
            ));
        }
        let mut kept = Vec::new();
        for RollupOptions { resolution, age } in options {
            let table = lake.table(table::spec(resolution)).await?;
            let (origins, untouched, barren) = Default::default();
            kept.push(Kept { resolution, age_ms: millis(age), table, origins, untouched, barren });
        }
        Ok(Self { kept })
    }
}

impl Kept {
    /// The tenant's segments, and what each was made of.
    async fn done(&self, segments: &[Arc<Segment>], visibility: &Visibility) -> Result<Vec<Done>> {
        let there: HashSet<&str> = segments.iter().map(|s| s.path()).collect();
        self.origins.lock().retain(|path, _| there.contains(path.as_str()));
        self.untouched.lock().retain(|(path, name)| {
            there.contains(path.as_str()) && visibility.tombstones().iter().any(|t| t.name() == name)
        });
        let mut done = Vec::new();
        for segment in segments {
            done.push(Done {
                path: segment.path().to_owned(),
                start_ms: self.span_start(segment),
                sources: self.origin(segment).await?.sources,
                has_deleted: !self.unheeded(segment, visibility).await?.tombstones().is_empty(),
            });
        }
        Ok(done)
    }

    /// What a segment was made of.
    pub(super) async fn origin(&self, segment: &Segment) -> Result<Origin> {
        if let Some(known) = self.origins.lock().get(segment.path()) {
            return Ok(known.clone());
        }
        let lines = |text: Option<String>| -> Arc<HashSet<String>> {
            Arc::new(text.unwrap_or_default().lines().map(str::to_owned).collect())
        };
        let origin = Origin {
            sources: lines(self.table.annotation(segment, SOURCES).await?),
            deletions: lines(self.table.annotation(segment, DELETIONS).await?),
        };
        self.origins.lock().insert(segment.path().to_owned(), origin.clone());
        Ok(origin)
    }

    /// What is hidden, but for the deletions that a segment was made without the samples of, or that concern none of its series.
    pub(super) async fn unheeded(&self, segment: &Segment, visibility: &Visibility) -> Result<Visibility> {
        let mut visibility = visibility.clone().within(segment.time());
        if visibility.tombstones().is_empty() {
            return Ok(visibility);
        }
        let heeded = self.origin(segment).await?.deletions;
        visibility.forget(|t| heeded.contains(t.name()));
        for tombstone in visibility.tombstones().to_vec() {
            let key = (segment.path().to_owned(), tombstone.name().to_owned());
            if !self.untouched.lock().contains(&key) {
                if self.has_series_of(segment, &tombstone).await? {
                    continue;
                }
                self.untouched.lock().insert(key);
            }
            visibility.forget(|t| t.name() == tombstone.name());
        }
        Ok(visibility)
    }

    async fn has_series_of(&self, segment: &Segment, tombstone: &Tombstone) -> Result<bool> {
        for matchers in tombstone.matcher_sets() {
            let scan = crate::table::scan(matchers, tombstone.range(), vec![LABELS]);
            let mut batches = self.table.scan(segment, &scan).await?;
            while let Some(batch) = batches.next().await {
                if batch?.num_rows() > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The beginning of the span that a segment covers.
    pub(super) fn span_start(&self, segment: &Segment) -> i64 {
        decide::span_start(segment.time().start_ms, self.resolution.span_ms())
    }

    /// Removes what is older than its age, and the files of what nobody needs.
    async fn expire(&self, tenant: &str, now_ms: i64) -> Result<usize> {
        let oldest_ms = now_ms.saturating_sub(self.age_ms);
        let old = |s: &&Arc<Segment>| s.tenant() == tenant && s.time().end_ms < oldest_ms;
        let view = self.table.view();
        let expired: Vec<String> = view.segments.iter().filter(old).map(|s| s.path().to_owned()).collect();
        drop(view);
        if !expired.is_empty() {
            self.table.remove(&expired).await?;
        }
        self.table.vacuum().await?;
        Ok(expired.len())
    }
}

impl MetricStore {
    /// Rolls up what is settled and not rolled up yet, removes rollups beyond their age, and deletes files that nobody needs. A
    /// part of maintenance, whose lock is held; ends after a while although there is more to do.
    pub(crate) async fn roll_up(&self, now_ms: i64) -> Result<RollupReport> {
        let started = self.clock.monotonic();
        let mut report = RollupReport::default();
        let mut failed = None;
        for at in 0..self.rollups.kept.len() {
            let jobs = match self.rollup_jobs(at, now_ms).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            for job in jobs {
                if failed.is_some() || self.clock.monotonic().saturating_sub(started) > ROLLUP_ROUND {
                    report.left += 1;
                    continue;
                }
                let name = self.rollups.kept[at].resolution.as_str();
                let from = self.clock.monotonic();
                match self.roll_up_span(at, &job).await {
                    Ok(false) => report.left += 1,
                    Ok(true) => {
                        report.made += 1;
                        self.metrics.rollups.made.with_label_values(&[name]).inc();
                    }
                    Err(error) => {
                        self.metrics.rollups.failed.inc();
                        let what = format!("cannot roll up {} to {} ms to {name}", job.start_ms, job.end_ms);
                        failed.get_or_insert(error.context(what));
                        report.left += 1;
                    }
                }
                let took = self.clock.monotonic().saturating_sub(from);
                self.metrics.rollups.seconds.observe(took.as_secs_f64());
            }
        }
        // Making room must not wait for what fails on a full disk.
        for kept in &self.rollups.kept {
            match kept.expire(&self.options.tenant, now_ms).await {
                Ok(expired) => report.expired += expired,
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(report), Err)
    }

    /// Copies the rollups into a snapshot.
    pub(crate) async fn copy_rollups(&self, snapshot: &str) -> Result<()> {
        for kept in &self.rollups.kept {
            let target = self.lake.snapshot_table(table::spec(kept.resolution), snapshot).await?;
            kept.table.copy_to(&target, &[]).await?;
        }
        Ok(())
    }

    /// Segments of samples that retention would take for their age and that are not rolled up yet. They wait for a while, not for ever.
    pub(crate) async fn awaiting_rollup(&self, now_ms: i64) -> HashSet<String> {
        if self.rollups.kept.is_empty() {
            return HashSet::new();
        }
        let jobs = match self.rollup_jobs_at(0, now_ms, true).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!("cannot tell what is to be rolled up before it expires: {error}");
                return HashSet::new();
            }
        };
        let oldest_ms = self.retention().oldest_ms(now_ms);
        let waits = oldest_ms.saturating_sub(millis(ROLLUP_HOLD))..oldest_ms;
        let inputs: HashSet<String> =
            jobs.into_iter().filter(|j| j.end_ms >= waits.start).flat_map(|j| j.inputs).collect();
        let of_age: Vec<Arc<Segment>> = self.of_tenant(&self.table.view());
        let of_age = of_age.iter().filter(|s| waits.contains(&s.time().end_ms));
        of_age.map(|s| s.path().to_owned()).filter(|path| inputs.contains(path)).collect()
    }

    /// Whether rollups have buckets with samples that a deletion hides, so that it must not be forgotten.
    pub(crate) async fn rollups_need(&self, tombstone: &Arc<Tombstone>) -> Result<bool> {
        let only = Visibility::of_deletion(tombstone);
        for kept in &self.rollups.kept {
            for segment in self.of_tenant(&kept.table.view()) {
                if !kept.unheeded(&segment, &only).await?.tombstones().is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn rollup_jobs(&self, at: usize, now_ms: i64) -> Result<Vec<Job>> {
        self.rollup_jobs_at(at, now_ms, false).await
    }

    /// What there is to do for a resolution; with `ahead` also spans that have not settled.
    async fn rollup_jobs_at(&self, at: usize, now_ms: i64, ahead: bool) -> Result<Vec<Job>> {
        let kept = &self.rollups.kept[at];
        let inputs: Vec<Input> = self
            .rollup_source(at)
            .1
            .iter()
            .map(|s| Input { path: s.path().to_owned(), time: s.time() })
            .collect();
        let view = kept.table.refresh().await?;
        let done = kept.done(&self.of_tenant(&view), &self.visibility(now_ms)).await?;
        // As long as compaction waits for a day, whose merged segment would otherwise outdate the rollup at once.
        let settle_ms = if ahead { -kept.resolution.span_ms() } else { 2 * self.block_ms };
        let unsealed_ms = if ahead { i64::MAX } else { self.unsealed_ms() };
        let rules = Rules { span_ms: kept.resolution.span_ms(), settle_ms, unsealed_ms, age_ms: kept.age_ms };
        let mut jobs = decide::decide(&rules, &inputs, &done, now_ms);
        let barren = kept.barren.lock();
        jobs.retain(|job| barren.get(&job.start_ms) != Some(&job.inputs));
        Ok(jobs)
    }

    /// The first time of what is not in segments yet.
    fn unsealed_ms(&self) -> i64 {
        self.state.read().head.time().map_or(i64::MAX, |t| t.start_ms)
    }

    /// The table that rollups of a resolution are made of, and the tenant's segments there.
    fn rollup_source(&self, at: usize) -> (&Table, Vec<Arc<Segment>>) {
        match at.checked_sub(1) {
            Some(finer) => {
                let table = &self.rollups.kept[finer].table;
                (table, self.of_tenant(&table.view()))
            }
            None => (&self.table, self.of_tenant(&self.table.view())),
        }
    }

    pub(super) fn of_tenant(&self, view: &TableView) -> Vec<Arc<Segment>> {
        view.segments.iter().filter(|s| s.tenant() == self.options.tenant).cloned().collect()
    }

    /// Returns whether the span needs no other round.
    async fn roll_up_span(&self, at: usize, job: &Job) -> Result<bool> {
        let kept = &self.rollups.kept[at];
        let replaced = self.replaced(at, job);
        if replaced.len() < job.replaces.len() {
            // Someone else was there first; the next round looks at what they made.
            return Ok(true);
        }
        let (source, segments) = self.rollup_source(at);
        let span = TimeRange::new(job.start_ms + 1, job.end_ms);
        let made_of: Vec<Arc<Segment>> = segments.into_iter().filter(|s| s.time().overlaps(span)).collect();
        if at > 0 && made_of.len() > COMPACTION_INPUTS {
            // Rounds of the finer resolution make one segment of each span first.
            return Ok(false);
        }
        let needed_bytes = write::needed_bytes(&made_of, &replaced);
        let mut barren = false;
        let write = async {
            let made = Box::pin(self.write_rollup(at, source, job, &made_of, &replaced)).await?;
            barren = made.is_none();
            Ok(made.into_iter().collect())
        };
        kept.table.replace_with_room(&replaced, needed_bytes, true, write).await?;
        if barren {
            kept.barren.lock().insert(job.start_ms, job.inputs.clone());
        }
        if !replaced.is_empty() {
            // Before the next span takes its space.
            drop(replaced);
            kept.table.vacuum().await?;
        }
        Ok(true)
    }

    fn replaced(&self, at: usize, job: &Job) -> Vec<Arc<Segment>> {
        let view = self.rollups.kept[at].table.view();
        view.segments.iter().filter(|s| job.replaces.iter().any(|path| path == s.path())).cloned().collect()
    }
}
