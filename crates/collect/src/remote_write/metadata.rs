//! Descriptions of metrics: sent from time to time by version 1, along with samples by version 2.

use std::sync::Arc;

use base::{Metadata, Result};
use bytes::Bytes;
use ingest::send::{compress, write_v1_metadata};
use tokio::sync::watch;

use super::Feed;
use super::batch::MetadataByName;
use super::config::WriteMessage;
use super::response::{Backoff, Outcome};
use super::shard::{Shared, Stop};
use crate::limits::REMOTE_WRITE_METADATA_REFRESH;

/// Sends descriptions, or keeps those up to date that are sent along, until the queue ends.
pub(super) async fn run(shared: Arc<Shared>, feed: Arc<dyn Feed>, mut stop: watch::Receiver<Stop>) {
    if shared.config.message == WriteMessage::V2 {
        return refresh(&shared, &feed).await;
    }
    if !shared.config.metadata.send {
        return;
    }
    let mut ticks = tokio::time::interval(shared.config.metadata.send_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let mut all = feed.metadata();
        all.sort_by(|a, b| (&a.0, &a.1.help).cmp(&(&b.0, &b.1.help)));
        all.dedup();
        for some in all.chunks(shared.config.metadata.max_samples_per_send.max(1)) {
            if !send(&shared, some, &mut stop).await {
                return;
            }
        }
    }
}

/// Of several descriptions of one metric the first counts.
async fn refresh(shared: &Shared, feed: &Arc<dyn Feed>) {
    let mut ticks = tokio::time::interval(REMOTE_WRITE_METADATA_REFRESH);
    loop {
        ticks.tick().await;
        let mut by_name = MetadataByName::new();
        for (metric, metadata) in feed.metadata() {
            by_name.entry(metric).or_insert(metadata);
        }
        *shared.metadata.write() = Arc::new(by_name);
    }
}

/// Sends some descriptions. `false` if the queue ends.
async fn send(shared: &Shared, some: &[(Arc<str>, Metadata)], stop: &mut watch::Receiver<Stop>) -> bool {
    let body = match encode(some) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!("remote write: {error}");
            return true;
        }
    };
    let metrics = &shared.metrics;
    let queue = &shared.config.queue;
    let mut backoff = Backoff::new(queue.min_backoff, queue.max_backoff);
    for attempt in 0u64.. {
        if attempt > 0 {
            metrics.metadata_retried.inc_by(some.len() as u64);
        }
        match shared.attempt(body.clone(), attempt).await {
            Outcome::Written(_) => {
                metrics.metadata_sent.inc_by(some.len() as u64);
                metrics.metadata_bytes.inc_by(body.len() as u64);
                return true;
            }
            Outcome::Refused { cause, .. } => {
                metrics.metadata_failed.inc_by(some.len() as u64);
                tracing::error!(url = shared.config.url, "remote write: metadata refused for good: {cause}");
                return true;
            }
            Outcome::Again { after, .. } => {
                let pause = backoff.pause(after);
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop > Stop::No) => return false,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    true
}

fn encode(some: &[(Arc<str>, Metadata)]) -> Result<Bytes> {
    let mut message = Vec::new();
    write_v1_metadata(some.iter().map(|(metric, metadata)| (&**metric, metadata)), &mut message);
    compress(&message).map(Bytes::from)
}
