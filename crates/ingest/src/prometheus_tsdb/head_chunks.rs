//! Mapped chunks of the head: full chunks that Prometheus put out of memory before they were in a block.
//!
//! Prometheus specifies the format in `tsdb/docs/format/head_chunks.md`.

use std::path::Path;

use base::Result;

use super::chunk::{self, SeriesSamples};
use super::file::{Fields, FileReader};
use crate::limits::TSDB_CHUNK_BYTES;

const MAGIC: u32 = 0x0130_BC91;
const FILE_HEADER_BYTES: u64 = 8;
/// Number of the series, first and last millisecond, encoding; then comes the length.
const FIXED_BYTES: usize = 8 + 8 + 8 + 1;

/// Marks an encoding: the chunk holds samples that came out of order.
const OUT_OF_ORDER: u8 = 1 << 7;

/// A mapped chunk.
pub(super) struct MappedChunk<'a> {
    pub(super) series: u64,
    pub(super) out_of_order: bool,
    pub(super) samples: &'a SeriesSamples,
}

/// Hands over the chunks of a file. After damage nothing more can be found in it.
pub(super) fn read(path: &Path, sink: &mut dyn FnMut(MappedChunk<'_>) -> Result<()>) -> Result<()> {
    let mut file = FileReader::open(path)?;
    // A file that was made and not written to yet.
    if file.len() < FILE_HEADER_BYTES {
        return Ok(());
    }
    let mut header = Fields::new(file.bytes(0, FILE_HEADER_BYTES as usize)?);
    match (header.be32(), header.byte()) {
        (Some(MAGIC), Some(1)) => {}
        (Some(0), _) => return Ok(()),
        _ => return Err(file.corrupt(0, "it does not begin as chunks of the head do")),
    }
    let mut at = FILE_HEADER_BYTES;
    let mut samples = SeriesSamples::default();
    while at < file.len() {
        let head = file.up_to(at, FIXED_BYTES + 5)?;
        if head.iter().all(|b| *b == 0) || head.get(..24).is_some_and(|b| b.iter().all(|b| *b == 0)) {
            // Files are made at their full size: no series has the number 0.
            return Ok(());
        }
        let mut fields = Fields::new(head);
        let whole = (|| {
            let (series, _, _) = (fields.be64()?, fields.be64()?, fields.be64()?);
            let encoding = fields.byte()?;
            let before = fields.left();
            let len = usize::try_from(fields.uvarint()?).ok().filter(|n| *n <= TSDB_CHUNK_BYTES)?;
            Some((series, encoding, FIXED_BYTES + before - fields.left(), len))
        })();
        let Some((series, encoding, prefix, len)) = whole else {
            return Err(file.corrupt(at, "the header of a chunk is cut off or its length is out of range"));
        };
        let bytes = file.bytes(at, prefix + len + 4)?;
        let (content, sum) = bytes.split_at(prefix + len);
        if sum != crc32c::crc32c(content).to_be_bytes() {
            return Err(file.corrupt(at, "the checksum of a chunk does not match"));
        }
        samples.clear();
        chunk::decode(encoding & !OUT_OF_ORDER, &content[prefix..], &mut samples)
            .map_err(|e| file.corrupt(at, e))?;
        sink(MappedChunk { series, out_of_order: encoding & OUT_OF_ORDER != 0, samples: &samples })?;
        at += (prefix + len + 4) as u64;
    }
    Ok(())
}
