//! Writing and reading single bits, highest first.

/// Appends bits to a byte buffer.
#[derive(Debug, Default, Clone)]
pub struct BitWriter {
    buf: Vec<u8>,
    /// Bits still free in the last byte.
    free: u8,
}

/// Bytes by which the buffer grows: doubling would waste, over a million of buffers, half of them.
const GROWTH_BYTES: usize = 32;

impl BitWriter {
    /// A writer that goes on where another stopped: its bytes, and the bits still free in the last one.
    pub fn resume(bytes: &[u8], free: u8) -> Self {
        // With the room that the other one had: most go on soon.
        let mut buf = Vec::with_capacity(bytes.len().next_multiple_of(GROWTH_BYTES));
        buf.extend_from_slice(bytes);
        Self { buf, free }
    }

    /// Bits still free in the last byte.
    pub fn free(&self) -> u8 {
        self.free
    }

    /// The bytes; the last is filled up with zero bits.
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// Appends the lowest `count` bits of `value`; `count` is at most 64.
    pub fn put(&mut self, value: u64, count: u8) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                if self.buf.len() == self.buf.capacity() {
                    self.buf.reserve_exact(GROWTH_BYTES);
                }
                self.buf.push(0);
                self.free = 8;
            }
            let n = left.min(self.free);
            let bits = (value >> (left - n)) & ((1 << n) - 1);
            let last = self.buf.last_mut().expect("a byte with free bits");
            *last |= (bits as u8) << (self.free - n);
            self.free -= n;
            left -= n;
        }
    }
}

/// Reads bits from bytes.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken from the buffer and not yet handed out are the highest of this.
    window: u64,
    have: u8,
}

impl<'a> BitReader<'a> {
    /// A reader from the first bit on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, window: 0, have: 0 }
    }

    /// The next `count` bits, at most 64; `None` behind the end.
    #[inline]
    pub fn take(&mut self, count: u8) -> Option<u64> {
        if count > 56 {
            let high = self.take(count - 32)?;
            return Some(high << 32 | self.take(32)?);
        }
        if self.have < count {
            self.fill();
            if self.have < count {
                return None;
            }
        }
        if count == 0 {
            return Some(0);
        }
        let value = self.window >> (64 - count);
        self.window <<= count;
        self.have -= count;
        Some(value)
    }

    /// Takes pairs of zero bits as long as there are any at hand, at most so many; there may be more behind them.
    #[inline]
    pub fn take_zero_pairs(&mut self, most: usize) -> usize {
        if self.have < 2 {
            self.fill();
        }
        let pairs = (self.window.leading_zeros().min(u32::from(self.have)) / 2).min(most as u32);
        // All of 64 bits at once would be none.
        self.window = self.window << pairs << pairs;
        self.have -= 2 * pairs as u8;
        pairs as usize
    }

    /// Takes as many whole bytes from the buffer as there is room for.
    #[inline]
    fn fill(&mut self) {
        let room = usize::from((64 - self.have) / 8);
        if let Some(next) = self.bytes.first_chunk::<8>().filter(|_| room > 0) {
            let fresh = u64::from_be_bytes(*next) & (u64::MAX << (64 - 8 * room));
            self.window |= fresh >> self.have;
            self.have += 8 * room as u8;
            self.bytes = &self.bytes[room..];
            return;
        }
        while let Some((byte, rest)) = self.bytes.split_first().filter(|_| self.have <= 56) {
            self.window |= u64::from(*byte) << (56 - self.have);
            self.have += 8;
            self.bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_pairs_are_taken_up_to_a_set_bit_the_bound_or_the_end() {
        for zeros in 0..200u8 {
            let mut writer = BitWriter::default();
            (0..zeros).for_each(|_| writer.put(0, 1));
            writer.put(1, 1);
            let taken = |most: usize| {
                let (mut reader, mut pairs) = (BitReader::new(writer.bytes()), 0);
                while let more @ 1.. = reader.take_zero_pairs(most - pairs) {
                    pairs += more;
                }
                (pairs, reader)
            };
            let (pairs, mut reader) = taken(1000);
            assert_eq!(pairs, usize::from(zeros / 2));
            let rest = u64::from(zeros % 2 == 0);
            assert_eq!((reader.take(1), taken(7).0), (Some(rest), pairs.min(7)), "{zeros}");
        }
        let mut empty = BitReader::new(&[]);
        assert_eq!(empty.take_zero_pairs(3), 0);
        let mut zeros = BitReader::new(&[0; 8]);
        assert_eq!((zeros.take_zero_pairs(40), zeros.take(1)), (32, None));
    }

    #[test]
    fn what_was_put_is_taken_up_to_the_last_bit() {
        // Widths in an order in which each meets every number of bits that are left of a byte.
        let widths: Vec<u8> = (0..520u32).map(|i| (i * 37 % 65) as u8).collect();
        let value = |i: usize| 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(i as u64 + 1);
        let cut = |v: u64, width: u8| if width == 0 { 0 } else { v >> (64 - width) };
        let mut writer = BitWriter::default();
        for (i, width) in widths.iter().enumerate() {
            writer.put(cut(value(i), *width), *width);
        }
        let mut reader = BitReader::new(writer.bytes());
        for (i, width) in widths.iter().enumerate() {
            assert_eq!(reader.take(*width), Some(cut(value(i), *width)), "number {i}");
        }
        assert_eq!(reader.take(8), None);
        for length in 0..20 {
            let mut reader = BitReader::new(&writer.bytes()[..length]);
            let taken = (0..).take_while(|_| reader.take(1).is_some()).count();
            assert_eq!(taken, length * 8);
            assert_eq!((reader.take(1), reader.take(64), reader.take(0)), (None, None, Some(0)));
        }
    }
}
