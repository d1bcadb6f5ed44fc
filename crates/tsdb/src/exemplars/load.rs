//! Reading exemplars from the table: the newest at start, and those of a range that memory does not have.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use base::{Labels, METRIC_NAME, MatchOp, Matcher, Result, SeriesExemplar, TimeRange};
use futures::StreamExt;
use lake::{Keys, RowPredicate, RowStore, Scan};

use super::ring::{Ring, matches_any};
use super::rows::{self, COLUMNS};
use super::{ExemplarSeries, SelectedExemplars, unreadable};

/// The first stretch of time that is looked at for the newest; each further one is twice as long.
const FIRST_STRETCH_MS: i64 = 2 * 3_600_000;

/// The newest exemplars, up to a number of them.
pub(super) async fn newest(rows: &RowStore, tenant: &str, capacity: usize) -> Result<Ring> {
    let Some(all) = rows.time() else { return Ok(Ring::new(capacity, i64::MIN)) };
    if capacity == 0 {
        return Ok(Ring::new(0, i64::MAX));
    }
    let mut found = Newest::new(capacity);
    let (mut end_ms, mut length_ms) = (all.end_ms, FIRST_STRETCH_MS);
    while end_ms >= all.start_ms && found.kept.len() < capacity {
        let start_ms = end_ms.saturating_sub(length_ms - 1).max(all.start_ms);
        let scan = Scan::range(COLUMNS.to_vec(), TimeRange::new(start_ms, end_ms));
        collect(rows, tenant, scan, |_| true, &mut found).await?;
        end_ms = start_ms - 1;
        length_ms = length_ms.saturating_mul(2);
    }
    let (kept, left_out) = found.finish();
    let complete_from_ms = match kept.first() {
        Some(oldest) if left_out => oldest.exemplar.t_ms.saturating_add(1),
        _ if end_ms >= all.start_ms => end_ms.saturating_add(1),
        _ => i64::MIN,
    };
    let mut ring = Ring::new(capacity, complete_from_ms);
    for e in kept {
        ring.insert(e.labels, e.exemplar);
    }
    Ok(ring)
}

/// The exemplars of a range; at most so many, the newest.
pub(super) async fn select(
    rows: &RowStore,
    tenant: &str,
    sets: &[Vec<Matcher>],
    range: TimeRange,
    limit: usize,
) -> Result<SelectedExemplars> {
    let mut found = Newest::new(limit);
    let scan = Scan {
        keys: keys_of(sets),
        predicate: metric_predicate(sets),
        ..Scan::range(COLUMNS.to_vec(), range)
    };
    collect(rows, tenant, scan, |labels| matches_any(sets, labels), &mut found).await?;
    let (mut kept, truncated) = found.finish();
    kept.sort_by(|a, b| a.labels.cmp(&b.labels).then(a.exemplar.t_ms.cmp(&b.exemplar.t_ms)));
    let mut series: Vec<ExemplarSeries> = Vec::new();
    for e in kept {
        match series.last_mut() {
            Some(of) if of.labels == e.labels => of.exemplars.push(e.exemplar),
            _ => series.push(ExemplarSeries { labels: e.labels, exemplars: vec![e.exemplar] }),
        }
    }
    for of in &mut series {
        // Two appends at the same time may both have stored one.
        of.exemplars.dedup();
    }
    Ok(SelectedExemplars { series, truncated })
}

async fn collect(
    rows: &RowStore,
    tenant: &str,
    scan: Scan,
    wanted: impl Fn(&Labels) -> bool,
    found: &mut Newest,
) -> Result<()> {
    let mut batches = rows.scan(tenant, scan)?;
    while let Some(batch) = batches.next().await {
        found.extend(rows::decode(&batch?, &wanted)?);
    }
    Ok(())
}

/// The metrics that the sets name, if each of them names one.
fn keys_of(sets: &[Vec<Matcher>]) -> Keys {
    let exact = |m: &&Matcher| m.name() == METRIC_NAME && m.op() == MatchOp::Equal && !m.value().is_empty();
    let names: Option<Vec<String>> =
        sets.iter().map(|set| set.iter().find(exact).map(|m| m.value().to_owned())).collect();
    match names {
        Some(mut names) => {
            names.sort_unstable();
            names.dedup();
            Keys::Only(names)
        }
        None => Keys::All,
    }
}

/// Asks the metric's name before the wide columns are read.
fn metric_predicate(sets: &[Vec<Matcher>]) -> Option<(Vec<&'static str>, RowPredicate)> {
    let of_name = |set: &Vec<Matcher>| -> Vec<Matcher> {
        set.iter().filter(|m| m.name() == METRIC_NAME).cloned().collect()
    };
    let by_name: Vec<Vec<Matcher>> = sets.iter().map(of_name).collect();
    if by_name.iter().any(Vec::is_empty) {
        return None;
    }
    let predicate: RowPredicate = Arc::new(move |batch| {
        let metrics = batch
            .column_by_name("metric")
            .and_then(|c| c.as_string_opt::<i32>())
            .ok_or_else(|| unreadable("column metric is missing or no text"))?;
        let accepts = |name: &str| by_name.iter().any(|set| set.iter().all(|m| m.matches(name)));
        Ok(BooleanArray::from_iter((0..metrics.len()).map(|i| Some(accepts(metrics.value(i))))))
    });
    Some((vec!["metric"], predicate))
}

/// Keeps the newest of what it is given.
struct Newest {
    limit: usize,
    kept: Vec<SeriesExemplar>,
    left_out: bool,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), left_out: false }
    }

    fn extend(&mut self, more: Vec<SeriesExemplar>) {
        self.kept.extend(more);
        // Twice as many are held, so that each is sorted but a few times.
        if self.kept.len() > self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort_by_key(|e| e.exemplar.t_ms);
        if self.kept.len() > self.limit {
            self.left_out = true;
            self.kept.drain(..self.kept.len() - self.limit);
        }
    }

    /// In order of time, and whether some were left out.
    fn finish(mut self) -> (Vec<SeriesExemplar>, bool) {
        self.cut();
        (self.kept, self.left_out)
    }
}
