//! The queue of one endpoint: reads the log, relabels, and gives samples to shards.
//!
//! A series goes to one shard, so its samples stay in order. When the number of shards changes, all that was given to the old ones is
//! sent first.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use base::{Error, Labels, Result, SeriesExemplar};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::batch::{Counts, Item, ItemValue};
use super::config::WriteMessage;
use super::metrics::reason;
use super::rate::Rate;
use super::shard::{self, Shared, Stop, hard};
use super::sharding::{Seen, desired};
use super::{Feed, LogBatch, LogProgress, LogSample, LogValue, OpenLog, SampleLog};
use crate::limits::{
    REMOTE_WRITE_POSITION_SYNC, REMOTE_WRITE_READ_PAUSE, REMOTE_WRITE_RECORDS_UNDER_WAY,
    REMOTE_WRITE_RESTART_PAUSE,
};
use crate::relabel;

/// How often the number of shards is looked at.
pub(super) const SHARD_INTERVAL: Duration = Duration::from_secs(10);

/// A queue that runs.
pub(super) struct Queue {
    pub(super) shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    running: JoinHandle<()>,
    metadata: JoinHandle<()>,
}

/// What a queue begins with, and begins anew with if it fails.
struct Beginning {
    shared: Arc<Shared>,
    feed: Arc<dyn Feed>,
    /// Under which name the log knows it.
    name: String,
    external: Labels,
    stop: watch::Receiver<Stop>,
}

impl Queue {
    /// Starts a queue on an opened log, which knows it by this name.
    pub(super) fn start(
        shared: Shared,
        open: OpenLog,
        feed: &Arc<dyn Feed>,
        name: String,
        external: Labels,
    ) -> Self {
        let shared = Arc::new(shared);
        let (stop, stops) = watch::channel(Stop::No);
        let metadata = tokio::spawn(super::metadata::run(shared.clone(), feed.clone(), stops.clone()));
        let beginning = Beginning { shared: shared.clone(), feed: feed.clone(), name, external, stop: stops };
        let running = tokio::spawn(beginning.run(open));
        Self { shared, stop, running, metadata }
    }

    /// Sends what the log has by now, for at most so long, and ends. What was not sent by then is in the log.
    pub(super) async fn stop(mut self, deadline: Duration) {
        self.stop.send_replace(Stop::Soft);
        if tokio::time::timeout(deadline, &mut self.running).await.is_err() {
            self.stop.send_replace(Stop::Hard);
            log_panic((&mut self.running).await);
        }
        self.metadata.abort();
        self.shared.metrics.unregister();
        let pending = self.shared.metrics.pending.total();
        if pending > 0 {
            tracing::warn!(
                url = self.shared.config.url,
                pending,
                "remote write: stopped before all samples were sent, the log keeps them for the next start"
            );
        }
    }
}

impl Beginning {
    /// Runs until it is told to stop. What fails by a fault of this program begins anew where all was done.
    async fn run(mut self, mut open: OpenLog) {
        loop {
            let progress = open.progress.clone();
            let (resharded, reshard) = watch::channel(self.shared.config.queue.min_shards);
            let (keeper_stops, keeper_end) = oneshot::channel();
            let keeper = tokio::spawn(keep(self.shared.clone(), progress.clone(), keeper_end));
            let ticker =
                tokio::spawn(tick(self.shared.clone(), self.feed.clone(), progress.clone(), resharded));
            let failed = self.read(open, reshard).await;
            ticker.abort();
            drop(keeper_stops);
            log_panic(keeper.await);
            let last = *self.shared.done.borrow();
            if let Some(last) = last {
                note_done(&progress, last, true).await;
            }
            drop(progress);
            let Some(cause) = failed else { return };
            self.shared.failed(&cause);
            match self.open_again().await {
                Some(again) => open = again,
                None => return,
            }
        }
    }

