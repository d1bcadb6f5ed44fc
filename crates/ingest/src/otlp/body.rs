//! Bodies of OTLP requests: gzip or not, protobuf or JSON.

use std::borrow::Cow;
use std::io::Read;

use base::{Error, Result};
use flate2::bufread::GzDecoder;

use super::json;
use crate::limits::{COMPRESSED_BYTES, DECOMPRESSED_BYTES, DEFLATE_UNFOLDS, JSON_UNFOLDS};

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf's wire format.
    Protobuf,
    /// JSON, as protobuf and OTLP define it.
    Json,
}

/// Bytes of memory that [`unfold`] takes for a body, as its end claims, so that room can be made first. An error if they are beyond
/// the limits.
pub fn unfolded_len(body: &[u8], gzip: bool, format: Format) -> Result<usize> {
    if body.len() > COMPRESSED_BYTES {
        return Err(Error::limit(format!(
            "cannot take request: it has {} bytes (limit compressed_bytes is {COMPRESSED_BYTES})",
            body.len()
        )));
    }
    let len = if gzip { claimed_len(body)? } else { body.len() };
    if len > DECOMPRESSED_BYTES {
        return Err(Error::limit(format!(
            "cannot take request: it has {len} bytes once decompressed (limit decompressed_bytes is {DECOMPRESSED_BYTES})"
        )));
    }
    Ok(match format {
        Format::Protobuf => len,
        Format::Json => len * JSON_UNFOLDS,
    })
}

/// The message in a body, as protobuf's wire format.
pub fn unfold(body: &[u8], gzip: bool, format: Format) -> Result<Cow<'_, [u8]>> {
    unfolded_len(body, gzip, format)?;
    let bytes = if gzip { Cow::Owned(gunzip(body)?) } else { Cow::Borrowed(body) };
    match format {
        Format::Protobuf => Ok(bytes),
        Format::Json => json::to_wire(&bytes).map(Cow::Owned),
    }
}

/// Why a gzip body beyond some limit is none: what was cut short ends with any four bytes, which say nothing of its length. Unfolds as much as
/// a request may have, and keeps nothing of it.
pub fn check_gzip(body: &[u8]) -> Result<()> {
    let mut content = GzDecoder::new(body).take(DECOMPRESSED_BYTES as u64 + 1);
    std::io::copy(&mut content, &mut std::io::sink()).map_err(corrupt)?;
    Ok(())
}

/// The last four bytes of a gzip file are the length of its content. What no content can be folded to so few bytes is not the end of one.
fn claimed_len(body: &[u8]) -> Result<usize> {
    let (_, len) = body.split_last_chunk::<4>().ok_or_else(|| corrupt("unexpected EOF"))?;
    let len = u32::from_le_bytes(*len) as usize;
    if len / DEFLATE_UNFOLDS > body.len() {
        return Err(corrupt("unexpected EOF"));
    }
    Ok(len)
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>> {
    let claimed = claimed_len(body)?;
    // A content begins small: what is no gzip at all does not get what its last bytes ask for.
    let mut content = Vec::new();
    let one_more = claimed as u64 + 1;
    let mut reading = GzDecoder::new(body).take(one_more);
    reading.read_to_end(&mut content).map_err(corrupt)?;
    if content.len() != claimed {
        return Err(corrupt(format!("it says that it has {claimed} bytes, and does not")));
    }
    if !reading.into_inner().into_inner().is_empty() {
        return Err(corrupt("something follows its end"));
    }
    Ok(content)
}

fn corrupt(cause: impl std::fmt::Display) -> Error {
    Error::invalid(format!("gzip: corrupt input: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base::ErrorKind;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_is_unfolded() {
        let body = gzip(b"\x0a\x00");
        assert_eq!(unfolded_len(&body, true, Format::Protobuf), Ok(2));
        assert_eq!(&*unfold(&body, true, Format::Protobuf).unwrap(), b"\x0a\x00");
        assert_eq!(&*unfold(&gzip(b"{\"resourceMetrics\":[{}]}"), true, Format::Json).unwrap(), b"\x0a\x00");
    }

    #[test]
    fn a_bomb_is_refused_whatever_it_says_of_itself() {
        let mut bomb = gzip(&vec![0; DECOMPRESSED_BYTES + 1]);
        assert!(bomb.len() < 1 << 20);
        let error = unfold(&bomb, true, Format::Protobuf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        // One that says it is small is read no further than it says.
        let end = bomb.len() - 4;
        bomb[end..].copy_from_slice(&1000u32.to_le_bytes());
        assert_eq!(unfolded_len(&bomb, true, Format::Protobuf), Ok(1000));
        let error = unfold(&bomb, true, Format::Protobuf).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("it says that it has 1000 bytes"), "{error}");
    }

    #[test]
    fn what_is_no_gzip_is_refused() {
        let whole = gzip(b"some content");
        let invalid =
            |body: &[u8]| unfold(body, true, Format::Protobuf).unwrap_err().kind() == ErrorKind::Invalid;
        for cut in 0..whole.len() {
            assert!(invalid(&whole[..cut]), "cut at {cut}");
        }
        assert!(invalid(b"no gzip\0\0\0\0"));
        assert!(invalid(&whole.repeat(2)), "the second would be lost");
    }

    /// Whatever the four bytes before a cut say: it is a mistake of the sender's, and no request that is too large.
    #[test]
    fn a_large_body_that_is_cut_is_told_from_a_bomb() {
        let noise: Vec<u8> =
            (0..100_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut cut = gzip(&noise);
        cut.truncate(cut.len() / 2);
        cut.extend(u32::to_le_bytes(DECOMPRESSED_BYTES as u32 + 1));
        assert_eq!(unfolded_len(&cut, true, Format::Protobuf).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!(check_gzip(&cut).unwrap_err().kind(), ErrorKind::Invalid);
        let bomb = gzip(&vec![0; DECOMPRESSED_BYTES + 1]);
        assert_eq!((bomb.len() > 1000, check_gzip(&bomb)), (true, Ok(())));
        assert_eq!(unfolded_len(&bomb, true, Format::Protobuf).unwrap_err().kind(), ErrorKind::Limit);
    }
}
