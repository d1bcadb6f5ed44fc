//! The segments' encoding: a column of timestamps and one of values, each compressed as a whole.
//!
//! Timestamps depend on nothing but themselves, so that the series of one target, which share them, have equal bytes
//! and the file's dictionary stores these once.

use base::{Histogram, Result};
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::starts::StartRuns;
use super::{
    check_ascending, corrupt, histogram, not_ascending, put_varint, starts, take_varint, unzigzag, zigzag,
};
use crate::limits::{PCO_LEVEL, PCO_QUICK_LEVEL, SEGMENT_CHUNK_SAMPLES};

// The first byte of a column: the version of the format in the high half, the kind in the low half.
const REGULAR: u8 = 0x10;
const COMPRESSED: u8 = 0x11;
const RAW: u8 = 0x12;
const CONSTANT: u8 = 0x13;
const HISTOGRAMS: u8 = 0x14;
const WITH_STARTS: u8 = 0x15;
const RUNS: u8 = 0x16;

/// Runs of so many bytes are not compared with another encoding.
const FEW_RUNS_BYTES: usize = 16;

/// What an encoding may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As little as a seal can spend on a chunk that will be merged soon.
    Quick,
    /// As much as makes it smaller.
    Thorough,
}

/// Encodes timestamps, which ascend strictly; at most [`SEGMENT_CHUNK_SAMPLES`].
pub fn encode_timestamps(timestamps: &[i64], effort: Effort) -> Vec<u8> {
    if let Some(regular) = encode_regular(timestamps) {
        return regular;
    }
    compressed_or_raw(
        simple_compress(timestamps, &config(effort)),
        timestamps.iter().map(|t| t.to_le_bytes()),
    )
}

/// Encodes values to the bit; at most [`SEGMENT_CHUNK_SAMPLES`].
pub fn encode_values(values: &[f64], effort: Effort) -> Vec<u8> {
    let first = values.first().copied().unwrap_or(0.0).to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        let mut out = vec![CONSTANT];
        out.extend_from_slice(&first.to_le_bytes());
        return out;
    }
    let runs = encode_runs(values);
    // Shorter than what a compressed column begins with.
    if let Some(runs) = runs.as_ref().filter(|runs| runs.len() <= FEW_RUNS_BYTES) {
        return runs.clone();
    }
    let other =
        compressed_or_raw(simple_compress(values, &config(effort)), values.iter().map(|v| v.to_le_bytes()));
    // Of two that take as much, runs are decoded sooner.
    runs.filter(|runs| runs.len() <= other.len()).unwrap_or(other)
}

/// Whether a column of values holds floats, and not something else.
pub fn holds_floats(bytes: &[u8]) -> bool {
    matches!(without_starts(bytes).first(), Some(&(COMPRESSED | RAW | CONSTANT | RUNS)))
}

/// A column of values with the starts of these; as it is if none is known.
pub fn with_starts(values: Vec<u8>, of: &[i64]) -> Vec<u8> {
    if of.iter().all(|start_ms| *start_ms == 0) {
        return values;
    }
    let runs = of.iter().copied().collect::<StartRuns>().to_bytes();
    let mut out = vec![WITH_STARTS];
    starts::put_before(&runs, &values, &mut out);
    out
}

/// Whether a column of values says when the counting of any began.
pub fn has_starts(bytes: &[u8]) -> bool {
    bytes.first() == Some(&WITH_STARTS)
}

/// Appends `count` starts of the values of a column to `out`, 0 where they are unknown.
pub fn decode_starts(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
    match split(bytes, count)? {
        (WITH_STARTS, body) => starts::decode(starts::split(body)?.0, count, out),
        _ => {
            out.resize(out.len() + count, 0);
            Ok(())
        }
    }
}

/// The column of values alone; nothing if it is cut off.
fn without_starts(bytes: &[u8]) -> &[u8] {
    match bytes.split_first() {
        Some((&WITH_STARTS, body)) => starts::split(body).map_or(&[], |(_, values)| values),
        _ => bytes,
    }
}

/// Encodes native histograms, as a column of values; at most [`SEGMENT_CHUNK_SAMPLES`].
pub fn encode_histograms<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Vec<u8> {
    let mut out = vec![HISTOGRAMS];
    out.append(&mut histogram::encode(histograms));
    out
}

/// Whether a column of values holds native histograms rather than floats.
pub fn holds_histograms(bytes: &[u8]) -> bool {
    without_starts(bytes).first() == Some(&HISTOGRAMS)
}

/// Appends `count` histograms to `out`.
pub fn decode_histograms(bytes: &[u8], count: usize, out: &mut Vec<Histogram>) -> Result<()> {
    match split(without_starts(bytes), count)? {
        (HISTOGRAMS, body) => histogram::decode(body, count, out),
        _ => Err(corrupt("unknown kind of histograms")),
    }
}

