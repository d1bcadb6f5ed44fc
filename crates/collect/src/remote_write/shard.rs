//! A shard: takes the samples of its series in order and sends them, a request at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base::{Clock, Result};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};

use super::acks::Acks;
use super::batch::{Counts, Item, MetadataByName, body};
use super::config::{RemoteWriteConfig, WriteMessage};
use super::exemplars::Waiting;
use super::metrics::{QueueMetrics, reason};
use super::rate::Events;
use super::response::{Backoff, Outcome, Written, judge};
use super::{Post, PostRequest};

/// How much longer than a pause that was asked for the number of shards stays as it is: more of them would not help.
const RESHARD_PAUSES: u32 = 2;

/// Statuses by which receivers refuse samples that they have, or have later ones of.
const REFUSALS_OF_SAMPLES: [u16; 3] = [400, 409, 422];

/// In place of the record of an item that the log need not give again.
const FINISHED: u64 = u64::MAX;

/// Whether a queue goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// It does.
    No,
    /// It ends once what there is was sent, or cannot be sent at once.
    Soft,
    /// It ends now.
    Hard,
}

/// What the shards of a queue share with it.
pub(super) struct Shared {
    pub(super) config: RemoteWriteConfig,
    pub(super) metrics: QueueMetrics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) post: Arc<dyn Post>,
    pub(super) acks: Mutex<Acks>,
    /// The last record up to which all are done.
    pub(super) done: watch::Sender<Option<u64>>,
    pub(super) metadata: RwLock<Arc<MetadataByName>>,
    /// Samples that were sent, or refused for good.
    pub(super) out: Events,
    /// Samples that relabelling dropped.
    pub(super) dropped: Events,
    /// Microseconds of sending.
    pub(super) send_micros: Events,
    /// When something was last sent, by the monotonic clock; in milliseconds.
    pub(super) last_send_ms: AtomicI64,
    /// Why something was last not taken, and when by the wall clock.
    pub(super) last_error: Mutex<Option<(i64, String)>>,
    /// Until when the number of shards is not changed, by the monotonic clock; in milliseconds.
    pub(super) reshard_from_ms: AtomicI64,
}

/// How sending some samples ended.
enum Sent {
    Done,
    /// Of those that were sent at last.
    Refused {
        sent: Counts,
        cause: String,
        status: u16,
        written: Option<Written>,
    },
    Stopped,
}

impl Shared {
    pub(super) fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether a sample is older than those that are sent may be.
    pub(super) fn is_too_old(&self, t_ms: i64) -> bool {
        let limit = self.config.queue.sample_age_limit;
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        limit_ms > 0 && t_ms < self.clock.now_ms().saturating_sub(limit_ms)
    }

    /// Sends samples until the endpoint has taken or refused each of them. `false` if the queue was stopped before that: the log
    /// still has them.
    async fn send(&self, items: &[Item], scratch: &mut Vec<u8>, stop: &mut watch::Receiver<Stop>) -> bool {
        let mut parts = apart(items);
        while let Some((from, to)) = parts.pop() {
            let part = &items[from..to];
            let started = self.clock.monotonic();
            let sent = self.send_part(part, scratch, stop).await;
            if let Sent::Refused { status, written: None, .. } = sent
                && REFUSALS_OF_SAMPLES.contains(&status)
                && part.len() > 1
                && part[0].again
            {
                // Some of them may have been taken before a restart. Receivers that refuse a request as a whole would so
                // refuse those that they do not have.
                let middle = from + part.len() / 2;
                parts.extend([(middle, to), (from, middle)]);
                continue;
            }
            let counts = Counts::of(part);
            match sent {
                Sent::Stopped => return false,
                Sent::Done => {}
                Sent::Refused { sent, cause, status, written } => {
                    let written = written.unwrap_or_default();
                    let failed = Counts {
                        samples: sent.samples.saturating_sub(written.samples),
                        histograms: sent.histograms.saturating_sub(written.histograms),
                        exemplars: sent.exemplars.saturating_sub(written.exemplars),
                    };
                    if part[0].again && REFUSALS_OF_SAMPLES.contains(&status) {
                        self.metrics.refused_again.inc_by(failed.total());
                        tracing::debug!(
                            url = self.config.url,
                            "remote write: refused when repeated: {cause}"
                        );
                    } else {
                        self.metrics.failed.add(failed);
                        self.say_refused(failed, &cause);
                    }
                }
            }
            let took = self.clock.monotonic().saturating_sub(started);
            self.out.add(counts.total());
            self.send_micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            self.last_send_ms.store(self.monotonic_ms(), Ordering::Relaxed);
            self.metrics.pending.sub(counts);
            self.finish(part);
        }
        true
    }

