//! The index of a block: symbols, and which series there are with their chunks. Versions 1 to 3.
//!
//! Postings are not read: an import wants all series, and these lie one behind the other. Prometheus specifies the format in
//! `tsdb/docs/format/index.md`.

use std::path::Path;

use base::{Labels, METRIC_NAME, Result};

use super::file::{Fields, FileReader};
use crate::limits::{TSDB_SERIES_ENTRY_BYTES, TSDB_SYMBOLS_BYTES};

const MAGIC: u32 = 0xBAAA_D700;
const HEADER_BYTES: u64 = 5;
const TOC_BYTES: usize = 6 * 8 + 4;
/// Series entries begin at multiples of this, except in version 1.
const SERIES_ALIGN: u64 = 16;

/// Where a series' entry lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesEntry {
    at: u64,
    /// One more than the symbol of the metric's name; 0, which sorts first, if it has none.
    metric: u32,
}

/// A chunk of a series as the index tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkMeta {
    pub(super) reference: u64,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
}

/// An open index.
#[derive(Debug)]
pub(super) struct Index {
    file: FileReader,
    version: u8,
    symbols: Symbols,
    /// Where the entries of series begin and end.
    series: (u64, u64),
}

/// All symbols: they are held because each series refers to a dozen of them.
#[derive(Debug)]
struct Symbols {
    bytes: Vec<u8>,
    /// Where `bytes` lie in the file.
    at: u64,
    /// Where each symbol begins in `bytes`; empty in version 1, which refers to places in the file.
    starts: Vec<u32>,
    by_place: bool,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = FileReader::open(path)?;
        let mut header = Fields::new(file.bytes(0, HEADER_BYTES as usize)?);
        let (magic, version) = (header.be32(), header.byte());
        if magic != Some(MAGIC) {
            return Err(file.corrupt(0, "it does not begin as an index does"));
        }
        let version = version.filter(|v| (1..=3).contains(v)).ok_or_else(|| {
            file.corrupt(4, format!("index version {} is not known", version.unwrap_or_default()))
        })?;
        let toc_at = file.len().saturating_sub(TOC_BYTES as u64);
        let toc = file.bytes(toc_at, TOC_BYTES)?.to_vec();
        let mut fields = Fields::new(&toc);
        let sections: [u64; 6] = std::array::from_fn(|_| fields.be64().unwrap_or_default());
        if fields.be32() != Some(crc32c::crc32c(&toc[..TOC_BYTES - 4])) {
            return Err(file.corrupt(toc_at, "the checksum of the table of contents does not match"));
        }
        let [symbols_at, series_at, ..] = sections;
        let symbols = Symbols::read(&mut file, symbols_at, version == 1)?;
        let series_end =
            sections.into_iter().filter(|at| *at > series_at).min().unwrap_or(toc_at).min(toc_at);
        Ok(Self { file, version, symbols, series: (series_at, series_end) })
    }

    /// The places of all series in the order of our table: by metric, then by labels.
    pub(super) fn entries(&mut self) -> Result<Vec<SeriesEntry>> {
        let mut entries = Vec::new();
        let (mut at, end) = self.series;
        if at == 0 {
            return Ok(entries);
        }
        let metric_name = self.symbols.find(METRIC_NAME);
        while at < end {
            if self.version > 1 {
                at = at.next_multiple_of(SERIES_ALIGN);
                if at >= end {
                    break;
                }
            }
            // Sections may be padded with zeros; no entry is empty.
            if self.file.bytes(at, 1)?[0] == 0 {
                at += if self.version > 1 { SERIES_ALIGN } else { 1 };
                continue;
            }
            let (body, next) = self.entry(at)?;
            let metric = metric_of(body, metric_name)
                .ok_or_else(|| self.file.corrupt(at, "the entry of a series ends within a label"))?;
            entries.push(SeriesEntry { at, metric });
            at = next;
        }
        // Symbols are sorted, and so are series by their labels: among those of a metric the order stays.
        entries.sort_by_key(|e| e.metric);
        Ok(entries)
    }

    /// By what tombstones refer to a series.
    pub(super) fn id(&self, entry: SeriesEntry) -> u64 {
        if self.version > 1 { entry.at / SERIES_ALIGN } else { entry.at }
    }

    /// Reads a series: replaces `chunks` by those that it has.
    pub(super) fn series(&mut self, entry: SeriesEntry, chunks: &mut Vec<ChunkMeta>) -> Result<Labels> {
        chunks.clear();
        let (body, _) = self.entry(entry.at)?;
        let body = body.to_vec();
        let broken = |what: &str| self.file.corrupt(entry.at, what);
        let mut fields = Fields::new(&body);
        let pairs =
            read_pairs(&mut fields).ok_or_else(|| broken("the entry of a series ends within a label"))?;
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let of = |symbol: u32| {
                self.symbols
                    .get(symbol)
                    .ok_or_else(|| broken(&format!("symbol {symbol} does not exist or is not UTF-8")))
            };
            texts.push((of(name)?, of(value)?));
        }
        read_chunks(&mut fields, chunks)
            .ok_or_else(|| broken("the entry of a series ends within a chunk"))?;
        Ok(Labels::from_pairs(texts))
    }

    /// The content of the entry at a place, checked, and where the next may begin.
    fn entry(&mut self, at: u64) -> Result<(&[u8], u64)> {
        let mut fields = Fields::new(self.file.up_to(at, 10)?);
        let before = fields.left();
        let len = fields.uvarint().and_then(|n| usize::try_from(n).ok());
        let prefix = before - fields.left();
        let len = len.filter(|n| *n <= TSDB_SERIES_ENTRY_BYTES);
        let len =
            len.ok_or_else(|| self.file.corrupt(at, "the length of a series' entry is out of range"))?;
        let whole = self.file.bytes(at, prefix + len + 4)?;
        let body = &whole[prefix..prefix + len];
        let sum = u32::from_be_bytes(*whole.last_chunk().expect("four bytes were read"));
        if sum != crc32c::crc32c(body) {
            return Err(self.file.corrupt(at, "the checksum of a series' entry does not match"));
        }
        let next = at + (prefix + len + 4) as u64;
        // Read again for the borrow checker: the bytes lie in the window.
        let whole = self.file.bytes(at, prefix + len + 4)?;
        Ok((&whole[prefix..prefix + len], next))
    }
}

