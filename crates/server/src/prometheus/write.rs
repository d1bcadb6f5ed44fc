//! `write`: the receiver of remote write 1.0. Answers as Prometheus does, so that its senders retry what can be mended and drop
//! what cannot.
//!
//! A request takes room for its bytes before they are read, and for what they unfold to before they are decompressed. One that
//! finds none for a while is sent away to come again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::{Error, ErrorKind, Result};
use bytes::Bytes;
use engine::AppendOutcome;
use ingest::LabelLimits;
use ingest::remote_write::{Decoded, Decoder, decompressed_len};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{
    INLINE_DECODE_BYTES, KEPT_DECODER_BYTES, KEPT_DECODERS, WRITE_BODY_BYTES, WRITE_DECODED_BYTES,
    WRITE_READ_TIMEOUT, WRITE_RETRY_AFTER_SECONDS, WRITE_ROOM_LEAST_BYTES, WRITE_WAIT,
};
use crate::state::ServerState;

/// The encoding and the messages that a sender may use.
const SNAPPY: &str = "snappy";
const PROTOBUF: &str = "application/x-protobuf";
const MESSAGE: &str = "prometheus.WriteRequest";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";

/// Takes in requests within bounds.
pub struct WriteReceiver {
    limits: Mutex<LabelLimits>,
    decoders: Mutex<Vec<Decoder>>,
    body_room: Arc<Semaphore>,
    body_bytes: usize,
    decoded_room: Arc<Semaphore>,
    decoded_bytes: usize,
    metrics: WriteMetrics,
}

struct WriteMetrics {
    samples: IntCounter,
    refused: IntCounterVec,
    invalid_labels: IntCounter,
    exemplars: IntCounter,
    shed: IntCounter,
}

impl WriteReceiver {
    /// A receiver that refuses series whose labels are beyond the limits. Requests in memory share `room_bytes`, at least as much as one
    /// of a usual size needs.
    pub fn register(limits: LabelLimits, room_bytes: usize, registry: &Registry) -> Result<Self> {
        let metrics = WriteMetrics::try_register(registry)
            .map_err(|e| Error::internal(format!("cannot register metrics of remote write: {e}")))?;
        let room_bytes = room_bytes.max(WRITE_ROOM_LEAST_BYTES);
        let body_bytes = (room_bytes / 3).min(WRITE_BODY_BYTES);
        let decoded_bytes = (room_bytes / 3 * 2).min(WRITE_DECODED_BYTES);
        Ok(Self {
            limits: Mutex::new(limits),
            decoders: Mutex::default(),
            body_room: Arc::new(Semaphore::new(body_bytes)),
            body_bytes,
            decoded_room: Arc::new(Semaphore::new(decoded_bytes)),
            decoded_bytes,
            metrics,
        })
    }

    /// Changes the limits for the requests to come.
    pub fn set_limits(&self, limits: LabelLimits) {
        *self.limits.lock() = limits;
    }

    async fn room(&self, of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).map_err(|_| Error::limit("a request has too many bytes"))?;
        match tokio::time::timeout(WRITE_WAIT, Arc::clone(of).acquire_many_owned(permits)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                self.metrics.shed.inc();
                Err(Error::unavailable(format!(
                    "cannot take remote write request: others fill the room for {} bytes (limits write_body_bytes and write_decoded_bytes); try again later",
                    bytes
                )))
            }
        }
    }

    fn decode(&self, body: &Bytes) -> Result<Decoded> {
        let limits = *self.limits.lock();
        let mut decoder = self.decoders.lock().pop().unwrap_or_else(|| Decoder::new(limits));
        decoder.set_limits(limits);
        let decoded = decoder.decode(body);
        if decoder.held_bytes() <= KEPT_DECODER_BYTES {
            let mut kept = self.decoders.lock();
            if kept.len() < KEPT_DECODERS {
                kept.push(decoder);
            }
        }
        decoded
    }

    fn count(&self, decoded: &Decoded, outcome: &AppendOutcome) {
        let metrics = &self.metrics;
        metrics.samples.inc_by(outcome.accepted + outcome.repeated);
        metrics.invalid_labels.inc_by(decoded.refused.samples);
        let stored = outcome.exemplars.accepted + outcome.exemplars.repeated;
        metrics.exemplars.inc_by(decoded.exemplars.saturating_sub(stored));
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
            shed: IntCounter::new(
                "bellwether_remote_write_shed_requests_total",
                "Remote write requests sent away because others filled the room for them.",
            )?,
        };
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.invalid_labels.clone()))?;
        registry.register(Box::new(metrics.exemplars.clone()))?;
        registry.register(Box::new(metrics.shed.clone()))?;
        Ok(metrics)
    }
}

