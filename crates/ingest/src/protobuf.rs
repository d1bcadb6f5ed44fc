//! Reads protobuf's wire format from a slice, field by field. Nothing is copied and nothing recurses: a message within a
//! message is a slice that the caller reads in turn. Those who read other messages of Prometheus than this crate does use it too.

/// Why bytes are no message. Small, as it is the error of the innermost loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end within a field.
    CutShort,
    /// A number has more than 64 bits.
    Overflow,
    /// A field has another wire type than its number has here, or one that is not in use any more.
    WireType,
    /// A field has the number 0, which none has.
    Tag,
}

impl Malformed {
    /// In the words of Go's library.
    pub fn cause(self) -> &'static str {
        match self {
            Self::CutShort => "unexpected EOF",
            Self::Overflow => "proto: integer overflow",
            Self::WireType => "proto: wrong wireType",
            Self::Tag => "proto: illegal tag 0",
        }
    }
}

/// Calls `visit` for each number of a repeated field of varints, which come packed or one by one.
pub fn varints(value: Value<'_>, mut visit: impl FnMut(u64)) -> Result<(), Malformed> {
    if let Value::Varint(n) = value {
        visit(n);
        return Ok(());
    }
    let mut packed = Reader::new(value.bytes()?);
    while !packed.rest().is_empty() {
        visit(packed.varint()?);
    }
    Ok(())
}

/// The value of a field, as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A length and so many bytes.
    Bytes(&'a [u8]),
    /// Four bytes, which no field here has.
    Fixed32,
}

impl<'a> Value<'a> {
    /// Bytes, a text or a message.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed::WireType) }
    }

    /// A `uint64`, an enum or a truth value.
    #[inline]
    pub fn varint(self) -> Result<u64, Malformed> {
        if let Self::Varint(n) = self { Ok(n) } else { Err(Malformed::WireType) }
    }

    /// A `double`.
    #[inline]
    pub fn double(self) -> Result<f64, Malformed> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Malformed::WireType) }
    }

    /// A `fixed64`, or the bits of an `sfixed64`.
    #[inline]
    pub fn fixed64(self) -> Result<u64, Malformed> {
        if let Self::Fixed64(bits) = self { Ok(bits) } else { Err(Malformed::WireType) }
    }

    /// An `int64`: the varint's bits.
    #[inline]
    pub fn int64(self) -> Result<i64, Malformed> {
        self.varint().map(|n| n as i64)
    }

    /// A `sint32`.
    pub fn sint32(self) -> Result<i32, Malformed> {
        self.varint().map(|n| zigzag(n) as i32)
    }
}

/// The signed number behind a `sint32` or `sint64`.
pub fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Reads fields one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number and the value of the next field.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        match self.rest {
            [] => return Ok(None),
            // What most fields are: a text or a message of less than 128 bytes.
            [tag @ 0x08..0x80, len @ 0..0x80, rest @ ..]
                if tag & 7 == 2 && usize::from(*len) <= rest.len() =>
            {
                let (bytes, rest) = rest.split_at(usize::from(*len));
                self.rest = rest;
                return Ok(Some((u64::from(tag >> 3), Value::Bytes(bytes))));
            }
            _ => {}
        }
        self.any_field()
    }

    fn any_field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        let tag = self.varint()?;
        if tag >> 3 == 0 {
            return Err(Malformed::Tag);
        }
        let value = match tag & 7 {
            2 => Value::Bytes(self.bytes()?),
            0 => Value::Varint(self.varint()?),
            1 => {
                let (head, tail) = self.rest.split_first_chunk::<8>().ok_or(Malformed::CutShort)?;
                self.rest = tail;
                Value::Fixed64(u64::from_le_bytes(*head))
            }
            5 => {
                self.rest = self.rest.get(4..).ok_or(Malformed::CutShort)?;
                Value::Fixed32
            }
            // Groups went out of use before this format came into it.
            _ => return Err(Malformed::WireType),
        };
        Ok(Some((tag >> 3, value)))
    }

    /// A length and so many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| Malformed::CutShort)?;
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Malformed::CutShort)?;
        self.rest = tail;
        Ok(head)
    }

    /// A number.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut n = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            // The tenth byte has room for the highest bit only.
            if i == 9 && *byte > 1 {
                return Err(Malformed::Overflow);
            }
            n |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(n);
            }
        }
        Err(if self.rest.len() < 10 { Malformed::CutShort } else { Malformed::Overflow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_wire_type() {
        let mut r = Reader::new(b"\x08\x96\x01\x11\0\0\0\0\0\0\xf0\x3f\x1a\x02hi\x25\x01\0\0\0");
        assert_eq!(r.field(), Ok(Some((1, Value::Varint(150)))));
        let (number, one) = r.field().unwrap().unwrap();
        assert_eq!((number, one.double()), (2, Ok(1.0)));
        assert_eq!(r.field(), Ok(Some((3, Value::Bytes(b"hi")))));
        assert_eq!(r.field(), Ok(Some((4, Value::Fixed32))));
        assert_eq!(r.field(), Ok(None));
    }

    #[test]
    fn no_field_has_the_number_0() {
        for bytes in [&b"\0\0"[..], b"\x02\0", b"\x80\0\0"] {
            assert_eq!(Reader::new(bytes).field(), Err(Malformed::Tag), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_have_64_bits() {
        let read = |bytes: &[u8]| Reader::new(bytes).varint();
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok(u64::MAX));
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Err(Malformed::Overflow));
        assert_eq!(read(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), Err(Malformed::Overflow));
        assert_eq!(read(b"\x80"), Err(Malformed::CutShort));
        assert_eq!((zigzag(0), zigzag(1), zigzag(2), zigzag(u64::MAX)), (0, -1, 1, i64::MIN));
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for bad in [
            &b"\x0a\x05ab"[..],
            b"\x09\0\0",
            b"\x25\0",
            b"\x08",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(Reader::new(bad).field(), Err(Malformed::CutShort), "{bad:?}");
        }
        assert_eq!(Reader::new(b"\x0b\x0c").field(), Err(Malformed::WireType));
    }
}
