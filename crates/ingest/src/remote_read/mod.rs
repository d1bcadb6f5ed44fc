//! Remote read: what a request asks, and how answers are written, whole or as a stream of chunks.
//!
//! `prometheus.ReadRequest` and the messages that answer it. Which samples there are is the caller's business.

mod bits;
mod chunk;
mod response;

use base::{Error, MatchOp, Matcher, Regexes, Result, TimeRange};

use crate::limits::{READ_MATCHERS, READ_QUERIES};
use crate::protobuf::{Malformed, Reader, Value};
use crate::snappy;

pub use response::{ChunkedResponse, SampleResponse, frame};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with every sample.
    Samples,
    /// A stream of frames, each with chunks of one series.
    StreamedXorChunks,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRequest {
    /// Each is answered by itself, in this order.
    pub queries: Vec<Query>,
    /// The first way of answering that the client takes and that there is.
    pub response_type: ResponseType,
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The samples that are wanted: those of the hints if there are any, else of the query itself.
    pub range: TimeRange,
    /// All of them have to be satisfied.
    pub matchers: Vec<Matcher>,
    /// Whether only the series are wanted, not their samples.
    pub series_only: bool,
}

/// Reads the body of a request.
pub fn decode(body: &[u8]) -> Result<ReadRequest> {
    let mut buffer = Vec::new();
    let message = snappy::decompress(body, &mut buffer)?;
    match read(message) {
        Ok(request) => request,
        Err(m) => Err(Error::invalid(format!("cannot decode remote read request: {}", m.cause()))),
    }
}

/// The outer error is one of the bytes, the inner one of what they say.
fn read(message: &[u8]) -> Result<Result<ReadRequest>, Malformed> {
    let (mut queries, mut accepted, mut regexes) = (Vec::new(), Vec::new(), Regexes::default());
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, value) => {
                if queries.len() == READ_QUERIES {
                    let text = format!("it has more than {READ_QUERIES} queries (limit read_queries)");
                    return Ok(Err(Error::limit(format!("cannot take remote read request: {text}"))));
                }
                match query(value.bytes()?, &mut regexes)? {
                    Ok(query) => queries.push(query),
                    Err(e) => return Ok(Err(e)),
                }
            }
            (2, Value::Bytes(packed)) => {
                let mut packed = Reader::new(packed);
                while !packed.rest().is_empty() {
                    note(&mut accepted, packed.varint()?);
                }
            }
            (2, value) => note(&mut accepted, value.varint()?),
            _ => {}
        }
    }
    let known = |n: &u64| match n {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedXorChunks),
        _ => None,
    };
    let response_type = match accepted.is_empty() {
        true => Some(ResponseType::Samples),
        false => accepted.iter().find_map(known),
    };
    let Some(response_type) = response_type else {
        return Ok(Err(Error::invalid(format!(
            "server does not support any of the requested response types: {accepted:?}; supported: SAMPLES, STREAMED_XOR_CHUNKS"
        ))));
    };
    Ok(Ok(ReadRequest { queries, response_type }))
}

/// Keeps the first of a few: a client that names more says nothing new.
fn note(accepted: &mut Vec<u64>, n: u64) {
    if accepted.len() < 16 {
        accepted.push(n);
    }
}

fn query(message: &[u8], regexes: &mut Regexes) -> Result<Result<Query>, Malformed> {
    let (mut start_ms, mut end_ms, mut matchers) = (0, 0, Vec::new());
    let mut hints = None;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => start_ms = value.int64()?,
            2 => end_ms = value.int64()?,
            3 => {
                if matchers.len() == READ_MATCHERS {
                    let text =
                        format!("a query has more than {READ_MATCHERS} matchers (limit read_matchers)");
                    return Ok(Err(Error::limit(format!("cannot take remote read request: {text}"))));
                }
                match matcher(value.bytes()?, regexes)? {
                    Ok(m) => matchers.push(m),
                    Err(e) => return Ok(Err(e)),
                }
            }
            4 => hints = Some(read_hints(value.bytes()?)?),
            _ => {}
        }
    }
    let mut range = TimeRange::new(start_ms, end_ms);
    // Hints narrow what is read: a selector with an offset asks for an earlier range. Some clients send empty ones.
    if let Some(h) = hints.as_ref().filter(|h| (h.start_ms, h.end_ms) != (0, 0)) {
        range = TimeRange::new(h.start_ms, h.end_ms);
    }
    Ok(Ok(Query { range, matchers, series_only: hints.is_some_and(|h| h.series_only) }))
}

struct Hints {
    start_ms: i64,
    end_ms: i64,
    series_only: bool,
}

fn read_hints(message: &[u8]) -> Result<Hints, Malformed> {
    let mut hints = Hints { start_ms: 0, end_ms: 0, series_only: false };
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            2 => hints.series_only = value.bytes()? == b"series",
            3 => hints.start_ms = value.int64()?,
            4 => hints.end_ms = value.int64()?,
            _ => {}
        }
    }
    Ok(hints)
}

fn matcher(message: &[u8], regexes: &mut Regexes) -> Result<Result<Matcher>, Malformed> {
    let (mut op, mut name, mut text): (u64, &[u8], &[u8]) = (0, b"", b"");
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => op = value.varint()?,
            2 => name = value.bytes()?,
            3 => text = value.bytes()?,
            _ => {}
        }
    }
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        _ => return Ok(Err(Error::invalid("invalid matcher type"))),
    };
    let (Ok(name), Ok(text)) = (std::str::from_utf8(name), std::str::from_utf8(text)) else {
        return Ok(Err(Error::invalid("cannot take remote read request: a matcher is not UTF-8")));
    };
    Ok(regexes.matcher(name, op, text))
}

#[cfg(test)]
mod tests;
