//! Checkpoints: the head on the local disk beside its log, so that a start has little to replay.
//!
//! A checkpoint at a place of the log has all that the log says before it. It has three kinds of parts: names (the labels
//! of series), a part for each epoch (closed chunks, which never change), and the state (open chunks). Names and
//! epochs are written once and stay valid for later checkpoints; the state is written anew each time, last, and lists
//! the parts that belong to it. The checkpoint is there once the state has its name; only then the log before it goes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Result};
use lake::filenames::{CheckpointPart, TEMPORARY_SUFFIX, checkpoint_file, parse_checkpoint_file};
use lake::frames::{FrameWriter, read_frames, temporary};
use lake::fs::Fs;

use crate::chunk::{put_varint, take_varint, unzigzag, zigzag};
use crate::head::save::{CheckpointSink, Frames, NamesSink, Restored, SavedParts};
use crate::head::{Head, save};
use crate::limits::{CHECKPOINT_LOG_BYTES, CHECKPOINT_SPARE_NAMES};
use crate::store::MetricStore;

/// Opens the frame that lists the parts; other frames begin with their version.
const MANIFEST: u8 = b'M';

/// The parts that the last checkpoint consists of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// What the log says from this number on is not in it.
    pub(crate) sequence: u64,
    /// Numbers of the parts with names, and how many these have.
    names: Vec<(u64, u64)>,
    /// Epochs and numbers of the parts with closed chunks.
    epochs: Vec<(i64, u64)>,
}

impl Manifest {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[MANIFEST, save::VERSION]);
        put_varint(out, self.names.len() as u64);
        for (sequence, count) in &self.names {
            put_varint(out, *sequence);
            put_varint(out, *count);
        }
        put_varint(out, self.epochs.len() as u64);
        for (epoch_ms, sequence) in &self.epochs {
            put_varint(out, zigzag(*epoch_ms));
            put_varint(out, *sequence);
        }
    }

    fn read(sequence: u64, payload: &[u8]) -> Result<Self> {
        let mut rest = save::body(payload.get(1..).unwrap_or_default())?;
        let mut manifest = Self { sequence, ..Self::default() };
        for _ in 0..take_varint(&mut rest)? {
            manifest.names.push((take_varint(&mut rest)?, take_varint(&mut rest)?));
        }
        for _ in 0..take_varint(&mut rest)? {
            manifest.epochs.push((unzigzag(take_varint(&mut rest)?), take_varint(&mut rest)?));
        }
        Ok(manifest)
    }

    /// All parts that there are.
    fn of(sequence: u64, parts: &[(u64, CheckpointPart)]) -> Self {
        let mut manifest = Self { sequence, ..Self::default() };
        let mut parts = parts.to_vec();
        parts.sort_unstable();
        for (sequence, part) in parts {
            match part {
                CheckpointPart::State => {}
                CheckpointPart::Names => manifest.names.push((sequence, 0)),
                CheckpointPart::Epoch(epoch_ms) => manifest.epochs.push((epoch_ms, sequence)),
            }
        }
        manifest
    }

    fn has(&self, sequence: u64, part: CheckpointPart) -> bool {
        match part {
            CheckpointPart::State => sequence == self.sequence,
            CheckpointPart::Names => self.names.iter().any(|(s, _)| *s == sequence),
            CheckpointPart::Epoch(epoch_ms) => self.epochs.contains(&(epoch_ms, sequence)),
        }
    }

    /// How many series its parts name, those that are gone included.
    fn named(&self) -> u64 {
        self.names.iter().map(|(_, count)| count).sum()
    }

    /// Forgets the parts of epochs that are sealed.
    pub(crate) fn drop_until(&mut self, epoch_ms: i64) {
        self.epochs.retain(|(epoch, _)| *epoch > epoch_ms);
    }
}

/// Whether checkpoints name so many series that are gone that it pays to name the living ones anew.
fn has_spare_names(named: u64, live: usize) -> bool {
    named > 2 * live as u64 + CHECKPOINT_SPARE_NAMES
}

/// A file of names that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamesPart {
    /// Its number: records of files with this number and above may refer to it.
    pub(crate) sequence: u64,
    /// Whether it has all names that count, and not only those that the ones before it lack.
    pub(crate) all: bool,
}

