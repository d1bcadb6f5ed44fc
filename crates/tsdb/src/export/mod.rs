//! Export: the samples of a selection as one stream of series, whatever their number.
//!
//! Owns the merge of head and segments in the table's order, and the table of samples that other programs read ([`SampleRows`]). Holds
//! a batch of each segment and the series at hand. Knows no file format.

mod rows;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use arrow::array::{Array, BinaryArray, RecordBatch, StringArray};
use base::{Labels, Matcher, Result, TimeRange};
use futures::StreamExt;
use futures::stream::BoxStream;
use lake::{MemoryBudget, Pool, Segment};

pub use rows::SampleRows;

use crate::head::HeadChunk;
use crate::hidden::Visibility;
use crate::import::DAY_MS;
use crate::select::{Gather, SelectedSeries};
use crate::store::MetricStore;
use crate::table::{self, LABELS, METRIC, column};

impl MetricStore {
    /// Begins to export the series that satisfy all matchers, with their samples in the range, both ends included. One look at head
    /// and segments: what is sealed or removed meanwhile changes nothing.
    pub async fn export(&self, matchers: &[Matcher], range: TimeRange) -> Result<Export> {
        // Looked at first: a deletion is forgotten only when no segment has what it hides.
        let visibility = self.visibility(self.clock.now_ms()).within(range);
        let (segments, mut head) = self.look(matchers, range);
        head.sort_unstable_by(|(a, _), (b, _)| (a.metric(), a).cmp(&(b.metric(), b)));
        let mut columns = Gather::COLUMNS.to_vec();
        columns.push(METRIC);
        let scan = table::scan(matchers, range, columns);
        let mut runs = Vec::with_capacity(segments.len());
        for segment in segments {
            let mut run =
                Run { batches: self.table.scan(&segment, &scan).await?, rows: None, _segment: segment };
            run.next_batch().await?;
            runs.push(run);
        }
        Ok(Export {
            head: head.into_iter().peekable(),
            runs,
            range,
            visibility,
            memory: self.memory().clone(),
        })
    }
}

impl MetricStore {
    /// The UTC days of a range on which there may be samples, counted since 1970.
    pub fn days(&self, range: TimeRange) -> BTreeSet<i64> {
        let state = self.state.read();
        let segments =
            state.view.segments.iter().filter(|s| s.tenant() == self.options.tenant).map(|s| s.time());
        let times = segments.chain(state.head.time()).filter(|time| time.overlaps(range));
        let day = |t_ms: i64| t_ms.div_euclid(DAY_MS);
        times.flat_map(|t| day(t.start_ms.max(range.start_ms))..=day(t.end_ms.min(range.end_ms))).collect()
    }
}

/// A selection that is read series by series.
pub struct Export {
    head: Peekable<IntoIter<(Labels, Vec<HeadChunk>)>>,
    runs: Vec<Run>,
    range: TimeRange,
    visibility: Visibility,
    memory: Arc<MemoryBudget>,
}

impl Export {
    /// The series that comes next by metric, then by labels: a selection that has nothing else. `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<SelectedSeries>> {
        while let Some(labels) = self.least()? {
            // What one series has is bounded by the range that was asked for.
            let mut gather =
                Gather::new(usize::MAX, self.visibility.clone(), self.memory.reservation(Pool::Queries));
            if self.head.peek().is_some_and(|(of, _)| *of == labels) {
                gather.add_head(self.head.next().into_iter().collect())?;
            }
            for run in &mut self.runs {
                run.take(&labels, &mut gather).await?;
            }
            let series = gather.finish(self.range);
            if !series.is_empty() {
                return Ok(Some(series));
            }
        }
        Ok(None)
    }

    fn least(&mut self) -> Result<Option<Labels>> {
        let of_head = self.head.peek().map(|(labels, _)| (labels.metric(), labels.as_packed()));
        let of_runs = self.runs.iter().filter_map(Run::key);
        let least = of_head.into_iter().chain(of_runs).min_by(|a, b| cmp_keys(*a, *b));
        least.map(|(_, packed)| Labels::from_packed(packed)).transpose()
    }
}

fn cmp_keys(a: (&str, &[u8]), b: (&str, &[u8])) -> Ordering {
    a.0.cmp(b.0).then_with(|| base::cmp_packed(a.1, b.1))
}

/// A segment while it is read.
struct Run {
    batches: BoxStream<'static, Result<RecordBatch>>,
    rows: Option<Rows>,
    /// Held, so that its file stays.
    _segment: Arc<Segment>,
}

/// A batch, and how far it is read.
struct Rows {
    batch: RecordBatch,
    metric: StringArray,
    labels: BinaryArray,
    at: usize,
}

impl Run {
    async fn next_batch(&mut self) -> Result<()> {
        self.rows = None;
        while let Some(batch) = self.batches.next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                let metric = column::<StringArray>(&batch, METRIC)?.clone();
                let labels = column::<BinaryArray>(&batch, LABELS)?.clone();
                self.rows = Some(Rows { batch, metric, labels, at: 0 });
                break;
            }
        }
        Ok(())
    }

    fn key(&self) -> Option<(&str, &[u8])> {
        self.rows.as_ref().map(|rows| (rows.metric.value(rows.at), rows.labels.value(rows.at)))
    }

    /// Takes the rows of a series off the front.
    async fn take(&mut self, labels: &Labels, gather: &mut Gather) -> Result<()> {
        while let Some(rows) = &mut self.rows {
            let of_series =
                (rows.at..rows.labels.len()).take_while(|i| rows.labels.value(*i) == labels.as_packed());
            let count = of_series.count();
            if count > 0 {
                gather.add_segment(&rows.batch.slice(rows.at, count))?;
            }
            rows.at += count;
            if rows.at < rows.labels.len() {
                return Ok(());
            }
            self.next_batch().await?;
        }
        Ok(())
    }
}
