//! Encodings of samples: [`head`] appends sample by sample, [`histogram`] native histograms, [`sealed`] compresses whole windows,
//! [`starts`] says when their counting began.
//!
//! `docs/format/chunk.md` specifies both. Decoders take any bytes without panicking.

pub mod bits;
pub mod head;
pub mod histogram;
pub mod sealed;
pub mod starts;

use base::{Error, Result};

pub(crate) fn corrupt(what: &str) -> Error {
    Error::corrupt(format!("cannot decode chunk: {what}"))
}

/// Appends a number in 7-bit groups, lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number that [`put_varint`] wrote off the front of `rest`.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Result<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or_else(|| corrupt("it ends within a number"))?;
        *rest = tail;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(n);
        }
    }
    Err(corrupt("a number is too long"))
}

/// Maps small numbers of either sign to small numbers.
pub(crate) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Refuses timestamps that do not ascend strictly: everything that reads samples relies on it.
fn check_ascending(timestamps: &[i64]) -> Result<()> {
    if timestamps.windows(2).all(|w| w[0] < w[1]) { Ok(()) } else { Err(not_ascending()) }
}

fn not_ascending() -> Error {
    corrupt("timestamps do not ascend")
}
