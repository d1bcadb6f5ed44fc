//! Chunks of the head: open ones that samples are appended to, and closed ones that readers share.

use base::{Histogram, Result, TimeRange};

use super::ChunkBytes;
use crate::chunk::head::OpenChunk;
use crate::chunk::histogram::{self, HistogramEncoder};
use crate::chunk::sealed::Effort;
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

    /// Appends its samples, if it holds floats.
    pub(crate) fn decode_floats(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
        match self.kind {
            ChunkKind::Float => head::decode(&self.bytes, self.count(), timestamps, values),
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
        let (times, rest) = split_histograms(&self.bytes)?;
        sealed::decode_timestamps(times, self.count(), timestamps)?;
        histogram::decode(rest, self.count(), histograms)
    }
}

/// A chunk that is appended to.
#[derive(Debug)]
pub(super) enum Open {
    Float(OpenChunk),
    Histogram(Box<OpenHistograms>),
}

#[derive(Debug, Default)]
pub(super) struct OpenHistograms {
    pub(super) times: Vec<i64>,
    pub(super) encoder: HistogramEncoder,
}

impl Open {
    pub(super) fn float(t_ms: i64, value: f64) -> Self {
        Self::Float(OpenChunk::new(t_ms, value))
    }

    pub(super) fn histogram(t_ms: i64, h: &Histogram) -> Self {
        let mut open = Box::<OpenHistograms>::default();
        open.push(t_ms, h);
        Self::Histogram(open)
    }

    pub(super) fn time(&self) -> TimeRange {
        match self {
            Self::Float(open) => TimeRange::new(open.first_ms(), open.last_ms()),
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
            Self::Histogram(open) => fingerprint(open.encoder.last()),
        };
        (self.time().end_ms, fingerprint)
    }

    pub(super) fn count(&self) -> u16 {
        match self {
            Self::Float(open) => open.count(),
            Self::Histogram(open) => open.encoder.count(),
        }
    }

    /// The chunk as it is now.
    pub(super) fn to_chunk(&self, epoch_ms: i64) -> HeadChunk {
        let (bytes, kind) = match self {
            Self::Float(open) => (open.bytes().into(), ChunkKind::Float),
            Self::Histogram(open) => (open.to_bytes().into(), ChunkKind::Histogram),
        };
        HeadChunk { bytes, time: self.time(), epoch_ms, count: self.count(), kind, late: false, saved: false }
    }
}

impl OpenHistograms {
    pub(super) fn push(&mut self, t_ms: i64, h: &Histogram) {
        self.times.push(t_ms);
        self.encoder.push(h);
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
}

/// The late samples of each epoch as a chunk. They are in order of epoch and time.
pub(super) fn late_chunks(late: &[LateSample]) -> impl Iterator<Item = HeadChunk> + '_ {
    late.chunk_by(|a, b| a.epoch_ms == b.epoch_ms).map(|group| {
        let mut open = OpenChunk::new(group[0].t_ms, group[0].value);
        group[1..].iter().for_each(|s| open.push(s.t_ms, s.value));
        HeadChunk { late: true, ..Open::Float(open).to_chunk(group[0].epoch_ms) }
    })
}

/// Tells histograms apart, as the bits of a float do floats.
pub(crate) fn fingerprint(h: &Histogram) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&histogram::encode([h]))
}
