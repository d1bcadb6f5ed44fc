//! A block: an immutable folder with an index, chunks and tombstones.

use std::path::{Path, PathBuf};

use base::{Error, Labels, Result, TimeRange};
use serde::Deserialize;

use super::chunk::{self, SeriesSamples};
use super::file::{Fields, FileReader};
use super::index::{ChunkMeta, Index, SeriesEntry};
use super::tombstones::{Tombstones, covers};
use super::{DamagePolicy, numbered_files};
use crate::limits::TSDB_CHUNK_BYTES;

const CHUNKS_MAGIC: u32 = 0x85BD_40DD;
const CHUNKS_HEADER_BYTES: u64 = 8;

/// What `meta.json` says of a block.
#[derive(Debug, Clone, Deserialize)]
pub struct BlockMeta {
    /// The block's name, which no other block ever has.
    pub ulid: String,
    /// First millisecond.
    #[serde(rename = "minTime")]
    pub min_ms: i64,
    /// The millisecond after the last.
    #[serde(rename = "maxTime")]
    pub max_ms_exclusive: i64,
    /// Version of the folder's layout.
    pub version: u32,
    /// How much the block holds.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where the block comes from.
    #[serde(default)]
    pub compaction: Compaction,
}

/// How much a block holds, tombstones not considered.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct BlockStats {
    /// Samples.
    #[serde(default, rename = "numSamples")]
    pub samples: u64,
    /// Series.
    #[serde(default, rename = "numSeries")]
    pub series: u64,
}

/// Where a block comes from.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Compaction {
    /// The blocks that this one replaces.
    #[serde(default)]
    pub parents: Vec<Parent>,
    /// Whether the block holds nothing any more.
    #[serde(default)]
    pub deletable: bool,
    /// Notes, `from-out-of-order` among them.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// A block that another one replaces.
#[derive(Debug, Clone, Deserialize)]
pub struct Parent {
    /// Its name.
    pub ulid: String,
}

impl BlockMeta {
    /// Reads the `meta.json` of a block's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("meta.json");
        let text = std::fs::read(&path).map_err(|e| {
            Error::corrupt(format!("cannot read block {}: no {}: {e}", folder.display(), path.display()))
        })?;
        let meta: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::corrupt(format!("cannot read {}: {e}", path.display())))?;
        if meta.version != 1 {
            return Err(Error::corrupt(format!(
                "cannot read {}: version {} is not known",
                path.display(),
                meta.version
            )));
        }
        Ok(meta)
    }

    /// First and last millisecond.
    pub fn time(&self) -> TimeRange {
        TimeRange::new(self.min_ms, self.max_ms_exclusive.saturating_sub(1))
    }

    /// Whether its end says how far Prometheus had put the head into blocks.
    pub(super) fn is_in_order(&self) -> bool {
        let apart = ["from-out-of-order", "from-stale-series", "from-selected-series"];
        !self.compaction.hints.iter().any(|h| apart.contains(&h.as_str()))
    }
}

/// An open block. Holds its symbols, its tombstones and sixteen bytes for each series.
#[derive(Debug)]
pub struct Block {
    folder: PathBuf,
    index: Index,
    entries: Vec<SeriesEntry>,
    chunks: Vec<FileReader>,
    tombstones: Tombstones,
}

impl Block {
    /// Opens the block in a folder: reads its symbols and finds its series.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut index = Index::open(&folder.join("index"))?;
        let tombstones = Tombstones::read(&folder.join("tombstones"))?;
        let mut chunks = Vec::new();
        for (_, path) in numbered_files(&folder.join("chunks"))? {
            chunks.push(open_chunks(&path)?);
        }
        let entries = index.entries()?;
        Ok(Self { folder: folder.into(), index, entries, chunks, tombstones })
    }

    /// Number of series.
    pub fn series_count(&self) -> usize {
        self.entries.len()
    }

    /// Hands over the series with samples in a range, by metric, then by labels, with these samples. Deleted ones are left
    /// out. Stops at the first damage unless the policy passes over it.
    pub fn read(
        &mut self,
        range: TimeRange,
        damage: &mut DamagePolicy<'_>,
        sink: &mut dyn FnMut(&Labels, &SeriesSamples) -> Result<()>,
    ) -> Result<()> {
        let (mut metas, mut samples) = (Vec::new(), SeriesSamples::default());
        for entry in self.entries.clone() {
            let labels = match self.index.series(entry, &mut metas) {
                Ok(labels) => labels,
                Err(e) => {
                    damage.found(e)?;
                    continue;
                }
            };
            samples.clear();
            let wanted = metas.iter().filter(|m| TimeRange::new(m.min_ms, m.max_ms).overlaps(range));
            for meta in wanted {
                if let Err(e) = self.read_chunk(*meta, &mut samples) {
                    damage.found(e.context(format_args!("cannot read series {labels}")))?;
                }
            }
            let deleted = self.tombstones.of(self.index.id(entry));
            samples.retain(|t_ms| range.contains(t_ms) && !covers(deleted, t_ms));
            samples.sort_and_dedup();
            if !samples.is_empty() {
                sink(&labels, &samples)?;
            }
        }
        Ok(())
    }

    fn read_chunk(&mut self, meta: ChunkMeta, samples: &mut SeriesSamples) -> Result<()> {
        let (file, at) = ((meta.reference >> 32) as usize, meta.reference & 0xffff_ffff);
        let Some(file) = self.chunks.get_mut(file) else {
            return Err(Error::corrupt(format!(
                "cannot read block {}: a chunk is said to lie in file {} of {}",
                self.folder.display(),
                file + 1,
                self.chunks.len()
            )));
        };
        let mut fields = Fields::new(file.up_to(at, 5)?);
        let before = fields.left();
        let len = fields.uvarint().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let prefix = before - fields.left();
        if len > TSDB_CHUNK_BYTES {
            return Err(file.corrupt(at, "the length of a chunk is out of range"));
        }
        let whole = file.bytes(at, prefix + 1 + len + 4)?;
        let (content, sum) = whole[prefix..].split_at(1 + len);
        if sum != crc32c::crc32c(content).to_be_bytes() {
            return Err(file.corrupt(at, "the checksum of a chunk does not match"));
        }
        let (floats, histograms) = (samples.floats.len(), samples.histograms.len());
        let decoded = chunk::decode(content[0], &content[1..], samples).and_then(|()| {
            let mut new = samples.histograms[histograms..].iter();
            new.try_for_each(|(_, h)| h.validate()).map_err(|e| e.to_string())
        });
        decoded.map_err(|e| {
            samples.floats.truncate(floats);
            samples.histograms.truncate(histograms);
            file.corrupt(at, e)
        })
    }
}

fn open_chunks(path: &Path) -> Result<FileReader> {
    let mut file = FileReader::open(path)?;
    let mut header = Fields::new(file.bytes(0, CHUNKS_HEADER_BYTES as usize)?);
    if (header.be32(), header.byte()) != (Some(CHUNKS_MAGIC), Some(1)) {
        return Err(file.corrupt(0, "it does not begin as chunks do"));
    }
    Ok(file)
}