    /// Reads the log and fills the shards until the queue ends. Returns why it ended if it should not have.
    async fn read(&self, open: OpenLog, reshard: watch::Receiver<usize>) -> Option<String> {
        let mut reader = Reader {
            shared: self.shared.clone(),
            external: self.external.clone(),
            log: Some(open.log),
            progress: open.progress,
            stop: self.stop.clone(),
            reshard,
            series: Vec::new(),
            shards: Shards::default(),
            again_left: again_samples(&self.shared.config.queue),
        };
        let ended = caught(reader.run()).await;
        // What the shards have is sent and noted, so that it is not read again.
        reader.shards.drain().await;
        let stops = *self.stop.borrow() > Stop::No;
        match ended {
            Ok(()) if stops => None,
            Ok(()) => Some("a shard ended".to_owned()),
            Err(panic) => Some(panic_text(&*panic)),
        }
    }

    /// Opens the log anew, after a pause and as often as it takes; `None` if the queue is to stop.
    async fn open_again(&mut self) -> Option<OpenLog> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(REMOTE_WRITE_RESTART_PAUSE) => {}
                _ = self.stop.wait_for(|stop| *stop > Stop::No) => return None,
            }
            let (feed, name, exemplars) =
                (self.feed.clone(), self.name.clone(), self.shared.config.send_exemplars);
            let opened = tokio::task::spawn_blocking(move || feed.open(&name, exemplars)).await;
            let error = match opened {
                Ok(Ok(open)) => {
                    self.shared.begin_anew();
                    return Some(open);
                }
                Ok(Err(e)) => e.to_string(),
                Err(e) => e.to_string(),
            };
            tracing::error!(url = self.shared.config.url, "remote write: cannot open the log again: {error}");
        }
    }
}

/// What a future gives, or why it panicked.
async fn caught<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_owned()
}

/// Samples that an earlier queue may have sent without noting it: all that it can have had under way.
fn again_samples(config: &super::QueueConfig) -> usize {
    let of_shard = config.capacity.saturating_add(config.max_samples_per_send.saturating_mul(2));
    config.max_shards.saturating_mul(of_shard)
}

fn log_panic(result: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(e) = result
        && e.is_panic()
    {
        tracing::error!("remote write: a task of a queue panicked: {e}");
    }
}

/// What a number of a series stands for.
enum Series {
    Unknown,
    /// Relabelling drops it.
    Dropped,
    /// It is sent with these labels.
    Kept(Labels),
}

/// Reads the log and fills the shards.
struct Reader {
    shared: Arc<Shared>,
    external: Labels,
    /// Always there but while it is read.
    log: Option<Box<dyn SampleLog>>,
    progress: Arc<dyn LogProgress>,
    stop: watch::Receiver<Stop>,
    reshard: watch::Receiver<usize>,
    series: Vec<Series>,
    shards: Shards,
    /// Samples that may yet be some that were sent before.
    again_left: usize,
}

impl Reader {
    async fn run(&mut self) {
        let wanted = *self.reshard.borrow_and_update();
        self.shards = Shards::start(&self.shared, wanted, &self.stop);
        let mut batch = LogBatch::default();
        loop {
            let (read, more) = self.read(batch).await;
            batch = read;
            if !self.pass_on(&mut batch).await {
                break;
            }
            // Where all that is read is dropped, no shard says that the queue is to end now.
            match *self.stop.borrow() {
                Stop::Hard => break,
                _ if more => continue,
                Stop::Soft => break,
                Stop::No => {}
            }
            tokio::select! {
                () = self.progress.changed() => {}
                _ = self.stop.wait_for(|stop| *stop > Stop::No) => {}
                _ = self.reshard.changed() => {}
                // Before what was read is sent: by a fault, for which all begins anew.
                () = self.shards.one_ended() => break,
            }
        }
    }

