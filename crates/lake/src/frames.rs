//! Files of checksummed frames that are written once, beside a WAL: the parts of checkpoints.
//!
//! The framing is the WAL's (`docs/format/wal.md`). What a frame says is the caller's affair.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Result};

use crate::filenames;
use crate::fs::{AppendFile, Fs};
use crate::wal::frame::{At, FILE_HEADER, FrameReader, put_frame};

/// Writes one file of frames.
pub struct FrameWriter {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    file: Box<dyn AppendFile>,
    buf: Vec<u8>,
    bytes: u64,
}

impl FrameWriter {
    /// Begins a file; what has the name is overwritten.
    pub fn create(fs: &Arc<dyn Fs>, path: &Path) -> Result<Self> {
        let begin = || {
            let mut file = fs.open_append(path)?;
            file.truncate(0)?;
            file.append(&FILE_HEADER)?;
            Ok(file)
        };
        let file = begin().map_err(|e| cannot("create", path, &e))?;
        let bytes = FILE_HEADER.len() as u64;
        Ok(Self { fs: fs.clone(), path: path.into(), file, buf: Vec::new(), bytes })
    }

    /// Appends a frame with the payload that `write` appends, of 1 to [`crate::limits::MAX_FRAME_BYTES`] bytes.
    pub fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.buf.clear();
        put_frame(&mut self.buf, write);
        self.bytes += self.buf.len() as u64;
        self.file.append(&self.buf).map_err(|e| cannot("write", &self.path, &e))
    }

    /// Makes the content durable, and the name if `rename_to` gives another one. Without it the name is durable only once the
    /// folder is synced. Returns the bytes of the file.
    pub fn finish(mut self, rename_to: Option<&Path>) -> Result<u64> {
        self.file.sync().map_err(|e| cannot("sync", &self.path, &e))?;
        if let Some(to) = rename_to {
            let rename = || {
                self.fs.rename(&self.path, to)?;
                to.parent().map_or(Ok(()), |dir| self.fs.sync_dir(dir))
            };
            rename().map_err(|e| cannot("rename", &self.path, &e))?;
        }
        Ok(self.bytes)
    }
}

/// Hands over the payload of every good frame of a file, front to back, in bounded memory. Returns an error of kind
/// `Corrupt` for each place that is damaged.
pub fn read_frames(
    fs: &Arc<dyn Fs>,
    path: &Path,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Vec<Error>> {
    let io = |e: io::Error| cannot("read", path, &e);
    let mut reader = FrameReader::new(fs.clone(), path);
    let mut damage = Vec::new();
    let mut at = reader.header().map_err(io)?;
    loop {
        if at == At::Frame {
            at = reader.next().map_err(io)?;
        }
        match at {
            At::Frame => sink(reader.payload())?,
            At::End => return Ok(damage),
            At::Bad => {
                let bad = reader.offset;
                let goes_on = reader.resync().map_err(io)?;
                damage.push(Error::corrupt(format!(
                    "cannot read {} at offset {bad}: {}",
                    path.display(),
                    if goes_on { "some bytes are damaged" } else { "the rest is damaged or cut off" },
                )));
                if !goes_on {
                    return Ok(damage);
                }
                at = At::Frame;
            }
        }
    }
}

/// The name under which a file is written before it gets its own.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(filenames::TEMPORARY_SUFFIX);
    name.into()
}

fn cannot(verb: &str, path: &Path, cause: &io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}: {cause}", path.display()))
}
