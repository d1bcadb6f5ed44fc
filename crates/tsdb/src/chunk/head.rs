//! The head's encoding: appended sample by sample, after Gorilla (Pelkonen et al., VLDB 2015) with widths for milliseconds.

use base::Result;

use super::bits::{BitReader, BitWriter};
use super::{corrupt, not_ascending, put_varint, take_varint, unzigzag, zigzag};

/// Widths of the difference between two steps of time, each behind one more 1 bit; the last takes what fits nowhere else.
const TIME_BITS: [u8; 4] = [7, 14, 20, 64];

/// No window of meaningful bits has been written yet.
const NO_WINDOW: u8 = 0xff;

/// A chunk that samples are being appended to.
#[derive(Debug, Clone)]
pub struct OpenChunk {
    bits: BitWriter,
    count: u16,
    leading: u8,
    trailing: u8,
    first_ms: i64,
    last_ms: i64,
    step_ms: i64,
    last_bits: u64,
}

impl OpenChunk {
    /// A chunk with its first sample.
    pub fn new(t_ms: i64, value: f64) -> Self {
        let mut bits = BitWriter::default();
        bits.put(t_ms as u64, 64);
        bits.put(value.to_bits(), 64);
        Self {
            bits,
            count: 1,
            leading: NO_WINDOW,
            trailing: 0,
            first_ms: t_ms,
            last_ms: t_ms,
            step_ms: 0,
            last_bits: value.to_bits(),
        }
    }

    /// Appends a sample, which is later than the last.
    pub fn push(&mut self, t_ms: i64, value: f64) {
        let step_ms = t_ms.wrapping_sub(self.last_ms);
        self.put_time(step_ms.wrapping_sub(self.step_ms));
        self.put_value(value.to_bits());
        self.step_ms = step_ms;
        self.last_ms = t_ms;
        self.count += 1;
    }

    /// Number of samples.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Time of the first sample.
    pub fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// Time of the last sample.
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// Value of the last sample.
    pub fn last_value(&self) -> f64 {
        f64::from_bits(self.last_bits)
    }

    /// The encoded samples so far.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// Writes all of its state, for [`OpenChunk::restore`].
    pub fn save(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.count));
        out.extend_from_slice(&[self.leading, self.trailing, self.bits.free()]);
        put_varint(out, zigzag(self.first_ms));
        put_varint(out, zigzag(self.last_ms.wrapping_sub(self.first_ms)));
        put_varint(out, zigzag(self.step_ms));
        out.extend_from_slice(&self.last_bits.to_le_bytes());
        put_varint(out, self.bytes().len() as u64);
        out.extend_from_slice(self.bytes());
    }

    /// Takes what [`OpenChunk::save`] wrote off the front of `rest`.
    pub fn restore(rest: &mut &[u8]) -> Result<Self> {
        let cut = || corrupt("the state of an open chunk is cut off");
        let count = u16::try_from(take_varint(rest)?).map_err(|_| corrupt("an open chunk is too long"))?;
        let ([leading, trailing, free], tail) = rest.split_first_chunk().ok_or_else(cut)?;
        let (leading, trailing, free) = (*leading, *trailing, *free);
        *rest = tail;
        let first_ms = unzigzag(take_varint(rest)?);
        let last_ms = first_ms.wrapping_add(unzigzag(take_varint(rest)?));
        let step_ms = unzigzag(take_varint(rest)?);
        let (last_bits, tail) = rest.split_first_chunk().ok_or_else(cut)?;
        let last_bits = u64::from_le_bytes(*last_bits);
        *rest = tail;
        let len = usize::try_from(take_varint(rest)?).unwrap_or(usize::MAX);
        let (bytes, tail) = rest.split_at_checked(len).ok_or_else(cut)?;
        *rest = tail;
        let window = leading == NO_WINDOW || leading.checked_add(trailing).is_some_and(|bits| bits < 64);
        if count == 0 || last_ms < first_ms || free > 7 || bytes.len() < 16 || !window {
            return Err(corrupt("the state of an open chunk cannot be"));
        }
        let bits = BitWriter::resume(bytes, free);
        Ok(Self { bits, count, leading, trailing, first_ms, last_ms, step_ms, last_bits })
    }

    fn put_time(&mut self, change: i64) {
        if change == 0 {
            return self.bits.put(0, 1);
        }
        for (i, width) in (0u8..).zip(TIME_BITS) {
            let last = usize::from(i) == TIME_BITS.len() - 1;
            let fits = last || (-(1i64 << (width - 1))..1i64 << (width - 1)).contains(&change);
            if fits {
                // One 1 for each width up to this one, then a 0 unless no further width exists.
                let prefix_bits = if last { i + 1 } else { i + 2 };
                let prefix = if last { (1u64 << (i + 1)) - 1 } else { ((1u64 << (i + 1)) - 1) << 1 };
                self.bits.put(prefix, prefix_bits);
                return self.bits.put(change as u64, width);
            }
        }
    }

    fn put_value(&mut self, bits: u64) {
        let xor = bits ^ self.last_bits;
        self.last_bits = bits;
        if xor == 0 {
            return self.bits.put(0, 1);
        }
        let (leading, trailing) = (xor.leading_zeros() as u8, xor.trailing_zeros() as u8);
        let fits = self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing;
        if fits {
            self.bits.put(0b10, 2);
        } else {
            (self.leading, self.trailing) = (leading, trailing);
            self.bits.put(0b11, 2);
            self.bits.put(u64::from(leading), 6);
            self.bits.put(u64::from(64 - leading - trailing) - 1, 6);
        }
        self.bits.put(xor >> self.trailing, 64 - self.leading - self.trailing);
    }
}