    /// Reads the log on a thread that may block. Returns whether there is more to be read at once.
    async fn read(&mut self, mut batch: LogBatch) -> (LogBatch, bool) {
        let mut log = self.log.take().expect("it is put back after each read");
        let reading = tokio::task::spawn_blocking(move || {
            batch.clear();
            let look = log.read(&mut batch);
            (log, batch, look)
        });
        let (log, batch, look) = match reading.await {
            Ok(read) => read,
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        };
        self.log = Some(log);
        match look {
            Ok(look) => {
                self.shared.metrics.log_lost_files.inc_by(look.lost_files as u64);
                if look.orphans > 0 {
                    let counts = Counts { samples: look.orphans, ..Counts::default() };
                    self.shared.metrics.dropped.add(reason::UNKNOWN_SERIES, counts);
                }
                (batch, look.more)
            }
            Err(error) => {
                tracing::error!(url = self.shared.config.url, "remote write: {error}");
                // What was read before the error counts; the rest is tried again.
                let mut stop = self.stop.clone();
                tokio::select! {
                    () = tokio::time::sleep(REMOTE_WRITE_READ_PAUSE) => {}
                    _ = stop.wait_for(|stop| *stop > Stop::No) => {}
                }
                let goes_on = *stop.borrow() == Stop::No;
                (batch, goes_on)
            }
        }
    }

    /// Gives what was read to the shards. `false` if the queue ends before that.
    async fn pass_on(&mut self, batch: &mut LogBatch) -> bool {
        for series in &batch.forgotten {
            self.series[*series as usize] = Series::Unknown;
        }
        for (series, labels) in batch.series.drain(..) {
            let at = series as usize;
            if self.series.len() <= at {
                self.series.resize_with(at + 1, || Series::Unknown);
            }
            self.series[at] = self.relabel(&labels);
        }
        let mut samples = std::mem::take(&mut batch.samples).into_iter();
        let mut exemplars = std::mem::take(&mut batch.exemplars).into_iter();
        let (mut before, mut exemplars_before) = (0, 0);
        for record in &batch.records {
            if !self.room_for_record().await {
                return false;
            }
            let of_record = samples.by_ref().take(record.end - before);
            let again = record.again && self.again_left > 0;
            self.again_left = self.again_left.saturating_sub(record.end - before);
            before = record.end;
            let mut items: Vec<Item> =
                of_record.filter_map(|sample| item(&self.shared, &self.series, sample, again)).collect();
            let exemplars = exemplars.by_ref().take(record.exemplars_end - exemplars_before);
            exemplars_before = record.exemplars_end;
            items.extend(exemplars.filter_map(|e| self.exemplar_item(e, again)));
            let number = {
                let mut acks = self.shared.acks.lock();
                let number = acks.begin(items.len());
                if let Some(record) = acks.advance() {
                    self.shared.done.send_replace(Some(record));
                }
                number
            };
            items.iter_mut().for_each(|item| item.record = number);
            if !self.change_shards().await || !self.enqueue(items).await {
                return false;
            }
        }
        true
    }

    /// Waits while very many records are under way. `false` if the queue ends: the log has what comes behind them.
    async fn room_for_record(&mut self) -> bool {
        let full = || self.shared.acks.lock().under_way() >= REMOTE_WRITE_RECORDS_UNDER_WAY;
        if !full() {
            return true;
        }
        self.shared.metrics.enqueue_retries.inc();
        let mut done = self.shared.done.subscribe();
        while full() {
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop > Stop::No) => return false,
                () = self.shards.one_ended() => return false,
                _ = done.changed() => {}
            }
        }
        true
    }

    /// External labels stand back behind those of a series; then come the rules.
    fn relabel(&self, labels: &Labels) -> Series {
        let rules = &self.shared.config.write_relabel_configs;
        if rules.is_empty() && self.external.is_empty() {
            return Series::Kept(labels.clone());
        }
        let mut builder = labels.to_builder();
        for (name, value) in &self.external {
            if builder.get(name).is_empty() {
                builder.set(name, value);
            }
        }
        if relabel::apply(rules, &mut builder) { Series::Kept(builder.build()) } else { Series::Dropped }
    }

    /// What becomes of an exemplar. Series have few of them, so their labels are not kept.
    fn exemplar_item(
        &self,
        SeriesExemplar { labels, exemplar }: SeriesExemplar,
        again: bool,
    ) -> Option<Item> {
        let counts = Counts { exemplars: 1, ..Counts::default() };
        if self.shared.is_too_old(exemplar.t_ms) {
            self.shared.metrics.dropped.add(reason::TOO_OLD, counts);
            return None;
        }
        let Series::Kept(labels) = self.relabel(&labels) else {
            self.shared.dropped.add(1);
            self.shared.metrics.dropped.add(reason::DROPPED_SERIES, counts);
            return None;
        };
        let t_ms = exemplar.t_ms;
        Some(Item {
            labels,
            t_ms,
            start_ms: 0,
            value: ItemValue::Exemplar(Box::new(exemplar)),
            record: 0,
            again,
        })
    }

    /// Changes the number of shards, if that was asked for. `false` if the queue ends meanwhile.
    async fn change_shards(&mut self) -> bool {
        let wanted = *self.reshard.borrow_and_update();
        if wanted == self.shards.senders.len() || *self.stop.borrow() > Stop::No {
            return true;
        }
        let drained = self.shards.drain().await;
        if drained {
            self.shards = Shards::start(&self.shared, wanted, &self.stop);
        }
        drained
    }

    /// Gives the samples of a record to the shards of their series; waits where one is full. `false` if the queue ends.
    async fn enqueue(&mut self, items: Vec<Item>) -> bool {
        let metrics = &self.shared.metrics;
        let counts = Counts::of(&items);
        metrics.pending.add(counts);
        if let Some(highest_ms) = items.iter().map(|item| item.t_ms).max() {
            metrics.highest.note_ms(highest_ms);
        }
        for item in items {
            let shard = &self.shards.senders[self.shards.of(&item.labels)];
            let item = match shard.try_send(item) {
                Ok(()) => continue,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(item)) => item,
            };
            metrics.enqueue_retries.inc();
            let sent = tokio::select! {
                biased;
                () = hard(&mut self.stop) => false,
                sent = shard.send(item) => sent.is_ok(),
            };
            if !sent {
                return false;
            }
        }
        true
    }
}

