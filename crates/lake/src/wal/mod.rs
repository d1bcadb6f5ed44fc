//! The write-ahead log of one table.
//!
//! The log is divided into epochs: an epoch is a span of the table's data that is sealed as one, named by its exclusive end,
//! a number that grows. Each epoch has its own files, so that once the Delta log says that an epoch is sealed its
//! files go as a whole, and nothing has to be copied forward. What a record says is the client's affair.
//!
//! Owns framing, group commit, replay and repair. Does not know tables, samples or the Delta log.

mod examine;
mod files;
pub(crate) mod frame;
mod position;
mod reader;
mod repair;
mod replay;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use base::{Clock, Error, Result};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub(crate) use examine::examine;
pub use files::HeldLimits;
pub use position::{Mark, Position};
pub use reader::{Found, LogReader, Look, ReaderHandle};
pub use replay::{Origin, ReplayFrom, ReplayReport, replay};

use files::Files;

use crate::fs::Fs;
use crate::limits::{QUEUE_KIB, QUEUE_RECORDS};
use crate::reserve::Reserve;

/// The state that a log protects. All methods run on the log's own thread, one at a time, in the order of appends.
pub trait WalClient: Send + 'static {
    /// What is appended.
    type Item: Send;
    /// What the appender learns.
    type Outcome: Send;

    /// Decides what of an item is to be logged and writes it. Earlier items of the same group are encoded, not yet applied.
    fn encode(&mut self, item: &mut Self::Item, group: &mut Group);

    /// Makes an item visible: what it encoded is durable.
    fn apply(&mut self, item: Self::Item) -> Self::Outcome;

    /// Notes that the files so far are finished: the next frames go to new ones, which know nothing of what those said.
    fn rotated(&mut self) {}

    /// Takes back what `encode` noted for these items: they are not durable and their appenders get an error.
    /// Nothing may be assumed to be in the log's files that this group was the first to say.
    fn abandon(&mut self, items: &mut [Self::Item]);
}

/// The frames of one group commit.
#[derive(Default)]
pub struct Group {
    epochs: Vec<(i64, Vec<u8>)>,
}

impl Group {
    /// Adds a frame to an epoch. The payload that `write` appends has 1 to [`crate::limits::MAX_FRAME_BYTES`] bytes.
    pub fn frame(&mut self, epoch: i64, write: impl FnOnce(&mut Vec<u8>)) {
        let at = match self.epochs.iter().position(|(e, _)| *e == epoch) {
            Some(at) => at,
            None => {
                self.epochs.push((epoch, Vec::new()));
                self.epochs.len() - 1
            }
        };
        frame::put_frame(&mut self.epochs[at].1, write);
    }

    fn bytes(&self) -> usize {
        self.epochs.iter().map(|(_, b)| b.len()).sum()
    }
}

/// What the log counts. The caller names and registers them.
#[derive(Debug, Clone)]
pub struct WalMetrics {
    /// Seconds that fsyncs took.
    pub fsync_seconds: prometheus::Histogram,
    /// Bytes made durable.
    pub written_bytes: prometheus::IntCounter,
    /// Groups that could not be made durable.
    pub failures: prometheus::IntCounter,
    /// Bytes of files that only readers need.
    pub held_bytes: prometheus::IntGauge,
    /// Bytes of files that were dropped although a reader had not read them to their end.
    pub dropped_unread_bytes: prometheus::IntCounter,
    /// Files that have to be repaired before anything can be appended: above zero for long, the disk cannot be written.
    pub files_to_repair: prometheus::IntGauge,
}

/// Where a log lies and what it uses.
pub struct WalOptions {
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The folder of this log.
    pub dir: PathBuf,
    /// Measures fsyncs.
    pub clock: Arc<dyn Clock>,
    /// What it counts.
    pub metrics: WalMetrics,
    /// Says whether the disk has space for appends.
    pub reserve: Arc<Reserve>,
}

/// The writing end of a log. Its thread ends with [`Wal::close`], or when it is dropped.
pub struct Wal<C: WalClient> {
    /// Always there until the log is dropped.
    queue: Option<mpsc::Sender<Message<C>>>,
    budget: Arc<Semaphore>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    files: Arc<Files>,
}

enum Message<C: WalClient> {
    Append(Record<C>),
    Barrier(oneshot::Sender<()>),
    DeleteUpTo(i64, oneshot::Sender<Result<()>>),
    Rotate(oneshot::Sender<u64>),
    DeleteBefore(u64, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<()>),
}

struct Record<C: WalClient> {
    item: C::Item,
    done: oneshot::Sender<Result<C::Outcome>>,
    _budget: tokio::sync::OwnedSemaphorePermit,
}

