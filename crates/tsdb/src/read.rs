//! Reading across head and segments: selections of samples, and look-ups of series and labels.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, Int64Array, RecordBatch};
use base::{Labels, Matcher, Result, TimeRange};
use futures::StreamExt;
use lake::{Pool, Segment, TableView};
use rustc_hash::FxHashSet;

use crate::head::HeadChunk;
use crate::hidden::Visibility;
use crate::select::{Gather, SelectedSeries};
use crate::store::MetricStore;
use crate::table::{self, LABELS, T_MAX, T_MIN, column};

/// Series of the head with their chunks.
pub(crate) type HeadSeries = Vec<(Labels, Vec<HeadChunk>)>;

impl MetricStore {
    /// Gathers the chunks of the series that satisfy all matchers, with samples in the range, both ends included.
    pub async fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SelectedSeries> {
        // Looked at first: a deletion is forgotten only when no segment has what it hides.
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let mut gather =
            Gather::new(self.options.select_bytes, visibility, self.memory().reservation(Pool::Queries));
        let (segments, head) = self.look(matchers, range);
        gather.add_head(head)?;
        let scan = table::scan(matchers, range, Gather::COLUMNS.to_vec());
        for segment in segments {
            let mut batches = self.table.scan(&segment, &scan).await?;
            while let Some(batch) = batches.next().await {
                gather.add_segment(&batch?)?;
            }
        }
        Ok(gather.finish(range))
    }

    /// The series that satisfy any of the sets of matchers and have samples or rollups in the range, in order; no set means all. At most `limit`.
    pub async fn series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>> {
        let mut found = FxHashSet::default();
        self.visit_series(matcher_sets, range, &mut |labels| {
            found.insert(labels.clone());
        })
        .await?;
        let mut found: Vec<Labels> = found.into_iter().collect();
        found.sort_unstable();
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// The label names of those series, sorted.
    pub async fn label_names(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        self.visit_series(matcher_sets, range, &mut |labels| {
            for (name, _) in labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        })
        .await?;
        Ok(names.into_iter().collect())
    }

    /// The values that a label has in those series, sorted.
    pub async fn label_values(
        &self,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let mut values: BTreeSet<String> = BTreeSet::new();
        let mut note = |value: &str| {
            if !values.contains(value) {
                values.insert(value.to_owned());
            }
        };
        let sets = any_of(matcher_sets);
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let segments = {
            let state = self.state.read();
            for matchers in sets {
                match visibility.is_clear() {
                    true => state.head.label_values(name, matchers, range, &mut note),
                    false => visible(state.head.select(matchers, range), &visibility, range)
                        .filter_map(|labels| labels.get(name).map(str::to_owned))
                        .for_each(|value| note(&value)),
                }
            }
            self.segments(&state.view, range)
        };
        let mut visit = |labels: &Labels| {
            if let Some(value) = labels.get(name) {
                note(value);
            }
        };
        self.visit_segments(&segments, sets, range, &visibility, &mut visit).await?;
        Ok(values.into_iter().collect())
    }

    /// The segments that a selection needs, and what the head has of it. One look at both: a window is either in the head or in
    /// the segments.
    pub(crate) fn look(&self, matchers: &[Matcher], range: TimeRange) -> (Vec<Arc<Segment>>, HeadSeries) {
        let state = self.state.read();
        (self.segments(&state.view, range), state.head.select(matchers, range))
    }

    fn segments(&self, view: &TableView, range: TimeRange) -> Vec<Arc<Segment>> {
        let wanted = |s: &&Arc<Segment>| s.tenant() == self.options.tenant && s.time().overlaps(range);
        view.segments.iter().filter(wanted).cloned().collect()
    }

    /// Calls `visit` for every series at least once.
    async fn visit_series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        visit: &mut (dyn FnMut(&Labels) + Send),
    ) -> Result<()> {
        let sets = any_of(matcher_sets);
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let (segments, head) = {
            let state = self.state.read();
            let head: Vec<Labels> = match visibility.is_clear() {
                true => sets.iter().flat_map(|m| state.head.labels(m, range)).collect(),
                false => sets
                    .iter()
                    .flat_map(|m| visible(state.head.select(m, range), &visibility, range))
                    .collect(),
            };
            (self.segments(&state.view, range), head)
        };
        head.iter().for_each(&mut *visit);
        self.visit_segments(&segments, sets, range, &visibility, visit).await
    }

    async fn visit_segments(
        &self,
        segments: &[Arc<Segment>],
        sets: &[Vec<Matcher>],
        range: TimeRange,
        visibility: &Visibility,
        visit: &mut (dyn FnMut(&Labels) + Send),
    ) -> Result<()> {
        for matchers in sets {
            let scan = table::scan(matchers, range, vec![LABELS, T_MIN, T_MAX]);
            for segment in segments {
                let mut batches = self.table.scan(segment, &scan).await?;
                while let Some(batch) = batches.next().await {
                    visit_rows(&batch?, visibility, range, visit)?;
                }
            }
            self.visit_rolled_up(matchers, range, visit).await?;
        }
        Ok(())
    }
}

/// Sets of matchers, any of which is enough; none means all series.
fn any_of(sets: &[Vec<Matcher>]) -> &[Vec<Matcher>] {
    const ALL: &[Vec<Matcher>] = &[Vec::new()];
    if sets.is_empty() { ALL } else { sets }
}

/// The series that have something to see in a range.
fn visible(
    found: Vec<(Labels, Vec<HeadChunk>)>,
    visibility: &Visibility,
    range: TimeRange,
) -> impl Iterator<Item = Labels> {
    found.into_iter().filter_map(move |(labels, chunks)| {
        let hidden = visibility.of(&labels);
        chunks.iter().any(|c| !hidden.covers(clip(c.time(), range))).then_some(labels)
    })
}

/// Visits the series of a batch that have something to see in a range, each once.
fn visit_rows(
    batch: &RecordBatch,
    visibility: &Visibility,
    range: TimeRange,
    visit: &mut (dyn FnMut(&Labels) + Send),
) -> Result<()> {
    let labels: &BinaryArray = column(batch, LABELS)?;
    let (t_min, t_max): (&Int64Array, &Int64Array) = (column(batch, T_MIN)?, column(batch, T_MAX)?);
    let mut visited: Option<&[u8]> = None;
    for row in 0..labels.len() {
        // A series with several chunks has them in consecutive rows.
        if visited == Some(labels.value(row)) {
            continue;
        }
        let series = Labels::from_packed(labels.value(row))?;
        let time = TimeRange::new(t_min.value(row), t_max.value(row));
        if visibility.is_clear() || !visibility.of(&series).covers(clip(time, range)) {
            visit(&series);
            visited = Some(labels.value(row));
        }
    }
    Ok(())
}

fn clip(time: TimeRange, range: TimeRange) -> TimeRange {
    TimeRange::new(time.start_ms.max(range.start_ms), time.end_ms.min(range.end_ms))
}