impl Manifest {
    /// The files of names that there are at a start, in order of their numbers; those that only readers of the log need come first.
    pub(crate) fn names_parts(&self, fs: &Arc<dyn Fs>, dir: &Path) -> Result<Vec<NamesPart>> {
        let names = fs
            .list(dir)
            .map_err(|e| Error::unavailable(format!("cannot list WAL folder {}: {e}", dir.display())))?;
        let mut sequences: Vec<u64> = names
            .iter()
            .filter_map(|name| match parse_checkpoint_file(name) {
                Some((sequence, CheckpointPart::Names)) if sequence <= self.sequence => Some(sequence),
                _ => None,
            })
            .collect();
        sequences.sort_unstable();
        let first = self.names.first().map(|(sequence, _)| *sequence);
        Ok(sequences
            .into_iter()
            .map(|sequence| NamesPart { sequence, all: Some(sequence) == first })
            .collect())
    }
}

impl MetricStore {
    /// Whether the log is long enough for a checkpoint, or the last one mostly names series that are gone.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        self.wal.live_bytes() >= CHECKPOINT_LOG_BYTES || {
            let named = self.manifest.lock().named();
            named > 0 && has_spare_names(named, self.state.read().head.series_count())
        }
    }

    /// Writes a checkpoint of the head, after which the log begins anew. Writers go on meanwhile, but for moments. If it
    /// fails nothing has changed, and the next one tries again.
    pub async fn checkpoint(&self) -> Result<()> {
        let _one = self.maintenance.lock().await;
        self.checkpoint_alone().await
    }

    /// The same for who holds the lock of maintenance.
    pub(crate) async fn checkpoint_alone(&self) -> Result<()> {
        let started = self.clock.monotonic();
        let result = self.try_checkpoint().await;
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.checkpoint_seconds.observe(took.as_secs_f64());
        if result.is_err() {
            self.metrics.checkpoints_failed.inc();
            // On a full disk the log needs the space.
            self.remove_stale_parts();
        }
        result
    }

    async fn try_checkpoint(&self) -> Result<()> {
        let sequence = self.wal.rotate().await?;
        let before = self.manifest.lock().clone();
        if sequence == before.sequence {
            return Ok(());
        }
        let (fs, dir, state) = (self.lake.fs().clone(), self.wal_dir(), self.state.clone());
        let names_parts = self.names_parts.clone();
        let manifest = tokio::task::spawn_blocking(move || {
            let all_names = has_spare_names(before.named(), state.read().head.series_count());
            let mut writer = Writer::new(&fs, &dir, sequence)?;
            let mut parts = SavedParts::default();
            let mut from = Some(0);
            while let Some(at) = from {
                from = state.read().head.save_slice(at, all_names, &mut parts);
                writer.take(&mut parts, from.is_none())?;
            }
            let manifest = writer.finish(before, all_names, parts.name_count)?;
            // From here on the checkpoint is there, whatever happens. Who follows the log has to know of its names before
            // the log relies on them.
            names_parts.lock().push(NamesPart { sequence, all: all_names });
            let mut from = Some(0);
            while let Some(at) = from {
                from = state.write().head.note_saved(&parts, at);
            }
            Ok::<Manifest, Error>(manifest)
        })
        .await
        .map_err(|e| Error::internal(format!("cannot write a checkpoint: {e}")))??;
        *self.manifest.lock() = manifest;
        self.metrics.checkpoints.inc();
        if let Err(error) = self.wal.delete_before(sequence).await {
            // Only space is lost: a start removes what lies before the checkpoint.
            tracing::warn!("{error}");
        }
        self.remove_stale_parts();
        Ok(())
    }

    /// Removes the files of checkpoints that the last one does not need. What cannot be removed goes with the next.
    pub(crate) fn remove_stale_parts(&self) {
        let manifest = self.manifest.lock().clone();
        // Who is behind the first file of the names in force may refer to older ones.
        let oldest = manifest.names.first().map_or(manifest.sequence, |(sequence, _)| *sequence);
        let keep_names = self.wal.lowest_read().is_some_and(|sequence| sequence < oldest);
        if !keep_names {
            self.names_parts.lock().retain(|part| part.sequence >= oldest);
        }
        if let Err(error) = remove_stale(self.lake.fs(), &self.wal_dir(), &manifest, keep_names) {
            tracing::warn!("{error}");
        }
    }

    pub(crate) fn wal_dir(&self) -> PathBuf {
        self.lake.wal_dir(crate::METRICS_TABLE)
    }
}