impl Symbols {
    fn read(file: &mut FileReader, at: u64, by_place: bool) -> Result<Self> {
        let mut fields = Fields::new(file.bytes(at, 8)?);
        let (len, count) =
            (fields.be32().unwrap_or_default() as usize, fields.be32().unwrap_or_default() as usize);
        if !(4..=TSDB_SYMBOLS_BYTES).contains(&len) {
            return Err(file.corrupt(at, format!("a symbol table of {len} bytes is out of range")));
        }
        let bytes = file.bytes(at + 4, len)?.to_vec();
        let sum = Fields::new(file.bytes(at + 4 + len as u64, 4)?).be32();
        if sum != Some(crc32c::crc32c(&bytes)) {
            return Err(file.corrupt(at, "the checksum of the symbol table does not match"));
        }
        let mut starts = Vec::new();
        let mut fields = Fields::new(&bytes[4..]);
        for _ in 0..count {
            let start = bytes.len() - fields.left();
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            if fields.prefixed().is_none() {
                return Err(file.corrupt(at + 4 + start as u64, "a symbol is cut off"));
            }
        }
        Ok(Self { bytes, at: at + 4, starts, by_place })
    }

    fn get(&self, symbol: u32) -> Option<&str> {
        std::str::from_utf8(self.raw(symbol)?).ok()
    }

    fn raw(&self, symbol: u32) -> Option<&[u8]> {
        let start = if self.by_place {
            usize::try_from(u64::from(symbol).checked_sub(self.at)?).ok()?
        } else {
            *self.starts.get(symbol as usize)? as usize
        };
        Fields::new(self.bytes.get(start..)?).prefixed()
    }

    /// The reference to a text, if it is a symbol.
    fn find(&self, text: &str) -> Option<u32> {
        let of = |start: &u32| Fields::new(&self.bytes[*start as usize..]).prefixed();
        // The first version did not promise an order.
        let at = self.starts.iter().position(|start| of(start) == Some(text.as_bytes()))?;
        if self.by_place {
            u32::try_from(self.at + u64::from(self.starts[at])).ok()
        } else {
            u32::try_from(at).ok()
        }
    }
}

fn read_pairs(fields: &mut Fields<'_>) -> Option<Vec<(u32, u32)>> {
    let count = fields.count(2)?;
    let mut symbol = || fields.uvarint().and_then(|n| u32::try_from(n).ok());
    (0..count).map(|_| Some((symbol()?, symbol()?))).collect()
}

/// One more than the symbol of the metric's name in a series' entry.
fn metric_of(body: &[u8], metric_name: Option<u32>) -> Option<u32> {
    let pairs = read_pairs(&mut Fields::new(body))?;
    Some(
        pairs
            .into_iter()
            .find(|(name, _)| Some(*name) == metric_name)
            .map_or(0, |(_, value)| value.saturating_add(1)),
    )
}

fn read_chunks(fields: &mut Fields<'_>, chunks: &mut Vec<ChunkMeta>) -> Option<()> {
    let count = fields.count(3)?;
    let (mut reference, mut last_ms) = (0u64, 0i64);
    for i in 0..count {
        let from_ms = if i == 0 { fields.varint()? } else { fields.uvarint()? as i64 };
        let min_ms = last_ms.wrapping_add(from_ms);
        let max_ms = min_ms.wrapping_add(fields.uvarint()? as i64);
        reference = if i == 0 { fields.uvarint()? } else { reference.wrapping_add(fields.varint()? as u64) };
        chunks.push(ChunkMeta { reference, min_ms, max_ms });
        last_ms = max_ms;
    }
    Some(())
}
