//! Remote write: a snappy block that holds a `prometheus.WriteRequest` (1.0) or an `io.prometheus.write.v2.Request` (2.0).
//!
//! This is the path that most samples of a fleet take, so a request is read once, from slices of one reused buffer straight into the
//! flat buffers of a batch. What is wrong with one series costs that series only; bytes that are no message cost the request.

mod exemplar;
mod histogram;
mod labels;
mod metadata;
mod series;
mod symbols;
#[cfg(test)]
#[path = "tests_v2.rs"]
mod tests_v2;

use std::sync::Arc;

use base::Result;

use crate::LabelLimits;
use crate::Starts;
use crate::decoded::{Decoded, Intake, Stop};
use crate::protobuf::Reader;
use crate::snappy;

/// Which of the protocol's messages a request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// `prometheus.WriteRequest`, of remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`, of remote write 2.0.
    V2,
}

impl Message {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// Its full name, by which a sender says what it sends.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// What is made of a request beyond what it says, as Prometheus' features of the same names do.
#[derive(Debug, Clone, Default)]
pub struct Features {
    /// `created-timestamp-zero-ingestion`: a zero is stored where a counter started, if it is not known to have one.
    pub start_zeros: Option<Arc<Starts>>,
    /// `st-storage`: samples have when their counting began, as far as the sender says it.
    pub starts: bool,
    /// `type-and-unit-labels`: series have `__type__` and `__unit__`.
    pub type_and_unit_labels: bool,
}

/// The length to which a request would unfold, as its header claims, so that room can be made first. An error if it is beyond the
/// limits.
pub fn decompressed_len(body: &[u8]) -> Result<usize> {
    snappy::claimed_len(body)
}

/// Decodes requests one after the other, with buffers that stay.
#[derive(Debug)]
pub struct Decoder {
    limits: LabelLimits,
    features: Features,
    decompressed: Vec<u8>,
    packed: Vec<u8>,
}

impl Decoder {
    /// A decoder that refuses series whose labels are beyond the limits.
    pub fn new(limits: LabelLimits) -> Self {
        Self { limits, features: Features::default(), decompressed: Vec::new(), packed: Vec::new() }
    }

    /// Changes the limits for the requests to come.
    pub fn set_limits(&mut self, limits: LabelLimits) {
        self.limits = limits;
    }

    /// Changes what is made of the requests to come.
    pub fn set_features(&mut self, features: Features) {
        self.features = features;
    }

    /// Bytes of the buffers that stay.
    pub fn held_bytes(&self) -> usize {
        self.decompressed.capacity() + self.packed.capacity()
    }

    /// Reads a request. An error is one of the request as a whole: nothing of it is to be stored.
    pub fn decode(&mut self, body: &[u8], message: Message) -> Result<Decoded> {
        let bytes = snappy::decompress(body, &mut self.decompressed)?;
        let mut request = Request {
            limits: self.limits,
            features: &self.features,
            packed: &mut self.packed,
            pairs: Vec::new(),
            intake: Intake::default(),
        };
        let read = match message {
            Message::V1 => request.read(bytes),
            Message::V2 => request.read_v2(bytes),
        };
        match read {
            Ok(()) => Ok(request.intake.out),
            Err(stop) => Err(stop.into_error("remote write request")),
        }
    }
}

/// A request that is being read.
struct Request<'a, 'd> {
    limits: LabelLimits,
    features: &'d Features,
    packed: &'d mut Vec<u8>,
    pairs: Vec<labels::Pair<'a>>,
    intake: Intake,
}

impl<'a> Request<'a, '_> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => self.series(value.bytes()?)?,
                3 => {
                    if let Some((family, metadata)) = metadata::read(value.bytes()?)? {
                        self.intake.describe(family, metadata);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
