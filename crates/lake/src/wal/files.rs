//! Which files a log has, and who still reads them: what its writer and its readers share.
//!
//! A file that a replay does not need any more is **held** while a reader wants something of it, within limits of bytes and
//! time. Owns the decision; the writer owns the files that a replay needs.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Result};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::position::Position;
use super::{ReplayReport, WalMetrics, WalOptions};
use crate::filenames;
use crate::fs::Fs;
use crate::limits::{HELD_LOG_AGE, HELD_LOG_BYTES};

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogFile {
    /// Bytes that are durable.
    pub(super) bytes: u64,
    /// Whether there may be more.
    pub(super) open: bool,
    /// Since when a replay does not need it; `None` while it does.
    held_since: Option<Duration>,
}

/// The log at one moment: every record that is in it came before every one that is not.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) files: BTreeMap<(i64, u64), LogFile>,
    /// Files that are not there yet have this number at least.
    pub(super) next_sequence: u64,
}

/// Bounds of what is held for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLimits {
    /// Bytes of files that only readers need.
    pub bytes: u64,
    /// How long such a file is kept. A start begins to count anew.
    pub age: Duration,
}

impl Default for HeldLimits {
    fn default() -> Self {
        Self { bytes: HELD_LOG_BYTES, age: HELD_LOG_AGE }
    }
}

pub(super) struct Files {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    clock: Arc<dyn Clock>,
    metrics: WalMetrics,
    state: Mutex<State>,
    /// Held while the file of a reader changes, so that none comes back that was removed. Taken before the state.
    positions: Mutex<()>,
    changed: watch::Sender<()>,
}

struct State {
    log: Snapshot,
    readers: BTreeMap<String, Position>,
    limits: HeldLimits,
}

impl Files {
    pub(super) fn new(options: &WalOptions, replayed: &ReplayReport) -> Self {
        let now = options.clock.monotonic();
        let live = replayed.sizes.iter().map(|(key, bytes)| (key, bytes, None));
        let held = replayed.held.iter().map(|(key, bytes)| (key, bytes, Some(now)));
        let files = live
            .chain(held)
            .map(|(key, bytes, held_since)| (*key, LogFile { bytes: *bytes, open: false, held_since }))
            .collect();
        let log = Snapshot { files, next_sequence: replayed.next_sequence };
        let state = State { log, readers: replayed.readers.clone(), limits: HeldLimits::default() };
        let this = Self {
            fs: options.fs.clone(),
            dir: options.dir.clone(),
            clock: options.clock.clone(),
            metrics: options.metrics.clone(),
            state: Mutex::new(state),
            positions: Mutex::new(()),
            changed: watch::Sender::new(()),
        };
        this.sweep();
        this
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.state.lock().log.clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Bytes that a replay would read.
    pub(super) fn live_bytes(&self) -> u64 {
        self.state.lock().log.files.values().filter(|f| f.held_since.is_none()).map(|f| f.bytes).sum()
    }

    /// Notes what a group commit made durable, all at once.
    pub(super) fn grew(&self, grown: impl Iterator<Item = ((i64, u64), u64)>, next_sequence: u64) {
        let mut state = self.state.lock();
        for (key, bytes) in grown {
            state.log.files.insert(key, LogFile { bytes, open: true, held_since: None });
        }
        state.log.next_sequence = next_sequence;
        drop(state);
        self.changed.send_replace(());
    }

    /// Notes that nothing more goes to the files that `which` names.
    pub(super) fn close(&self, which: impl Fn((i64, u64)) -> bool, next_sequence: u64) {
        let mut state = self.state.lock();
        for (key, file) in &mut state.log.files {
            file.open &= !which(*key);
        }
        state.log.next_sequence = next_sequence;
        drop(state);
        self.changed.send_replace(());
    }

    /// Notes that a replay does not need the files that `gone` names. Those that a reader wants are held.
    pub(super) fn retire(&self, gone: impl Fn(i64, u64) -> bool) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        for ((epoch, sequence), file) in &mut state.log.files {
            if gone(*epoch, *sequence) {
                file.open = false;
                file.held_since.get_or_insert(now);
            }
        }
        drop(state);
        self.sweep();
    }

    /// Whether a file is held for a reader.
    pub(super) fn is_held(&self, epoch: i64, sequence: u64) -> bool {
        self.state.lock().log.files.contains_key(&(epoch, sequence))
    }

    pub(super) fn set_limits(&self, limits: HeldLimits) {
        self.state.lock().limits = limits;
        self.sweep();
    }

