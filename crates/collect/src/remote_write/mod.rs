//! Remote write: what the store takes is sent on to other servers.
//!
//! Owns the queues: a reader of the log per endpoint, shards that send at the same time, repetition, and what to do when the configuration
//! changes. A queue keeps nothing of its own: what was not sent is still in the log, and the log is told how far all is done, so that a
//! queue goes on there after a restart. Does not own the log, which it reads through [`Feed`], nor the network, which it uses
//! through [`Post`].

mod acks;
mod batch;
mod config;
mod exemplars;
mod manager;
mod metadata;
mod metrics;
mod queue;
mod rate;
mod readers;
mod response;
mod shard;
mod sharding;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use base::{Histogram, Labels, Metadata, Result, SeriesExemplar};

use crate::post::{Post, PostRequest, PostResponse};
pub use config::{MetadataConfig, QueueConfig, RemoteWriteConfig, WriteMessage};
pub use manager::{EndpointView, RemoteWrite, RemoteWriteOptions};

/// Where samples come from.
pub trait Feed: Send + Sync {
    /// Opens the log for a reader that has a name, of lower-case letters, digits and `-`. One that is new begins with what is
    /// appended from now on, one that is known behind what it said was done. Exemplars are given if they are asked for.
    fn open(&self, reader: &str, exemplars: bool) -> Result<OpenLog>;

    /// The readers that are known.
    fn readers(&self) -> Vec<String>;

    /// Forgets a reader: nothing is kept for it any more.
    fn forget(&self, reader: &str) -> Result<()>;

    /// What the store has taken so far.
    fn appended(&self) -> Appended;

    /// What is known of metrics, by name.
    fn metadata(&self) -> Vec<(Arc<str>, Metadata)>;
}

/// What a store has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are floats, since the process started.
    pub samples: u64,
    /// Samples that are histograms.
    pub histograms: u64,
    /// The newest time of all, in milliseconds since 1970; zero if there is none.
    pub highest_ms: i64,
}

/// An opened log.
pub struct OpenLog {
    /// The log itself.
    pub log: Box<dyn SampleLog>,
    /// What can be done while it is read.
    pub progress: Arc<dyn LogProgress>,
}

/// The samples of a store, in the order of each series.
pub trait SampleLog: Send {
    /// Adds what was appended, as much as is worth reading at once. May block. Records are numbered from zero on in the order in which
    /// they are given.
    fn read(&mut self, out: &mut LogBatch) -> Result<LogLook>;
}

/// What can be done while a log is read.
#[async_trait]
pub trait LogProgress: Send + Sync {
    /// Resolves once there is more to read than at the last read.
    async fn changed(&self);

    /// Notes that records up to and including this number are done. May block. Without `durable` a power failure may take it back.
    fn done(&self, record: u64, durable: bool) -> Result<()>;

    /// Bytes of the log that are not done.
    fn bytes_behind(&self) -> u64;
}

/// What was read of a log. What comes first in the list of fields came first.
#[derive(Debug, Default)]
pub struct LogBatch {
    /// Numbers of series that have lost their meaning.
    pub forgotten: Vec<u32>,
    /// What numbers of series mean.
    pub series: Vec<(u32, Labels)>,
    /// Samples.
    pub samples: Vec<LogSample>,
    /// Exemplars, with the labels of their series.
    pub exemplars: Vec<SeriesExemplar>,
    /// Records that they came in.
    pub records: Vec<LogRecord>,
}

impl LogBatch {
    fn clear(&mut self) {
        self.forgotten.clear();
        self.series.clear();
        self.samples.clear();
        self.exemplars.clear();
        self.records.clear();
    }
}

/// A sample of a log.
#[derive(Debug, Clone)]
pub struct LogSample {
    /// The number of its series.
    pub series: u32,
    /// When, in milliseconds since 1970.
    pub t_ms: i64,
    /// When its counting began, 0 if that is unknown.
    pub start_ms: i64,
    /// Its value.
    pub value: LogValue,
}

/// The value of a sample.
#[derive(Debug, Clone)]
pub enum LogValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

/// A record of a log: its samples are done together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord {
    /// How many samples of the batch there are up to its end.
    pub end: usize,
    /// Likewise for exemplars.
    pub exemplars_end: usize,
    /// An earlier reader of the name may have sent its samples already.
    pub again: bool,
}

/// What a look at a log gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogLook {
    /// There is more to read at once.
    pub more: bool,
    /// Files of the log that were dropped before they were read to their end.
    pub lost_files: usize,
    /// Samples whose labels were lost.
    pub orphans: u64,
}
