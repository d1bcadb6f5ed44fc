//! Runs: samples that were sorted in memory and lie on the disk until all are merged.
//!
//! A run is a sequence of series of one day: length of the rest, length of the packed labels, these, number of floats, floats, number of
//! histograms, histograms. Numbers are varints, values eight bytes. Nothing reads it but the process that wrote it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use base::{CounterResetHint, Error, Histogram, Labels, Result, Sample, Span};

use crate::chunk::{put_varint, take_varint, unzigzag, zigzag};
use crate::limits::IMPORT_RUN_BYTES;

/// Appends a series to a run.
pub(super) fn put_series(
    out: &mut Vec<u8>,
    labels: &Labels,
    floats: &[Sample],
    histograms: &[(i64, &Histogram)],
) {
    let mut body = Vec::with_capacity(labels.size_bytes() + floats.len() * 11 + 16);
    put_varint(&mut body, labels.size_bytes() as u64);
    body.extend_from_slice(labels.as_packed());
    put_varint(&mut body, floats.len() as u64);
    let mut last_ms = 0i64;
    for sample in floats {
        put_varint(&mut body, zigzag(sample.t_ms.wrapping_sub(last_ms)));
        put_f64(&mut body, sample.value);
        last_ms = sample.t_ms;
    }
    put_varint(&mut body, histograms.len() as u64);
    for (t_ms, histogram) in histograms {
        put_varint(&mut body, zigzag(*t_ms));
        put_histogram(&mut body, histogram);
    }
    put_varint(out, body.len() as u64);
    out.extend_from_slice(&body);
}

/// A series of a run.
pub(super) struct RunSeries {
    pub(super) labels: Labels,
    pub(super) floats: Vec<Sample>,
    pub(super) histograms: Vec<(i64, Histogram)>,
}

/// Reads the series of a run.
pub(super) struct RunReader {
    file: BufReader<Stretch>,
    body: Vec<u8>,
}

/// A stretch of a file that many read at once.
struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buf[..len], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl RunReader {
    pub(super) fn new(file: Arc<File>, at: u64, len: u64) -> Self {
        let stretch = Stretch { file, at, end: at + len };
        Self { file: BufReader::with_capacity(IMPORT_RUN_BYTES, stretch), body: Vec::new() }
    }

    /// The next series, or `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<RunSeries>> {
        let mut len = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            match self.file.read(&mut byte).map_err(|e| cannot_read(&e))? {
                0 if shift == 0 => return Ok(None),
                0 => return Err(cannot_read(&"it ends within a series")),
                _ => len |= u64::from(byte[0] & 0x7f) << shift,
            }
            if byte[0] < 0x80 {
                break;
            }
        }
        self.body.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        self.file.read_exact(&mut self.body).map_err(|e| cannot_read(&e))?;
        take_series(&mut self.body.as_slice()).map(Some)
    }
}

fn take_series(rest: &mut &[u8]) -> Result<RunSeries> {
    let len = take_len(rest)?;
    let (packed, tail) = rest.split_at_checked(len).ok_or_else(|| cannot_read(&"labels are cut off"))?;
    *rest = tail;
    let labels = Labels::from_packed(packed)?;
    let mut last_ms = 0i64;
    let floats = (0..take_len(rest)?)
        .map(|_| {
            last_ms = last_ms.wrapping_add(unzigzag(take_varint(rest)?));
            Ok(Sample { t_ms: last_ms, value: take_f64(rest)? })
        })
        .collect::<Result<_>>()?;
    let histograms = (0..take_len(rest)?)
        .map(|_| Ok((unzigzag(take_varint(rest)?), take_histogram(rest)?)))
        .collect::<Result<_>>()?;
    Ok(RunSeries { labels, floats, histograms })
}

fn put_histogram(out: &mut Vec<u8>, h: &Histogram) {
    out.push(match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    });
    out.push(u8::from(h.is_float));
    put_varint(out, zigzag(h.schema.into()));
    for number in [h.zero_threshold, h.zero_count, h.count, h.sum] {
        put_f64(out, number);
    }
    for spans in [&h.positive_spans, &h.negative_spans] {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, zigzag(span.offset.into()));
            put_varint(out, span.length.into());
        }
    }
    for numbers in [&h.positive[..], &h.negative, &h.custom_bounds] {
        put_varint(out, numbers.len() as u64);
        numbers.iter().for_each(|n| put_f64(out, *n));
    }
}

fn take_histogram(rest: &mut &[u8]) -> Result<Histogram> {
    let [hint, is_float, tail @ ..] = *rest else { return Err(cannot_read(&"a histogram is cut off")) };
    let counter_reset_hint = match hint {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    };
    *rest = tail;
    let schema = small(unzigzag(take_varint(rest)?))?;
    let [zero_threshold, zero_count, count, sum] =
        [take_f64(rest)?, take_f64(rest)?, take_f64(rest)?, take_f64(rest)?];
    let (positive_spans, negative_spans) = (take_spans(rest)?, take_spans(rest)?);
    let (positive, negative, bounds) = (take_f64s(rest)?, take_f64s(rest)?, take_f64s(rest)?);
    Ok(Histogram {
        counter_reset_hint,
        is_float: *is_float == 1,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive,
        negative,
        custom_bounds: Arc::from(bounds),
    })
}

fn take_spans(rest: &mut &[u8]) -> Result<Vec<Span>> {
    (0..take_len(rest)?)
        .map(|_| {
            Ok(Span { offset: small(unzigzag(take_varint(rest)?))?, length: small(take_varint(rest)?)? })
        })
        .collect()
}

fn take_f64s(rest: &mut &[u8]) -> Result<Vec<f64>> {
    (0..take_len(rest)?).map(|_| take_f64(rest)).collect()
}

fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn take_f64(rest: &mut &[u8]) -> Result<f64> {
    let (bytes, tail) = rest.split_first_chunk().ok_or_else(|| cannot_read(&"a value is cut off"))?;
    *rest = tail;
    Ok(f64::from_bits(u64::from_le_bytes(*bytes)))
}

/// A number of things, each of which takes a byte or more.
fn take_len(rest: &mut &[u8]) -> Result<usize> {
    let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
    if len <= rest.len() { Ok(len) } else { Err(cannot_read(&"a number is out of range")) }
}

fn small<N, M: TryFrom<N>>(n: N) -> Result<M> {
    M::try_from(n).map_err(|_| cannot_read(&"a number is out of range"))
}

pub(super) fn cannot_read(cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable(format!("cannot read back sorted samples of the import: {cause}"))
}