/// Writes the files of one checkpoint.
struct Writer<'a> {
    fs: &'a Arc<dyn Fs>,
    dir: &'a Path,
    sequence: u64,
    names: Option<FrameWriter>,
    epochs: BTreeMap<i64, FrameWriter>,
    state: FrameWriter,
}

impl<'a> Writer<'a> {
    fn new(fs: &'a Arc<dyn Fs>, dir: &'a Path, sequence: u64) -> Result<Self> {
        let path = dir.join(checkpoint_file(sequence, CheckpointPart::State));
        let state = FrameWriter::create(fs, &temporary(&path))?;
        Ok(Self { fs, dir, sequence, names: None, epochs: BTreeMap::new(), state })
    }

    /// Writes the frames that are ready; with `all` also those begun.
    fn take(&mut self, parts: &mut SavedParts, all: bool) -> Result<()> {
        if all {
            parts.names.flush();
            parts.state.flush();
            parts.epochs.values_mut().for_each(Frames::flush);
        }
        for frame in parts.names.ready.drain(..) {
            let writer = match &mut self.names {
                Some(writer) => writer,
                none => none.insert(create(self.fs, self.dir, self.sequence, CheckpointPart::Names)?),
            };
            writer.frame(|out| out.extend_from_slice(&frame))?;
        }
        for (epoch_ms, frames) in &mut parts.epochs {
            for frame in frames.ready.drain(..) {
                let writer = match self.epochs.entry(*epoch_ms) {
                    Entry::Occupied(writer) => writer.into_mut(),
                    Entry::Vacant(none) => {
                        let part = CheckpointPart::Epoch(*epoch_ms);
                        none.insert(create(self.fs, self.dir, self.sequence, part)?)
                    }
                };
                writer.frame(|out| out.extend_from_slice(&frame))?;
            }
        }
        for frame in parts.state.ready.drain(..) {
            self.state.frame(|out| out.extend_from_slice(&frame))?;
        }
        Ok(())
    }

    /// Makes all parts durable, the state last.
    fn finish(mut self, before: Manifest, all_names: bool, name_count: u64) -> Result<Manifest> {
        let mut manifest = Manifest { sequence: self.sequence, ..before };
        if all_names {
            manifest.names.clear();
        }
        if let Some(names) = self.names {
            names.finish(None)?;
            manifest.names.push((self.sequence, name_count));
        }
        for (epoch_ms, writer) in self.epochs {
            writer.finish(None)?;
            manifest.epochs.push((epoch_ms, self.sequence));
        }
        self.fs
            .sync_dir(self.dir)
            .map_err(|e| Error::unavailable(format!("cannot sync folder {}: {e}", self.dir.display())))?;
        self.state.frame(|out| manifest.write(out))?;
        self.state.finish(Some(&self.dir.join(checkpoint_file(self.sequence, CheckpointPart::State))))?;
        Ok(manifest)
    }
}

fn create(fs: &Arc<dyn Fs>, dir: &Path, sequence: u64, part: CheckpointPart) -> Result<FrameWriter> {
    FrameWriter::create(fs, &dir.join(checkpoint_file(sequence, part)))
}

fn remove_stale(fs: &Arc<dyn Fs>, dir: &Path, manifest: &Manifest, keep_names: bool) -> Result<()> {
    let fail = |e: std::io::Error| {
        Error::unavailable(format!("cannot remove old checkpoints in {}: {e}", dir.display()))
    };
    let is_state = |name: &str| matches!(parse_checkpoint_file(name), Some((_, CheckpointPart::State)));
    let is_stale = |name: &str| match parse_checkpoint_file(name) {
        Some((_, CheckpointPart::Names)) if keep_names => false,
        Some((sequence, part)) => !manifest.has(sequence, part),
        None => name.ends_with(TEMPORARY_SUFFIX),
    };
    let names = fs.list(dir).map_err(fail)?;
    // A state is never to be found without its parts: that of a checkpoint which failed at the end goes before these.
    for states in [true, false] {
        for name in names.iter().filter(|name| is_stale(name) && is_state(name) == states) {
            fs.remove(&dir.join(name)).map_err(fail)?;
        }
        if states {
            fs.sync_dir(dir).map_err(fail)?;
        }
    }
    Ok(())
}

/// What a start finds.
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) manifest: Manifest,
    /// Damaged places.
    pub(crate) corruptions: Vec<Error>,
}

