//! Deletions: which stretches of which series are to be left out.

use std::collections::HashMap;
use std::path::Path;

use base::{Result, TimeRange};

use super::file::{Fields, FileReader};
use crate::limits::TSDB_TOMBSTONES_BYTES;

const MAGIC: u32 = 0x0130_BA30;

/// Deleted ranges by series.
#[derive(Debug, Default)]
pub(super) struct Tombstones(HashMap<u64, Vec<TimeRange>>);

impl Tombstones {
    /// Reads a block's file, which need not exist.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let mut file = FileReader::open(path)?;
        if !(9..=TSDB_TOMBSTONES_BYTES as u64).contains(&file.len()) {
            return Err(file.corrupt(0, format!("a file of {} bytes is out of range", file.len())));
        }
        let bytes = file.bytes(0, file.len() as usize)?.to_vec();
        let (content, sum) = bytes.split_at(bytes.len() - 4);
        let mut fields = Fields::new(content);
        if (fields.be32(), fields.byte()) != (Some(MAGIC), Some(1)) {
            return Err(file.corrupt(0, "it does not begin as tombstones do"));
        }
        // The checksum leaves out the magic number and the version.
        if sum != crc32c::crc32c(&content[5..]).to_be_bytes() {
            return Err(file.corrupt(content.len() as u64, "the checksum does not match"));
        }
        let mut stones = Self::default();
        while !fields.is_empty() {
            let at = content.len() - fields.left();
            let stone = (|| Some((fields.uvarint()?, fields.varint()?, fields.varint()?)))();
            let (series, min_ms, max_ms) =
                stone.ok_or_else(|| file.corrupt(at as u64, "it ends within a tombstone"))?;
            stones.add(series, TimeRange::new(min_ms, max_ms));
        }
        Ok(stones)
    }

    pub(super) fn add(&mut self, series: u64, range: TimeRange) {
        self.0.entry(series).or_default().push(range);
    }

    /// What is deleted of a series.
    pub(super) fn of(&self, series: u64) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }
}

/// Whether a time lies in one of the ranges.
pub(super) fn covers(ranges: &[TimeRange], t_ms: i64) -> bool {
    ranges.iter().any(|r| r.contains(t_ms))
}
