//! Carrying out what was decided: reading segments side by side, rolling up, and putting the result in the place of what it replaces.
//!
//! One commit per span, which names what the rollup was made of; a crash at any step leaves the span as it was or done.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch};
use base::{BucketColumns, Buckets, Error, Labels, Result, TimeRange};
use futures::StreamExt;
use lake::{Lake, NewSegment, Segment, Table, TableView};
use parking_lot::Mutex;

use super::decide::{self, Done, Input, Job, Rules};
use super::merge::{self, Merge, Row};
use super::table::{self, RowBuilder};
use super::{Resolution, RollupOptions, kernel};
use crate::hidden::Visibility;
use crate::limits::{ROLLUP_BATCH_BYTES, ROLLUP_BATCH_SERIES, ROLLUP_HOLD, ROLLUP_ROUND};
use crate::select::{self, Gather};
use crate::store::{MetricStore, millis};
use crate::table::LABELS;
use crate::tombstones::Tombstone;

/// The key under which a segment of rollups names what it was made of, one path a line.
const SOURCES: &str = "bellwether.rollup.sources";

/// The key under which it names the deletions that it was made without the samples of, one a line.
const DELETIONS: &str = "bellwether.rollup.deletions";

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
                    Ok(()) => {
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

    async fn roll_up_span(&self, at: usize, job: &Job) -> Result<()> {
        let kept = &self.rollups.kept[at];
        let replaced = self.replaced(at, job);
        if replaced.len() < job.replaces.len() {
            // Someone else was there first; the next round looks at what they made.
            return Ok(());
        }
        let mut barren = false;
        let write = async {
            let made = self.write_rollup(at, job, &replaced).await?;
            barren = made.is_none();
            Ok(made.into_iter().collect())
        };
        kept.table.replace(&replaced, true, write).await?;
        if barren {
            kept.barren.lock().insert(job.start_ms, job.inputs.clone());
        }
        Ok(())
    }

    fn replaced(&self, at: usize, job: &Job) -> Vec<Arc<Segment>> {
        let view = self.rollups.kept[at].table.view();
        view.segments.iter().filter(|s| job.replaces.iter().any(|path| path == s.path())).cloned().collect()
    }

    /// Writes the rollup of a span; `None` if there is nothing to keep.
    async fn write_rollup(
        &self,
        at: usize,
        job: &Job,
        replaced: &[Arc<Segment>],
    ) -> Result<Option<NewSegment>> {
        let kept = &self.rollups.kept[at];
        let range = TimeRange::new(job.start_ms + 1, job.end_ms);
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let (source, segments) = self.rollup_source(at);
        let columns = if at == 0 { Gather::COLUMNS.to_vec() } else { table::columns(BucketColumns::ALL) };
        let overlapping: Vec<Arc<Segment>> =
            segments.into_iter().filter(|s| s.time().overlaps(range)).collect();
        let scan = crate::table::scan(&[], range, columns);
        let mut fresh = Merge::begin(source, &overlapping, &scan).await?;
        let scan = crate::table::scan(&[], range, table::columns(BucketColumns::ALL));
        let mut before = Merge::begin(&kept.table, replaced, &scan).await?;
        let mut hidden = Hiding { samples: visibility.clone(), fresh: Vec::new(), before: Vec::new() };
        for segment in replaced {
            hidden.before.push(kept.unheeded(segment, &visibility).await?);
        }
        if let Some(finer) = at.checked_sub(1).map(|finer| &self.rollups.kept[finer]) {
            for segment in &overlapping {
                hidden.fresh.push(finer.unheeded(segment, &visibility).await?);
            }
        }
        let hidden = Arc::new(hidden);
        let date = lake::date(job.start_ms);
        let mut writer = kept.table.compacted_writer(&self.options.tenant, &date, job.end_ms, 1)?;
        let (mut rows, mut batch, mut bytes) = (0, Vec::new(), 0);
        let mut histograms = BTreeSet::new();
        if at > 0 {
            for segment in &overlapping {
                let metrics = source.annotation(segment, HISTOGRAMS).await?.unwrap_or_default();
                histograms.extend(metrics.lines().map(str::to_owned));
            }
        }
        loop {
            let next = match (fresh.peek(), before.peek()) {
                (Some(a), Some(b)) => Some(if merge::order(a, b).is_le() { a } else { b }),
                (a, b) => a.or(b),
            };
            let next = next.cloned();
            let ended = next.is_none();
            if let Some(labels) = next {
                let parts =
                    Parts { fresh: fresh.take(&labels).await?, before: before.take(&labels).await?, labels };
                bytes += parts.size_bytes()?;
                batch.push(parts);
            }
            if ended || batch.len() >= ROLLUP_BATCH_SERIES || bytes >= ROLLUP_BATCH_BYTES {
                let (series, resolution) = (std::mem::take(&mut batch), kept.resolution);
                let hidden = hidden.clone();
                let rolled =
                    tokio::task::spawn_blocking(move || roll_rows(&series, resolution, range, &hidden))
                        .await
                        .map_err(|e| Error::internal(format!("cannot compute rollups: {e}")))??;
                rows += rolled.rows.num_rows();
                writer.write(&rolled.rows).await?;
                histograms.extend(rolled.histograms);
                bytes = 0;
            }
            if ended {
                break;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        writer.annotate(SOURCES, &job.inputs.join("\n"));
        let deletions: Vec<&str> = visibility.tombstones().iter().map(|t| t.name()).collect();
        if !deletions.is_empty() {
            writer.annotate(DELETIONS, &deletions.join("\n"));
        }
        if !histograms.is_empty() {
            let metrics: Vec<String> = histograms.into_iter().collect();
            writer.annotate(HISTOGRAMS, &metrics.join("\n"));
        }
        writer.finish().await.map(Some)
    }
}

/// What must not be in a rollup of what it is made of.
struct Hiding {
    /// Of samples.
    samples: Visibility,
    /// Of finer buckets, by segment.
    fresh: Vec<Visibility>,
    /// Of the buckets of what is replaced, by segment.
    before: Vec<Visibility>,
}

/// What a span's rollup of one series is made of.
struct Parts {
    labels: Labels,
    /// Rows of samples, or of finer buckets.
    fresh: Vec<Row>,
    /// Rows of the rollup that is replaced.
    before: Vec<Row>,
}

impl Parts {
    /// What decoding may take.
    fn size_bytes(&self) -> Result<usize> {
        let mut samples = 0;
        for row in self.fresh.iter().chain(&self.before) {
            let counts: &Int32Array = crate::table::column(&row.batch, crate::table::COUNT)?;
            samples += usize::try_from(counts.value(row.at)).unwrap_or(0);
        }
        Ok(self.labels.size_bytes() + samples * size_of::<(i64, f64)>())
    }
}

/// The rows of a span for some series.
struct Rolled {
    rows: RecordBatch,
    /// Metrics that have native histograms.
    histograms: BTreeSet<String>,
}

fn roll_rows(series: &[Parts], resolution: Resolution, range: TimeRange, hiding: &Hiding) -> Result<Rolled> {
    let mut rows = RowBuilder::new(resolution);
    let mut histograms = BTreeSet::new();
    for parts in series {
        let mut buckets = match resolution {
            Resolution::FiveMinutes => {
                roll_samples(parts, resolution, range, &hiding.samples).map(|(buckets, has_histograms)| {
                    if has_histograms {
                        histograms.insert(parts.labels.metric().to_owned());
                    }
                    buckets
                })
            }
            Resolution::OneHour => coarsen_rows(parts, resolution, &hiding.fresh),
        }
        .map_err(|e| e.context(format!("cannot roll up series {}", parts.labels)))?;
        for row in &parts.before {
            let mut old = Buckets::default();
            table::decode_row(&row.batch, row.at, BucketColumns::ALL, &mut old)?;
            hiding.before[row.segment].of_rollups(&parts.labels).drop_buckets(&mut old, resolution.millis());
            buckets = kernel::unite(&buckets, &old);
        }
        buckets.crop(range);
        rows.push(&parts.labels, &buckets);
    }
    Ok(Rolled { rows: rows.finish()?, histograms })
}

/// The buckets of a series, and whether it has native histograms beside what they are made of.
fn roll_samples(
    parts: &Parts,
    resolution: Resolution,
    range: TimeRange,
    visibility: &Visibility,
) -> Result<(Buckets, bool)> {
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    let mut has_histograms = false;
    for row in &parts.fresh {
        has_histograms |= !select::decode_segment_floats(&row.batch, row.at, &mut timestamps, &mut values)?;
    }
    select::in_order(&mut timestamps, &mut values, range);
    visibility.of_rollups(&parts.labels).drop_from(&mut timestamps, &mut values);
    let mut buckets = Buckets::default();
    kernel::roll(&timestamps, &values, resolution.millis(), &mut buckets);
    Ok((buckets, has_histograms))
}

fn coarsen_rows(parts: &Parts, resolution: Resolution, hidden: &[Visibility]) -> Result<Buckets> {
    let (mut fine, mut part) = (Buckets::default(), Buckets::default());
    for row in &parts.fresh {
        table::decode_row(&row.batch, row.at, BucketColumns::ALL, &mut part)?;
        let finer_ms = Resolution::FiveMinutes.millis();
        hidden[row.segment].of_rollups(&parts.labels).drop_buckets(&mut part, finer_ms);
        fine = kernel::unite(&fine, &part);
    }
    let mut buckets = Buckets::default();
    kernel::coarsen(&fine, resolution.millis(), &mut buckets);
    Ok(buckets)
}
