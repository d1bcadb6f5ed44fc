//! Reading a log while it is written: each record once, in an order that keeps those of one epoch in theirs.
//!
//! Epochs have files of their own, so there is no one order of bytes. A reader takes what is durable at a moment and reads
//! it by epoch; what was written later comes later. A client whose records go to a later epoch for good once one of them
//! did (a series, for metrics) so gets them in the order of appends.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use base::{Error, Result};
use tokio::sync::watch;

use super::Origin;
use super::files::{Files, Snapshot};
use super::frame::{At, FrameReader};
use super::position::{Mark, Position};
use crate::filenames;

/// A record that a reader found.
#[derive(Debug)]
pub struct Found<'a> {
    /// Where it lies.
    pub origin: Origin,
    /// What it says.
    pub payload: &'a [u8],
    /// It was done before: it is only there for what later records of its file refer to.
    pub known: bool,
    /// It was there when the reader was opened, so an earlier reader of the name may have passed it on.
    pub again: bool,
    /// What is done once the record is.
    pub mark: Mark,
}

/// What a look at a log gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// There was more than was asked for.
    pub more: bool,
    /// Files that were dropped before they were read to their end.
    pub lost: usize,
    /// Files that no record will come from any more.
    pub finished: Vec<Origin>,
    /// Damaged places that were passed over.
    pub damaged: usize,
}

/// Reads a log for somebody who has a name, under which it is remembered how far it got.
pub struct LogReader {
    files: Arc<Files>,
    name: String,
    /// What was read.
    position: Position,
    /// What was there when the reader was opened.
    opened_with: Snapshot,
    /// What was there at the last look.
    looked_at: Snapshot,
    readers: BTreeMap<(i64, u64), FrameReader>,
    changed: watch::Receiver<()>,
    /// What happened since the last record, to be noted with the next one.
    pending: Mark,
    /// What a look that ended with an error did not tell; the next one does.
    untold: Look,
}

impl LogReader {
    pub(super) fn open(files: Arc<Files>, name: &str) -> Result<Self> {
        let changed = files.subscribe();
        let opened_with = files.snapshot();
        let position = files.register(name)?;
        let looked_at = opened_with.clone();
        Ok(Self {
            files,
            name: name.to_owned(),
            position,
            opened_with,
            looked_at,
            readers: BTreeMap::new(),
            changed,
            pending: Mark::default(),
            untold: Look::default(),
        })
    }

    /// How far was read.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Tells when there may be more, and notes how far its reader got: what does not need the reader itself.
    pub fn handle(&self) -> ReaderHandle {
        ReaderHandle { files: self.files.clone(), name: self.name.clone(), changed: self.changed.clone() }
    }

