//! One series of the head.

use base::{Histogram, Labels, TimeRange};

use super::chunk::{HeadChunk, LateSample, Open, late_chunks};
use crate::limits::LATE_SAMPLES;

/// What a series says to a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is later than all before.
    Accepted,
    /// It is earlier than the last one, within the time that samples may be late.
    Late,
    /// It is the last one, once more.
    Repeated,
    /// It has the time of the last one and another value.
    Duplicate,
    /// It is earlier than the last one.
    OutOfOrder,
    /// It is earlier than the last one, and later than late samples may come.
    TooOld,
}

/// The samples of one series that are not in a segment yet.
#[derive(Debug)]
pub(crate) struct Series {
    labels: Labels,
    /// The last sample in order that was admitted to the log, with its fingerprint. It is ahead of the chunks until the
    /// log has made it durable.
    admitted: (i64, u64),
    /// The last epoch whose log has the series' labels, and the generation of the log in which that was written.
    logged: (i64, u32),
    /// Samples on their way through the log.
    pending: u32,
    /// A checkpoint has the labels.
    pub(super) recorded: bool,
    pub(super) closed: Vec<HeadChunk>,
    pub(super) open: Option<(i64, Open)>,
    /// Floats that came late, in order of epoch and time.
    #[expect(clippy::box_collection, reason = "few series have late samples, and a million are without")]
    pub(super) late: Option<Box<Vec<LateSample>>>,
}

/// By how much a series grew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Chunks that were begun.
    pub(crate) chunks: usize,
    /// Bytes of chunks that were closed.
    pub(crate) closed_bytes: usize,
}

