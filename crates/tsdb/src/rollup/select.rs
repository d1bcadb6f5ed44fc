//! Selecting buckets: stored ones, and for spans that are not rolled up yet those made on the way from what they will be made of.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch};
use base::{BucketColumns, Buckets, Error, Labels, METRIC_NAME, Matcher, Result, TimeRange};
use futures::StreamExt;
use lake::{Pool, Reservation, Scan, Segment, Table};
use rustc_hash::FxHashMap;

use super::run::{HISTOGRAMS, Kept};
use super::table::{columns, decode_row};
use super::{Resolution, decide, kernel};
use crate::hidden::Visibility;
use crate::retention::Retention;
use crate::select::{Gather, SelectedSeries};
use crate::store::{MetricStore, millis};
use crate::table::{LABELS, column};

/// From when on a store has what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The time from which on samples are there: those of before were taken by retention, or never were. Of series that are kept
    /// longer than others there may be earlier ones, see [`MetricStore::samples_from`].
    pub samples_from_ms: i64,
    /// The resolutions that are kept and have segments, the finest first.
    pub rollups: Vec<RollupCoverage>,
}

/// What there is of a resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupCoverage {
    /// The length of a bucket.
    pub resolution: Resolution,
    /// Begin of the first bucket that is stored.
    pub from_ms: i64,
    /// End of the last one. Later ones are made when they are asked for.
    pub until_ms: i64,
}

/// From when on a store has the samples of a series.
#[derive(Debug, Clone)]
pub struct SamplesFrom {
    first_ms: i64,
    now_ms: i64,
    retention: Arc<Retention>,
}

impl SamplesFrom {
    /// Of any series.
    pub fn of_any(&self) -> i64 {
        self.first_ms.max(self.retention.oldest_ms(self.now_ms))
    }

    /// Of one series.
    pub fn of(&self, labels: &Labels) -> i64 {
        self.first_ms.max(self.general_ms().min(self.retention.cutoff_ms(labels, self.now_ms)))
    }

    /// What an age of its own that is shorter takes has no rollups either, so that there is no need to tell.
    fn general_ms(&self) -> i64 {
        self.now_ms.saturating_sub(millis(self.retention.age))
    }
}

/// Series with their buckets, in order of labels. Holds its rows, whatever happens to the store.
pub struct SelectedBuckets {
    resolution: Resolution,
    series: Vec<(Labels, Sources)>,
    raw: SelectedSeries,
    /// The ranges that stored buckets of the finest resolution do not cover.
    raw_ranges: Vec<TimeRange>,
    wanted: BucketColumns,
    /// Ends of buckets.
    range: TimeRange,
    size_bytes: usize,
    histograms: bool,
    /// Its part of the memory for queries, as long as it is there.
    _memory: Reservation,
}

/// A row of a batch, and what of it is not to be seen.
type StoredRow = (RecordBatch, usize, Arc<Visibility>);

/// Where buckets of a series come from.
#[derive(Default)]
struct Sources {
    stored: Vec<StoredRow>,
    finer: Vec<StoredRow>,
    /// Position in the selection of samples.
    raw: Option<usize>,
}

impl SelectedBuckets {
    /// The length of the buckets.
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The labels of the series at a position.
    pub fn labels(&self, at: usize) -> &Labels {
        &self.series[at].0
    }

    /// Whether there may be native histograms of the selected metric, or of any if it is not named, which have no buckets.
    pub fn may_miss_histograms(&self) -> bool {
        self.histograms
    }

