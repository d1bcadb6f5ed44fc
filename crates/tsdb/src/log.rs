//! The head as the WAL's client: admits samples, logs them, and shows them once they are durable.

use std::sync::Arc;
use std::time::Duration;

use base::{BatchSeries, WriteBatch};
use lake::{Group, WalClient};
use parking_lot::RwLock;

use crate::SeriesLimits;
use crate::head::{Admission, Head, LimitReached, SeriesId, fingerprint};
use crate::limits::OPEN_WINDOWS;
use crate::metrics::StoreMetrics;
use crate::record::{Point, RecordWriter, Value};
use crate::store::{AppendOutcome, Refusal};

/// What readers and the writer share: the head and the segments that continue it into the past.
pub(crate) struct State {
    pub(crate) head: Head,
    pub(crate) view: lake::TableView,
    /// Samples before this belong to windows that are sealed, or about to be.
    pub(crate) min_valid_ms: i64,
}

/// What decides on the samples of a batch, as of the moment of the append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Bounds of acceptable times, both included.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    /// How long after the latest sample of all others may come out of order; 0 if they may not.
    pub(crate) late_ms: i64,
    pub(crate) limits: SeriesLimits,
    /// The moment, by the monotonic clock.
    pub(crate) at: Duration,
}

/// Samples on their way through the log.
pub(crate) struct Batch {
    pub(crate) samples: WriteBatch,
    terms: Terms,
    accepted: Vec<Accepted>,
    /// When the counting of those began; empty if nobody said it of any sample.
    starts: Vec<i64>,
    /// The epochs of those, in order.
    epochs: Vec<i64>,
    outcome: AppendOutcome,
}

/// A sample that was admitted.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    id: SeriesId,
    late: bool,
    epoch_ms: i64,
    t_ms: i64,
    value: AcceptedValue,
}

impl Accepted {
    fn is_histogram(&self) -> bool {
        matches!(self.value, AcceptedValue::Histogram(_))
    }
}

#[derive(Debug, Clone, Copy)]
enum AcceptedValue {
    Float(f64),
    /// Its position in the batch.
    Histogram(usize),
}

impl AcceptedValue {
    fn of(self, samples: &WriteBatch) -> Value<'_> {
        match self {
            Self::Float(value) => Value::Float(value),
            Self::Histogram(at) => Value::Histogram(samples.histogram_at(at)),
        }
    }
}

impl Batch {
    pub(crate) fn new(samples: WriteBatch, terms: Terms) -> Self {
        let outcome = AppendOutcome::default();
        let (accepted, starts, epochs) = (Vec::new(), Vec::new(), Vec::new());
        Self { samples, terms, accepted, starts, epochs, outcome }
    }

    /// An accepted sample.
    fn point(&self, at: usize) -> Point<'_> {
        let &Accepted { t_ms, late, value, .. } = &self.accepted[at];
        let start_ms = self.starts.get(at).copied().unwrap_or(0);
        Point { t_ms, start_ms, value: value.of(&self.samples), late }
    }
}

pub(crate) struct HeadLog {
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) metrics: Arc<StoreMetrics>,
    /// Counts the times at which files were given up: what the new ones say of labels begins anew.
    pub(crate) generation: u32,
    /// The epochs that have been written to, to bound their number.
    pub(crate) epochs: Vec<i64>,
}

impl HeadLog {
    fn open_epoch(&mut self, epoch_ms: i64, min_valid_ms: i64) -> bool {
        if self.epochs.last() == Some(&epoch_ms) || self.epochs.contains(&epoch_ms) {
            return true;
        }
        self.epochs.retain(|end| *end > min_valid_ms);
        if self.epochs.len() >= OPEN_WINDOWS {
            return false;
        }
        self.epochs.push(epoch_ms);
        true
    }

