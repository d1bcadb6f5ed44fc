//! Chunks of the head: open ones that samples are appended to, and closed ones that readers share.

use base::{Histogram, Result, TimeRange};

use super::ChunkBytes;
use crate::chunk::head::OpenChunk;
use crate::chunk::histogram::{self, HistogramEncoder};
use crate::chunk::sealed::Effort;
use crate::chunk::starts::{self, StartRuns};
use crate::chunk::{head, put_varint, sealed, take_varint};
use crate::limits::{HEAD_CHUNK_SAMPLES, HEAD_HISTOGRAM_CHUNK_BYTES};

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    Float,
    Histogram,
}

/// Encoded samples of one series within one epoch.
#[derive(Debug, Clone)]
pub(crate) struct HeadChunk {
    pub(super) bytes: ChunkBytes,
    pub(super) time: TimeRange,
    /// The epoch with which it is sealed.
    pub(super) epoch_ms: i64,
    pub(super) count: u16,
    pub(super) kind: ChunkKind,
    /// Its samples came after later ones of the series.
    pub(super) late: bool,
    /// A checkpoint has it.
    pub(super) saved: bool,
    /// The bytes begin with when the counting of its samples began.
    pub(super) has_starts: bool,
}

impl HeadChunk {
    pub(crate) fn time(&self) -> TimeRange {
        self.time
    }

    pub(crate) fn count(&self) -> usize {
        usize::from(self.count)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it says when the counting of any of its samples began.
    pub(crate) fn has_starts(&self) -> bool {
        self.has_starts
    }

    /// Appends the starts of all its samples, 0 where they are unknown.
    pub(crate) fn decode_starts(&self, out: &mut Vec<i64>) -> Result<()> {
        if self.has_starts {
            return starts::decode(starts::split(&self.bytes)?.0, self.count(), out);
        }
        out.resize(out.len() + self.count(), 0);
        Ok(())
    }

    /// What is encoded of its samples but their starts.
    fn samples(&self) -> Result<&[u8]> {
        if self.has_starts { Ok(starts::split(&self.bytes)?.1) } else { Ok(&self.bytes) }
    }

    /// Appends its samples, if it holds floats.
    pub(crate) fn decode_floats(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
        match self.kind {
            ChunkKind::Float => head::decode(self.samples()?, self.count(), timestamps, values),
            ChunkKind::Histogram => Ok(()),
        }
    }

    /// Appends its histograms, if it holds such.
    pub(crate) fn decode_histograms(
        &self,
        timestamps: &mut Vec<i64>,
        histograms: &mut Vec<Histogram>,
    ) -> Result<()> {
        if self.kind == ChunkKind::Float {
            return Ok(());
        }
        let (times, rest) = split_histograms(self.samples()?)?;
        sealed::decode_timestamps(times, self.count(), timestamps)?;
        histogram::decode(rest, self.count(), histograms)
    }
}

/// A chunk that is appended to.
#[derive(Debug)]
pub(super) enum Open {
    Float(OpenChunk),
    /// Floats of which it is known when their counting began: apart, as most series are without.
    Started(Box<OpenStarted>),
    Histogram(Box<OpenHistograms>),
}

#[derive(Debug)]
pub(super) struct OpenStarted {
    pub(super) chunk: OpenChunk,
    pub(super) starts: StartRuns,
}

#[derive(Debug, Default)]
pub(super) struct OpenHistograms {
    pub(super) times: Vec<i64>,
    pub(super) encoder: HistogramEncoder,
    /// None if no start is known.
    pub(super) starts: Option<Box<StartRuns>>,
}

impl Open {
    pub(super) fn float(t_ms: i64, value: f64, start_ms: i64) -> Self {
        let chunk = OpenChunk::new(t_ms, value);
        if start_ms == 0 {
            return Self::Float(chunk);
        }
        Self::Started(Box::new(OpenStarted { chunk, starts: StartRuns::from_iter([start_ms]) }))
    }

    pub(super) fn histogram(t_ms: i64, h: &Histogram, start_ms: i64) -> Self {
        let mut open = Box::<OpenHistograms>::default();
        open.starts = (start_ms != 0).then(Box::default);
        open.push(t_ms, h, start_ms);
        Self::Histogram(open)
    }

    /// Appends a float if there is room for it, and for its start.
    pub(super) fn push(&mut self, t_ms: i64, value: f64, start_ms: i64) -> bool {
        match self {
            Self::Float(open) if start_ms == 0 && open.count() < HEAD_CHUNK_SAMPLES => {
                open.push(t_ms, value);
                true
            }
            Self::Started(open) if open.chunk.count() < HEAD_CHUNK_SAMPLES => {
                open.chunk.push(t_ms, value);
                open.starts.push(start_ms);
                true
            }
            _ => false,
        }
    }

    /// Appends a histogram if there is room for it, and for its start.
    pub(super) fn push_histogram(&mut self, t_ms: i64, h: &Histogram, start_ms: i64) -> bool {
        match self {
            Self::Histogram(open) if !open.is_full() && (start_ms == 0 || open.starts.is_some()) => {
                open.push(t_ms, h, start_ms);
                true
            }
            _ => false,
        }
    }

