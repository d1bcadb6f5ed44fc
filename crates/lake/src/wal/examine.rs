//! Looking at a log file without changing it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use base::{Error, Result};

use super::frame::{At, FrameReader};
use crate::fs::Fs;

/// What a look at a log file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Examined {
    /// Good frames.
    pub(crate) frames: u64,
    /// Bytes behind the last good frame: writes that were never acknowledged, which a start cuts off, or damage.
    pub(crate) torn_bytes: u64,
    /// Damage with good frames behind it, and headers of other formats: a sentence for each.
    pub(crate) damage: Vec<String>,
}

/// Reads a log file and hands over the payload of every good frame.
pub(crate) fn examine(
    fs: &Arc<dyn Fs>,
    path: &Path,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Examined> {
    let fail = |e: io::Error| Error::unavailable(format!("cannot read {}: {e}", path.display()));
    let mut reader = FrameReader::new(fs.clone(), path);
    let mut found = Examined::default();
    let mut at = match reader.header() {
        Ok(at) => at,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            found.damage.push(e.to_string());
            return Ok(found);
        }
        Err(e) => return Err(fail(e)),
    };
    loop {
        if at == At::Frame {
            at = reader.next().map_err(fail)?;
        }
        match at {
            At::Frame => {
                found.frames += 1;
                sink(reader.payload())?;
            }
            At::End => return Ok(found),
            At::Bad => {
                let bad = reader.offset;
                if !reader.resync().map_err(fail)? {
                    found.torn_bytes = reader.file_len().map_err(fail)? - bad;
                    return Ok(found);
                }
                found.damage.push(format!("{} bytes at offset {bad} are damaged", reader.offset - bad));
                at = At::Frame;
            }
        }
    }
}
