//! Reading files of a Prometheus folder at positions, and fields off the front of bytes, with errors that say where.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use base::{Error, Result};

use super::bits;
use crate::limits::TSDB_READ_BYTES;

/// A file of which stretches are read, mostly forward.
#[derive(Debug)]
pub(super) struct FileReader {
    file: File,
    path: PathBuf,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl FileReader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fail = |e: std::io::Error| Error::unavailable(format!("cannot open {}: {e}", path.display()));
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        Ok(Self { file, path: path.into(), len, window: Vec::new(), window_at: 0 })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `at` on. They have to be there; that nobody asks for gigabytes is the caller's affair.
    pub(super) fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let end = at.checked_add(len as u64).filter(|end| *end <= self.len);
        if end.is_none() {
            return Err(self.corrupt(at, format!("{len} bytes are needed, the file has {}", self.len)));
        }
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !(held.contains(&at) || len == 0) || at + len as u64 > held.end {
            self.fill(at, len.max(TSDB_READ_BYTES))?;
        }
        let start = at.saturating_sub(self.window_at) as usize;
        Ok(if len == 0 { &[] } else { &self.window[start..start + len] })
    }

    /// As many bytes from `at` on as there are, up to `len`.
    pub(super) fn up_to(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let len = self.len.saturating_sub(at).min(len as u64) as usize;
        self.bytes(at, len)
    }

    /// An error that names the file and a place in it.
    pub(super) fn corrupt(&self, at: u64, cause: impl std::fmt::Display) -> Error {
        Error::corrupt(format!("cannot read {} at byte {at}: {cause}", self.path.display()))
    }

    fn fill(&mut self, at: u64, len: usize) -> Result<()> {
        let len = (self.len - at).min(len as u64) as usize;
        self.window.resize(len, 0);
        self.window_at = at;
        let mut filled = 0;
        while filled < len {
            match self.file.read_at(&mut self.window[filled..], at + filled as u64) {
                Ok(0) => {
                    self.window.clear();
                    return Err(self.corrupt(at, "the file became shorter while it was read"));
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    self.window.clear();
                    return Err(Error::unavailable(format!("cannot read {}: {e}", self.path.display())));
                }
            }
        }
        Ok(())
    }
}

/// Takes fields off the front of bytes. `None` means that the bytes end within the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }

    pub(super) fn be32(&mut self) -> Option<u32> {
        let (head, tail) = self.rest.split_first_chunk()?;
        self.rest = tail;
        Some(u32::from_be_bytes(*head))
    }

    pub(super) fn be64(&mut self) -> Option<u64> {
        let (head, tail) = self.rest.split_first_chunk()?;
        self.rest = tail;
        Some(u64::from_be_bytes(*head))
    }

    pub(super) fn f64(&mut self) -> Option<f64> {
        self.be64().map(f64::from_bits)
    }

    pub(super) fn uvarint(&mut self) -> Option<u64> {
        bits::uvarint(|| self.byte())
    }

    pub(super) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(bits::zigzag)
    }

    /// Bytes with their length before them.
    pub(super) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.uvarint()?).ok()?;
        self.bytes(len)
    }

    /// A number of things of which each takes at least `bytes_each`, so that no length is believed that cannot be.
    pub(super) fn count(&mut self, bytes_each: usize) -> Option<usize> {
        let n = usize::try_from(self.uvarint()?).ok()?;
        (n <= self.rest.len() / bytes_each).then_some(n)
    }
}
