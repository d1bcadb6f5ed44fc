//! Writing the rollup of one span: sorted runs side by side, series by series.
//!
//! In memory are a row group of each run, of which there are [`COMPACTION_INPUTS`] at most, a batch of series, and the writer's row group.
//! More segments of samples than that are merged first, in passes as a compaction's, into segments that are no part of the table and are
//! deleted once they are read.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use base::{BucketColumns, Buckets, Error, Labels, Result, TimeRange};
use lake::limits::COMPACTION_INPUTS;
use lake::{NewSegment, Scan, Segment, SegmentWriter, Table};

use super::decide::Job;
use super::merge::{self, Merge, Row};
use super::run::{DELETIONS, HISTOGRAMS, SOURCES};
use super::table::{self, RowBuilder};
use super::{Resolution, kernel};
use crate::compact::merge_runs;
use crate::hidden::Visibility;
use crate::limits::{ROLLUP_BATCH_BYTES, ROLLUP_BATCH_SERIES};
use crate::select::{self, Gather};
use crate::store::MetricStore;

/// Bytes that writing a rollup may take beside what there is: itself, which in all but odd cases is smaller than what it is made of, and
/// two passes of merging.
pub(super) fn needed_bytes(made_of: &[Arc<Segment>], replaced: &[Arc<Segment>]) -> u64 {
    let bytes = |of: &[Arc<Segment>]| of.iter().map(|s| s.size_bytes()).sum::<u64>();
    let passes = if made_of.len() > COMPACTION_INPUTS { 2 } else { 0 };
    bytes(made_of).saturating_mul(1 + passes).saturating_add(bytes(replaced))
}

/// A sorted run that a rollup is made of.
struct InputRun {
    segments: Vec<Arc<Segment>>,
    /// The same, if they were made for this only. Holding them keeps their files.
    staged: Vec<NewSegment>,
}

