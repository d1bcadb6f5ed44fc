//! Writes numbers of any width as a stream of bits, highest first.

/// Bytes that are being filled.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are free.
    free: u8,
}

impl BitWriter {
    /// A writer behind whole bytes.
    pub(super) fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// Appends the low `width` bits of a number, up to 64.
    pub(super) fn put(&mut self, n: u64, width: u8) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = n >> (left - now) & ((1 << now) - 1);
            let last = self.bytes.last_mut().expect("a byte was added above");
            *last |= (part << (self.free - now)) as u8;
            self.free -= now;
            left -= now;
        }
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.put(value.to_bits(), 64);
    }

    /// `ones` ones and a zero.
    pub(super) fn prefix(&mut self, ones: u8) {
        self.put((1 << (ones + 1)) - 2, ones + 1);
    }

    /// A number in groups of seven bits, lowest group first.
    pub(super) fn uvarint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.put(n & 0x7f | 0x80, 8);
            n >>= 7;
        }
        self.put(n, 8);
    }

    /// The same, with the sign in the lowest bit.
    pub(super) fn varint(&mut self, n: i64) {
        self.uvarint(crate::put::zigzag(n));
    }

    /// A signed number of the smallest of nine widths.
    pub(super) fn varbit_int(&mut self, n: i64) {
        self.varbit(n as u64, n == 0, |width| fits(n, width));
    }

    /// An unsigned number of the smallest of nine widths.
    pub(super) fn varbit_uint(&mut self, n: u64) {
        self.varbit(n, n == 0, |width| n < 1 << width);
    }

    fn varbit(&mut self, bits: u64, zero: bool, fits: impl Fn(u8) -> bool) {
        if zero {
            return self.prefix(0);
        }
        for (ones, width) in (1..).zip([3, 6, 9, 12, 18, 25, 56]) {
            if fits(width) {
                self.prefix(ones);
                return self.put(bits, width);
            }
        }
        self.put(0xff, 8);
        self.put(bits, 64);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether a number lies in the range of a width as Prometheus has it, from `-2^(width-1) + 1` to `2^(width-1)`.
pub(super) fn fits(n: i64, width: u8) -> bool {
    let half = 1i64 << (width - 1);
    -half < n && n <= half
}
