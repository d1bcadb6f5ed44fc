//! Chunks of floats: `XOR`, and `XOR2` with its optional start times, which are read over.
//!
//! Prometheus specifies both in `tsdb/docs/format/chunks.md`.

use base::{STALE_NAN, Sample};

use super::bits::Bits;

/// A value that is written as the difference of its bits to the value before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct XorValue {
    pub(super) bits: u64,
    leading: u8,
    trailing: u8,
}

impl XorValue {
    pub(super) fn new(value: f64) -> Self {
        Self { bits: value.to_bits(), ..Self::default() }
    }

    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Reads the next value.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        match bits.ones(2)? {
            0 => Some(()),
            1 => self.same_window(bits),
            _ => self.new_window(bits),
        }
    }

    fn same_window(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.bits ^= bits.take(64 - self.leading - self.trailing)? << self.trailing;
        Some(())
    }

    fn new_window(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let leading = bits.take(5)? as u8;
        // Six bits cannot say 64, and zero bits are never written this way.
        let width = match bits.take(6)? as u8 {
            0 => 64,
            width => width,
        };
        self.trailing = (64 - leading).checked_sub(width)?;
        self.leading = leading;
        self.same_window(bits)
    }
}

/// Appends the samples of an `XOR` chunk. `None` if the data end early or cannot be.
pub(super) fn decode_xor(data: &[u8], out: &mut Vec<Sample>) -> Option<()> {
    let (count, body) = data.split_first_chunk()?;
    let count = u16::from_be_bytes(*count);
    let mut bits = Bits::new(body);
    let (mut t_ms, mut step) = (0i64, 0i64);
    let mut value = XorValue::default();
    for i in 0..count {
        match i {
            0 => {
                t_ms = bits.varint()?;
                value = XorValue::new(bits.f64()?);
            }
            1 => {
                step = bits.uvarint()? as i64;
                t_ms = t_ms.wrapping_add(step);
                value.read(&mut bits)?;
            }
            _ => {
                let change = match bits.ones(4)? {
                    0 => 0,
                    ones => bits.shifted_int([14, 17, 20, 64][usize::from(ones) - 1])?,
                };
                step = step.wrapping_add(change);
                t_ms = t_ms.wrapping_add(step);
                value.read(&mut bits)?;
            }
        }
        out.push(Sample { t_ms, value: value.value() });
    }
    Some(())
}

/// Start times of samples, which this program does not keep: they are read to find what comes behind them.
#[derive(Debug)]
pub(super) struct StartTimes {
    first_known: bool,
    /// The sample from which on each has one; 0 means none has.
    from: u16,
}

impl StartTimes {
    pub(super) fn new(header: u8) -> Self {
        Self { first_known: header & 0x80 != 0, from: u16::from(header & 0x7f) }
    }

    /// Reads over the start time of a sample.
    pub(super) fn skip(&self, sample: u16, bits: &mut Bits<'_>) -> Option<()> {
        if sample == 0 && self.first_known {
            bits.varint()?;
        } else if sample > 0 && self.from > 0 && sample >= self.from {
            bits.varbit_int()?;
        }
        Some(())
    }
}

/// Appends the samples of an `XOR2` chunk.
pub(super) fn decode_xor2(data: &[u8], out: &mut Vec<Sample>) -> Option<()> {
    let (header, body) = data.split_first_chunk::<3>()?;
    let count = u16::from_be_bytes([header[0], header[1]]);
    let starts = StartTimes::new(header[2]);
    let mut bits = Bits::new(body);
    let (mut t_ms, mut step) = (0i64, 0i64);
    // The last value that is not a marker: differences refer to it.
    let mut value = XorValue::default();
    for i in 0..count {
        let mut stale = false;
        match i {
            0 => {
                t_ms = bits.varint()?;
                let first = bits.f64()?;
                stale = base::is_stale(first);
                value = XorValue::new(if stale { 0.0 } else { first });
            }
            1 => {
                step = bits.uvarint()? as i64;
                t_ms = t_ms.wrapping_add(step);
                stale = read_or_stale(&mut value, &mut bits)?;
            }
            _ => {
                let prefix = bits.ones(5)?;
                if (2..=4).contains(&prefix) {
                    let width = [13, 20, 64][usize::from(prefix) - 2];
                    let raw = bits.take(width)? << (64 - width);
                    step = step.wrapping_add(raw as i64 >> (64 - width));
                }
                t_ms = t_ms.wrapping_add(step);
                match prefix {
                    0 => {}
                    1 if bits.bit()? => value.new_window(&mut bits)?,
                    1 => value.same_window(&mut bits)?,
                    5 => stale = true,
                    _ => stale = read_or_stale(&mut value, &mut bits)?,
                }
            }
        }
        starts.skip(i, &mut bits)?;
        let shown = if stale { f64::from_bits(STALE_NAN) } else { value.value() };
        out.push(Sample { t_ms, value: shown });
    }
    Some(())
}

/// Reads a value, or says that it is the marker that ends a series.
fn read_or_stale(value: &mut XorValue, bits: &mut Bits<'_>) -> Option<bool> {
    match bits.ones(3)? {
        0 => {}
        1 => value.same_window(bits)?,
        2 => value.new_window(bits)?,
        _ => return Some(true),
    }
    Some(false)
}
