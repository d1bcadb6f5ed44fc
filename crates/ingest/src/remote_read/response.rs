//! The messages that answer: one with samples, or frames with chunks.

use base::{Histogram, Labels, Sample};

use super::chunk::{self, Chunk};
use crate::limits::{READ_CHUNK_SAMPLES, READ_FRAME_BYTES};
use crate::messages::{put_histogram, put_labels};
use crate::put;

/// A `prometheus.ReadResponse` that is being written, a query after the other.
#[derive(Debug, Default)]
pub struct SampleResponse {
    message: Vec<u8>,
    result: Vec<u8>,
}

impl SampleResponse {
    /// An empty answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a series to the result of the query.
    pub fn series(&mut self, labels: &Labels, samples: &[Sample], histograms: &[(i64, Histogram)]) {
        put::message(&mut self.result, 1, |series| {
            put_labels(series, 1, labels);
            for s in samples {
                put::message(series, 2, |out| {
                    put::double(out, 1, s.value);
                    put::number(out, 2, s.t_ms as u64);
                });
            }
            for (t_ms, h) in histograms {
                put::message(series, 4, |out| put_histogram(out, *t_ms, h));
            }
        });
    }

    /// Ends the result of the query.
    pub fn end_query(&mut self) {
        put::bytes(&mut self.message, 1, &self.result);
        self.result.clear();
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.message.len() + self.result.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body: the message as a snappy block. `None` if it is larger than such a block may be.
    pub fn body(self) -> Option<Vec<u8>> {
        snap::raw::Encoder::new().compress_vec(&self.message).ok()
    }
}

/// Writes the frames of a `STREAMED_XOR_CHUNKS` answer.
#[derive(Debug, Default)]
pub struct ChunkedResponse {
    frames: Vec<u8>,
}

impl ChunkedResponse {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the frames of a series: one, or several if it has many chunks. Series of a query come in order of their labels.
    pub fn series(
        &mut self,
        query: usize,
        labels: &Labels,
        samples: &[Sample],
        histograms: &[(i64, Histogram)],
    ) {
        let mut chunks: Vec<Chunk> = samples.chunks(READ_CHUNK_SAMPLES).map(chunk::floats).collect();
        chunks.extend(histograms.iter().map(|(t_ms, h)| chunk::histogram(*t_ms, h)));
        if !histograms.is_empty() {
            chunks.sort_by_key(|c| c.min_ms);
        }
        let mut packed_labels = Vec::new();
        put_labels(&mut packed_labels, 1, labels);
        let mut series = packed_labels.clone();
        for c in &chunks {
            put::message(&mut series, 2, |out| {
                put::number(out, 1, c.min_ms as u64);
                put::number(out, 2, c.max_ms as u64);
                put::number(out, 3, c.encoding);
                put::bytes(out, 4, &c.data);
            });
            if series.len() >= READ_FRAME_BYTES {
                self.frame(query, &series);
                series.clone_from(&packed_labels);
            }
        }
        if series.len() > packed_labels.len() {
            self.frame(query, &series);
        }
    }

    fn frame(&mut self, query: usize, series: &[u8]) {
        let mut message = Vec::with_capacity(series.len() + 16);
        put::bytes(&mut message, 1, series);
        put::number(&mut message, 2, query as u64);
        frame(&message, &mut self.frames);
    }

    /// Takes what was written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.frames)
    }

    /// Bytes that [`ChunkedResponse::take`] would give.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Appends a message as a frame: its length, its checksum, its bytes.
pub fn frame(message: &[u8], out: &mut Vec<u8>) {
    put::varint(out, message.len() as u64);
    out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
    out.extend_from_slice(message);
}