impl<C: WalClient> Wal<C> {
    /// Starts the log's thread behind a replay of the same folder.
    pub fn start(options: WalOptions, replayed: &ReplayReport, client: C) -> Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE_RECORDS);
        let name = options.dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let files = Arc::new(Files::new(&options, replayed));
        let writer = writer::Writer::new(options, replayed, client, files.clone());
        let thread = std::thread::Builder::new()
            .name(format!("wal-{name}"))
            .spawn(move || writer.run(messages))
            .map_err(|e| Error::unavailable(format!("cannot start the thread of WAL {name}: {e}")))?;
        Ok(Self {
            queue: Some(queue),
            budget: Arc::new(Semaphore::new(QUEUE_KIB)),
            thread: Mutex::new(Some(thread)),
            files,
        })
    }

    /// Appends an item of about `bytes` bytes; resolves once it is durable and applied. After an error it is neither.
    /// Waits while the queue is full. An append whose future is dropped may still happen.
    pub async fn append(&self, item: C::Item, bytes: usize) -> Result<C::Outcome> {
        let kib = u32::try_from((bytes >> 10).clamp(1, QUEUE_KIB)).expect("clamped");
        let budget = self.budget.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
        let (done, outcome) = oneshot::channel();
        self.send(Message::Append(Record { item, done, _budget: budget })).await?;
        outcome.await.map_err(|_| closed())?
    }

    /// Resolves once everything appended before is applied or refused.
    pub async fn barrier(&self) -> Result<()> {
        let (done, passed) = oneshot::channel();
        self.send(Message::Barrier(done)).await?;
        passed.await.map_err(|_| closed())
    }

    /// Deletes the files of epochs up to and including `epoch`, which the Delta log says are sealed.
    pub async fn delete_up_to(&self, epoch: i64) -> Result<()> {
        let (done, deleted) = oneshot::channel();
        self.send(Message::DeleteUpTo(epoch, done)).await?;
        deleted.await.map_err(|_| closed())?
    }

    /// Finishes the files so far. Resolves to the number that the next file has at least: what was appended before is applied
    /// and in files of lower numbers, what is appended after is in others.
    pub async fn rotate(&self) -> Result<u64> {
        let (done, rotated) = oneshot::channel();
        self.send(Message::Rotate(done)).await?;
        let sequence = rotated.await.map_err(|_| closed())?;
        Ok(sequence)
    }

    /// Deletes the files of lower numbers, of whatever epoch: a checkpoint has what they say.
    pub async fn delete_before(&self, sequence: u64) -> Result<()> {
        let (done, deleted) = oneshot::channel();
        self.send(Message::DeleteBefore(sequence, done)).await?;
        deleted.await.map_err(|_| closed())?
    }

    /// Bytes in files that a replay would read: the measure of how long it would take.
    pub fn live_bytes(&self) -> u64 {
        self.files.live_bytes()
    }

    /// A reader of what is appended. One that is new begins with what comes from now on, one that is known where it said that it was
    /// done; until it is forgotten, files that it has not read are held. There is to be one reader of a name at a time.
    pub fn reader(&self, name: &str) -> Result<LogReader> {
        LogReader::open(self.files.clone(), name)
    }

    /// Names of the readers that are known.
    pub fn readers(&self) -> Vec<String> {
        self.files.readers()
    }

    /// Forgets a reader: nothing is held for it any more.
    pub fn forget_reader(&self, name: &str) -> Result<()> {
        self.files.forget(name)
    }

    /// The lowest number of a file that a reader wants something of, or the next one that there will be; `None` without readers.
    pub fn lowest_read(&self) -> Option<u64> {
        self.files.lowest_read()
    }

    /// Bounds what is held for readers.
    pub fn limit_held(&self, limits: HeldLimits) {
        self.files.set_limits(limits);
    }

    /// Drops what is held beyond its limits: to be called from time to time.
    pub fn sweep_held(&self) {
        self.files.sweep();
    }

    /// Finishes what is queued and ends the thread. Later appends are refused.
    pub async fn close(&self) -> Result<()> {
        let (done, closed_now) = oneshot::channel();
        if self.send(Message::Close(done)).await.is_ok() {
            // An error means that the thread ended before, which is what was asked for.
            closed_now.await.ok();
        }
        self.join()
    }

    fn join(&self) -> Result<()> {
        match self.thread.lock().take().map(std::thread::JoinHandle::join) {
            Some(Err(_)) => Err(Error::internal("cannot close WAL: its thread panicked")),
            _ => Ok(()),
        }
    }

    async fn send(&self, message: Message<C>) -> Result<()> {
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(message).await.map_err(|_| closed())
    }
}

/// Waits for what is queued: nobody may open the folder while this log still writes to it.
impl<C: WalClient> Drop for Wal<C> {
    fn drop(&mut self) {
        self.queue = None;
        if let Err(error) = self.join() {
            tracing::error!("{error}");
        }
    }
}

fn closed() -> Error {
    Error::unavailable("cannot append to WAL: it is closed")
}
