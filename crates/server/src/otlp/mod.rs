//! The receiver of OTLP metrics, over HTTP and over gRPC. Answers as the OTLP specification says: what is refused of a request that is
//! stored otherwise is a partial success.

pub(crate) mod grpc;
pub(crate) mod http;
mod message;

use std::sync::Arc;

use axum::http::StatusCode;
use base::{Error, Result};
use bytes::Bytes;
use engine::AppendOutcome;
use ingest::otlp::{Format, Settings, check_gzip, decode, unfold, unfolded_len};
use ingest::{Decoded, LabelLimits};
use parking_lot::RwLock;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::OwnedSemaphorePermit;

use crate::limits::INLINE_DECODE_BYTES;
use crate::push::{PushFailure, Room, first_refused, refusals};
use crate::state::ServerState;

/// Takes in requests within bounds.
pub struct OtlpReceiver {
    settings: RwLock<Arc<(Settings, LabelLimits)>>,
    room: Arc<Room>,
    over_http: bool,
    metrics: OtlpMetrics,
}

struct OtlpMetrics {
    samples: IntCounter,
    refused_points: IntCounter,
    refused_samples: IntCounterVec,
    exemplars: IntCounter,
    warnings: IntCounterVec,
    out_of_order_exemplars: IntCounter,
}

/// What of a request was refused; the rest is stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) rejected: u64,
    pub(crate) text: String,
}

/// A body with its place in memory.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) gzip: bool,
    pub(crate) format: Format,
    pub(crate) _room: OwnedSemaphorePermit,
}

impl OtlpReceiver {
    /// A receiver that translates as the settings say, and refuses series whose labels are beyond the limits; `over_http` says whether
    /// HTTP is answered, too, and not only gRPC.
    pub fn register(
        settings: Settings,
        limits: LabelLimits,
        room: Arc<Room>,
        over_http: bool,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = OtlpMetrics::try_register(registry)
            .map_err(|e| Error::internal(format!("cannot register metrics of OTLP: {e}")))?;
        Ok(Self { settings: RwLock::new(Arc::new((settings, limits))), room, over_http, metrics })
    }

