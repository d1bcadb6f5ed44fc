//! Remote write 1.0: a snappy block that holds a `prometheus.WriteRequest`.
//!
//! This is the path that most samples of a fleet take, so a request is read once, from slices of one reused buffer straight into the
//! flat buffers of a batch. What is wrong with one series costs that series only; bytes that are no message cost the request.

mod exemplar;
mod histogram;
mod labels;

use base::{Error, ErrorKind, Result, WriteBatch};

use crate::LabelLimits;
use crate::limits::{BUCKETS_PER_REQUEST, EXEMPLARS_PER_REQUEST, SAMPLES_PER_REQUEST, SERIES_PER_REQUEST};
use crate::protobuf::{Malformed, Reader};
use crate::snappy;

/// What a request holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Samples and histograms, ready for the store.
    pub batch: WriteBatch,
    /// What is not among them.
    pub refused: Refused,
    /// Exemplars that were seen; those whose labels cannot be stored are not in the batch.
    pub exemplars: u64,
    /// Descriptions of metrics that were seen.
    pub metadata: u64,
}

/// What was refused of a request whose rest is fine.
#[derive(Debug, Default)]
pub struct Refused {
    /// Series with labels that cannot be.
    pub series: u64,
    /// Series with labels beyond a limit.
    pub limited_series: u64,
    /// Samples and histograms of those series, and histograms that contradict themselves.
    pub samples: u64,
    /// Why, for the first of them.
    pub first: Option<Error>,
}

impl Refused {
    fn note(&mut self, samples: u64, why: Error) {
        self.samples += samples;
        self.first.get_or_insert(why);
    }
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
    decompressed: Vec<u8>,
    packed: Vec<u8>,
}

impl Decoder {
    /// A decoder that refuses series whose labels are beyond the limits.
    pub fn new(limits: LabelLimits) -> Self {
        Self { limits, decompressed: Vec::new(), packed: Vec::new() }
    }

    /// Changes the limits for the requests to come.
    pub fn set_limits(&mut self, limits: LabelLimits) {
        self.limits = limits;
    }

    /// Bytes of the buffers that stay.
    pub fn held_bytes(&self) -> usize {
        self.decompressed.capacity() + self.packed.capacity()
    }

    /// Reads a request. An error is one of the request as a whole: nothing of it is to be stored.
    pub fn decode(&mut self, body: &[u8]) -> Result<Decoded> {
        let message = snappy::decompress(body, &mut self.decompressed)?;
        let mut request = Request {
            limits: self.limits,
            packed: &mut self.packed,
            pairs: Vec::new(),
            series: 0,
            samples: 0,
            buckets: 0,
            out: Decoded::default(),
        };
        match request.read(message) {
            Ok(()) => Ok(request.out),
            Err(Stop::Malformed(m)) => {
                Err(Error::invalid(format!("cannot decode remote write request: {}", m.cause())))
            }
            Err(Stop::Limit(name, limit)) => Err(Error::limit(format!(
                "cannot take remote write request: it has more than {limit} {} (limit {name})",
                name.split('_').next().unwrap_or(name)
            ))),
        }
    }
}

/// Why the reading of a request ends early.
enum Stop {
    Malformed(Malformed),
    Limit(&'static str, usize),
}

impl From<Malformed> for Stop {
    fn from(m: Malformed) -> Self {
        Self::Malformed(m)
    }
}

/// A request that is being read.
struct Request<'a, 'd> {
    limits: LabelLimits,
    packed: &'d mut Vec<u8>,
    pairs: Vec<labels::Pair<'a>>,
    series: usize,
    samples: usize,
    buckets: usize,
    out: Decoded,
}

impl<'a> Request<'a, '_> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => self.series(value.bytes()?)?,
                3 => {
                    value.bytes()?;
                    self.out.metadata += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn series(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        self.series += 1;
        if self.series > SERIES_PER_REQUEST {
            return Err(Stop::Limit("series_per_request", SERIES_PER_REQUEST));
        }
        let found = labels::pack_as_sent(message, self.limits, self.packed)?;
        self.samples += found.samples;
        if self.samples > SAMPLES_PER_REQUEST {
            return Err(Stop::Limit("samples_per_request", SAMPLES_PER_REQUEST));
        }
        if (!found.packed || self.out.batch.begin_packed(self.packed).is_err())
            && let Err(why) = self.begin_thoroughly(message)?
        {
            let limited = why.kind() == ErrorKind::Limit;
            *if limited { &mut self.out.refused.limited_series } else { &mut self.out.refused.series } += 1;
            self.out.refused.note(found.samples as u64, why);
            return Ok(());
        }
        self.samples(found.rest)
    }

    /// Begins a series whose labels are not as they should be, if they can be put in order.
    fn begin_thoroughly(&mut self, message: &'a [u8]) -> Result<Result<()>, Malformed> {
        let packed = labels::pack_any(message, self.limits, &mut self.pairs, self.packed)?;
        Ok(packed.and_then(|()| self.out.batch.begin_packed(self.packed)))
    }

    fn samples(&mut self, fields: &'a [u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(fields);
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    let (t_ms, v) = sample(value.bytes()?)?;
                    self.out.batch.sample(t_ms, v);
                }
                3 => {
                    self.out.exemplars += 1;
                    if self.out.exemplars > EXEMPLARS_PER_REQUEST as u64 {
                        return Err(Stop::Limit("exemplars_per_request", EXEMPLARS_PER_REQUEST));
                    }
                    if let Some(exemplar) = exemplar::read(value.bytes()?)? {
                        self.out.batch.exemplar(exemplar);
                    }
                }
                4 => match histogram::read(value.bytes()?)? {
                    Ok((t_ms, histogram)) => {
                        self.buckets += histogram.positive.len() + histogram.negative.len();
                        if self.buckets > BUCKETS_PER_REQUEST {
                            return Err(Stop::Limit("buckets_per_request", BUCKETS_PER_REQUEST));
                        }
                        self.out.batch.histogram(t_ms, histogram);
                    }
                    Err(why) => self.out.refused.note(1, why),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

fn sample(message: &[u8]) -> Result<(i64, f64), Malformed> {
    let (mut t_ms, mut v) = (0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => v = value.double()?,
            2 => t_ms = value.int64()?,
            _ => {}
        }
    }
    Ok((t_ms, v))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
