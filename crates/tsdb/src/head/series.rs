//! One series of the head.

use base::{Labels, TimeRange};

use super::ChunkBytes;
use crate::chunk::head::OpenChunk;
use crate::limits::HEAD_CHUNK_SAMPLES;

/// What a series says to a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is later than all before.
    Accepted,
    /// It is the last one, once more.
    Repeated,
    /// It has the time of the last one and another value.
    Duplicate,
    /// It is earlier than the last one.
    OutOfOrder,
}

/// The samples of one series that are not in a segment yet.
#[derive(Debug)]
pub(crate) struct Series {
    labels: Labels,
    /// The last sample that was admitted to the log. It is ahead of the chunks until the log has made it durable.
    admitted: (i64, u64),
    /// The last epoch whose log has the series' labels, and the generation of the log in which that was written.
    logged: (i64, u32),
    closed: Vec<HeadChunk>,
    open: Option<(i64, OpenChunk)>,
}

/// Encoded samples of one series within one window.
#[derive(Debug, Clone)]
pub(crate) struct HeadChunk {
    bytes: ChunkBytes,
    first_ms: i64,
    last_ms: i64,
    window_end_ms: i64,
    count: u16,
}

impl HeadChunk {
    fn of(window_end_ms: i64, open: &OpenChunk) -> Self {
        Self {
            bytes: open.bytes().into(),
            first_ms: open.first_ms(),
            last_ms: open.last_ms(),
            window_end_ms,
            count: open.count(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn time(&self) -> TimeRange {
        TimeRange::new(self.first_ms, self.last_ms)
    }

    pub(crate) fn count(&self) -> usize {
        usize::from(self.count)
    }

    pub(crate) fn window_end_ms(&self) -> i64 {
        self.window_end_ms
    }
}

const NEVER: (i64, u64) = (i64::MIN, 0);

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        Self { labels, admitted: NEVER, logged: (i64::MIN, 0), closed: Vec::new(), open: None }
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Decides on a sample and, if it is accepted, expects the next one after it.
    pub(crate) fn admit(&mut self, t_ms: i64, value: f64) -> Admission {
        let (last_ms, last_bits) = self.admitted;
        if t_ms > last_ms {
            self.admitted = (t_ms, value.to_bits());
            Admission::Accepted
        } else if t_ms < last_ms {
            Admission::OutOfOrder
        } else if value.to_bits() == last_bits {
            Admission::Repeated
        } else {
            Admission::Duplicate
        }
    }

    /// Forgets admissions that the log could not make durable.
    pub(crate) fn withdraw(&mut self) {
        self.admitted = match (&self.open, self.closed.last()) {
            (Some((_, open)), _) => (open.last_ms(), open.last_value().to_bits()),
            // A chunk is closed by the sample that opens the next; without an open one the window before is sealed.
            (None, Some(closed)) => (closed.last_ms, 0),
            (None, None) => NEVER,
        };
    }

    /// Notes that the log of an epoch is about to have the labels; returns whether it had them.
    pub(crate) fn note_logged(&mut self, epoch: i64, generation: u32) -> bool {
        std::mem::replace(&mut self.logged, (epoch, generation)) == (epoch, generation)
    }

    /// Adds a sample; returns whether that began a chunk.
    pub(crate) fn push(&mut self, window_end_ms: i64, t_ms: i64, value: f64) -> bool {
        if let Some((end_ms, open)) = &mut self.open {
            if *end_ms == window_end_ms && open.count() < HEAD_CHUNK_SAMPLES {
                open.push(t_ms, value);
                return false;
            }
            self.closed.push(HeadChunk::of(*end_ms, open));
        }
        self.open = Some((window_end_ms, OpenChunk::new(t_ms, value)));
        true
    }

    /// The chunks that `wanted` accepts, in order of time; the open one is copied.
    pub(crate) fn chunks(&self, wanted: impl Fn(&HeadChunk) -> bool) -> Vec<HeadChunk> {
        let open = self.open.as_ref().map(|(end_ms, open)| HeadChunk::of(*end_ms, open));
        self.closed.iter().filter(|c| wanted(c)).cloned().chain(open.filter(|c| wanted(c))).collect()
    }

    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        let open = self.open.as_ref().map(|(_, o)| TimeRange::new(o.first_ms(), o.last_ms()));
        self.closed.iter().map(HeadChunk::time).chain(open).any(|time| time.overlaps(range))
    }

    pub(crate) fn time(&self) -> Option<TimeRange> {
        let open = self.open.as_ref().map(|(_, o)| (o.first_ms(), o.last_ms()));
        let first = self.closed.first().map(|c| c.first_ms).or(open.map(|(first, _)| first))?;
        let last = open.map(|(_, last)| last).or(self.closed.last().map(|c| c.last_ms))?;
        Some(TimeRange::new(first, last))
    }

    pub(crate) fn windows(&self) -> impl Iterator<Item = i64> + '_ {
        let open = self.open.as_ref().map(|(end_ms, _)| *end_ms);
        self.closed.iter().map(|c| c.window_end_ms).chain(open)
    }

    /// Drops the chunks of windows up to `end_ms`; returns how many.
    pub(crate) fn drop_until(&mut self, end_ms: i64) -> usize {
        let before = self.closed.len();
        self.closed.retain(|c| c.window_end_ms > end_ms);
        self.closed.shrink_to_fit();
        let open = self.open.take_if(|(window_end_ms, _)| *window_end_ms <= end_ms);
        before - self.closed.len() + usize::from(open.is_some())
    }

    /// Whether the series has no sample from `end_ms` on, not even one on its way through the log.
    pub(crate) fn is_idle(&self, end_ms: i64) -> bool {
        self.closed.is_empty() && self.open.is_none() && self.admitted.0 < end_ms
    }
}