    /// Hands over records of about `max_bytes`, more if one is larger. Blocks on files. A record that the sink has an error for is not read:
    /// the next call gives it again, behind what is known of its file, and tells what happened in this one.
    pub fn read(&mut self, max_bytes: usize, sink: &mut dyn FnMut(Found<'_>) -> Result<()>) -> Result<Look> {
        let mut look = std::mem::take(&mut self.untold);
        match self.look(max_bytes, &mut look, sink) {
            Ok(more) => Ok(Look { more, ..look }),
            Err(e) => {
                self.untold = look;
                Err(e)
            }
        }
    }

    /// Reads; tells whether there is more than was asked for.
    fn look(
        &mut self,
        max_bytes: usize,
        look: &mut Look,
        sink: &mut dyn FnMut(Found<'_>) -> Result<()>,
    ) -> Result<bool> {
        self.changed.mark_unchanged();
        let log = self.files.snapshot();
        self.meet(&log, look);
        self.looked_at = log.clone();
        let mut budget = max_bytes;
        let keys: Vec<(i64, u64)> = self.position.files.keys().copied().collect();
        for key in keys {
            let Some(file) = log.files.get(&key) else { continue };
            let end = file.bytes;
            let read = self.read_file(key, (end, file.open), &mut budget, look, sink);
            match read {
                Ok(()) => {}
                Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::NotFound => {
                    // Dropped between the look at the list and the look at the file.
                    look.lost += 1;
                    self.finish(key, look);
                    continue;
                }
                Err(ReadError::Io(e)) => {
                    let name = filenames::wal_file(key.0, key.1);
                    return Err(Error::unavailable(format!("cannot read WAL file {name}: {e}")));
                }
                Err(ReadError::Sink(e)) => return Err(e),
            }
            let at = self.position.files.get(&key).copied().unwrap_or(0);
            if at < end {
                return Ok(true);
            }
            if !file.open {
                self.finish(key, look);
            }
        }
        Ok(false)
    }

    /// Takes new files into the position, and those out that are gone.
    fn meet(&mut self, log: &Snapshot, look: &mut Look) {
        if log.next_sequence > self.position.next {
            let met = log.files.keys().filter(|(_, sequence)| *sequence >= self.position.next);
            let begun: Vec<(i64, u64)> = met.copied().collect();
            self.position.files.extend(begun.iter().map(|key| (*key, 0)));
            self.position.next = log.next_sequence;
            self.pending.next = log.next_sequence;
            self.pending.begun.extend(begun);
        }
        let gone: Vec<(i64, u64)> =
            self.position.files.keys().filter(|key| !log.files.contains_key(key)).copied().collect();
        for key in gone {
            // One that was read to its end may go at once.
            let bytes = self.looked_at.files.get(&key).map_or(u64::MAX, |file| file.bytes);
            look.lost += usize::from(self.position.files.get(&key).is_none_or(|done| *done < bytes));
            self.finish(key, look);
        }
    }

    fn finish(&mut self, key: (i64, u64), look: &mut Look) {
        self.position.files.remove(&key);
        self.readers.remove(&key);
        self.pending.finished.push(key);
        look.finished.push(Origin { epoch: key.0, file: key.1 });
    }

    fn read_file(
        &mut self,
        key: (i64, u64),
        (end, open): (u64, bool),
        budget: &mut usize,
        look: &mut Look,
        sink: &mut dyn FnMut(Found<'_>) -> Result<()>,
    ) -> std::result::Result<(), ReadError> {
        let origin = Origin { epoch: key.0, file: key.1 };
        let done = self.position.files.get(&key).copied().unwrap_or(0);
        let opened_bytes = self.opened_with.files.get(&key).map_or(0, |f| f.bytes);
        let path = self.files.dir.join(filenames::wal_file(key.0, key.1));
        let reader = match self.readers.entry(key) {
            std::collections::btree_map::Entry::Occupied(reader) => reader.into_mut(),
            std::collections::btree_map::Entry::Vacant(none) => {
                if done >= end && !open {
                    // Done by an earlier reader, and nothing comes: nobody needs what it says of names.
                    return Ok(());
                }
                let mut reader = FrameReader::new(self.files.fs.clone(), &path);
                if reader.header()? != At::Frame {
                    // The header is durable with the first frame: there is none.
                    look.damaged += usize::from(end > 0);
                    self.position.files.insert(key, end);
                    return Ok(());
                }
                none.insert(reader)
            }
        };
        while reader.offset < end {
            let before = reader.offset;
            let known = before < done;
            if !known && *budget == 0 {
                break;
            }
            match reader.next()? {
                At::Frame => {
                    let mut mark = Mark::default();
                    if !known {
                        *budget = budget.saturating_sub(reader.payload().len());
                        mark.clone_from(&self.pending);
                        mark.offset = Some((key, reader.offset));
                    }
                    let (again, offset) = (before < opened_bytes, reader.offset);
                    let found = Found { origin, payload: reader.payload(), known, again, mark };
                    if let Err(e) = sink(found) {
                        self.readers.remove(&key);
                        return Err(ReadError::Sink(e));
                    }
                    if !known {
                        self.pending = Mark::default();
                        self.position.files.insert(key, offset);
                    }
                }
                At::End => break,
                At::Bad => {
                    look.damaged += 1;
                    if !reader.resync()? || reader.offset > end {
                        reader.offset = end;
                    }
                }
            }
        }
        let at = self.position.files.entry(key).or_default();
        if reader.offset >= end || *budget > 0 {
            // Also where the file ends early: what is not there cannot be read.
            *at = end.max(*at);
            reader.release();
        }
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    Sink(Error),
}

impl From<io::Error> for ReadError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// What can be done for a [`LogReader`] while it reads.
#[derive(Clone)]
pub struct ReaderHandle {
    files: Arc<Files>,
    name: String,
    changed: watch::Receiver<()>,
}

impl ReaderHandle {
    /// Resolves once something was appended since the last call, or at once if something was.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The log is closed, and nothing comes any more.
            std::future::pending::<()>().await;
        }
    }

    /// Notes how far everything is done, which a later reader of the name begins with. Files that nobody wants any more
    /// go. Without `durable` a power failure may take it back.
    pub fn done(&self, position: &Position, durable: bool) -> Result<()> {
        self.files.done(&self.name, position, durable)
    }

    /// Bytes that lie behind a position.
    pub fn bytes_behind(&self, position: &Position) -> u64 {
        self.files.bytes_behind(position)
    }
}