    /// Bytes of rows and labels that are held.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes + self.raw.size_bytes()
    }

    /// The buckets of the series at a position whose end is in the range, each once, ascending.
    pub fn decode(&self, at: usize) -> Result<Buckets> {
        let (labels, sources) = &self.series[at];
        let mut buckets = self
            .decode_sources(labels, sources)
            .map_err(|e| e.context(format!("cannot read rollups of series {labels}")))?;
        buckets.crop(self.range);
        Ok(buckets)
    }

    fn decode_sources(&self, labels: &Labels, sources: &Sources) -> Result<Buckets> {
        let mut parts = Vec::with_capacity(sources.stored.len() + 2);
        for (batch, row, hidden) in &sources.stored {
            let mut part = Buckets::default();
            decode_row(batch, *row, self.wanted, &mut part)?;
            hidden.of_rollups(labels).drop_buckets(&mut part, self.resolution.millis());
            parts.push(part);
        }
        let mut finer = Vec::with_capacity(sources.finer.len());
        for (batch, row, hidden) in &sources.finer {
            let mut part = Buckets::default();
            decode_row(batch, *row, BucketColumns::ALL, &mut part)?;
            hidden.of_rollups(labels).drop_buckets(&mut part, Resolution::FiveMinutes.millis());
            finer.push(part);
        }
        if !finer.is_empty() {
            let mut part = Buckets::default();
            kernel::coarsen(&join(finer), self.resolution.millis(), &mut part);
            parts.push(part);
        }
        if let Some(raw) = sources.raw {
            let (mut timestamps, mut values) = (Vec::new(), Vec::new());
            self.raw.decode(raw, &mut timestamps, &mut values)?;
            let mut rolled = Buckets::default();
            kernel::roll(&timestamps, &values, self.resolution.millis(), &mut rolled);
            for range in &self.raw_ranges {
                let mut part = rolled.clone();
                part.crop(*range);
                parts.push(part);
            }
        }
        Ok(join(parts))
    }
}

/// Parts of a series' buckets as one. They hardly ever overlap.
fn join(mut parts: Vec<Buckets>) -> Buckets {
    parts.retain(|p| !p.is_empty());
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    parts.sort_by_key(|p| p.ends_ms[0]);
    parts.iter().fold(Buckets::default(), |joined, part| kernel::unite(&joined, part))
}

impl MetricStore {
    /// From when on there are samples and rollups.
    pub fn coverage(&self, now_ms: i64) -> Coverage {
        let from = self.samples_from(now_ms);
        let rollups = self.rollups.kept.iter().filter_map(|kept| {
            let segments = self.of_tenant(&kept.table.view());
            let time = segments.iter().map(|s| s.time());
            let time =
                time.reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)))?;
            Some(RollupCoverage {
                resolution: kept.resolution,
                from_ms: time.start_ms,
                until_ms: time.end_ms,
            })
        });
        Coverage { samples_from_ms: from.first_ms.max(from.general_ms()), rollups: rollups.collect() }
    }

    /// From when on there are samples of each series.
    pub fn samples_from(&self, now_ms: i64) -> SamplesFrom {
        let first_ms = self.time().map_or(i64::MAX, |t| t.start_ms);
        SamplesFrom { first_ms, now_ms, retention: self.retention() }
    }

    /// Gathers the buckets of the series that satisfy all matchers, with ends in the range, both included. Buckets that are
    /// not stored yet are made when they are decoded. If the resolution is not kept there are none.
    pub async fn select_buckets(
        &self,
        resolution: Resolution,
        matchers: &[Matcher],
        range: TimeRange,
        wanted: BucketColumns,
    ) -> Result<SelectedBuckets> {
        let limit_bytes = self.options.select_bytes;
        let visibility = self.visibility(self.clock.now_ms());
        let reservation = || self.memory().reservation(Pool::Queries);
        let mut rows =
            Rows { series: FxHashMap::default(), size_bytes: 0, limit_bytes, memory: reservation() };
        let mut gather = Gather::new(limit_bytes, visibility.clone().for_rollups(), reservation());
        // The samples are looked at before the rollups, and those of head and segments at once: nothing can fall in between.
        let step_ms = resolution.millis();
        let first_ms =
            range.start_ms.saturating_sub(1).div_euclid(step_ms).saturating_mul(step_ms).saturating_add(1);
        let whole = TimeRange::new(first_ms, range.end_ms);
        let (raw, head, unsealed_ms) = {
            let state = self.state.read();
            let unsealed_ms = state.head.time().map_or(i64::MAX, |t| t.start_ms);
            (self.of_tenant(&state.view), state.head.select(matchers, whole), unsealed_ms)
        };
        gather.add_head(head)?;
        let mut histograms = false;
        let mut missing = vec![whole];
        let levels = self.levels(resolution, &raw, unsealed_ms, &visibility).await?;
        for level in levels.iter().rev() {
            let kept = level.kept;
            let exact = kept.resolution == resolution;
            let wanted = columns(if exact { wanted } else { BucketColumns::ALL });
            for part in &missing {
                let scan = crate::table::scan(matchers, *part, wanted.clone());
                let segments = level.segments.iter().zip(&level.hidden);
                for (segment, hidden) in segments.filter(|(s, _)| s.time().overlaps(*part)) {
                    histograms |= has_histograms(&kept.table, segment, matchers).await?;
                    rows.add(&kept.table, segment, &scan, exact, hidden).await?;
                }
            }
            missing = without_spans(&missing, &level.current, kept.resolution.span_ms());
        }
        for part in &missing {
            for segment in raw.iter().filter(|s| s.time().overlaps(*part)) {
                self.gather_segment(segment, matchers, *part, &mut gather).await?;
            }
        }
        let hull = missing.iter().copied().reduce(|a, b| TimeRange::new(a.start_ms, b.end_ms));
        let raw = gather.finish(hull.unwrap_or(TimeRange::new(0, -1)));
        for at in 0..raw.len() {
            rows.series.entry(raw.labels(at).clone()).or_default().raw = Some(at);
        }
        let mut series: Vec<(Labels, Sources)> = rows.series.into_iter().collect();
        series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let size_bytes = rows.size_bytes;
        Ok(SelectedBuckets {
            resolution,
            series,
            raw,
            raw_ranges: missing,
            wanted,
            range,
            size_bytes,
            histograms,
            _memory: rows.memory,
        })
    }
}

