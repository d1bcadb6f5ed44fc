//! The head: what Prometheus had not put into a block when it stopped.
//!
//! The write-ahead log has all of it since the last block, the second log (`wbl`) what came out of order, and `chunks_head` repeats
//! full chunks of both, so that these matter only where a log is damaged. A memory snapshot repeats the log likewise
//! and is not read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base::{Error, Histogram, Labels, Result, Sample};

use super::head_chunks::{self, MappedChunk};
use super::record::{self, Entry, Wanted};
use super::tombstones::{Tombstones, covers};
use super::wal::Segment;
use super::{DamagePolicy, numbered_files};

/// A sample of the head.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadSample {
    /// A float.
    Float(Sample),
    /// A histogram with its time in milliseconds.
    Histogram(i64, Histogram),
}

/// What was found beside the samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadNotes {
    /// Samples of series that the logs do not name, as after a damaged record.
    pub orphans: u64,
    /// Damage in `chunks_head`, of which the logs have everything.
    pub mapped_chunks: Vec<String>,
}

/// The files of a head.
#[derive(Debug)]
pub struct Head {
    /// The last checkpoint's files, then those of the log behind it.
    wal: Vec<PathBuf>,
    wbl: Vec<PathBuf>,
    mapped: Vec<PathBuf>,
    min_ms: i64,
}

/// The series of the logs.
#[derive(Default)]
struct SeriesTable {
    by_number: HashMap<u64, u32>,
    by_labels: HashMap<Labels, u32>,
    labels: Vec<Labels>,
    deleted: Tombstones,
}

impl Head {
    /// Finds the files. Samples before `min_ms` are in blocks, unless they came out of order.
    pub(super) fn open(folder: &Path, min_ms: i64) -> Result<Self> {
        let paths = |files: Vec<(u64, PathBuf)>| files.into_iter().map(|(_, path)| path);
        let mut segments = numbered_files(&folder.join("wal"))?;
        let mut wal = Vec::new();
        if let Some((last, checkpoint)) = last_checkpoint(&folder.join("wal"))? {
            wal.extend(paths(numbered_files(&checkpoint)?));
            segments.retain(|(number, _)| *number > last);
        }
        if let Some(gap) = segments.windows(2).find(|w| w[0].0 + 1 != w[1].0) {
            return Err(Error::corrupt(format!(
                "cannot read {}: the files between {} and {} are missing",
                folder.join("wal").display(),
                gap[0].0,
                gap[1].0
            )));
        }
        wal.extend(paths(segments));
        let wbl = paths(numbered_files(&folder.join("wbl"))?).collect();
        let mapped = paths(numbered_files(&folder.join("chunks_head"))?).collect();
        Ok(Self { wal, wbl, mapped, min_ms })
    }

    /// A text that differs when the files do: their names and sizes.
    pub fn identity(&self) -> Result<String> {
        let mut text = format!("from {}", self.min_ms);
        for path in self.files() {
            let len = std::fs::metadata(path)
                .map_err(|e| Error::unavailable(format!("cannot read {}: {e}", path.display())))?
                .len();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            text.push_str(&format!("\n{folder}/{name} {len}"));
        }
        Ok(text)
    }

    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files().filter_map(|p| std::fs::metadata(p).ok()).map(|m| m.len()).sum()
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.wal.iter().chain(&self.wbl).chain(&self.mapped)
    }

    /// Hands over the samples, in the order of the files: a time may come twice, and then the first counts. Holds the labels of all
    /// series of the head.
    pub fn read(
        &self,
        damage: &mut DamagePolicy<'_>,
        sink: &mut dyn FnMut(&Labels, HeadSample) -> Result<()>,
    ) -> Result<HeadNotes> {
        let mut series = SeriesTable::default();
        let mut notes = HeadNotes::default();
        read_logs(&self.wal, damage, Wanted::Series, &mut |entry| {
            series.note(entry);
            Ok(())
        })?;
        series.by_labels = HashMap::new();
        for (log, min_ms) in [(&self.wal, self.min_ms), (&self.wbl, i64::MIN)] {
            read_logs(log, damage, Wanted::Samples, &mut |entry| {
                let (number, sample) = match entry {
                    Entry::Float(number, sample) => (number, HeadSample::Float(sample)),
                    Entry::Histogram(number, t_ms, histogram) => {
                        (number, HeadSample::Histogram(t_ms, histogram))
                    }
                    Entry::Series(..) | Entry::Deleted(..) => return Ok(()),
                };
                series.hand_over(number, sample, min_ms, &mut notes, sink)
            })?;
        }
        for path in &self.mapped {
            let mut failed = None;
            let read = head_chunks::read(path, &mut |chunk| {
                series.hand_over_chunk(&chunk, self.min_ms, sink).inspect_err(|e| failed = Some(e.clone()))
            });
            match (read, failed) {
                (_, Some(of_sink)) => return Err(of_sink),
                (Err(e), None) => notes.mapped_chunks.push(e.to_string()),
                (Ok(()), None) => {}
            }
        }
        Ok(notes)
    }
}