    /// Notes that the queue failed by a fault of this program, and begins anew.
    pub(super) fn failed(&self, cause: &str) {
        self.metrics.restarts.inc();
        self.note_error(&format!("the queue failed and begins anew: {cause}"));
        tracing::error!(
            url = self.config.url,
            "remote write: a queue failed, and begins anew where all is sent: {cause}"
        );
    }

    /// Forgets what was under way: the log gives it again, and numbers its records from zero on.
    pub(super) fn begin_anew(&self) {
        *self.acks.lock() = Acks::default();
        self.done.send_replace(None);
        self.metrics.pending.set_zero();
    }

    fn note_error(&self, cause: &str) {
        *self.last_error.lock() = Some((self.clock.now_ms(), cause.to_owned()));
    }

    fn say_refused(&self, failed: Counts, cause: &str) {
        self.note_error(cause);
        tracing::error!(
            url = self.config.url,
            samples = failed.samples,
            histograms = failed.histograms,
            exemplars = failed.exemplars,
            "remote write: refused for good: {cause}"
        );
    }

    /// Notes that the log need not give these samples again.
    fn finish(&self, items: &[Item]) {
        let mut acks = self.acks.lock();
        for of_record in items.chunk_by(|a, b| a.record == b.record).filter(|i| i[0].record != FINISHED) {
            acks.finish(of_record[0].record, of_record.len());
        }
        if let Some(record) = acks.advance() {
            self.done.send_replace(Some(record));
        }
    }

    /// Sends one request until there is an answer that counts.
    async fn send_part(
        &self,
        items: &[Item],
        scratch: &mut Vec<u8>,
        stop: &mut watch::Receiver<Stop>,
    ) -> Sent {
        let mut live: Vec<&Item> = items.iter().collect();
        let mut request: Option<Bytes> = None;
        let queue = &self.config.queue;
        let mut backoff = Backoff::new(queue.min_backoff, queue.max_backoff);
        for attempt in 0u64.. {
            let before = live.len();
            live.retain(|item| {
                let old = self.is_too_old(item.t_ms);
                if old {
                    self.metrics.dropped.add(reason::TOO_OLD, Counts::of([*item]));
                }
                !old
            });
            if live.is_empty() {
                return Sent::Done;
            }
            let counts = Counts::of(live.iter().copied());
            let bytes = match request.take().filter(|_| live.len() == before) {
                Some(bytes) => bytes,
                None => match self.encode(&live, scratch) {
                    Ok(bytes) => bytes,
                    Err(e) => {
                        return Sent::Refused {
                            sent: counts,
                            cause: e.to_string(),
                            status: 0,
                            written: None,
                        };
                    }
                },
            };
            if attempt > 0 {
                self.metrics.retried.add(counts);
            }
            self.metrics.sent.add(counts);
            let outcome = tokio::select! {
                biased;
                () = hard(stop) => return Sent::Stopped,
                outcome = self.attempt(bytes.clone(), attempt) => outcome,
            };
            if !matches!(outcome, Outcome::Again { .. }) {
                self.metrics.bytes.inc_by(bytes.len() as u64);
                live.iter().for_each(|item| self.metrics.highest_sent.note_ms(item.t_ms));
            }
            match outcome {
                Outcome::Written(written) => return self.check_written(counts, written),
                Outcome::Refused { cause, status, written } => {
                    return Sent::Refused { sent: counts, cause, status, written };
                }
                Outcome::Again { cause, after } => {
                    self.note_error(&cause);
                    let pause = backoff.pause(after);
                    tracing::warn!(
                        url = self.config.url,
                        attempt,
                        ?pause,
                        "remote write: trying again: {cause}"
                    );
                    let quiet = i64::try_from((pause * RESHARD_PAUSES).as_millis()).unwrap_or(i64::MAX);
                    self.reshard_from_ms
                        .fetch_max(self.monotonic_ms().saturating_add(quiet), Ordering::Relaxed);
                    // The log keeps what is not sent, so stopping need not wait for an endpoint that is away.
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop > Stop::No) => return Sent::Stopped,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
            request = Some(bytes);
        }
        Sent::Stopped
    }

    fn encode(&self, live: &[&Item], scratch: &mut Vec<u8>) -> Result<Bytes> {
        let metadata = self.metadata.read().clone();
        body(live, self.config.message, &metadata, scratch).map(Bytes::from)
    }

    /// An endpoint that knows version 2 says what it has written; one that says nothing may have taken the request for something else.
    fn check_written(&self, counts: Counts, written: Option<Written>) -> Sent {
        let of = |w: Written| w.samples + w.histograms + w.exemplars;
        if self.config.message == WriteMessage::V2 && written.map_or(0, of) == 0 {
            let cause = format!(
                "sent {} samples and {} histograms in a request of version 2 and got a status of success, but the headers of the answer say that nothing was written: the endpoint may know version 1 only",
                counts.samples, counts.histograms
            );
            return Sent::Refused { sent: counts, cause, status: 200, written };
        }
        let Some(written) = written else { return Sent::Done };
        let short = |of: u64, n: u64| of.saturating_sub(n);
        let missing = short(counts.samples, written.samples)
            + short(counts.histograms, written.histograms)
            + short(counts.exemplars, written.exemplars);
        if missing > 0 {
            let cause =
                "the status says success, but the headers of the answer say that some were not written"
                    .into();
            return Sent::Refused { sent: counts, cause, status: 200, written: Some(written) };
        }
        Sent::Done
    }

    /// Posts a body once.
    pub(super) async fn attempt(&self, body: Bytes, attempt: u64) -> Outcome {
        let request = self.request(body, attempt);
        let started = self.clock.monotonic();
        let answer = tokio::time::timeout(self.config.timeout, self.post.post(request)).await;
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.sent_batch_seconds.observe(took.as_secs_f64());
        match answer {
            Ok(Ok(response)) => judge(&response, self.config.queue.retry_on_http_429, self.clock.now_ms()),
            Ok(Err(e)) => Outcome::Again { cause: e.to_string(), after: None },
            Err(_) => {
                let timeout = base::format_duration(self.config.timeout);
                Outcome::Again { cause: format!("no answer within {timeout}"), after: None }
            }
        }
    }

    fn request(&self, body: Bytes, attempt: u64) -> PostRequest {
        let (content_type, version) = match self.config.message {
            WriteMessage::V1 => (ingest::send::CONTENT_TYPE_V1, "0.1.0"),
            WriteMessage::V2 => (ingest::send::CONTENT_TYPE_V2, "2.0.0"),
        };
        let mut headers = vec![
            ("content-encoding".to_owned(), "snappy".to_owned()),
            ("content-type".to_owned(), content_type.to_owned()),
            ("x-prometheus-remote-write-version".to_owned(), version.to_owned()),
        ];
        if attempt > 0 {
            headers.push(("retry-attempt".to_owned(), attempt.to_string()));
        }
        PostRequest { url: self.config.url.clone(), headers, body, http: self.config.http.clone() }
    }
}

/// What an earlier queue may have sent goes apart from what comes for the first time: of a refusal it is then clear which of them it
/// means. Ranges, the first to be sent last. Files of the log lie side by side, so either may come first.
fn apart(items: &[Item]) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut from = 0;
    for run in items.chunk_by(|a, b| a.again == b.again) {
        parts.push((from, from + run.len()));
        from += run.len();
    }
    parts.reverse();
    parts
}