    pub(super) fn time(&self) -> TimeRange {
        match self {
            Self::Float(open) => TimeRange::new(open.first_ms(), open.last_ms()),
            Self::Started(open) => TimeRange::new(open.chunk.first_ms(), open.chunk.last_ms()),
            Self::Histogram(open) => {
                let last = open.times.last().copied().unwrap_or(0);
                TimeRange::new(open.times.first().copied().unwrap_or(last), last)
            }
        }
    }

    /// Time and fingerprint of the last sample.
    pub(super) fn last(&self) -> (i64, u64) {
        let fingerprint = match self {
            Self::Float(open) => open.last_value().to_bits(),
            Self::Started(open) => open.chunk.last_value().to_bits(),
            Self::Histogram(open) => fingerprint(open.encoder.last()),
        };
        (self.time().end_ms, fingerprint)
    }

    pub(super) fn count(&self) -> u16 {
        match self {
            Self::Float(open) => open.count(),
            Self::Started(open) => open.chunk.count(),
            Self::Histogram(open) => open.encoder.count(),
        }
    }

    /// The chunk as it is now.
    pub(super) fn to_chunk(&self, epoch_ms: i64) -> HeadChunk {
        let (bytes, kind): (ChunkBytes, _) = match self {
            Self::Float(open) => (open.bytes().into(), ChunkKind::Float),
            Self::Started(open) => (after(&open.starts, open.chunk.bytes()), ChunkKind::Float),
            Self::Histogram(open) => match &open.starts {
                None => (open.to_bytes().into(), ChunkKind::Histogram),
                Some(starts) => (after(starts, &open.to_bytes()), ChunkKind::Histogram),
            },
        };
        let has_starts = self.starts().is_some();
        let (time, count) = (self.time(), self.count());
        HeadChunk { bytes, time, epoch_ms, count, kind, late: false, saved: false, has_starts }
    }

    /// When the counting of its samples began, if that is known of any.
    pub(super) fn starts(&self) -> Option<&StartRuns> {
        match self {
            Self::Float(_) => None,
            Self::Started(open) => Some(&open.starts),
            Self::Histogram(open) => open.starts.as_deref(),
        }
    }
}

impl OpenHistograms {
    pub(super) fn push(&mut self, t_ms: i64, h: &Histogram, start_ms: i64) {
        self.times.push(t_ms);
        self.encoder.push(h);
        if let Some(starts) = &mut self.starts {
            starts.push(start_ms);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.encoder.count() >= HEAD_CHUNK_SAMPLES || self.encoder.bytes().len() >= HEAD_HISTOGRAM_CHUNK_BYTES
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let times = sealed::encode_timestamps(&self.times, Effort::Quick);
        let mut bytes = Vec::with_capacity(times.len() + self.encoder.bytes().len() + 2);
        put_varint(&mut bytes, times.len() as u64);
        bytes.extend_from_slice(&times);
        bytes.extend_from_slice(self.encoder.bytes());
        bytes
    }
}

/// Samples behind their starts.
fn after(starts: &StartRuns, samples: &[u8]) -> ChunkBytes {
    let mut bytes = Vec::with_capacity(samples.len() + 16);
    starts::put_before(&starts.to_bytes(), samples, &mut bytes);
    bytes.into()
}

/// Times and histograms of a chunk of the head.
pub(super) fn split_histograms(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut rest = bytes;
    let len = usize::try_from(take_varint(&mut rest)?).unwrap_or(usize::MAX);
    rest.split_at_checked(len).ok_or_else(|| crate::chunk::corrupt("its timestamps are cut off"))
}

/// A late float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LateSample {
    pub(super) epoch_ms: i64,
    pub(super) t_ms: i64,
    pub(super) value: f64,
    /// When its counting began; 0 if that is unknown.
    pub(super) start_ms: i64,
}

/// The late samples of each epoch as a chunk. They are in order of epoch and time.
pub(super) fn late_chunks(late: &[LateSample]) -> impl Iterator<Item = HeadChunk> + '_ {
    late.chunk_by(|a, b| a.epoch_ms == b.epoch_ms).map(|group| {
        let mut chunk = OpenChunk::new(group[0].t_ms, group[0].value);
        group[1..].iter().for_each(|s| chunk.push(s.t_ms, s.value));
        let open = if group.iter().all(|s| s.start_ms == 0) {
            Open::Float(chunk)
        } else {
            let starts = group.iter().map(|s| s.start_ms).collect();
            Open::Started(Box::new(OpenStarted { chunk, starts }))
        };
        HeadChunk { late: true, ..open.to_chunk(group[0].epoch_ms) }
    })
}

/// Tells histograms apart, as the bits of a float do floats.
pub(crate) fn fingerprint(h: &Histogram) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&histogram::encode([h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_without_starts_take_no_more_room_for_those_that_have_some() {
        assert_eq!(size_of::<Open>(), size_of::<OpenChunk>());
        assert_eq!(size_of::<HeadChunk>(), 48);
        let mut open = Open::float(1, 0.5, 0);
        assert!(open.push(2, 0.5, 0) && !open.push(3, 0.5, 1));
        let chunk = open.to_chunk(10);
        assert!(!chunk.has_starts() && chunk.bytes().len() == 18, "{}", chunk.bytes().len());
        let mut open = Open::float(1, 0.5, 1);
        assert!(open.push(2, 0.5, 1) && open.push(3, 0.5, 0));
        let mut starts = Vec::new();
        open.to_chunk(10).decode_starts(&mut starts).unwrap();
        assert_eq!(starts, [1, 1, 0]);
    }
}
