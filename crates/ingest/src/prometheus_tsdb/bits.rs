//! Numbers of any width from a stream of bits, highest first, in the encodings of Prometheus' chunks.

/// A number in groups of seven bits, lowest group first, from bytes wherever they lie.
pub(super) fn uvarint(mut byte: impl FnMut() -> Option<u8>) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

/// The signed number whose sign is in the lowest bit.
pub(super) fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Reads bits off the front of bytes. `None` means that they end.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// The next `width` bits, up to 64, as the low bits of a number.
    pub(super) fn take(&mut self, width: u8) -> Option<u64> {
        let width = usize::from(width);
        if width > self.left() {
            return None;
        }
        if width > 56 {
            let high = self.take_few(32);
            return Some(high << (width - 32) | self.take_few(width - 32));
        }
        Some(self.take_few(width))
    }

    /// At most 56 bits, which are there: they lie in the next eight bytes.
    fn take_few(&mut self, width: usize) -> u64 {
        if width == 0 {
            return 0;
        }
        let start = self.at / 8;
        let word = match self.bytes[start..].first_chunk::<8>() {
            Some(word) => u64::from_be_bytes(*word),
            None => {
                let mut word = [0; 8];
                word[..self.bytes.len() - start].copy_from_slice(&self.bytes[start..]);
                u64::from_be_bytes(word)
            }
        };
        let bits = word << (self.at % 8) >> (64 - width);
        self.at += width;
        bits
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(8).map(|b| b as u8)
    }

    pub(super) fn f64(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// A number in groups of seven bits, lowest group first.
    pub(super) fn uvarint(&mut self) -> Option<u64> {
        uvarint(|| self.byte())
    }

    /// The same, with the sign in the lowest bit.
    pub(super) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(zigzag)
    }

    /// How many ones come before a zero, at most `most`; after `most` ones no zero follows.
    pub(super) fn ones(&mut self, most: u8) -> Option<u8> {
        for n in 0..most {
            if !self.bit()? {
                return Some(n);
            }
        }
        Some(most)
    }

    /// A signed number of a width whose range reaches from `-2^(width-1) + 1` to `2^(width-1)`, as Prometheus has it.
    pub(super) fn shifted_int(&mut self, width: u8) -> Option<i64> {
        let bits = self.take(width)?;
        if width < 64 && bits > 1 << (width - 1) {
            return Some(bits as i64 - (1 << width));
        }
        Some(bits as i64)
    }

    /// A signed number of one of nine widths.
    pub(super) fn varbit_int(&mut self) -> Option<i64> {
        match VARBIT_WIDTHS[usize::from(self.ones(8)?)] {
            0 => Some(0),
            width => self.shifted_int(width),
        }
    }

    /// An unsigned number of one of nine widths.
    pub(super) fn varbit_uint(&mut self) -> Option<u64> {
        let width = VARBIT_WIDTHS[usize::from(self.ones(8)?)];
        self.take(width)
    }
}

/// Widths of a varbit number by the ones of its prefix.
const VARBIT_WIDTHS: [u8; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_of_any_width() {
        let bytes: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(37).wrapping_add(11)).collect();
        for start in 0..20 {
            for width in 0..=64u8 {
                let mut bits = Bits::new(&bytes);
                for _ in 0..start {
                    bits.bit().unwrap();
                }
                let mut slow = bits.clone();
                let want = (0..width).fold(0u64, |n, _| n << 1 | u64::from(slow.bit().unwrap()));
                assert_eq!(bits.take(width), Some(want), "{start} {width}");
            }
        }
        let mut bits = Bits::new(&bytes[..2]);
        assert_eq!(bits.take(17), None);
        assert!(bits.take(16).is_some() && bits.bit().is_none());
    }

    #[test]
    fn reads_prometheus_signed_ranges() {
        // The highest number of a width is positive: 0b100 of three bits is 4, 0b101 is -3.
        assert_eq!(Bits::new(&[0b10_100_000]).varbit_int(), Some(4));
        assert_eq!(Bits::new(&[0b10_101_000]).varbit_int(), Some(-3));
        assert_eq!(Bits::new(&[0b0000_0000]).varbit_int(), Some(0));
        assert_eq!(Bits::new(&[0b10_111_000]).varbit_uint(), Some(7));
        assert_eq!(Bits::new(&[0xff; 9]).varbit_int(), Some(-1));
        assert_eq!(Bits::new(&[0xff; 8]).varbit_int(), None);
        assert_eq!(Bits::new(&[0x83, 0x01]).varint(), Some(-66));
    }
}
