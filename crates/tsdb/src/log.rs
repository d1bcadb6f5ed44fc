//! The head as the WAL's client: admits samples, logs them, and shows them once they are durable.

use std::sync::Arc;

use base::SeriesSample;
use lake::{Group, WalClient};
use parking_lot::RwLock;

use crate::head::{Admission, Head, SeriesId, window_end};
use crate::limits::OPEN_WINDOWS;
use crate::metrics::StoreMetrics;
use crate::record::RecordWriter;
use crate::store::AppendOutcome;

/// What readers and the writer share: the head and the segments that continue it into the past.
pub(crate) struct State {
    pub(crate) head: Head,
    pub(crate) view: lake::TableView,
    /// Samples before this are refused: their window is sealed, or about to be.
    pub(crate) min_valid_ms: i64,
}

/// Samples on their way through the log.
pub(crate) struct Batch {
    pub(crate) samples: Vec<SeriesSample>,
    /// Bounds of acceptable times at the moment of the append, both included.
    pub(crate) bounds_ms: (i64, i64),
    accepted: Vec<(SeriesId, i64, f64)>,
    outcome: AppendOutcome,
}

impl Batch {
    pub(crate) fn new(samples: Vec<SeriesSample>, bounds_ms: (i64, i64)) -> Self {
        Self { samples, bounds_ms, accepted: Vec::new(), outcome: AppendOutcome::default() }
    }
}

pub(crate) struct HeadLog {
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) metrics: Arc<StoreMetrics>,
    pub(crate) block_ms: i64,
    /// Counts the failures of the log: after one, what it has is not known, and labels are written again.
    pub(crate) generation: u32,
    /// The windows that have been written to, to bound their number.
    pub(crate) windows: Vec<i64>,
}

impl HeadLog {
    fn open_window(&mut self, end_ms: i64, min_valid_ms: i64) -> bool {
        if self.windows.last() == Some(&end_ms) || self.windows.contains(&end_ms) {
            return true;
        }
        self.windows.retain(|end| *end > min_valid_ms);
        if self.windows.len() >= OPEN_WINDOWS {
            return false;
        }
        self.windows.push(end_ms);
        true
    }

    /// Decides on every sample of a batch. Returns those accepted by window, with their index in `accepted`.
    fn admit(&mut self, state: &mut State, batch: &mut Batch) {
        let (min_ms, max_ms) = batch.bounds_ms;
        let min_ms = min_ms.max(state.min_valid_ms);
        for SeriesSample { labels, sample } in &batch.samples {
            let in_bounds = (min_ms..=max_ms).contains(&sample.t_ms)
                && self.open_window(window_end(sample.t_ms, self.block_ms), min_ms);
            if !in_bounds {
                batch.outcome.out_of_bounds += 1;
                continue;
            }
            let (id, new) = state.head.get_or_insert(labels);
            batch.outcome.new_series += u64::from(new);
            match state.head.series_mut(id).admit(sample.t_ms, sample.value) {
                Admission::Accepted => batch.accepted.push((id, sample.t_ms, sample.value)),
                Admission::Repeated => batch.outcome.repeated += 1,
                Admission::Duplicate => batch.outcome.duplicate += 1,
                Admission::OutOfOrder => batch.outcome.out_of_order += 1,
            }
        }
        batch.outcome.accepted = batch.accepted.len() as u64;
    }

    /// Writes samples of one window; returns how many fitted into a frame.
    fn frame(
        &self,
        head: &mut Head,
        end_ms: i64,
        samples: &[&(SeriesId, i64, f64)],
        group: &mut Group,
    ) -> usize {
        let mut written = 0;
        group.frame(end_ms, |out| {
            let start = out.len();
            let mut record = RecordWriter::new(out);
            for (id, t_ms, value) in samples {
                let series = head.series_mut(*id);
                let known = series.note_logged(end_ms, self.generation);
                let labels = (!known).then(|| series.labels());
                record.push(*id, labels, *t_ms, *value);
                written += 1;
                if record.len() - start >= lake::limits::TARGET_FRAME_BYTES {
                    break;
                }
            }
        });
        written
    }
}

impl WalClient for HeadLog {
    type Item = Batch;
    type Outcome = AppendOutcome;

    fn encode(&mut self, batch: &mut Batch, group: &mut Group) {
        let state = self.state.clone();
        let mut state = state.write();
        self.admit(&mut state, batch);
        let mut ends: Vec<i64> =
            batch.accepted.iter().map(|(_, t_ms, _)| window_end(*t_ms, self.block_ms)).collect();
        ends.dedup();
        if ends.len() > 1 {
            ends.sort_unstable();
            ends.dedup();
        }
        for end_ms in ends {
            let in_window: Vec<&(SeriesId, i64, f64)> = batch
                .accepted
                .iter()
                .filter(|(_, t_ms, _)| window_end(*t_ms, self.block_ms) == end_ms)
                .collect();
            let mut rest = in_window.as_slice();
            while !rest.is_empty() {
                let written = self.frame(&mut state.head, end_ms, rest, group);
                rest = &rest[written..];
            }
        }
    }

    fn apply(&mut self, batch: Batch) -> AppendOutcome {
        let mut state = self.state.write();
        for (id, t_ms, value) in &batch.accepted {
            state.head.push(*id, *t_ms, *value);
        }
        self.metrics.appended(&batch.outcome);
        batch.outcome
    }

    fn abandon(&mut self, batches: &mut [Batch]) {
        self.generation += 1;
        let mut state = self.state.write();
        for (id, _, _) in batches.iter().flat_map(|b| &b.accepted) {
            state.head.series_mut(*id).withdraw();
        }
    }
}