/// Reads the last checkpoint of a folder, without what is sealed. Without one the head is empty.
pub(crate) fn load(fs: &Arc<dyn Fs>, dir: &Path, sealed_until: i64, block_ms: i64) -> Result<Loaded> {
    let mut restored = Restored::new(block_ms, sealed_until);
    let (manifest, names, corruptions) = walk(fs, dir, sealed_until, &mut restored)?;
    if restored.orphans > 0 {
        tracing::error!(chunks = restored.orphans, "chunks of a checkpoint belong to series that were lost");
    }
    let (head, lost) = restored.finish(names);
    if lost > 0 {
        tracing::error!(series = lost, "series of a checkpoint have lost their labels");
    }
    for error in &corruptions {
        tracing::error!("{error}");
    }
    Ok(Loaded { head, manifest, corruptions })
}

/// Hands over the frames of the last checkpoint of a folder, without what is sealed: what it consists of, who took the names, and
/// the damaged places.
pub(crate) fn walk<N: NamesSink>(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    sealed_until: i64,
    sink: &mut dyn CheckpointSink,
) -> Result<(Manifest, N, Vec<Error>)> {
    let parts: Vec<(u64, CheckpointPart)> = fs
        .list(dir)
        .map_err(|e| Error::unavailable(format!("cannot list WAL folder {}: {e}", dir.display())))?
        .iter()
        .filter_map(|name| parse_checkpoint_file(name))
        .collect();
    let states = parts.iter().filter(|(_, part)| *part == CheckpointPart::State);
    let Some(sequence) = states.map(|(sequence, _)| *sequence).max() else {
        return Ok((Manifest::default(), N::default(), Vec::new()));
    };
    let mut guess: Vec<u64> = parts
        .iter()
        .filter(|(s, part)| *part == CheckpointPart::Names && *s <= sequence)
        .map(|(sequence, _)| *sequence)
        .collect();
    guess.sort_unstable();
    let (rest, guessed) = std::thread::scope(|scope| {
        // Names are half of the work. Which of their files count only the end of the state tells, but hardly ever there are others.
        let names = scope.spawn(|| take_names(fs, dir, &guess));
        let rest = walk_rest(fs, dir, sealed_until, sequence, &parts, sink);
        (rest, names.join())
    });
    let (manifest, mut corruptions) = rest?;
    let wanted: Vec<u64> = manifest.names.iter().map(|(sequence, _)| *sequence).collect();
    let (names, damage) = if guess == wanted {
        guessed.map_err(|_| {
            Error::internal("cannot read checkpoint: the thread that reads names has panicked")
        })??
    } else {
        take_names(fs, dir, &wanted)?
    };
    corruptions.extend(damage);
    Ok((manifest, names, corruptions))
}

/// The same without names.
fn walk_rest(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    sealed_until: i64,
    sequence: u64,
    parts: &[(u64, CheckpointPart)],
    sink: &mut dyn CheckpointSink,
) -> Result<(Manifest, Vec<Error>)> {
    let file = |sequence, part| dir.join(checkpoint_file(sequence, part));
    let mut manifest = None;
    let mut corruptions = read_frames(fs, &file(sequence, CheckpointPart::State), &mut |payload| {
        if payload.first() == Some(&MANIFEST) {
            manifest = Some(Manifest::read(sequence, payload)?);
            return Ok(());
        }
        sink.state(payload)
    })?;
    // Without its list all parts are taken: what more than one of them has is there once when it is read.
    let mut manifest = manifest.unwrap_or_else(|| Manifest::of(sequence, parts));
    manifest.drop_until(sealed_until);
    for (epoch_ms, sequence) in &manifest.epochs {
        let path = file(*sequence, CheckpointPart::Epoch(*epoch_ms));
        corruptions.extend(read_frames(fs, &path, &mut |payload| sink.epoch(*epoch_ms, payload))?);
    }
    Ok((manifest, corruptions))
}

/// Reads files of names, with the damaged places.
fn take_names<N: NamesSink>(fs: &Arc<dyn Fs>, dir: &Path, sequences: &[u64]) -> Result<(N, Vec<Error>)> {
    let (mut names, mut damage) = (N::default(), Vec::new());
    for sequence in sequences {
        let path = dir.join(checkpoint_file(*sequence, CheckpointPart::Names));
        damage.extend(read_frames(fs, &path, &mut |payload| names.names(payload))?);
    }
    Ok((names, damage))
}