/// The rollups of a resolution, as a selection sees them.
struct Level<'a> {
    kept: &'a Kept,
    segments: Vec<Arc<Segment>>,
    /// What of each segment is not to be seen.
    hidden: Vec<Arc<Visibility>>,
    /// The beginnings of the spans whose rollup has all that there is of them; of the others there is more in what they are made of.
    current: Vec<i64>,
}

impl MetricStore {
    /// The rollups of a resolution and of those that it is made of, the finest first.
    async fn levels(
        &self,
        resolution: Resolution,
        raw: &[Arc<Segment>],
        unsealed_ms: i64,
        visibility: &Visibility,
    ) -> Result<Vec<Level<'_>>> {
        let span_ms = Resolution::FiveMinutes.span_ms();
        // Nobody knows which rollups a segment whose statistics are lost belongs to.
        let known = raw.iter().all(|s| decide::spans_of(s.time(), span_ms).next().is_some());
        let mut levels: Vec<Level<'_>> = Vec::new();
        for kept in self.rollups.kept.iter().filter(|k| k.resolution <= resolution) {
            let segments = self.of_tenant(&kept.table.view());
            let span_ms = kept.resolution.span_ms();
            // What is to be in it: of each span of what it is made of the segments.
            let mut inputs: FxHashMap<i64, Vec<&str>> = FxHashMap::default();
            let source = levels.last().map_or(raw, |finer| &finer.segments[..]);
            for input in source {
                for start_ms in decide::spans_of(input.time(), span_ms) {
                    inputs.entry(start_ms).or_default().push(input.path());
                }
            }
            // Samples that are not even in what it is made of.
            let behind = match levels.last() {
                Some(finer) => finer.behind(raw),
                None => Vec::new(),
            };
            let (mut current, mut hidden) = (Vec::new(), Vec::new());
            for segment in &segments {
                let start_ms = kept.span_start(segment);
                let end_ms = start_ms.saturating_add(span_ms);
                let sources = kept.origin(segment).await?.sources;
                let unheeded = kept.unheeded(segment, visibility).await?;
                let heeds = unheeded.tombstones().is_empty();
                hidden.push(Arc::new(unheeded));
                let complete =
                    inputs.get(&start_ms).into_iter().flatten().all(|path| sources.contains(*path));
                let overtaken = behind.iter().any(|at| start_ms <= *at && *at < end_ms);
                if known && complete && heeds && !overtaken && end_ms < unsealed_ms {
                    current.push(start_ms);
                }
            }
            current.sort_unstable();
            current.dedup();
            levels.push(Level { kept, segments, hidden, current });
        }
        Ok(levels)
    }
}