/// Resolves when the queue is to end now.
pub(super) async fn hard(stop: &mut watch::Receiver<Stop>) {
    if stop.wait_for(|stop| *stop == Stop::Hard).await.is_err() {
        // Nobody can say so any more.
        std::future::pending::<()>().await;
    }
}

/// Sends what comes until nothing more can come. Returns whether all of it was sent or refused.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut items: mpsc::Receiver<Item>,
    mut stop: watch::Receiver<Stop>,
) -> bool {
    let (mut batch, mut scratch) = (Vec::new(), Vec::new());
    let max = shared.config.queue.max_samples_per_send;
    let together = shared.config.message == WriteMessage::V2 && shared.config.send_exemplars;
    let mut waiting = Waiting::default();
    while fill(&mut items, &mut batch, max, shared.config.queue.batch_send_deadline).await {
        if together {
            let now = shared.clock.monotonic();
            batch = waiting.place(batch, now, |item| {
                shared.finish(std::slice::from_ref(item));
                item.record = FINISHED;
            });
        }
        if !shared.send(&batch, &mut scratch, &mut stop).await {
            return false;
        }
        batch.clear();
    }
    shared.send(&waiting.give_up(), &mut scratch, &mut stop).await
}

/// Waits for a batch: so many samples, or what has come within a time after the first. `false` if nothing can come any more.
async fn fill(items: &mut mpsc::Receiver<Item>, batch: &mut Vec<Item>, max: usize, wait: Duration) -> bool {
    if items.recv_many(batch, max).await == 0 {
        return false;
    }
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    while batch.len() < max {
        let room = max - batch.len();
        tokio::select! {
            more = items.recv_many(batch, room) => if more == 0 { break },
            () = &mut over => break,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use base::Labels;

    use super::super::batch::ItemValue;
    use super::*;

    #[test]
    fn what_may_have_been_sent_goes_apart_wherever_it_stands() {
        let item = |again| Item {
            labels: Labels::empty(),
            t_ms: 0,
            start_ms: 0,
            value: ItemValue::Float(0.0),
            record: 0,
            again,
        };
        let of = |again: &[bool]| apart(&again.iter().copied().map(item).collect::<Vec<_>>());
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[true, false, false]), [(1, 3), (0, 1)]);
        assert_eq!(of(&[false, true, true, false]), [(3, 4), (1, 3), (0, 1)]);
    }
}