/// What becomes of a sample: something to send, or a count.
fn item(shared: &Shared, series: &[Series], sample: LogSample, again: bool) -> Option<Item> {
    let (value, counts) = match sample.value {
        LogValue::Float(value) => (ItemValue::Float(value), Counts { samples: 1, ..Counts::default() }),
        LogValue::Histogram(_) if !shared.config.send_native_histograms => return None,
        LogValue::Histogram(h) => {
            let counts = Counts { histograms: 1, ..Counts::default() };
            if shared.config.message == WriteMessage::V1 && h.has_custom_bounds() {
                shared.metrics.dropped.add(reason::CUSTOM_BUCKETS, counts);
                return None;
            }
            (ItemValue::Histogram(h), counts)
        }
    };
    if shared.is_too_old(sample.t_ms) {
        shared.metrics.dropped.add(reason::TOO_OLD, counts);
        return None;
    }
    match series.get(sample.series as usize).unwrap_or(&Series::Unknown) {
        Series::Kept(labels) => {
            let LogSample { t_ms, start_ms, .. } = sample;
            Some(Item { labels: labels.clone(), t_ms, start_ms, value, record: 0, again })
        }
        dropped => {
            shared.dropped.add(1);
            let known = matches!(dropped, Series::Dropped);
            let why = if known { reason::DROPPED_SERIES } else { reason::UNKNOWN_SERIES };
            shared.metrics.dropped.add(why, counts);
            None
        }
    }
}

/// The shards of a queue.
#[derive(Default)]
struct Shards {
    senders: Vec<mpsc::Sender<Item>>,
    tasks: Vec<JoinHandle<bool>>,
}

impl Shards {
    fn start(shared: &Arc<Shared>, count: usize, stop: &watch::Receiver<Stop>) -> Self {
        shared.metrics.shards.set(i64::try_from(count).unwrap_or(i64::MAX));
        let mut shards = Self::default();
        // More than a channel can have never wait.
        let capacity = shared.config.queue.capacity.min(Semaphore::MAX_PERMITS);
        for _ in 0..count {
            let (sender, items) = mpsc::channel(capacity);
            shards.senders.push(sender);
            shards.tasks.push(tokio::spawn(shard::run(shared.clone(), items, stop.clone())));
        }
        shards
    }

    /// The shard of a series.
    fn of(&self, labels: &Labels) -> usize {
        (labels.stable_hash() % self.senders.len() as u64) as usize
    }