impl SeriesTable {
    fn note(&mut self, entry: Entry) {
        match entry {
            Entry::Series(number, labels) => {
                // A series that ended and came back has a number for each time.
                let next = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
                let at = *self.by_labels.entry(labels.clone()).or_insert(next);
                if at == next {
                    self.labels.push(labels);
                }
                self.by_number.insert(number, at);
            }
            Entry::Deleted(number, range) => {
                if let Some(at) = self.by_number.get(&number) {
                    self.deleted.add(u64::from(*at), range);
                }
            }
            Entry::Float(..) | Entry::Histogram(..) => {}
        }
    }

    fn hand_over(
        &self,
        number: u64,
        sample: HeadSample,
        min_ms: i64,
        notes: &mut HeadNotes,
        sink: &mut dyn FnMut(&Labels, HeadSample) -> Result<()>,
    ) -> Result<()> {
        let t_ms = match &sample {
            HeadSample::Float(s) => s.t_ms,
            HeadSample::Histogram(t_ms, _) => *t_ms,
        };
        if t_ms < min_ms {
            return Ok(());
        }
        let Some(at) = self.by_number.get(&number) else {
            notes.orphans += 1;
            return Ok(());
        };
        if covers(self.deleted.of(u64::from(*at)), t_ms) {
            return Ok(());
        }
        sink(&self.labels[*at as usize], sample)
    }

    fn hand_over_chunk(
        &self,
        chunk: &MappedChunk<'_>,
        min_ms: i64,
        sink: &mut dyn FnMut(&Labels, HeadSample) -> Result<()>,
    ) -> Result<()> {
        let min_ms = if chunk.out_of_order { i64::MIN } else { min_ms };
        // Chunks stay for a while after their series left the log, when they are in blocks: those are no orphans.
        let notes = &mut HeadNotes::default();
        for sample in &chunk.samples.floats {
            self.hand_over(chunk.series, HeadSample::Float(*sample), min_ms, notes, sink)?;
        }
        for (t_ms, histogram) in &chunk.samples.histograms {
            let sample = HeadSample::Histogram(*t_ms, histogram.clone());
            self.hand_over(chunk.series, sample, min_ms, notes, sink)?;
        }
        Ok(())
    }
}

fn read_logs(
    files: &[PathBuf],
    damage: &mut DamagePolicy<'_>,
    wanted: Wanted,
    sink: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let mut record = Vec::new();
    for (i, path) in files.iter().enumerate() {
        let mut segment = Segment::open(path)?;
        while segment.next(i + 1 == files.len(), damage, &mut record)? {
            let (mut sunk, mut unsound) = (Ok(()), None);
            let decoded = record::decode(&record, wanted, &mut |entry| match &entry {
                Entry::Histogram(_, _, h) if h.validate().is_err() => unsound = h.validate().err(),
                _ if sunk.is_ok() => sunk = sink(entry),
                _ => {}
            });
            sunk?;
            if let Some(cause) = decoded.err().or(unsound.map(|e| e.to_string())) {
                damage.found(segment.corrupt(cause))?;
            }
        }
    }
    Ok(())
}

/// The checkpoint that replaces the files of the log up to a number, with that number.
fn last_checkpoint(wal: &Path) -> Result<Option<(u64, PathBuf)>> {
    let fail = |e: std::io::Error| Error::unavailable(format!("cannot read folder {}: {e}", wal.display()));
    let mut last = None;
    for entry in std::fs::read_dir(wal).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("checkpoint.")?.parse::<u64>().ok());
        last = last.max(number.map(|n| (n, entry.path())));
    }
    Ok(last)
}