/// Appends the samples of a chunk to two columns.
pub fn decode(bytes: &[u8], count: usize, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<()> {
    let ends = || corrupt("it ends within a sample");
    let mut reader = BitReader::new(bytes);
    let (mut t, mut step) = (reader.take(64).ok_or_else(ends)? as i64, 0i64);
    let mut bits = reader.take(64).ok_or_else(ends)?;
    let (mut leading, mut width) = (0u8, 0u8);
    let end = timestamps.len() + count;
    if count > 0 {
        timestamps.push(t);
        values.push(f64::from_bits(bits));
    }
    while timestamps.len() < end {
        // Most samples are as long after the one before as that was, and have the same value: a zero bit for either.
        for _ in 0..reader.take_zero_pairs(end - timestamps.len()) {
            t = after(t, step)?;
            timestamps.push(t);
            values.push(f64::from_bits(bits));
        }
        if timestamps.len() < end {
            step = step.wrapping_add(take_time(&mut reader).ok_or_else(ends)?);
            t = after(t, step)?;
            bits ^= take_value(&mut reader, &mut leading, &mut width).ok_or_else(ends)?;
            timestamps.push(t);
            values.push(f64::from_bits(bits));
        }
    }
    Ok(())
}

fn after(t: i64, step: i64) -> Result<i64> {
    t.checked_add(step).filter(|next| *next > t).ok_or_else(not_ascending)
}

fn take_time(reader: &mut BitReader<'_>) -> Option<i64> {
    if reader.take(1)? == 0 {
        return Some(0);
    }
    let mut at = 0;
    while at < TIME_BITS.len() - 1 && reader.take(1)? == 1 {
        at += 1;
    }
    let width = TIME_BITS[at];
    let raw = reader.take(width)?;
    // The sign is the highest of the bits written.
    Some((raw << (64 - width)) as i64 >> (64 - width))
}

/// The bits by which a value differs from the one before. `None` behind the end and for a window that cannot be.
fn take_value(reader: &mut BitReader<'_>, leading: &mut u8, width: &mut u8) -> Option<u64> {
    if reader.take(1)? == 0 {
        return Some(0);
    }
    if reader.take(1)? == 1 {
        *leading = reader.take(6)? as u8;
        *width = reader.take(6)? as u8 + 1;
    }
    let trailing = 64u8.checked_sub(*leading)?.checked_sub(*width)?;
    if *width == 0 {
        return None;
    }
    Some(reader.take(*width)? << trailing)
}