    /// Resolves when a shard takes nothing any more.
    async fn one_ended(&self) {
        let mut ends: Vec<_> = self.senders.iter().map(|sender| Box::pin(sender.closed())).collect();
        std::future::poll_fn(|cx| match ends.iter_mut().any(|end| end.as_mut().poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Lets the shards send what they have and end. Returns whether they sent all. When the queue is to end now they end by themselves.
    async fn drain(&mut self) -> bool {
        self.senders.clear();
        let mut all = true;
        for task in std::mem::take(&mut self.tasks) {
            all &= task.await.unwrap_or_else(|e| {
                tracing::error!("remote write: a shard panicked: {e}");
                false
            });
        }
        all
    }
}

/// Tells the log how far all is done, whenever that changes, and from time to time durably.
async fn keep(shared: Arc<Shared>, progress: Arc<dyn LogProgress>, mut end: oneshot::Receiver<()>) {
    let mut done = shared.done.subscribe();
    let mut synced = shared.clock.monotonic();
    loop {
        tokio::select! {
            biased;
            _ = &mut end => return,
            changed = done.changed() => if changed.is_err() { return },
        }
        let Some(record) = *done.borrow_and_update() else { continue };
        let now = shared.clock.monotonic();
        let durable = now.saturating_sub(synced) >= REMOTE_WRITE_POSITION_SYNC;
        if durable {
            synced = now;
        }
        note_done(&progress, record, durable).await;
    }
}

async fn note_done(progress: &Arc<dyn LogProgress>, record: u64, durable: bool) {
    let progress = progress.clone();
    let noted = tokio::task::spawn_blocking(move || progress.done(record, durable)).await;
    let result: Result<()> = noted.unwrap_or_else(|e| Err(Error::internal(e.to_string())));
    if let Err(error) = result {
        // Samples would be sent twice after a crash, which receivers stand.
        tracing::error!("remote write: {error}");
    }
}

/// Looks at the rates and asks for another number of shards.
async fn tick(
    shared: Arc<Shared>,
    feed: Arc<dyn Feed>,
    progress: Arc<dyn LogProgress>,
    reshard: watch::Sender<usize>,
) {
    let (mut taken, mut out, mut dropped, mut sending) =
        (Rate::default(), Rate::default(), Rate::default(), Rate::default());
    let mut before = feed.appended();
    let mut ticks = tokio::time::interval(SHARD_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = feed.appended();
        let all = |a: super::Appended| a.samples + a.histograms;
        taken.note(all(now).saturating_sub(all(before)) as f64, SHARD_INTERVAL);
        before = now;
        out.tick(&shared.out, SHARD_INTERVAL);
        dropped.tick(&shared.dropped, SHARD_INTERVAL);
        sending.tick(&shared.send_micros, SHARD_INTERVAL);
        let behind = i64::try_from(progress.bytes_behind()).unwrap_or(i64::MAX);
        shared.metrics.log_behind_bytes.set(behind);
        let seen = Seen {
            in_rate: taken.get(),
            out_rate: out.get(),
            dropped_rate: dropped.get(),
            send_seconds_rate: sending.get() / 1e6,
            highest_in_seconds: now.highest_ms.div_euclid(1000) as f64,
            highest_sent_seconds: shared.metrics.highest_sent.seconds(),
        };
        let current = *reshard.borrow();
        let wanted = desired(&seen, current, &shared.config.queue);
        if let Some(calculated) = wanted.calculated {
            shared.metrics.shards_desired.set(calculated);
        }
        if wanted.shards != current && may_reshard(&shared) {
            tracing::info!(
                url = shared.config.url,
                from = current,
                to = wanted.shards,
                "remote write: changing the number of shards"
            );
            reshard.send_replace(wanted.shards);
        }
    }
}

/// While nothing goes out, or the endpoint asks for patience, more shards would not help.
fn may_reshard(shared: &Shared) -> bool {
    let now_ms = shared.monotonic_ms();
    let interval_ms = i64::try_from(SHARD_INTERVAL.as_millis()).unwrap_or(i64::MAX);
    now_ms - shared.last_send_ms.load(Ordering::Relaxed) <= interval_ms
        && now_ms >= shared.reshard_from_ms.load(Ordering::Relaxed)
}