/// What the store refused, in Prometheus' words, the most telling first.
fn refusals(outcome: &AppendOutcome) -> impl Iterator<Item = (&'static str, u64)> {
    [
        ("out of order sample", outcome.out_of_order),
        ("too old sample", outcome.too_old),
        ("duplicate sample for timestamp", outcome.duplicate),
        ("out of bounds", outcome.out_of_bounds),
        ("limit on series reached", outcome.limited),
    ]
    .into_iter()
    .filter(|(_, samples)| *samples > 0)
}

pub(crate) async fn write(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    let Some(receiver) = &state.write_receiver else {
        let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
        return answer(StatusCode::NOT_FOUND, text);
    };
    let (parts, body) = request.into_parts();
    if let Err(text) = check_headers(&parts.headers) {
        return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text);
    }
    match receive(&state, receiver, &parts.headers, body).await {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(refused)) => answer(StatusCode::BAD_REQUEST, &refused),
        Err(response) => response,
    }
}

/// Stores what can be stored; returns what is to be said of the rest.
async fn receive(
    state: &Arc<ServerState>,
    receiver: &Arc<WriteReceiver>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Option<String>, Response> {
    let whole = |e: Error| match e.kind() {
        ErrorKind::Limit => answer(StatusCode::PAYLOAD_TOO_LARGE, e.message()),
        _ => failed(&e),
    };
    let (body, body_room) = read(receiver, headers, body).await?;
    let len = decompressed_len(&body).map_err(whole)?;
    if len > receiver.decoded_bytes {
        let most = receiver.decoded_bytes;
        let text = format!("it has {len} bytes once decompressed, a fifteenth of limits.memory is {most}");
        return Err(whole(Error::limit(format!("cannot take request: {text}"))));
    }
    let _decoded_room = receiver.room(&receiver.decoded_room, len).await.map_err(|e| failed(&e))?;
    let mut decoded = if len <= INLINE_DECODE_BYTES {
        receiver.decode(&body)
    } else {
        let (receiver, body) = (Arc::clone(receiver), body.clone());
        tokio::task::spawn_blocking(move || receiver.decode(&body))
            .await
            .map_err(|e| failed(&Error::internal(format!("cannot decode remote write request: {e}"))))?
    }
    .map_err(whole)?;
    drop((body, body_room));
    let total = decoded.batch.len() as u64 + decoded.refused.samples;
    let outcome = if decoded.batch.is_empty() && decoded.batch.exemplars_len() == 0 {
        AppendOutcome::default()
    } else {
        let batch = std::mem::take(&mut decoded.batch);
        state.engine.append(batch).await.map_err(|e| failed(&e))?
    };
    receiver.count(&decoded, &outcome);
    Ok(refused(&decoded, &outcome, total))
}

/// Reads the body once there is room for it.
async fn read(
    receiver: &WriteReceiver,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Response> {
    let most = ingest::limits::COMPRESSED_BYTES.min(receiver.body_bytes);
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let len = claimed.unwrap_or(most);
    let too_large = || {
        let text = format!(
            "cannot take request: it has more than {most} bytes (limit compressed_bytes, or a thirtieth of limits.memory)"
        );
        answer(StatusCode::PAYLOAD_TOO_LARGE, &text)
    };
    if len > most {
        return Err(too_large());
    }
    let room = receiver.room(&receiver.body_room, len).await.map_err(|e| failed(&e))?;
    match tokio::time::timeout(WRITE_READ_TIMEOUT, axum::body::to_bytes(body, len)).await {
        Ok(Ok(bytes)) => Ok((bytes, room)),
        Ok(Err(_)) if claimed.is_none() => Err(too_large()),
        Ok(Err(e)) => Err(answer(StatusCode::BAD_REQUEST, &format!("cannot read request: {e}"))),
        Err(_) => {
            let text = format!("cannot read request: it took more than {WRITE_READ_TIMEOUT:?}");
            Err(answer(StatusCode::REQUEST_TIMEOUT, &text))
        }
    }
}

/// What is wrong with the encoding or the type, if anything; both may be left out.
fn check_headers(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"));
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != SNAPPY {
        return Err(format!(
            "{encoding} encoding (compression) is not accepted by this server; only {SNAPPY} is acceptable"
        ));
    }
    let content_type = text(header::CONTENT_TYPE).trim();
    if content_type.is_empty() {
        return Ok(());
    }
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or("");
    if media != PROTOBUF {
        return Err(format!(
            "expected {PROTOBUF} as the first (media) part, got {content_type} content-type"
        ));
    }
    for parameter in parts {
        match parameter.trim().split_once('=') {
            Some(("proto", MESSAGE)) => return Ok(()),
            Some(("proto", MESSAGE_V2)) => {
                return Err(format!(
                    "{MESSAGE_V2} protobuf message is not accepted by this server; only accepts {MESSAGE}"
                ));
            }
            Some(("proto", other)) => {
                return Err(format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {other}, supported: {MESSAGE}"
                ));
            }
            Some(_) => {}
            None => {
                return Err(format!(
                    "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {parameter} in {content_type} content-type"
                ));
            }
        }
    }
    Ok(())
}

/// What a sender is told of samples that it need not send again.
fn refused(decoded: &Decoded, outcome: &AppendOutcome, total: u64) -> Option<String> {
    let by_store: u64 = refusals(outcome).map(|(_, samples)| samples).sum();
    let why = match refusals(outcome).next() {
        Some((why, _)) => why,
        None => decoded.refused.first.as_ref()?.message(),
    };
    let samples = by_store + decoded.refused.samples;
    Some(format!("{why} ({samples} of {total} samples refused, the others are stored)"))
}

fn failed(e: &Error) -> Response {
    let status = match e.kind() {
        ErrorKind::Invalid | ErrorKind::Limit | ErrorKind::NotFound => StatusCode::BAD_REQUEST,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Canceled => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = %e, "cannot take remote write request");
    }
    answer(status, e.message())
}

