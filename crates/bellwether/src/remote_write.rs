//! The store's log as remote write reads it, and what scraping knows of metrics.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Histogram, Labels, Metadata, Result};
use collect::http::HttpTransport;
use collect::remote_write::{
    Appended, Feed, LogBatch, LogLook, LogProgress, LogRecord, LogSample, LogValue, OpenLog, RemoteWrite,
    RemoteWriteOptions, SampleLog,
};
use collect::scrape::ScrapeManager;
use lake::{Mark, Position, ReaderHandle};
use parking_lot::Mutex;
use prometheus::Registry;
use tsdb::limits::TAIL_READ_BYTES;
use tsdb::tail::{SampleTail, TailSink};
use tsdb::{ExemplarStore, ExemplarTail, MetricStore};

/// Begins the names of the log's readers that are remote write's.
const READER_PREFIX: &str = "remote-write-";

/// What remote write reads.
pub(crate) struct StoreFeed {
    store: Arc<MetricStore>,
    exemplars: Arc<ExemplarStore>,
    manager: Arc<ScrapeManager>,
}

impl StoreFeed {
    pub(crate) fn new(
        store: &Arc<MetricStore>,
        exemplars: &Arc<ExemplarStore>,
        manager: &Arc<ScrapeManager>,
    ) -> Self {
        Self { store: store.clone(), exemplars: exemplars.clone(), manager: manager.clone() }
    }

    /// Remote write that reads here, without endpoints yet.
    pub(crate) fn remote_write(
        self,
        network: Arc<HttpTransport>,
        clock: &Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Arc<RemoteWrite>> {
        RemoteWrite::new(RemoteWriteOptions {
            feed: Arc::new(self),
            post: network,
            clock: clock.clone(),
            registry: registry.clone(),
        })
        .map(Arc::new)
    }
}

impl Feed for StoreFeed {
    fn open(&self, reader: &str, exemplars: bool) -> Result<OpenLog> {
        let tail = self.store.tail(reader)?;
        let exemplars = match exemplars {
            true => Some(self.exemplars.tail(reader)?),
            false => None,
        };
        if exemplars.is_none() {
            self.exemplars.forget_tail(reader)?;
        }
        let logs = [Some(tail.handle()), exemplars.as_ref().map(ExemplarTail::handle)];
        let positions = [Some(tail.position().clone()), exemplars.as_ref().map(|e| e.position().clone())];
        let marks = Arc::new(Mutex::new(Marks { positions, pending: VecDeque::new(), first: 0 }));
        let progress =
            Arc::new(Progress { waiting: tokio::sync::Mutex::new(logs.clone()), logs, marks: marks.clone() });
        Ok(OpenLog { log: Box::new(StoreLog { tail, exemplars, marks }), progress })
    }

    fn readers(&self) -> Vec<String> {
        let all = self.store.tails().into_iter().chain(self.exemplars.tails());
        let mut ours: Vec<String> = all.filter(|name| name.starts_with(READER_PREFIX)).collect();
        ours.sort_unstable();
        ours.dedup();
        ours
    }

    fn forget(&self, reader: &str) -> Result<()> {
        self.store.forget_tail(reader).and(self.exemplars.forget_tail(reader))
    }

    fn appended(&self) -> Appended {
        let (samples, histograms, highest_ms) = self.store.appended();
        Appended { samples, histograms, highest_ms }
    }

