//! Prometheus' data folder: blocks, and the head as its write-ahead logs and mapped chunks have it.
//!
//! Reads, never writes, and never holds more than one series' samples. What is damaged is an error with file and place.
//! Formats are those that Prometheus specifies in `tsdb/docs/format/`, up to version 3.14.

mod bits;
mod block;
mod chunk;
mod file;
mod head;
mod head_chunks;
mod histogram;
mod index;
mod record;
mod tombstones;
mod wal;
mod xor;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base::{Error, Result};

pub use block::{Block, BlockMeta, BlockStats, Compaction, Parent};
pub use chunk::SeriesSamples;
#[cfg(test)]
pub(crate) use chunk::decode as decode_chunk;
pub use head::{Head, HeadNotes, HeadSample};

/// What happens at damage within a block or a log.
pub struct DamagePolicy<'a> {
    pass_over: Option<&'a mut dyn FnMut(Error)>,
}

impl<'a> DamagePolicy<'a> {
    /// Damage ends the reading.
    pub fn stop() -> Self {
        Self { pass_over: None }
    }

    /// Damage is told and passed over: what does not depend on it is read.
    pub fn pass_over(tell: &'a mut dyn FnMut(Error)) -> Self {
        Self { pass_over: Some(tell) }
    }

    fn found(&mut self, error: Error) -> Result<()> {
        match &mut self.pass_over {
            Some(tell) => {
                tell(error);
                Ok(())
            }
            None => Err(error),
        }
    }
}

/// A data folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The blocks to read, in order of time.
    pub blocks: Vec<(PathBuf, BlockMeta)>,
    /// Folders that are blocks by their name, but do not say what they hold.
    pub damaged: Vec<Error>,
}

impl Folder {
    /// Looks at what there is. Blocks that others replace are left out, as Prometheus deletes them when it starts.
    pub fn open(path: &Path) -> Result<Self> {
        let fail =
            |e: std::io::Error| Error::unavailable(format!("cannot read folder {}: {e}", path.display()));
        let (mut blocks, mut damaged) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !is_ulid(&entry.file_name().to_string_lossy()) {
                continue;
            }
            match BlockMeta::read(&entry.path()) {
                Ok(meta) => blocks.push((entry.path(), meta)),
                Err(e) => damaged.push(e),
            }
        }
        let replaced: HashSet<String> = blocks
            .iter()
            .flat_map(|(_, meta)| meta.compaction.parents.iter().map(|p| p.ulid.clone()))
            .collect();
        blocks.retain(|(_, meta)| !replaced.contains(&meta.ulid) && !meta.compaction.deletable);
        blocks.sort_by(|(_, a), (_, b)| (a.min_ms, &a.ulid).cmp(&(b.min_ms, &b.ulid)));
        let folder = Self { path: path.into(), blocks, damaged };
        if folder.blocks.is_empty() && folder.damaged.is_empty() && !folder.path.join("wal").is_dir() {
            return Err(Error::invalid(format!(
                "cannot read folder {}: it has neither blocks nor a wal folder, as Prometheus' data folder does",
                path.display()
            )));
        }
        Ok(folder)
    }

    /// The head: what is in no block yet. `None` if there are no logs.
    pub fn head(&self) -> Result<Option<Head>> {
        if !self.path.join("wal").is_dir() {
            return Ok(None);
        }
        // Up to the end of the last block of the head, what the log repeats is in blocks.
        let in_order = self.blocks.iter().filter(|(_, meta)| meta.is_in_order());
        let min_ms = in_order.map(|(_, meta)| meta.max_ms_exclusive).max().unwrap_or(i64::MIN);
        Head::open(&self.path, min_ms).map(Some)
    }
}

/// Whether a name is a ULID: 26 characters of Crockford's base 32.
fn is_ulid(name: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
    name.len() == 26 && name.bytes().all(digit)
}

/// The files of a folder whose names are numbers, in order. A folder that does not exist has none.
fn numbered_files(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let fail =
        |e: std::io::Error| Error::unavailable(format!("cannot read folder {}: {e}", folder.display()));
    let mut files = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(e) => return Err(fail(e)),
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let number =
            name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok());
        if let Some(number) = number {
            files.push((number, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