    /// Removes held files that no reader wants, and those beyond the limits.
    pub(super) fn sweep(&self) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let State { log, readers, limits } = &mut *state;
        let mut gone = Vec::new();
        let mut dropped = Vec::new();
        let mut held: Vec<((i64, u64), u64, Duration)> = Vec::new();
        for (key, file) in &log.files {
            match file.held_since {
                None => {}
                Some(_) if !readers.values().any(|r| wants(r, *key, file)) => gone.push(*key),
                Some(since) => held.push((*key, file.bytes, since)),
            }
        }
        // The oldest go first, which is what the readers would read next.
        held.sort_unstable_by_key(|((_, sequence), ..)| *sequence);
        let mut held_bytes: u64 = held.iter().map(|(_, bytes, _)| bytes).sum();
        for (key, bytes, since) in held {
            if held_bytes > limits.bytes || now.saturating_sub(since) > limits.age {
                held_bytes -= bytes;
                dropped.push((key, bytes));
            }
        }
        for position in readers.values_mut() {
            // These were read to their end.
            position.files.retain(|key, _| !gone.contains(key));
        }
        gone.extend(dropped.iter().map(|(key, _)| *key));
        log.files.retain(|key, _| !gone.contains(key));
        let limits = *limits;
        drop(state);
        self.metrics.held_bytes.set(i64::try_from(held_bytes).unwrap_or(i64::MAX));
        for (key, bytes) in dropped {
            self.metrics.dropped_unread_bytes.inc_by(bytes);
            tracing::warn!(
                file = filenames::wal_file(key.0, key.1),
                bytes,
                limit_bytes = limits.bytes,
                limit_age_seconds = limits.age.as_secs(),
                "dropped a file of the log that a reader had not read to its end"
            );
        }
        for (epoch, sequence) in gone {
            let path = self.dir.join(filenames::wal_file(epoch, sequence));
            match self.fs.remove(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    // Only space is lost: a start removes what nobody needs.
                    tracing::warn!("cannot remove WAL file {}: {e}", path.display());
                }
                _ => {}
            }
        }
    }

    /// The position of a reader; a new one begins with what comes from now on.
    pub(super) fn register(&self, name: &str) -> Result<Position> {
        let _writing = self.positions.lock();
        let mut state = self.state.lock();
        if let Some(known) = state.readers.get(name) {
            return Ok(known.clone());
        }
        let log = &state.log;
        let open = log.files.iter().filter(|(_, file)| file.open);
        let files = open.map(|(key, file)| (*key, file.bytes)).collect();
        let position = Position { next: log.next_sequence, files };
        position
            .save(self.fs.as_ref(), &self.dir, name, true)
            .map_err(|e| Error::unavailable(format!("cannot write the position of reader {name}: {e}")))?;
        state.readers.insert(name.to_owned(), position.clone());
        Ok(position)
    }

    /// Notes how far a reader is done, and lets go what it was the last to want. Of one that is forgotten nothing is noted: its file would
    /// make the next start hold the log for it.
    pub(super) fn done(&self, name: &str, position: &Position, durable: bool) -> Result<()> {
        let writing = self.positions.lock();
        if !self.state.lock().readers.contains_key(name) {
            return Ok(());
        }
        position
            .save(self.fs.as_ref(), &self.dir, name, durable)
            .map_err(|e| Error::unavailable(format!("cannot write the position of reader {name}: {e}")))?;
        self.state.lock().readers.insert(name.to_owned(), position.clone());
        drop(writing);
        self.sweep();
        Ok(())
    }

    /// Names of the readers.
    pub(super) fn readers(&self) -> Vec<String> {
        self.state.lock().readers.keys().cloned().collect()
    }

    /// Forgets a reader and lets go what it wanted.
    pub(super) fn forget(&self, name: &str) -> Result<()> {
        let writing = self.positions.lock();
        self.state.lock().readers.remove(name);
        let removed = self.fs.remove(&self.dir.join(filenames::reader_file(name)));
        drop(writing);
        self.sweep();
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::unavailable(format!("cannot remove the position of reader {name}: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// The lowest number of a file that a reader wants something of, or the next one that there will be; `None` without readers.
    pub(super) fn lowest_read(&self) -> Option<u64> {
        let state = self.state.lock();
        let State { log, readers, .. } = &*state;
        if readers.is_empty() {
            return None;
        }
        // Files that were dropped count no more, although who lags behind has not noticed.
        let wanted = log.files.iter().filter(|(key, file)| readers.values().any(|r| wants(r, **key, file)));
        Some(wanted.map(|((_, sequence), _)| *sequence).min().unwrap_or(log.next_sequence))
    }

    /// Bytes that lie behind a position.
    pub(super) fn bytes_behind(&self, position: &Position) -> u64 {
        let state = self.state.lock();
        let behind = state.log.files.iter().filter(|((e, s), _)| position.needs(*e, *s));
        behind.map(|(key, f)| f.bytes.saturating_sub(position.files.get(key).copied().unwrap_or(0))).sum()
    }
}

/// Whether a reader has not read all of a file, or there may be more.
fn wants(reader: &Position, key: (i64, u64), file: &LogFile) -> bool {
    reader.needs(key.0, key.1) && (file.open || reader.files.get(&key).is_none_or(|done| *done < file.bytes))
}