    /// Decides on every sample of a batch.
    fn admit(&mut self, state: &mut State, batch: &mut Batch) {
        let terms = batch.terms;
        let min_valid_ms = state.min_valid_ms;
        let appendable_from_ms = state.head.appendable_from_ms(min_valid_ms);
        // Late is what comes after others, of whichever series.
        let late_from_ms = (terms.late_ms > 0)
            .then(|| state.head.max_ms().max(min_valid_ms).saturating_sub(terms.late_ms).max(terms.min_ms));
        let mut histograms = 0;
        batch.accepted.reserve(batch.samples.len());
        let has_starts = batch.samples.has_starts();
        for series in batch.samples.series() {
            let first_histogram = histograms;
            histograms += series.histograms.len();
            let samples = series.samples.len() + series.histograms.len();
            let from_ms = late_from_ms.unwrap_or(i64::MAX).min(appendable_from_ms);
            let id = match self.resolve(state, &series, &terms, from_ms) {
                Resolved::Series(id, new) => {
                    batch.outcome.new_series += u64::from(new);
                    id
                }
                Resolved::Limited => {
                    batch.outcome.refuse(Refusal::Limited, samples as u64, &series);
                    continue;
                }
                Resolved::OutOfBounds => {
                    batch.outcome.refuse(Refusal::OutOfBounds, samples as u64, &series);
                    continue;
                }
            };
            let floats = series.samples.iter().map(|s| (s.t_ms, AcceptedValue::Float(s.value)));
            let with_histograms = (first_histogram..)
                .zip(series.histograms)
                .map(|(at, (t_ms, _))| (*t_ms, AcceptedValue::Histogram(at)));
            for (at, (t_ms, value)) in floats.chain(with_histograms).enumerate() {
                let epoch_ms = state.head.epoch(t_ms, min_valid_ms);
                let in_bounds = (terms.min_ms..=terms.max_ms).contains(&t_ms)
                    && (t_ms >= appendable_from_ms || late_from_ms.is_some())
                    && self.open_epoch(epoch_ms, min_valid_ms);
                if !in_bounds {
                    batch.outcome.refuse(Refusal::OutOfBounds, 1, &series);
                    continue;
                }
                let known = state.head.series_mut(id);
                let admission = if t_ms < appendable_from_ms {
                    known.admit_late(t_ms, late_from_ms)
                } else {
                    let fingerprint = match value {
                        AcceptedValue::Float(value) => value.to_bits(),
                        AcceptedValue::Histogram(at) => {
                            fingerprint(&series.histograms[at - first_histogram].1)
                        }
                    };
                    known.admit(t_ms, fingerprint, late_from_ms)
                };
                let late = admission == Admission::Late;
                match admission {
                    Admission::Accepted | Admission::Late => {
                        batch.accepted.push(Accepted { id, late, epoch_ms, t_ms, value });
                        if has_starts {
                            batch.starts.push(series.start_ms(at));
                        }
                    }
                    Admission::Repeated => {
                        batch.outcome.repeated += 1;
                        batch.outcome.histograms += u64::from(matches!(value, AcceptedValue::Histogram(_)));
                    }
                    Admission::Duplicate => batch.outcome.refuse(Refusal::Duplicate, 1, &series),
                    Admission::OutOfOrder => batch.outcome.refuse(Refusal::OutOfOrder, 1, &series),
                    Admission::TooOld => batch.outcome.refuse(Refusal::TooOld, 1, &series),
                }
                batch.outcome.late += u64::from(late);
            }
        }
        batch.outcome.accepted = batch.accepted.len() as u64;
        batch.outcome.histograms += batch.accepted.iter().filter(|a| a.is_histogram()).count() as u64;
    }

