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

    /// Ends the queue's task once what waits is sent.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.work.notify_one();
    }

    /// Sends until stopped.
    pub(super) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>) {
        loop {
            let batch = self.next_batch();
            if !batch.is_empty() {
                self.send(&batch, &*clock).await;
            } else if self.stopped.load(Ordering::SeqCst) {
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