fn answer(status: StatusCode, text: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (status, headers, format!("{text}\n")).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(WRITE_RETRY_AFTER_SECONDS));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_remote_write_or_none() {
        let check = |content_type: &str, encoding: &str, want: Result<(), &str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::CONTENT_TYPE, content_type), (header::CONTENT_ENCODING, encoding)]
            {
                if !value.is_empty() {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            match (check_headers(&headers), want) {
                (Ok(()), Ok(())) => {}
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                (got, want) => panic!("{content_type} {encoding}: {got:?}, not {want:?}"),
            }
        };
        check("", "", Ok(()));
        check("application/x-protobuf", "snappy", Ok(()));
        check("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", Ok(()));
        check("application/x-protobuf; version=0.1.0", "snappy", Ok(()));
        check("application/x-protobuf", "gzip", Err("gzip encoding (compression) is not accepted"));
        check("application/json", "snappy", Err("expected application/x-protobuf as the first"));
        check(
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "snappy",
            Err("only accepts prometheus.WriteRequest"),
        );
        check("application/x-protobuf;proto=x", "snappy", Err("unknown type"));
        check("application/x-protobuf;proto", "snappy", Err("expected parameters to be key-values"));
    }

    #[test]
    fn what_is_refused_is_said_in_prometheus_words() {
        let mut decoded = Decoded::default();
        assert_eq!(refused(&decoded, &AppendOutcome { accepted: 2, ..AppendOutcome::default() }, 2), None);
        let outcome = AppendOutcome { out_of_order: 1, out_of_bounds: 2, ..AppendOutcome::default() };
        let text = refused(&decoded, &outcome, 5).unwrap();
        assert_eq!(text, "out of order sample (3 of 5 samples refused, the others are stored)");
        decoded.refused.first = Some(Error::invalid("invalid metric name or labels, got {}"));
        decoded.refused.samples = 4;
        let text = refused(&decoded, &AppendOutcome::default(), 5).unwrap();
        assert_eq!(
            text,
            "invalid metric name or labels, got {} (4 of 5 samples refused, the others are stored)"
        );
    }
}
