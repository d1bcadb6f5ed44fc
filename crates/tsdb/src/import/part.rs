//! A part of an import: series in the table's order become rows.

use arrow::array::RecordBatch;
use base::{Error, Histogram, Labels, Result, Sample};
use tokio::sync::mpsc;

use super::DAY_MS;
use crate::chunk::sealed::Effort;
use crate::limits::{
    HISTOGRAM_CHUNK_SAMPLES, IMPORT_BATCH_SAMPLES, LABEL_SET_BYTES, SEAL_BATCH_ROWS, SEGMENT_CHUNK_SAMPLES,
};
use crate::rows::SeriesRows;
use crate::table::RowBuilder;

/// What became of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartOutcome {
    /// Series with samples.
    pub series: u64,
    /// Floats and histograms.
    pub samples: u64,
    /// Bytes of the segments.
    pub bytes: u64,
}

/// Takes the series of a part.
pub struct PartWriter {
    batches: mpsc::Sender<RecordBatch>,
    day: i64,
    chunk: SeriesRows,
    rows: RowBuilder,
    pending_rows: usize,
    pending_samples: usize,
    last: Option<Labels>,
    outcome: PartOutcome,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    histograms: Vec<Histogram>,
}

impl PartWriter {
    pub(super) fn new(batches: mpsc::Sender<RecordBatch>, day: i64) -> Self {
        Self {
            batches,
            day,
            chunk: SeriesRows::default(),
            rows: RowBuilder::new(),
            pending_rows: 0,
            pending_samples: 0,
            last: None,
            outcome: PartOutcome::default(),
            timestamps: Vec::new(),
            values: Vec::new(),
            histograms: Vec::new(),
        }
    }

    /// Adds a series with its samples of the day, which ascend in time. Series come by metric, then by labels, each once.
    pub fn series(
        &mut self,
        labels: &Labels,
        floats: &[Sample],
        histograms: &[(i64, Histogram)],
    ) -> Result<()> {
        self.check(labels, floats, histograms)?;
        for chunk in floats.chunks(SEGMENT_CHUNK_SAMPLES) {
            self.timestamps.clear();
            self.timestamps.extend(chunk.iter().map(|s| s.t_ms));
            self.values.clear();
            self.values.extend(chunk.iter().map(|s| s.value));
            self.chunk.floats(&self.timestamps, &self.values, &[], Effort::Thorough);
            self.chunk.write(labels.into(), &mut self.rows);
            self.added(chunk.len())?;
        }
        for chunk in histograms.chunks(HISTOGRAM_CHUNK_SAMPLES) {
            self.timestamps.clear();
            self.timestamps.extend(chunk.iter().map(|(t_ms, _)| *t_ms));
            self.histograms.clear();
            self.histograms.extend(chunk.iter().map(|(_, h)| h.clone()));
            self.chunk.histograms(&self.timestamps, &self.histograms, &[], Effort::Thorough);
            self.chunk.write(labels.into(), &mut self.rows);
            self.added(chunk.len())?;
        }
        self.outcome.series += 1;
        self.last = Some(labels.clone());
        Ok(())
    }

    fn added(&mut self, samples: usize) -> Result<()> {
        self.outcome.samples += samples as u64;
        self.pending_samples += samples;
        self.pending_rows += 1;
        if self.pending_rows < SEAL_BATCH_ROWS && self.pending_samples < IMPORT_BATCH_SAMPLES {
            return Ok(());
        }
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        (self.pending_rows, self.pending_samples) = (0, 0);
        let batch = std::mem::replace(&mut self.rows, RowBuilder::new()).finish()?;
        // The reason is with the receiver.
        self.batches.blocking_send(batch).map_err(|_| Error::unavailable("cannot import: writing has ended"))
    }

    pub(super) fn finish(mut self) -> Result<PartOutcome> {
        if self.pending_rows > 0 {
            self.send()?;
        }
        Ok(self.outcome)
    }

    /// Refuses what readers of the table rely on not to be.
    fn check(&self, labels: &Labels, floats: &[Sample], histograms: &[(i64, Histogram)]) -> Result<()> {
        let fail = |what: &str| Err(Error::invalid(format!("cannot import series {labels}: {what}")));
        if labels.size_bytes() > LABEL_SET_BYTES {
            return Err(Error::limit(format!(
                "cannot import a series of {:?}: its labels have {} bytes (limit label_set_bytes is {LABEL_SET_BYTES})",
                labels.metric().chars().take(100).collect::<String>(),
                labels.size_bytes(),
            )));
        }
        let order = |l: &Labels, m: &Labels| l.metric().cmp(m.metric()).then_with(|| l.cmp(m));
        if self.last.as_ref().is_some_and(|last| order(last, labels).is_ge()) {
            return fail("it does not follow the one before in order");
        }
        let times = [
            floats.first().map(|s| s.t_ms),
            floats.last().map(|s| s.t_ms),
            histograms.first().map(|(t_ms, _)| *t_ms),
            histograms.last().map(|(t_ms, _)| *t_ms),
        ];
        if times.into_iter().flatten().any(|t_ms| t_ms.div_euclid(DAY_MS) != self.day) {
            return fail("samples lie outside their day");
        }
        if !floats.is_sorted_by(|a, b| a.t_ms < b.t_ms) || !histograms.is_sorted_by(|(a, _), (b, _)| a < b) {
            return fail("its samples do not ascend in time");
        }
        histograms
            .iter()
            .try_for_each(|(_, h)| h.validate())
            .map_err(|e| e.context(format_args!("cannot import series {labels}")))
    }
}
