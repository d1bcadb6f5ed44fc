//! The queue of one Alertmanager: bounded, the oldest alerts give way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{Clock, Error};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::metrics::SendMetrics;
use super::{AlertmanagerSet, Outgoing, SendOptions, wire};
use crate::outside::AlertPost;

/// Alerts that wait for one Alertmanager.
pub(super) struct Queue {
    url: String,
    timeout: Duration,
    post: Arc<dyn AlertPost>,
    options: SendOptions,
    metrics: Arc<SendMetrics>,
    waiting: Mutex<VecDeque<Arc<Outgoing>>>,
    work: Notify,
    stopped: AtomicBool,
}

impl Queue {
    pub(super) fn new(
        url: &str,
        set: &AlertmanagerSet,
        options: &SendOptions,
        metrics: Arc<SendMetrics>,
    ) -> Self {
        metrics.begin(url);
        Self {
            url: url.to_owned(),
            timeout: set.timeout,
            post: Arc::clone(&set.post),
            options: options.clone(),
            metrics,
            waiting: Mutex::default(),
            work: Notify::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Adds alerts. Where there are too many, the oldest go and are counted.
    pub(super) fn add(&self, alerts: &[Arc<Outgoing>]) {
        if alerts.is_empty() || self.stopped.load(Ordering::SeqCst) {
            return;
        }
        let capacity = self.options.queue_capacity;
        let surplus = alerts.len().saturating_sub(capacity);
        let length = {
            let mut waiting = self.waiting.lock();
            let alerts = &alerts[surplus..];
            let full = (waiting.len() + alerts.len()).saturating_sub(capacity);
            waiting.drain(..full);
            waiting.extend(alerts.iter().cloned());
            self.dropped(surplus + full, "the queue is full");
            waiting.len()
        };
        self.metrics.queue_length.with_label_values(&[&self.url]).set(length as i64);
        self.work.notify_one();
    }

    fn dropped(&self, count: usize, why: &str) {
        if count > 0 {
            tracing::warn!(alertmanager = self.url, count, why, "alerts are dropped");
            self.metrics.dropped.with_label_values(&[&self.url]).inc_by(count as u64);
        }
    }

    /// Ends the queue's task once what waits is sent or dropped.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.work.notify_one();
    }

    /// Sends until stopped.
    pub(super) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>) {
        loop {
            let stopped = self.stopped.load(Ordering::SeqCst);
            if stopped && !self.options.drain {
                let waiting = std::mem::take(&mut *self.waiting.lock());
                self.dropped(waiting.len(), "the queue ends and is not to be drained");
                break;
            }
            let batch = self.next_batch();
            if !batch.is_empty() {
                self.send(&batch, &*clock).await;
            } else if stopped {
                break;
            } else {
                self.work.notified().await;
            }
        }
        self.metrics.end(&self.url);
    }

    fn next_batch(&self) -> Vec<Arc<Outgoing>> {
        let mut waiting = self.waiting.lock();
        let n = waiting.len().min(self.options.batch_size.max(1));
        let batch: Vec<_> = waiting.drain(..n).collect();
        self.metrics.queue_length.with_label_values(&[&self.url]).set(waiting.len() as i64);
        batch
    }

    /// Sends a batch. One that fails is not tried again: alerts that still fire are sent anew within the resend delay.
    async fn send(&self, batch: &[Arc<Outgoing>], clock: &dyn Clock) {
        let begun = clock.monotonic();
        let sent = tokio::time::timeout(self.timeout, self.post.post(&self.url, wire::body(batch))).await;
        let sent = sent.unwrap_or_else(|_| {
            let timeout = base::format_duration(self.timeout);
            Err(Error::unavailable(format!("no answer within {timeout}")))
        });
        let (count, url) = (batch.len() as u64, &[self.url.as_str()]);
        if let Err(error) = sent {
            tracing::error!(alertmanager = self.url, count, %error, "cannot send alerts");
            self.metrics.errors.with_label_values(url).inc_by(count);
            self.metrics.dropped.with_label_values(url).inc_by(count);
            return;
        }
        let took = clock.monotonic().saturating_sub(begun).as_secs_f64();
        self.metrics.latency.observe(&self.url, took);
        self.metrics.latency_histogram.with_label_values(url).observe(took);
        self.metrics.sent.with_label_values(url).inc_by(count);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use base::{Labels, ManualClock};

    use super::*;

    #[derive(Default)]
    struct Requests(Mutex<usize>);

    #[async_trait]
    impl AlertPost for Requests {
        async fn post(&self, _: &str, _: Vec<u8>) -> base::Result<()> {
            *self.0.lock() += 1;
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_waits_at_the_end_is_sent_or_dropped() {
        for (drain, requests) in [(true, 3), (false, 0)] {
            let post = Arc::<Requests>::default();
            let set = AlertmanagerSet {
                id: 0,
                timeout: Duration::from_secs(1),
                relabel: None,
                post: Arc::clone(&post) as _,
                known: crate::send::Alertmanagers::default(),
            };
            let metrics = Arc::new(SendMetrics::register(&prometheus::Registry::new()).unwrap());
            let options = SendOptions { queue_capacity: 10, batch_size: 2, drain };
            let queue = Arc::new(Queue::new("http://am", &set, &options, metrics));
            let alert = Arc::new(Outgoing {
                labels: Labels::default(),
                annotations: Default::default(),
                starts_at_ms: 0,
                ends_at_ms: 0,
                generator_url: "".into(),
            });
            queue.add(&vec![alert; 5]);
            queue.stop();
            Arc::clone(&queue).run(Arc::new(ManualClock::new(0))).await;
            assert_eq!(*post.0.lock(), requests, "drain: {drain}");
            assert!(queue.waiting.lock().is_empty());
        }
    }
}
