//! Reading across head and segments: selections of samples, and look-ups of series and labels.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::{Labels, METRIC_NAME, Matcher, Result, TimeRange};
use lake::{Pool, Segment, TableView};
use rustc_hash::FxHashSet;

use crate::blocks::{Matched, Which};
use crate::head::HeadChunk;
use crate::hidden::Visibility;
use crate::select::{Gather, SelectedSeries};
use crate::store::MetricStore;
use crate::table;

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
        for segment in segments {
            self.gather_segment(&segment, matchers, range, &mut gather).await?;
        }
        // Last, as its series are in the order in which they came.
        gather.add_head(head)?;
        Ok(gather.finish(range))
    }

    /// Gathers what a segment of samples has.
    pub(crate) async fn gather_segment(
        &self,
        segment: &Segment,
        matchers: &[Matcher],
        range: TimeRange,
        gather: &mut Gather,
    ) -> Result<()> {
        let blocks = self.table.blocks(segment, &table::keys(matchers), range).await?;
        // One group of rows after the other, so that what is held beside the result is bounded.
        for group in blocks.chunk_by(|a, b| a.group() == b.group()) {
            let matched =
                self.blocks.matched(&self.table, segment, group, matchers, range, Which::All).await?;
            let data = self.blocks.data(&self.table, segment, &matched).await?;
            for (matched, data) in matched.iter().zip(&data) {
                gather.add_matched(matched, data)?;
            }
        }
        Ok(())
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
        // Where some series may be hidden, the next one may not be.
        let one_is_enough = name == METRIC_NAME && visibility.is_clear();
        let which = if one_is_enough { Which::OneOfMetric } else { Which::All };
        let mut visit = |labels: &Labels| {
            if let Some(value) = labels.get(name) {
                note(value);
            }
        };
        self.visit_segments(&segments, sets, range, &visibility, which, &mut visit).await?;
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
        self.visit_segments(&segments, sets, range, &visibility, Which::All, visit).await
    }

    async fn visit_segments(
        &self,
        segments: &[Arc<Segment>],
        sets: &[Vec<Matcher>],
        range: TimeRange,
        visibility: &Visibility,
        which: Which,
        visit: &mut (dyn FnMut(&Labels) + Send),
    ) -> Result<()> {
        for matchers in sets {
            for segment in segments {
                let blocks = self.table.blocks(segment, &table::keys(matchers), range).await?;
                for group in blocks.chunk_by(|a, b| a.group() == b.group()) {
                    let found =
                        self.blocks.matched(&self.table, segment, group, matchers, range, which).await?;
                    found.iter().for_each(|m| visit_rows(m, visibility, range, visit));
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

/// Visits the series among rows that have something to see in a range, each once.
fn visit_rows(
    matched: &Matched,
    visibility: &Visibility,
    range: TimeRange,
    visit: &mut (dyn FnMut(&Labels) + Send),
) {
    let mut visited: Option<&Labels> = None;
    for row in matched.rows.iter().map(|at| matched.index.row(*at)) {
        // A series with several chunks has them in consecutive rows.
        let again = visited.is_some_and(|labels| labels.is_same(&row.labels));
        let seen = || visibility.is_clear() || !visibility.of(&row.labels).covers(clip(row.time, range));
        if !again && seen() {
            visit(&row.labels);
            visited = Some(&row.labels);
        }
    }
}

fn clip(time: TimeRange, range: TimeRange) -> TimeRange {
    TimeRange::new(time.start_ms.max(range.start_ms), time.end_ms.min(range.end_ms))
}
