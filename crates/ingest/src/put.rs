//! Writes protobuf's wire format, field by field. Numbers that are zero are written too: who reads takes them as they are.

/// Appends a `varint`.
pub fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The bits of a `sint32` or `sint64`.
pub fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// Appends a field of a whole number: `uint64`, an `int64`'s bits, an enum, a truth value.
pub fn number(out: &mut Vec<u8>, field: u64, n: u64) {
    varint(out, field << 3);
    varint(out, n);
}

/// Appends a field of eight bytes: `fixed64`, or the bits of an `sfixed64` or a `double`.
pub fn fixed64(out: &mut Vec<u8>, field: u64, bits: u64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a field of type `double`.
pub fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    fixed64(out, field, value.to_bits());
}

/// Appends a field of bytes, text or a message.
pub fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field with a message that `write` appends to its argument.
pub fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(out, field, &inner);
}

/// Appends a field of packed `double`s; none is no field.
pub fn doubles(out: &mut Vec<u8>, field: u64, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    varint(out, field << 3 | 2);
    varint(out, 8 * values.len() as u64);
    values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
}

/// Appends a field of packed `varint`s; none is no field.
pub fn varints(out: &mut Vec<u8>, field: u64, values: impl Iterator<Item = u64>) {
    let mut packed = Vec::new();
    values.for_each(|n| varint(&mut packed, n));
    if !packed.is_empty() {
        bytes(out, field, &packed);
    }
}