    /// The series of samples; a new one is added if a sample of it, from `from_ms` on, may be stored and no limit is reached.
    fn resolve(
        &mut self,
        state: &mut State,
        series: &BatchSeries<'_>,
        terms: &Terms,
        from_ms: i64,
    ) -> Resolved {
        if let Some(id) = state.head.find(series.hash, series.labels) {
            return Resolved::Series(id, false);
        }
        let from_ms = from_ms.max(terms.min_ms).min(terms.max_ms);
        let mut times = series.samples.iter().map(|s| s.t_ms).chain(series.histograms.iter().map(|h| h.0));
        if !times.any(|t_ms| (from_ms..=terms.max_ms).contains(&t_ms)) {
            return Resolved::OutOfBounds;
        }
        let labels = series.to_labels();
        match state.head.check_limits(&labels, &terms.limits) {
            Ok(()) => Resolved::Series(state.head.insert(&labels), true),
            Err(limit) => {
                self.refuse(limit, &labels);
                Resolved::Limited
            }
        }
    }

    fn refuse(&self, limit: LimitReached, labels: &base::Labels) {
        self.metrics.series_refused.with_label_values(&[limit.name()]).inc();
        tracing::debug!(limit = limit.name(), series = %labels, "refused a new series");
    }

    /// Writes samples of one epoch from `from` on; returns where the frame ended.
    fn frame(&self, head: &mut Head, epoch_ms: i64, batch: &Batch, from: usize, group: &mut Group) -> usize {
        let mut end = from;
        group.frame(epoch_ms, |out| {
            let start = out.len();
            let mut record = RecordWriter::new(out, !batch.starts.is_empty());
            for (at, sample) in batch.accepted.iter().enumerate().skip(from) {
                end += 1;
                if sample.epoch_ms != epoch_ms {
                    continue;
                }
                let series = head.series_mut(sample.id);
                let known = series.note_logged(epoch_ms, self.generation);
                let labels = (!known).then(|| series.labels());
                record.push(sample.id, labels, &batch.point(at));
                if record.len() - start >= lake::limits::TARGET_FRAME_BYTES {
                    break;
                }
            }
        });
        end
    }
}

/// What became of the series of samples.
enum Resolved {
    /// Its id, and whether it is new.
    Series(SeriesId, bool),
    Limited,
    OutOfBounds,
}

impl WalClient for HeadLog {
    type Item = Batch;
    type Outcome = AppendOutcome;

    fn encode(&mut self, batch: &mut Batch, group: &mut Group) {
        let state = self.state.clone();
        let mut state = state.write();
        self.admit(&mut state, batch);
        let mut epochs: Vec<i64> = batch.accepted.iter().map(|a| a.epoch_ms).collect();
        epochs.dedup();
        if epochs.len() > 1 {
            epochs.sort_unstable();
            epochs.dedup();
        }
        for &epoch_ms in &epochs {
            let mut next = batch.accepted.iter().position(|a| a.epoch_ms == epoch_ms);
            while let Some(from) = next {
                let end = self.frame(&mut state.head, epoch_ms, batch, from, group);
                let rest = &batch.accepted[end..];
                next = rest.iter().position(|a| a.epoch_ms == epoch_ms).map(|at| end + at);
            }
        }
        batch.epochs = epochs;
    }

    fn apply(&mut self, batch: Batch) -> AppendOutcome {
        let mut state = self.state.write();
        for (at, a) in batch.accepted.iter().enumerate() {
            state.head.push(a.id, a.epoch_ms, &batch.point(at));
        }
        state.head.note_received(batch.terms.at, |epoch_ms| batch.epochs.contains(&epoch_ms));
        drop(state);
        let histograms = batch.accepted.iter().filter(|a| a.is_histogram());
        self.metrics.appended(&batch.outcome, histograms.count() as u64);
        batch.outcome
    }

    fn rotated(&mut self) {
        self.generation += 1;
    }

    fn abandon(&mut self, batches: &mut [Batch]) {
        self.generation += 1;
        let mut state = self.state.write();
        for accepted in batches.iter().flat_map(|b| &b.accepted) {
            state.head.series_mut(accepted.id).withdraw();
        }
    }
}