impl Level<'_> {
    /// The beginnings of the spans that have samples and no rollup, or one that is not current.
    fn behind(&self, raw: &[Arc<Segment>]) -> Vec<i64> {
        let spans = raw.iter().flat_map(|s| decide::spans_of(s.time(), self.kept.resolution.span_ms()));
        spans.filter(|start_ms| self.current.binary_search(start_ms).is_err()).collect()
    }
}

async fn has_histograms(table: &Table, segment: &Segment, matchers: &[Matcher]) -> Result<bool> {
    let Some(metrics) = table.annotation(segment, HISTOGRAMS).await? else { return Ok(false) };
    let names: Vec<&Matcher> = matchers.iter().filter(|m| m.name() == METRIC_NAME).collect();
    Ok(metrics.lines().any(|metric| names.iter().all(|m| m.matches(metric))))
}

/// Gathers rows of rollups within a bound of bytes.
struct Rows {
    series: FxHashMap<Labels, Sources>,
    size_bytes: usize,
    limit_bytes: usize,
    memory: Reservation,
}

impl Rows {
    async fn add(
        &mut self,
        table: &Table,
        segment: &Segment,
        scan: &Scan,
        exact: bool,
        hidden: &Arc<Visibility>,
    ) -> Result<()> {
        let mut batches = table.scan(segment, scan).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            self.size_bytes += batch.get_array_memory_size();
            if self.size_bytes > self.limit_bytes {
                return Err(Error::limit(format!(
                    "cannot select series: they have more than {} bytes of rollups (limit select_bytes)",
                    self.limit_bytes
                )));
            }
            self.memory
                .grow(batch.get_array_memory_size())
                .map_err(|e| e.context("cannot select rollups"))?;
            let labels: &BinaryArray = column(&batch, LABELS)?;
            for at in 0..labels.len() {
                let sources = self.series.entry(Labels::from_packed(labels.value(at))?).or_default();
                let rows = if exact { &mut sources.stored } else { &mut sources.finer };
                rows.push((batch.clone(), at, hidden.clone()));
            }
        }
        Ok(())
    }
}

/// What of some ranges spans leave over, whose beginnings ascend.
fn without_spans(ranges: &[TimeRange], starts_ms: &[i64], span_ms: i64) -> Vec<TimeRange> {
    let mut left = Vec::new();
    for range in ranges {
        let mut from_ms = range.start_ms;
        for start_ms in starts_ms {
            let end_ms = start_ms.saturating_add(span_ms);
            if end_ms < from_ms || *start_ms >= range.end_ms {
                continue;
            }
            if from_ms <= *start_ms {
                left.push(TimeRange::new(from_ms, *start_ms));
            }
            from_ms = end_ms.saturating_add(1);
        }
        if from_ms <= range.end_ms {
            left.push(TimeRange::new(from_ms, range.end_ms));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spans_leave_over_is_what_is_missing() {
        let check = |ranges: &[(i64, i64)], spans: &[i64], want: &[(i64, i64)]| {
            let of =
                |list: &[(i64, i64)]| list.iter().map(|(a, b)| TimeRange::new(*a, *b)).collect::<Vec<_>>();
            assert_eq!(without_spans(&of(ranges), spans, 100), of(want), "{ranges:?} {spans:?}");
        };
        check(&[(1, 300)], &[], &[(1, 300)]);
        check(&[(1, 300)], &[0, 100, 200], &[]);
        check(&[(1, 300)], &[100], &[(1, 100), (201, 300)]);
        check(&[(151, 350)], &[0, 100], &[(201, 350)]);
        check(&[(i64::MIN, i64::MAX)], &[100], &[(i64::MIN, 100), (201, i64::MAX)]);
        check(&[(1, 100), (201, 300)], &[200], &[(1, 100)]);
        check(&[(5, 4)], &[0], &[]);
    }
}
