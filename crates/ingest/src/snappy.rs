//! Snappy's block format, with a bound on what it may unfold to.

use base::{Error, Result};
use snap::raw::{Decoder, decompress_len};

use crate::limits::{COMPRESSED_BYTES, DECOMPRESSED_BYTES};

/// The length that a block claims for its content; an error if it is beyond the limit. Reads the header only.
pub(crate) fn claimed_len(block: &[u8]) -> Result<usize> {
    if block.len() > COMPRESSED_BYTES {
        return Err(Error::limit(format!(
            "cannot take request: it has {} bytes (limit compressed_bytes is {COMPRESSED_BYTES})",
            block.len()
        )));
    }
    if block.is_empty() {
        return Err(corrupt("it is empty"));
    }
    let len = decompress_len(block).map_err(corrupt)?;
    if len > DECOMPRESSED_BYTES {
        return Err(Error::limit(format!(
            "cannot take request: it has {len} bytes once decompressed (limit decompressed_bytes is {DECOMPRESSED_BYTES})"
        )));
    }
    Ok(len)
}

/// Decompresses a block into a buffer that is used again and again, and returns the part of it that was filled.
pub(crate) fn decompress<'b>(block: &[u8], buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    let len = claimed_len(block)?;
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    let filled = Decoder::new().decompress(block, &mut buffer[..len]).map_err(corrupt)?;
    Ok(&buffer[..filled])
}

fn corrupt(cause: impl std::fmt::Display) -> Error {
    Error::invalid(format!("snappy: corrupt input: {cause}"))
}

#[cfg(test)]
mod tests {
    use base::ErrorKind;

    use super::*;

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // 4 GiB - 1, said in five bytes.
        let mut buffer = Vec::new();
        let error = decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], &mut buffer).unwrap_err();
        assert_eq!((error.kind(), buffer.capacity()), (ErrorKind::Limit, 0), "{error}");
        assert!(error.message().contains("decompressed_bytes"), "{error}");
    }

    #[test]
    fn what_is_not_snappy_is_refused() {
        let mut buffer = Vec::new();
        for bad in [&b""[..], b"\x05", b"\x05\x10ab", b"\xff\xff\xff\xff\xff\xff", b"\x04\x00ab"] {
            let error = decompress(bad, &mut buffer).unwrap_err();
            assert!(error.message().starts_with("snappy: corrupt input"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_buffer_is_used_again() {
        let mut buffer = Vec::new();
        let mut encoder = snap::raw::Encoder::new();
        for text in ["a longer text, a longer text", "short"] {
            let block = encoder.compress_vec(text.as_bytes()).unwrap();
            assert_eq!(decompress(&block, &mut buffer).unwrap(), text.as_bytes());
        }
    }
}