impl MetricStore {
    /// Writes the rollup of a span; `None` if there is nothing to keep.
    pub(super) async fn write_rollup(
        &self,
        at: usize,
        source: &Table,
        job: &Job,
        made_of: &[Arc<Segment>],
        replaced: &[Arc<Segment>],
    ) -> Result<Option<NewSegment>> {
        let range = TimeRange::new(job.start_ms + 1, job.end_ms);
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let runs = self.few_runs(source, made_of, &visibility).await?;
        let written = self.write_runs(at, source, job, &runs, replaced, &visibility).await;
        discard(source, runs).await;
        let Some((mut writer, mut histograms)) = written? else { return Ok(None) };
        if at > 0 {
            for segment in made_of {
                let metrics = source.annotation(segment, HISTOGRAMS).await?.unwrap_or_default();
                histograms.extend(metrics.lines().map(str::to_owned));
            }
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

    /// Merges segments of samples until there are few runs of them. What fails leaves files that the next vacuum deletes.
    async fn few_runs(
        &self,
        source: &Table,
        segments: &[Arc<Segment>],
        visibility: &Visibility,
    ) -> Result<Vec<InputRun>> {
        let single = |s: &Arc<Segment>| InputRun { segments: vec![s.clone()], staged: Vec::new() };
        let mut runs: Vec<InputRun> = segments.iter().map(single).collect();
        while runs.len() > COMPACTION_INPUTS {
            let mut fewer = Vec::new();
            let mut left = runs.into_iter();
            loop {
                let group: Vec<InputRun> = left.by_ref().take(COMPACTION_INPUTS).collect();
                if group.len() < 2 {
                    fewer.extend(group);
                    break;
                }
                let inputs: Vec<_> = group.iter().map(|run| run.segments.clone()).collect();
                let visibility = visibility.clone().for_rollups();
                let merged = Box::pin(merge_runs(source, &inputs, 1, visibility, &self.stopping)).await?;
                let segments = merged.iter().map(|segment| source.uncommitted(segment)).collect();
                fewer.push(InputRun { segments, staged: merged });
                discard(source, group).await;
            }
            runs = fewer;
        }
        Ok(runs)
    }

    /// Writes the rows; `None` if there are none. Also returns which metrics have native histograms.
    async fn write_runs(
        &self,
        at: usize,
        source: &Table,
        job: &Job,
        runs: &[InputRun],
        replaced: &[Arc<Segment>],
        visibility: &Visibility,
    ) -> Result<Option<(SegmentWriter, BTreeSet<String>)>> {
        let kept = &self.rollups.kept[at];
        let range = TimeRange::new(job.start_ms + 1, job.end_ms);
        let all = || table::columns(BucketColumns::ALL);
        let columns = if at == 0 { Gather::COLUMNS.to_vec() } else { all() };
        let (of_fresh, of_before): (Scan, Scan) =
            (crate::table::scan(&[], range, columns), crate::table::scan(&[], range, all()));
        let fresh = runs.iter().map(|run| run.segments.iter().cloned().collect()).collect();
        let mut fresh = Merge::begin(source, fresh, &of_fresh).await?;
        let before = replaced.iter().map(|segment| VecDeque::from([segment.clone()])).collect();
        let mut before = Merge::begin(&kept.table, before, &of_before).await?;
        let hiding = Arc::new(self.hiding(at, runs, replaced, visibility).await?);
        let date = lake::date(job.start_ms);
        let mut writer = kept.table.compacted_writer(&self.options.tenant, &date, job.end_ms, 1)?;
        let (mut rows, mut batch, mut bytes) = (0, Vec::new(), 0);
        let mut histograms = BTreeSet::new();
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Error::unavailable("the store is closing"));
            }
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
                let hiding = hiding.clone();
                let rolled =
                    tokio::task::spawn_blocking(move || roll_rows(&series, resolution, range, &hiding))
                        .await
                        .map_err(|e| Error::internal(format!("cannot compute rollups: {e}")))??;
                rows += rolled.rows.num_rows();
                writer.write(&rolled.rows).await?;
                histograms.extend(rolled.histograms);
                bytes = 0;
            }
            if ended {
                return Ok((rows > 0).then_some((writer, histograms)));
            }
        }
    }

    async fn hiding(
        &self,
        at: usize,
        runs: &[InputRun],
        replaced: &[Arc<Segment>],
        visibility: &Visibility,
    ) -> Result<Hiding> {
        let mut hiding = Hiding { samples: visibility.clone(), fresh: Vec::new(), before: Vec::new() };
        for segment in replaced {
            hiding.before.push(self.rollups.kept[at].unheeded(segment, visibility).await?);
        }
        if let Some(finer) = at.checked_sub(1).map(|finer| &self.rollups.kept[finer]) {
            // Runs of rollups are never merged before, so that each is one segment.
            for run in runs {
                for segment in &run.segments {
                    hiding.fresh.push(finer.unheeded(segment, visibility).await?);
                }
            }
        }
        Ok(hiding)
    }
}

/// Deletes what was made to be read once.
async fn discard(source: &Table, runs: Vec<InputRun>) {
    for run in runs {
        for staged in run.staged {
            source.discard(staged).await;
        }
    }
}

/// What must not be in a rollup of what it is made of.
struct Hiding {
    /// Of samples.
    samples: Visibility,
    /// Of finer buckets, by run.
    fresh: Vec<Visibility>,
    /// Of the buckets of what is replaced, by run.
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
    /// What the rows take, and what decoding them may.
    fn size_bytes(&self) -> Result<usize> {
        let mut bytes = self.labels.size_bytes();
        for row in self.fresh.iter().chain(&self.before) {
            let counts: &Int32Array = crate::table::column(&row.batch, crate::table::COUNT)?;
            let samples = usize::try_from(counts.value(row.at)).unwrap_or(0);
            let encoded = row.batch.columns().iter().filter_map(|c| c.as_binary_opt::<i32>());
            bytes += samples * size_of::<(i64, f64)>();
            bytes += encoded.map(|column| column.value(row.at).len()).sum::<usize>();
        }
        Ok(bytes)
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
            hiding.before[row.run].of_rollups(&parts.labels).drop_buckets(&mut old, resolution.millis());
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
        hidden[row.run].of_rollups(&parts.labels).drop_buckets(&mut part, finer_ms);
        fine = kernel::unite(&fine, &part);
    }
    let mut buckets = Buckets::default();
    kernel::coarsen(&fine, resolution.millis(), &mut buckets);
    Ok(buckets)
}