    /// Changes the settings for the requests to come.
    pub fn set(&self, settings: Settings, limits: LabelLimits) {
        *self.settings.write() = Arc::new((settings, limits));
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    fn decode(&self, body: &Body, now_ms: i64) -> Result<Decoded> {
        let now = Arc::clone(&self.settings.read());
        let message = unfold(&body.bytes, body.gzip, body.format)?;
        decode(&message, &now.0, now.1, now_ms)
    }

    fn count(&self, decoded: &Decoded, exemplars: u64, outcome: &AppendOutcome) {
        let metrics = &self.metrics;
        metrics.samples.inc_by(outcome.accepted + outcome.repeated);
        metrics.refused_points.inc_by(decoded.refused.points);
        for (reason, samples) in refusals(outcome) {
            metrics.refused_samples.with_label_values(&[reason]).inc_by(samples);
        }
        let stored = outcome.exemplars.accepted + outcome.exemplars.repeated;
        metrics.exemplars.inc_by((exemplars + decoded.refused.exemplars).saturating_sub(stored));
        metrics.out_of_order_exemplars.inc_by(outcome.exemplars.out_of_order);
        for (category, warnings) in decoded.warnings.categories() {
            metrics.warnings.with_label_values(&[category]).inc_by(warnings);
        }
        for text in &decoded.warnings.texts {
            tracing::debug!("translating OTLP metrics: {text}");
        }
    }
}

/// Stores what can be stored of a request; returns what is to be said of the rest.
pub(crate) async fn take(
    state: &Arc<ServerState>,
    receiver: &Arc<OtlpReceiver>,
    body: Body,
) -> Result<Partial, PushFailure> {
    let (len, _decoded_room) = match make_room(receiver, &body).await {
        Err(failure) if body.gzip && failure.status == StatusCode::PAYLOAD_TOO_LARGE => {
            return Err(why_too_large(receiver, body, failure).await);
        }
        room => room?,
    };
    let now_ms = state.clock.now_ms();
    let decoded = if len <= INLINE_DECODE_BYTES {
        let decoded = receiver.decode(&body, now_ms);
        drop(body);
        decoded
    } else {
        let receiver = Arc::clone(receiver);
        tokio::task::spawn_blocking(move || receiver.decode(&body, now_ms))
            .await
            .map_err(|e| PushFailure::of(&Error::internal(format!("cannot decode OTLP request: {e}"))))?
    };
    let mut decoded = decoded.map_err(|e| PushFailure::of_request(&e))?;
    let exemplars = decoded.batch.exemplars_len() as u64;
    let outcome = store(state, &mut decoded).await.map_err(|e| PushFailure::of(&e))?;
    state.pushed_metadata.learn(std::mem::take(&mut decoded.metadata));
    receiver.count(&decoded, exemplars, &outcome);
    refused(&decoded, &outcome)
}

/// Room for what a body unfolds to, and how much that is.
async fn make_room(
    receiver: &OtlpReceiver,
    body: &Body,
) -> Result<(usize, OwnedSemaphorePermit), PushFailure> {
    let len = unfolded_len(&body.bytes, body.gzip, body.format).map_err(|e| PushFailure::of_request(&e))?;
    Ok((len, receiver.room.for_decoded(len).await?))
}

/// How large a compressed body is, is said by its end, which one that was cut short does not have. It takes the time of a large request to tell
/// the two apart, and so the room of one.
async fn why_too_large(receiver: &OtlpReceiver, body: Body, failure: PushFailure) -> PushFailure {
    let _time = match receiver.room.for_decoded(receiver.room.most_decoded()).await {
        Ok(room) => room,
        Err(failure) => return failure,
    };
    match tokio::task::spawn_blocking(move || check_gzip(&body.bytes)).await {
        Ok(Ok(())) => failure,
        Ok(Err(e)) => PushFailure::of_request(&e),
        Err(e) => PushFailure::of(&Error::internal(format!("cannot decode OTLP request: {e}"))),
    }
}

/// Appends what was decoded, and what it implies: at the same time, so that both are durable with one sync of the log, but for zeros
/// where series started, which are of no use behind what follows.
async fn store(state: &Arc<ServerState>, decoded: &mut Decoded) -> Result<AppendOutcome> {
    let (implied, batch) = (std::mem::take(&mut decoded.implied), std::mem::take(&mut decoded.batch));
    let append = async |batch: base::WriteBatch| match batch.is_empty() {
        true => Ok(AppendOutcome::default()),
        false => state.engine.append(batch).await,
    };
    if !decoded.starts.is_empty() {
        append(implied).await?;
        decoded.starts.stored();
        return append(batch).await;
    }
    let (implied, outcome) = tokio::join!(Box::pin(append(implied)), Box::pin(append(batch)));
    implied.and(outcome)
}

/// What is said of what was refused; if nothing is left, the request has failed.
fn refused(decoded: &Decoded, outcome: &AppendOutcome) -> Result<Partial, PushFailure> {
    let by_store: u64 = refusals(outcome).map(|(_, samples)| samples).sum();
    let mut reasons: Vec<String> = first_refused(outcome).into_iter().collect();
    reasons.extend(decoded.refused.errors.iter().map(|e| e.message().to_owned()));
    // A data point of a histogram has many samples: more than there are data points may be refused.
    let rejected = decoded.refused.points + by_store;
    let text = reasons.join("\n");
    if rejected > 0 && outcome.accepted + outcome.repeated == 0 {
        return Err(PushFailure::new(StatusCode::BAD_REQUEST, text));
    }
    Ok(Partial { rejected, text })
}

impl OtlpMetrics {
    fn try_register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        Ok(Self {
            samples: counter("bellwether_otlp_samples_total", "Samples received by OTLP that are stored.")?,
            refused_points: counter(
                "bellwether_otlp_refused_data_points_total",
                "Data points received by OTLP that cannot be translated.",
            )?,
            refused_samples: counters(
                "bellwether_otlp_refused_samples_total",
                "Samples received by OTLP that the store refused, by Prometheus' name of the reason.",
                "reason",
            )?,
            exemplars: counter(
                "bellwether_otlp_dropped_exemplars_total",
                "Exemplars received by OTLP that are not stored.",
            )?,
            warnings: counters(
                "prometheus_api_otlp_translation_warnings_total",
                "The total number of warnings produced while translating OTLP metrics to the Prometheus model, by category.",
                "category",
            )?,
            out_of_order_exemplars: counter(
                "prometheus_api_otlp_out_of_order_exemplars_total",
                "The total number of received OTLP exemplars which were rejected because they were out of order.",
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_in_part_is_a_success() {
        let mut decoded = Decoded::default();
        let stored = AppendOutcome { accepted: 2, out_of_order: 1, ..AppendOutcome::default() };
        assert_eq!(refused(&decoded, &AppendOutcome::default()).unwrap(), Partial::default());
        assert_eq!(refused(&decoded, &stored).unwrap().rejected, 1);
        decoded.refused.points = 4;
        decoded.refused.errors = vec![Error::invalid("a"), Error::invalid("b")];
        let partial = refused(&decoded, &stored).unwrap();
        assert_eq!(partial, Partial { rejected: 5, text: "a\nb".into() });
        let failure = refused(&decoded, &AppendOutcome::default()).unwrap_err();
        assert_eq!((failure.status, failure.text.as_str()), (StatusCode::BAD_REQUEST, "a\nb"));
    }

    /// Ends with the four bytes that would tell a length, as whatever a cut leaves there does.
    #[tokio::test]
    async fn what_is_cut_short_is_not_too_large() {
        let room = Arc::new(Room::register(256 << 20, &Registry::new()).unwrap());
        let settings = Settings::default();
        let receiver = OtlpReceiver::register(
            settings,
            LabelLimits::default(),
            Arc::clone(&room),
            true,
            &Registry::new(),
        )
        .unwrap();
        let status = async |bytes: Vec<u8>, says: u32| {
            let bytes = Bytes::from([&bytes[..], &says.to_le_bytes()].concat());
            let permit = room.for_body(bytes.len()).await.unwrap();
            let body = Body { bytes, gzip: true, format: Format::Protobuf, _room: permit };
            match make_room(&receiver, &body).await {
                Ok((len, _)) => panic!("room for {len}"),
                Err(failure) => why_too_large(&receiver, body, failure).await.status,
            }
        };
        // Stored blocks are the plainest gzip: a header of ten bytes, then blocks of up to 65,535 bytes behind five.
        let block = [&[0, 0xFF, 0xFF, 0, 0][..], &[7; 0xFFFF]].concat();
        let stored =
            |blocks: usize| [&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF][..], &block.repeat(blocks)].concat();
        let most = u32::try_from(room.most_decoded()).unwrap();
        assert_eq!(status(stored(3), most + 1).await, StatusCode::BAD_REQUEST);
        assert_eq!(status(stored(3), u32::MAX).await, StatusCode::BAD_REQUEST);
    }
}