const NEVER: (i64, u64) = (i64::MIN, 0);

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            admitted: NEVER,
            logged: (i64::MIN, 0),
            pending: 0,
            recorded: false,
            closed: Vec::new(),
            open: None,
            late: None,
        }
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// Decides on a sample and, if it is accepted, expects the next one after it. `late_from_ms` is how early a late sample
    /// may be; `None` if none may be. `fingerprint` tells values apart.
    pub(crate) fn admit(&mut self, t_ms: i64, fingerprint: u64, late_from_ms: Option<i64>) -> Admission {
        let (last_ms, last) = self.admitted;
        if t_ms > last_ms {
            self.admitted = (t_ms, fingerprint);
            self.pending += 1;
            Admission::Accepted
        } else if t_ms == last_ms {
            if fingerprint == last { Admission::Repeated } else { Admission::Duplicate }
        } else {
            self.admit_late(t_ms, late_from_ms)
        }
    }

    /// Decides on a sample of an epoch that is sealed.
    pub(crate) fn admit_late(&mut self, t_ms: i64, late_from_ms: Option<i64>) -> Admission {
        match late_from_ms {
            None => Admission::OutOfOrder,
            Some(from) if t_ms < from => Admission::TooOld,
            Some(_) => {
                self.pending += 1;
                Admission::Late
            }
        }
    }

    /// Forgets an admission that the log could not make durable.
    pub(crate) fn withdraw(&mut self) {
        self.pending -= 1;
        self.admitted = self.last_stored();
    }

    /// The last sample in order that is stored.
    fn last_stored(&self) -> (i64, u64) {
        match &self.open {
            Some((_, open)) => open.last(),
            // A chunk is closed by the sample that opens the next; without an open one the epochs before are sealed.
            None => NEVER,
        }
    }

    /// Notes that the log of an epoch is about to have the labels; returns whether it need not.
    pub(crate) fn note_logged(&mut self, epoch: i64, generation: u32) -> bool {
        self.recorded || std::mem::replace(&mut self.logged, (epoch, generation)) == (epoch, generation)
    }

    /// Whether a checkpoint has the labels.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Adds an admitted sample.
    pub(crate) fn push(&mut self, epoch_ms: i64, t_ms: i64, value: f64, start_ms: i64) -> Growth {
        self.pending = self.pending.saturating_sub(1);
        if let Some((end_ms, open)) = &mut self.open
            && *end_ms == epoch_ms
            && open.push(t_ms, value, start_ms)
        {
            return Growth::default();
        }
        self.reopen(epoch_ms, Open::float(t_ms, value, start_ms))
    }

    /// Adds an admitted histogram.
    pub(crate) fn push_histogram(
        &mut self,
        epoch_ms: i64,
        t_ms: i64,
        h: &Histogram,
        start_ms: i64,
    ) -> Growth {
        self.pending = self.pending.saturating_sub(1);
        if let Some((end_ms, open)) = &mut self.open
            && *end_ms == epoch_ms
            && open.push_histogram(t_ms, h, start_ms)
        {
            return Growth::default();
        }
        self.reopen(epoch_ms, Open::histogram(t_ms, h, start_ms))
    }

    fn reopen(&mut self, epoch_ms: i64, open: Open) -> Growth {
        let mut closed_bytes = 0;
        if let Some((end_ms, before)) = self.open.replace((epoch_ms, open)) {
            self.closed.push(before.to_chunk(end_ms));
            closed_bytes = self.closed.last().map_or(0, |c| c.bytes.len());
        }
        Growth { chunks: 1, closed_bytes }
    }

    /// Adds a late sample; of two with one time the first stays.
    pub(crate) fn push_late(&mut self, epoch_ms: i64, t_ms: i64, value: f64, start_ms: i64) -> Growth {
        self.pending = self.pending.saturating_sub(1);
        let (chunks, bytes) = self.size();
        let late = self.late.get_or_insert_default();
        if let Err(at) = late.binary_search_by_key(&(epoch_ms, t_ms), |s| (s.epoch_ms, s.t_ms)) {
            late.insert(at, LateSample { epoch_ms, t_ms, value, start_ms });
        }
        if late.len() >= LATE_SAMPLES {
            self.closed.extend(late_chunks(late));
            self.late = None;
        }
        let (chunks_now, bytes_now) = self.size();
        Growth { chunks: chunks_now - chunks, closed_bytes: bytes_now - bytes }
    }

    /// Adds a late histogram.
    pub(crate) fn push_late_histogram(
        &mut self,
        epoch_ms: i64,
        t_ms: i64,
        h: &Histogram,
        start_ms: i64,
    ) -> Growth {
        self.pending = self.pending.saturating_sub(1);
        let chunk = HeadChunk { late: true, ..Open::histogram(t_ms, h, start_ms).to_chunk(epoch_ms) };
        let growth = Growth { chunks: 1, closed_bytes: chunk.bytes.len() };
        self.closed.push(chunk);
        growth
    }

    /// Puts back what a checkpoint had of the series.
    pub(super) fn restore(&mut self, open: Option<(i64, Open)>, late: Vec<LateSample>) {
        self.open = open;
        self.late = (!late.is_empty()).then(|| Box::new(late));
        self.admitted = self.last_stored();
        self.recorded = true;
    }

    /// The chunks that `wanted` accepts by epoch and time; what is still appended to is copied.
    pub(crate) fn chunks(&self, wanted: impl Fn(i64, TimeRange) -> bool) -> Vec<HeadChunk> {
        let closed = self.closed.iter().filter(|c| wanted(c.epoch_ms, c.time)).cloned();
        let open = self.open.iter().filter(|(epoch_ms, open)| wanted(*epoch_ms, open.time()));
        let mut chunks: Vec<HeadChunk> =
            closed.chain(open.map(|(epoch_ms, open)| open.to_chunk(*epoch_ms))).collect();
        if let Some(late) = &self.late {
            chunks.extend(late_chunks(late).filter(|c| wanted(c.epoch_ms, c.time)));
        }
        chunks
    }

    /// Whether there may be samples in a range.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        let open = self.open.iter().map(|(_, open)| open.time());
        let late = self.late.iter().flat_map(|l| l.iter()).map(|s| TimeRange::new(s.t_ms, s.t_ms));
        self.closed.iter().map(HeadChunk::time).chain(open).chain(late).any(|time| time.overlaps(range))
    }

    /// Whether it has samples of epochs up to `epoch_ms`.
    pub(crate) fn has_until(&self, epoch_ms: i64) -> bool {
        self.closed.iter().any(|c| c.epoch_ms <= epoch_ms)
            || self.open.as_ref().is_some_and(|(open_epoch_ms, _)| *open_epoch_ms <= epoch_ms)
            || self.late.as_ref().is_some_and(|late| late.iter().any(|s| s.epoch_ms <= epoch_ms))
    }

    /// Number of chunks, and of bytes of the closed ones.
    pub(crate) fn size(&self) -> (usize, usize) {
        let chunks = self.closed.len() + usize::from(self.open.is_some()) + usize::from(self.late.is_some());
        (chunks, self.closed.iter().map(|c| c.bytes.len()).sum())
    }

    /// Drops what epochs up to `epoch_ms` have.
    pub(crate) fn drop_until(&mut self, epoch_ms: i64) {
        if self.closed.iter().any(|c| c.epoch_ms <= epoch_ms) {
            self.closed.retain(|c| c.epoch_ms > epoch_ms);
            self.closed.shrink_to_fit();
        }
        self.open.take_if(|(open_epoch_ms, _)| *open_epoch_ms <= epoch_ms);
        if let Some(late) = &mut self.late {
            late.retain(|s| s.epoch_ms > epoch_ms);
            if late.is_empty() {
                self.late = None;
            }
        }
    }

    /// Whether the series has no sample, not even one on its way through the log.
    pub(crate) fn is_idle(&self) -> bool {
        self.closed.is_empty() && self.open.is_none() && self.late.is_none() && self.pending == 0
    }
}