/// Appends `count` timestamps to `out`.
pub fn decode_timestamps(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
    let (kind, body) = split(bytes, count)?;
    let start = out.len();
    match kind {
        REGULAR => return decode_regular(body, count, out),
        COMPRESSED => {
            out.resize(start + count, 0);
            decompress(body, &mut out[start..])?;
        }
        RAW => out.extend(raw(body, count)?.map(i64::from_le_bytes)),
        _ => return Err(corrupt("unknown kind of timestamps")),
    }
    check_ascending(&out[start..])
}

/// Appends `count` values to `out`.
pub fn decode_values(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<()> {
    let (kind, body) = split(without_starts(bytes), count)?;
    let start = out.len();
    match kind {
        CONSTANT => {
            let bits = body.try_into().map_err(|_| corrupt("a constant has eight bytes"))?;
            out.resize(start + count, f64::from_le_bytes(bits));
        }
        COMPRESSED => {
            out.resize(start + count, 0.0);
            decompress(body, &mut out[start..])?;
        }
        RAW => out.extend(raw(body, count)?.map(f64::from_le_bytes)),
        RUNS => decode_runs(body, count, out)?,
        _ => return Err(corrupt("unknown kind of values")),
    }
    Ok(())
}

fn config(effort: Effort) -> ChunkConfig {
    let level = match effort {
        Effort::Quick => PCO_QUICK_LEVEL,
        Effort::Thorough => PCO_LEVEL,
    };
    ChunkConfig::default().with_compression_level(level)
}

fn encode_regular(timestamps: &[i64]) -> Option<Vec<u8>> {
    let first = *timestamps.first()?;
    let step = timestamps.get(1).map_or(Some(0), |t| t.checked_sub(first))?;
    let regular = timestamps.windows(2).all(|w| w[1].checked_sub(w[0]) == Some(step));
    regular.then(|| {
        let mut out = vec![REGULAR];
        put_varint(&mut out, zigzag(first));
        put_varint(&mut out, zigzag(step));
        out
    })
}

fn decode_regular(mut body: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
    let first = unzigzag(take_varint(&mut body)?);
    let step = unzigzag(take_varint(&mut body)?);
    let last = i64::try_from(count - 1).ok().and_then(|n| step.checked_mul(n)?.checked_add(first));
    if last.is_none() || !body.is_empty() {
        return Err(corrupt("regular timestamps do not fit"));
    }
    if count > 1 && step <= 0 {
        return Err(not_ascending());
    }
    out.extend((0..count as i64).map(|i| first + step * i));
    Ok(())
}

/// Values that stay for a while: how often each is repeated, and its bits in reverse, as round numbers have theirs at one end. `None` if that
/// takes more than a byte each.
fn encode_runs(values: &[f64]) -> Option<Vec<u8>> {
    let mut out = vec![RUNS];
    for run in values.chunk_by(|a, b| a.to_bits() == b.to_bits()) {
        put_varint(&mut out, run.len() as u64 - 1);
        put_varint(&mut out, run[0].to_bits().reverse_bits());
        if out.len() > values.len().max(FEW_RUNS_BYTES) {
            return None;
        }
    }
    Some(out)
}

fn decode_runs(mut body: &[u8], count: usize, out: &mut Vec<f64>) -> Result<()> {
    let end = out.len() + count;
    while !body.is_empty() {
        let repeated = take_varint(&mut body)?;
        let value = f64::from_bits(take_varint(&mut body)?.reverse_bits());
        if repeated >= (end - out.len()) as u64 {
            return Err(corrupt("runs are longer than the number of samples"));
        }
        out.resize(out.len() + 1 + repeated as usize, value);
    }
    if out.len() < end { Err(corrupt("runs are shorter than the number of samples")) } else { Ok(()) }
}

fn compressed_or_raw(
    compressed: Result<Vec<u8>, pco::errors::PcoError>,
    raw: impl ExactSizeIterator<Item = [u8; 8]>,
) -> Vec<u8> {
    match compressed {
        Ok(compressed) if compressed.len() < raw.len() * 8 => {
            let mut out = Vec::with_capacity(1 + compressed.len());
            out.push(COMPRESSED);
            out.extend_from_slice(&compressed);
            out
        }
        _ => {
            let mut out = vec![RAW];
            out.extend(raw.flatten());
            out
        }
    }
}

fn split(bytes: &[u8], count: usize) -> Result<(u8, &[u8])> {
    if count == 0 || count > SEGMENT_CHUNK_SAMPLES {
        return Err(corrupt("the number of samples is out of range"));
    }
    bytes.split_first().map(|(kind, body)| (*kind, body)).ok_or_else(|| corrupt("it is empty"))
}

fn raw(body: &[u8], count: usize) -> Result<impl Iterator<Item = [u8; 8]> + '_> {
    if body.len() != count * 8 {
        return Err(corrupt("the length does not fit the number of samples"));
    }
    Ok(body.chunks_exact(8).map(|b| b.try_into().expect("eight bytes")))
}

fn decompress<T: pco::data_types::Number>(body: &[u8], out: &mut [T]) -> Result<()> {
    match simple_decompress_into(body, out) {
        Ok(progress) if progress.finished && progress.n_processed == out.len() => Ok(()),
        Ok(_) => Err(corrupt("the number of samples does not fit")),
        Err(e) => Err(corrupt(&e.to_string())),
    }
}
