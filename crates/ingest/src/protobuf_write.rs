//! Writes protobuf's wire format, field by field, to the end of a buffer. A message within a message is written to a buffer of
//! its own first, as its length comes before it.

pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The number for `sint32` and `sint64`.
pub(crate) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

pub(crate) fn put_varint_field(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

pub(crate) fn put_double(out: &mut Vec<u8>, number: u64, value: f64) {
    put_varint(out, number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A packed field of doubles; none is no field.
pub(crate) fn put_doubles(out: &mut Vec<u8>, number: u64, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    put_varint(out, number << 3 | 2);
    put_varint(out, 8 * values.len() as u64);
    values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
}

/// A packed field of varints; none is no field.
pub(crate) fn put_varints(out: &mut Vec<u8>, number: u64, values: impl Iterator<Item = u64>) {
    let mut packed = Vec::new();
    values.for_each(|n| put_varint(&mut packed, n));
    if !packed.is_empty() {
        put_bytes(out, number, &packed);
    }
}