    fn metadata(&self) -> Vec<(Arc<str>, Metadata)> {
        self.manager.metadata().into_iter().map(|m| (m.metric, m.metadata)).collect()
    }
}

/// The two logs that are read, as positions in arrays.
const SAMPLES: usize = 0;
const EXEMPLARS: usize = 1;

/// What the records mean that were given out, until they are done.
struct Marks {
    /// Where the logs are done, of those that are read.
    positions: [Option<Position>; 2],
    /// Records that are not, in order, each of one of the logs.
    pending: VecDeque<(usize, Mark)>,
    /// The number of the first of these.
    first: u64,
}

struct StoreLog {
    tail: SampleTail,
    exemplars: Option<ExemplarTail>,
    marks: Arc<Mutex<Marks>>,
}

impl SampleLog for StoreLog {
    fn read(&mut self, out: &mut LogBatch) -> Result<LogLook> {
        let mut sink = Sink { out, marks: Vec::new() };
        // Samples first: receivers take exemplars of series that they know.
        let look = self.tail.read(TAIL_READ_BYTES, &mut sink);
        let exemplars = self.exemplars.as_mut().map(|tail| {
            tail.read(TAIL_READ_BYTES, &mut |exemplars, mark, again| {
                sink.out.exemplars.extend(exemplars);
                sink.end_record(EXEMPLARS, mark, again);
            })
        });
        // Also after an error: those records were given out.
        self.marks.lock().pending.extend(sink.marks);
        let (look, exemplars) = (look?, exemplars.transpose()?.unwrap_or_default());
        Ok(LogLook {
            more: look.more || exemplars.more,
            lost_files: look.lost_files + exemplars.lost,
            orphans: look.orphans,
        })
    }
}

struct Sink<'a> {
    out: &'a mut LogBatch,
    marks: Vec<(usize, Mark)>,
}

impl Sink<'_> {
    fn end_record(&mut self, log: usize, mark: Mark, again: bool) {
        let (end, exemplars_end) = (self.out.samples.len(), self.out.exemplars.len());
        self.out.records.push(LogRecord { end, exemplars_end, again });
        self.marks.push((log, mark));
    }
}

impl TailSink for Sink<'_> {
    fn series(&mut self, series: u32, labels: Labels) {
        self.out.series.push((series, labels));
    }

    fn forget(&mut self, series: u32) {
        self.out.forgotten.push(series);
    }

    fn float(&mut self, series: u32, t_ms: i64, value: f64, start_ms: i64) {
        self.out.samples.push(LogSample { series, t_ms, start_ms, value: LogValue::Float(value) });
    }

    fn histogram(&mut self, series: u32, t_ms: i64, histogram: &Histogram, start_ms: i64) {
        let value = LogValue::Histogram(Box::new(histogram.clone()));
        self.out.samples.push(LogSample { series, t_ms, start_ms, value });
    }

    fn record(&mut self, mark: Mark, again: bool) {
        self.end_record(SAMPLES, mark, again);
    }
}

struct Progress {
    logs: [Option<ReaderHandle>; 2],
    /// The same for the one who waits.
    waiting: tokio::sync::Mutex<[Option<ReaderHandle>; 2]>,
    marks: Arc<Mutex<Marks>>,
}

#[async_trait]
impl LogProgress for Progress {
    async fn changed(&self) {
        let mut waiting = self.waiting.lock().await;
        let [samples, exemplars] = &mut *waiting;
        tokio::select! {
            () = changed(samples) => {}
            () = changed(exemplars) => {}
        }
    }

    fn done(&self, record: u64, durable: bool) -> Result<()> {
        let mut marks = self.marks.lock();
        let marks = &mut *marks;
        let mut moved = [durable; 2];
        while marks.first <= record {
            let Some((log, mark)) = marks.pending.pop_front() else { break };
            if let Some(position) = &mut marks.positions[log] {
                position.advance(&mark);
            }
            moved[log] = true;
            marks.first += 1;
        }
        // Held meanwhile, so that an older position does not overwrite a newer one.
        let mut result = Ok(());
        for ((log, position), _) in
            self.logs.iter().zip(&marks.positions).zip(moved).filter(|(_, moved)| *moved)
        {
            if let (Some(log), Some(position)) = (log, position) {
                result = result.and(log.done(position, durable));
            }
        }
        result
    }

    fn bytes_behind(&self) -> u64 {
        let marks = self.marks.lock();
        let both = self.logs.iter().flatten().zip(marks.positions.iter().flatten());
        both.map(|(log, position)| log.bytes_behind(position)).sum()
    }
}

async fn changed(log: &mut Option<ReaderHandle>) {
    match log {
        Some(log) => log.changed().await,
        None => std::future::pending().await,
    }
}
