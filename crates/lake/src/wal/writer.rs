//! Group commit: the one thread that writes a log's files.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use base::{Error, Result};
use tokio::sync::mpsc;

use super::files::Files;
use super::frame::FILE_HEADER;
use super::repair::Repair;
use super::{Group, Message, Record, ReplayReport, WalClient, WalOptions};
use crate::filenames;
use crate::fs::AppendFile;
use crate::limits::GROUP_BYTES;

pub(super) struct Writer<C: WalClient> {
    options: WalOptions,
    client: C,
    /// The file that an epoch's next frames go to.
    files: BTreeMap<i64, OpenFile>,
    next_sequence: u64,
    /// Files with bytes behind `durable` that were never acknowledged and have to go before anything is written.
    repairs: Vec<Repair>,
    /// What readers see.
    shared: Arc<Files>,
}

struct OpenFile {
    path: PathBuf,
    sequence: u64,
    handle: Box<dyn AppendFile>,
    /// Bytes that are durable.
    durable: u64,
}

impl<C: WalClient> Writer<C> {
    pub(super) fn new(options: WalOptions, replayed: &ReplayReport, client: C, shared: Arc<Files>) -> Self {
        let (next_sequence, repairs) = (replayed.next_sequence, replayed.repairs.clone());
        let this = Self { options, client, files: BTreeMap::new(), next_sequence, repairs, shared };
        this.note_repairs();
        this
    }

    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message<C>>) {
        let mut pending = None;
        while let Some(message) = pending.take().or_else(|| messages.blocking_recv()) {
            match message {
                Message::Append(first) => pending = self.commit_group(first, &mut messages),
                // An appender or sealer that went away needs no answer.
                Message::Barrier(done) => {
                    done.send(()).ok();
                }
                Message::DeleteUpTo(epoch, done) => drop(done.send(self.delete(|e, _| e <= epoch))),
                Message::Rotate(done) => {
                    self.files.clear();
                    self.shared.close(|_| true, self.next_sequence);
                    self.client.rotated();
                    done.send(self.next_sequence).ok();
                }
                Message::DeleteBefore(sequence, done) => {
                    drop(done.send(self.delete(|_, s| s < sequence)));
                }
                Message::Close(done) => {
                    done.send(()).ok();
                    return;
                }
            }
        }
    }

    /// Commits a record together with those that wait behind it. Returns the message that ended the group, if one did.
    fn commit_group(
        &mut self,
        first: Record<C>,
        messages: &mut mpsc::Receiver<Message<C>>,
    ) -> Option<Message<C>> {
        let mut group = Group::default();
        let (mut items, mut answers, mut next) = (Vec::new(), Vec::new(), Some(first));
        let mut left_over = None;
        while let Some(Record { mut item, done, _budget }) = next.take() {
            self.client.encode(&mut item, &mut group);
            items.push(item);
            answers.push((done, _budget));
            if group.bytes() >= GROUP_BYTES {
                break;
            }
            match messages.try_recv() {
                Ok(Message::Append(record)) => next = Some(record),
                Ok(other) => left_over = Some(other),
                Err(_) => {}
            }
        }
        match self.write(&group) {
            Ok(()) => {
                for (item, (done, _budget)) in items.into_iter().zip(answers) {
                    drop(done.send(Ok(self.client.apply(item))));
                }
            }
            Err(error) => {
                self.options.metrics.failures.inc();
                tracing::error!("{error}");
                self.client.abandon(&mut items);
                for (done, _budget) in answers {
                    drop(done.send(Err(error.clone())));
                }
            }
        }
        left_over
    }

    /// Makes a group durable, or leaves the log as if it had never been.
    fn write(&mut self, group: &Group) -> Result<()> {
        self.repair()?;
        if !group.epochs.is_empty() {
            self.options.reserve.admit()?;
        }
        let result = self.try_write(group);
        if result.is_err() {
            // After a failed write or fsync nothing is known of the bytes behind the durable ones, and a later fsync
            // of the same handle may claim success for pages that never reached the disk. So the handles are given up.
            for (epoch, _) in &group.epochs {
                if let Some(file) = self.files.remove(epoch) {
                    let given_up = (*epoch, file.sequence);
                    self.shared.close(|key| key == given_up, self.next_sequence);
                    self.repairs.push(Repair { path: file.path, durable: file.durable });
                }
            }
            // If this fails the next group tries again, and is refused as long as it fails.
            self.repair().ok();
            self.note_repairs();
        }
        result
    }

    fn try_write(&mut self, group: &Group) -> Result<()> {
        let mut created = false;
        for (epoch, bytes) in &group.epochs {
            if !self.files.contains_key(epoch) {
                self.create(*epoch)?;
                created = true;
            }
            let file = self.files.get_mut(epoch).expect("created above");
            file.handle.append(bytes).map_err(|e| failed(&self.options, "write", &file.path, &e))?;
        }
        for (epoch, bytes) in &group.epochs {
            let file = self.files.get_mut(epoch).expect("written above");
            let started = self.options.clock.monotonic();
            file.handle.sync().map_err(|e| failed(&self.options, "sync", &file.path, &e))?;
            let took = self.options.clock.monotonic().saturating_sub(started);
            self.options.metrics.fsync_seconds.observe(took.as_secs_f64());
            self.options.metrics.written_bytes.inc_by(bytes.len() as u64);
        }
        if created {
            self.options
                .fs
                .sync_dir(&self.options.dir)
                .map_err(|e| failed(&self.options, "sync folder of", &self.options.dir, &e))?;
        }
        for (epoch, bytes) in &group.epochs {
            let file = self.files.get_mut(epoch).expect("written above");
            file.durable = file.durable.max(FILE_HEADER.len() as u64) + bytes.len() as u64;
        }
        let grown = group.epochs.iter().map(|(epoch, _)| {
            let file = &self.files[epoch];
            ((*epoch, file.sequence), file.durable)
        });
        self.shared.grew(grown, self.next_sequence);
        Ok(())
    }

    fn create(&mut self, epoch: i64) -> Result<()> {
        let sequence = self.next_sequence;
        let path = self.options.dir.join(filenames::wal_file(epoch, sequence));
        self.next_sequence += 1;
        let opened = self.options.fs.open_append(&path).and_then(|mut handle| {
            handle.append(&FILE_HEADER)?;
            Ok(handle)
        });
        match opened {
            Ok(handle) => {
                self.files.insert(epoch, OpenFile { path, sequence, handle, durable: 0 });
                Ok(())
            }
            Err(e) => {
                let error = failed(&self.options, "create", &path, &e);
                self.repairs.push(Repair { path, durable: 0 });
                Err(error)
            }
        }
    }

    /// Cuts unacknowledged bytes off the files that have them.
    fn repair(&mut self) -> Result<()> {
        if self.repairs.is_empty() {
            return Ok(());
        }
        let (fs, dir) = (self.options.fs.as_ref(), &self.options.dir);
        for repair in &self.repairs {
            let done = repair.carry_out(fs);
            done.map_err(|e| failed(&self.options, "repair", &repair.path, &e))?;
        }
        fs.sync_dir(dir).map_err(|e| failed(&self.options, "sync folder of", dir, &e))?;
        self.repairs.clear();
        self.note_repairs();
        Ok(())
    }

    fn note_repairs(&self) {
        self.options.metrics.files_to_repair.set(i64::try_from(self.repairs.len()).unwrap_or(i64::MAX));
    }

    /// Deletes the files whose epoch and number `gone` names.
    fn delete(&mut self, gone: impl Fn(i64, u64) -> bool) -> Result<()> {
        self.files.retain(|epoch, file| !gone(*epoch, file.sequence));
        let is_gone = |name: &str| filenames::parse_wal_file(name).is_some_and(|(e, s)| gone(e, s));
        self.repairs.retain(|r| !r.path.file_name().is_some_and(|n| is_gone(&n.to_string_lossy())));
        self.shared.retire(&gone);
        let dir = &self.options.dir;
        let names = self.options.fs.list(dir).map_err(|e| cannot("list folder of", dir, &e))?;
        let is_held =
            |name: &str| filenames::parse_wal_file(name).is_some_and(|(e, s)| self.shared.is_held(e, s));
        for name in names.iter().filter(|n| is_gone(n) && !is_held(n)) {
            let path = dir.join(name);
            match self.options.fs.remove(&path) {
                // A reader that got to its end may have been faster.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|e| cannot("remove", &path, &e))?,
            }
        }
        self.options.fs.sync_dir(dir).map_err(|e| cannot("sync folder of", dir, &e))
    }
}

/// The error of a write, of which the reserve learns: a full disk is its affair.
fn failed(options: &WalOptions, verb: &str, path: &std::path::Path, cause: &io::Error) -> Error {
    options.reserve.note(cause);
    cannot(verb, path, cause)
}

fn cannot(verb: &str, path: &std::path::Path, cause: &io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} WAL file {}: {cause}", path.display()))
}
