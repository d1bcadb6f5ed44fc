//! Decodes requests of remote write with buffers that stay, and counts what became of them.

use std::sync::Arc;

use base::{Error, Result};
use bytes::Bytes;
use engine::AppendOutcome;
use ingest::remote_write::{Decoder, Features, Message};
use ingest::{Decoded, LabelLimits};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::limits::{KEPT_DECODER_BYTES, KEPT_DECODERS};
use crate::push::{Room, refusals};

/// What a receiver of remote write takes, and what it makes of it.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The messages that senders may use.
    pub accepted: Vec<Message>,
    /// What is made of requests beyond what they say.
    pub features: Features,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { accepted: Message::ALL.into(), features: Features::default() }
    }
}

/// Takes in requests within bounds.
pub struct WriteReceiver {
    options: WriteOptions,
    limits: Mutex<LabelLimits>,
    decoders: Mutex<Vec<Decoder>>,
    room: Arc<Room>,
    metrics: WriteMetrics,
}

struct WriteMetrics {
    samples: IntCounter,
    refused: IntCounterVec,
    invalid_labels: IntCounter,
    exemplars: IntCounter,
}

impl WriteReceiver {
    /// A receiver that refuses series whose labels are beyond the limits.
    pub fn register(
        options: WriteOptions,
        limits: LabelLimits,
        room: Arc<Room>,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = WriteMetrics::try_register(registry)
            .map_err(|e| Error::internal(format!("cannot register metrics of remote write: {e}")))?;
        Ok(Self { options, limits: Mutex::new(limits), decoders: Mutex::default(), room, metrics })
    }

    /// Changes the limits for the requests to come.
    pub fn set_limits(&self, limits: LabelLimits) {
        *self.limits.lock() = limits;
    }

    pub(super) fn accepted(&self) -> &[Message] {
        &self.options.accepted
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn decode(&self, body: &Bytes, message: Message) -> Result<Decoded> {
        let limits = *self.limits.lock();
        let mut decoder = self.decoders.lock().pop().unwrap_or_else(|| Decoder::new(limits));
        decoder.set_limits(limits);
        decoder.set_features(self.options.features.clone());
        let decoded = decoder.decode(body, message);
        if decoder.held_bytes() <= KEPT_DECODER_BYTES {
            let mut kept = self.decoders.lock();
            if kept.len() < KEPT_DECODERS {
                kept.push(decoder);
            }
        }
        decoded
    }

    /// Counts what became of a request that had so many exemplars that can be read.
    pub(super) fn count(&self, decoded: &Decoded, exemplars: u64, outcome: &AppendOutcome) {
        let metrics = &self.metrics;
        metrics.samples.inc_by(outcome.accepted + outcome.repeated);
        metrics.invalid_labels.inc_by(decoded.refused.badly_labelled_samples);
        let stored = outcome.exemplars.accepted + outcome.exemplars.repeated;
        metrics.exemplars.inc_by((exemplars + decoded.refused.exemplars).saturating_sub(stored));
        for (reason, samples) in refusals(outcome) {
            metrics.refused.with_label_values(&[reason]).inc_by(samples);
        }
    }
}

impl WriteMetrics {
    fn try_register(registry: &Registry) -> prometheus::Result<Self> {
        let refused = Opts::new(
            "bellwether_remote_write_refused_samples_total",
            "Samples received by remote write that the store refused, by Prometheus' name of the reason.",
        );
        let metrics = Self {
            samples: IntCounter::new(
                "bellwether_remote_write_samples_total",
                "Samples received by remote write that are stored.",
            )?,
            refused: IntCounterVec::new(refused, &["reason"])?,
            invalid_labels: IntCounter::new(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to invalid labels.",
            )?,
            exemplars: IntCounter::new(
                "bellwether_remote_write_dropped_exemplars_total",
                "Exemplars received by remote write that are not stored.",
            )?,
        };
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.invalid_labels.clone()))?;
        registry.register(Box::new(metrics.exemplars.clone()))?;
        Ok(metrics)
    }
}
