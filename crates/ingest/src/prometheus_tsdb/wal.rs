//! Records of a write-ahead log: fragments in pages, checksummed and perhaps compressed.
//!
//! Prometheus specifies the format in `tsdb/docs/format/wal.md`.

use std::path::Path;

use base::Result;

use super::DamagePolicy;
use super::file::{Fields, FileReader};
use crate::limits::TSDB_RECORD_BYTES;

const PAGE_BYTES: u64 = 32 << 10;
const HEADER_BYTES: usize = 7;

const SNAPPY: u8 = 1 << 3;
const ZSTD: u8 = 1 << 4;

/// The low bits of a fragment's first byte.
const PAGE_END: u8 = 0;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Reads the records of one file of a log. Records do not reach from one file into the next.
pub(super) struct Segment {
    file: FileReader,
    at: u64,
    /// The fragments of a record that has begun.
    fragments: Vec<u8>,
    begun: bool,
    /// Damage was passed over: until a record begins, fragments are left over from one that did not.
    leftover: bool,
    /// Where the record that was returned last begins.
    record_at: u64,
}

/// What was found at a place of a log.
enum Step {
    Record(u8),
    Fragment,
    End,
}

impl Segment {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = FileReader::open(path)?;
        Ok(Self { file, at: 0, fragments: Vec::new(), begun: false, leftover: false, record_at: 0 })
    }

    /// Replaces `record` by the next record; false at the end. A file that ends within a record ends before it if it is the
    /// last one, as that is what a crash leaves.
    pub(super) fn next(
        &mut self,
        is_last: bool,
        damage: &mut DamagePolicy<'_>,
        record: &mut Vec<u8>,
    ) -> Result<bool> {
        loop {
            let found = match self.step(is_last) {
                Ok(Step::End) => return Ok(false),
                Ok(Step::Fragment) => continue,
                Ok(Step::Record(compression)) => self.decompress(compression, record),
                Err(e) => {
                    // What follows may be read again where the next page begins.
                    self.at = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
                    Err(e)
                }
            };
            match found {
                Ok(()) => return Ok(true),
                Err(e) => {
                    (self.begun, self.leftover) = (false, true);
                    damage.found(e)?;
                }
            }
        }
    }

    /// An error about the record that was returned last.
    pub(super) fn corrupt(&self, cause: impl std::fmt::Display) -> base::Error {
        self.file.corrupt(self.record_at, cause)
    }

    fn step(&mut self, is_last: bool) -> Result<Step> {
        if self.at >= self.file.len() {
            return if self.begun { self.torn(is_last) } else { Ok(Step::End) };
        }
        let kind = self.file.bytes(self.at, 1)?[0];
        if kind & 7 == PAGE_END {
            let page_end = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
            let rest = self.file.up_to(self.at, (page_end - self.at) as usize)?;
            if rest.iter().any(|b| *b != 0) {
                return Err(self.file.corrupt(self.at, "the padding of a page is not zero"));
            }
            self.at = page_end;
            return Ok(Step::Fragment);
        }
        let mut header = Fields::new(self.file.up_to(self.at + 1, HEADER_BYTES - 1)?);
        let len = header.bytes(2).map(|b| u16::from_be_bytes([b[0], b[1]]));
        let (Some(len), Some(sum)) = (len, header.be32()) else { return self.torn(is_last) };
        if u64::from(len) > PAGE_BYTES - HEADER_BYTES as u64 {
            return Err(self
                .file
                .corrupt(self.at, format!("a fragment of {len} bytes does not fit into a page")));
        }
        let body_at = self.at + HEADER_BYTES as u64;
        if body_at + u64::from(len) > self.file.len() {
            return self.torn(is_last);
        }
        let body = self.file.bytes(body_at, usize::from(len))?;
        if crc32c::crc32c(body) != sum {
            return Err(self.file.corrupt(self.at, "the checksum of a record does not match"));
        }
        self.take_fragment(kind, body_at, usize::from(len))
    }

    fn take_fragment(&mut self, kind: u8, body_at: u64, len: usize) -> Result<Step> {
        let starts = matches!(kind & 7, FULL | FIRST);
        if self.leftover && matches!(kind & 7, MIDDLE | LAST) {
            self.at = body_at + len as u64;
            return Ok(Step::Fragment);
        }
        if !matches!(kind & 7, FULL..=LAST) || starts == self.begun {
            return Err(self
                .file
                .corrupt(self.at, format!("a fragment of kind {} is out of place", kind & 7)));
        }
        if starts {
            self.fragments.clear();
            self.leftover = false;
            self.record_at = self.at;
        }
        if self.fragments.len() + len > TSDB_RECORD_BYTES {
            return Err(self.file.corrupt(self.at, "a record is larger than records are"));
        }
        self.fragments.extend_from_slice(self.file.bytes(body_at, len)?);
        self.at = body_at + len as u64;
        self.begun = matches!(kind & 7, FIRST | MIDDLE);
        Ok(if self.begun { Step::Fragment } else { Step::Record(kind) })
    }

    fn torn(&mut self, is_last: bool) -> Result<Step> {
        let at = self.at;
        self.at = self.file.len();
        self.begun = false;
        if is_last { Ok(Step::End) } else { Err(self.file.corrupt(at, "the file ends within a record")) }
    }

    fn decompress(&self, compression: u8, record: &mut Vec<u8>) -> Result<()> {
        record.clear();
        let packed = &self.fragments;
        if compression & SNAPPY != 0 {
            let len = snap::raw::decompress_len(packed).map_err(|e| self.corrupt(e))?;
            if len > TSDB_RECORD_BYTES {
                return Err(self.corrupt("a record is larger than records are"));
            }
            record.resize(len, 0);
            snap::raw::Decoder::new().decompress(packed, record).map_err(|e| self.corrupt(e))?;
        } else if compression & ZSTD != 0 {
            let decoder = zstd::Decoder::new(packed.as_slice()).map_err(|e| self.corrupt(e))?;
            let mut bounded = std::io::Read::take(decoder, TSDB_RECORD_BYTES as u64 + 1);
            std::io::Read::read_to_end(&mut bounded, record).map_err(|e| self.corrupt(e))?;
            if record.len() > TSDB_RECORD_BYTES {
                return Err(self.corrupt("a record is larger than records are"));
            }
        } else {
            record.extend_from_slice(packed);
        }
        Ok(())
    }
}
