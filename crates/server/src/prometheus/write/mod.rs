//! `write`: the receiver of remote write 1.0 and 2.0. Answers as Prometheus does, so that its senders retry what can be mended and drop
//! what cannot.

mod negotiate;
mod receiver;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::Error;
use engine::AppendOutcome;
use ingest::Decoded;
use ingest::remote_write::{Message, decompressed_len};

use crate::limits::{INLINE_DECODE_BYTES, WRITE_RETRY_AFTER_SECONDS};
use crate::push::{PushFailure, first_refused, refusals};
use crate::state::ServerState;

pub use receiver::{WriteOptions, WriteReceiver};

/// What was stored of a request, as 2.0 says it in headers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Written {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

pub(crate) async fn write(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    let Some(receiver) = &state.write_receiver else {
        let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
        return answer(StatusCode::NOT_FOUND, text);
    };
    let (parts, body) = request.into_parts();
    let message = match negotiate::message(&parts.headers, receiver.accepted()) {
        Ok(message) => message,
        Err(text) => return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text),
    };
    let (written, result) = match receive(&state, receiver, message, &parts.headers, body).await {
        Ok((written, None)) => (written, Ok(())),
        Ok((written, Some(refused))) => (written, Err(PushFailure::new(StatusCode::BAD_REQUEST, refused))),
        Err(failure) => (Written::default(), Err(failure)),
    };
    let mut response = match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => answer(failure.status, &failure.text),
    };
    if message == Message::V2 {
        written.show(response.headers_mut());
    }
    response
}

/// Stores what can be stored; returns what is to be said of the rest.
async fn receive(
    state: &Arc<ServerState>,
    receiver: &Arc<WriteReceiver>,
    message: Message,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Written, Option<String>), PushFailure> {
    let (body, body_room) = receiver.room().read(headers, body).await?;
    let len = decompressed_len(&body).map_err(|e| PushFailure::of_request(&e))?;
    let _decoded_room = receiver.room().for_decoded(len).await?;
    let decoded = if len <= INLINE_DECODE_BYTES {
        receiver.decode(&body, message)
    } else {
        let (receiver, body) = (Arc::clone(receiver), body.clone());
        tokio::task::spawn_blocking(move || receiver.decode(&body, message)).await.map_err(|e| {
            PushFailure::of(&Error::internal(format!("cannot decode remote write request: {e}")))
        })?
    };
    let mut decoded = decoded.map_err(|e| PushFailure::of_request(&e))?;
    drop((body, body_room));
    let total = decoded.batch.len() as u64 + decoded.refused.samples;
    let exemplars = decoded.batch.exemplars_len() as u64;
    let outcome = store(state, &mut decoded).await.map_err(|e| PushFailure::of(&e))?;
    state.pushed_metadata.learn(std::mem::take(&mut decoded.metadata));
    receiver.count(&decoded, exemplars, &outcome);
    Ok((Written::of(&outcome), refused(message, &decoded, &outcome, total)))
}

/// Appends what was decoded, what it implies first: zeros where counters started are of no use behind what follows.
async fn store(state: &Arc<ServerState>, decoded: &mut Decoded) -> base::Result<AppendOutcome> {
    if !decoded.implied.is_empty() {
        state.engine.append(std::mem::take(&mut decoded.implied)).await?;
        decoded.starts.stored();
    }
    if decoded.batch.is_empty() && decoded.batch.exemplars_len() == 0 {
        return Ok(AppendOutcome::default());
    }
    state.engine.append(std::mem::take(&mut decoded.batch)).await
}

impl Written {
    fn of(outcome: &AppendOutcome) -> Self {
        Self {
            samples: (outcome.accepted + outcome.repeated).saturating_sub(outcome.histograms),
            histograms: outcome.histograms,
            exemplars: outcome.exemplars.accepted + outcome.exemplars.repeated,
        }
    }

    fn show(self, headers: &mut HeaderMap) {
        for (name, n) in [
            ("x-prometheus-remote-write-samples-written", self.samples),
            ("x-prometheus-remote-write-histograms-written", self.histograms),
            ("x-prometheus-remote-write-exemplars-written", self.exemplars),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(n));
        }
    }
}

/// What a sender is told of samples that it need not send again.
fn refused(message: Message, decoded: &Decoded, outcome: &AppendOutcome, total: u64) -> Option<String> {
    let by_store: u64 = refusals(outcome).map(|(_, samples)| samples).sum();
    let mut reasons: Vec<String> = first_refused(outcome).into_iter().collect();
    reasons.extend(decoded.refused.errors.iter().map(|e| e.message().to_owned()));
    // Prometheus says nothing of exemplars to senders of 1.0, who cannot do anything about it.
    if message == Message::V2 && outcome.exemplars.out_of_order > 0 {
        reasons.push(format!("out of order exemplar ({} of them)", outcome.exemplars.out_of_order));
    }
    let first = reasons.first()?;
    let samples = by_store + decoded.refused.samples;
    let mut text = format!("{first} ({samples} of {total} samples refused, the others are stored)");
    for reason in &reasons[1..] {
        text.push('\n');
        text.push_str(reason);
    }
    Some(text)
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
    use base::Labels;
    use engine::Refusal;

    use super::*;

    #[test]
    fn what_is_refused_is_said_in_prometheus_words() {
        let refused = |decoded: &Decoded, outcome: &AppendOutcome| refused(Message::V2, decoded, outcome, 5);
        let mut decoded = Decoded::default();
        assert_eq!(refused(&decoded, &AppendOutcome { accepted: 2, ..AppendOutcome::default() }), None);
        let series = Labels::from_pairs([("__name__", "up"), ("a", "1")]);
        let outcome = AppendOutcome {
            out_of_order: 1,
            out_of_bounds: 2,
            first_refused: Some((Refusal::OutOfBounds, series)),
            ..AppendOutcome::default()
        };
        let text = refused(&decoded, &outcome).unwrap();
        let want = r#"out of bounds for series up{a="1"} (3 of 5 samples refused, the others are stored)"#;
        assert_eq!(text, want);
        decoded.refused.errors =
            vec![Error::invalid("invalid metric name or labels, got {}"), Error::invalid("b")];
        decoded.refused.samples = 4;
        let text = refused(&decoded, &AppendOutcome::default()).unwrap();
        assert_eq!(
            text,
            "invalid metric name or labels, got {} (4 of 5 samples refused, the others are stored)\nb"
        );
    }

    #[test]
    fn what_was_stored_before_counts_as_written() {
        let outcome = AppendOutcome { accepted: 5, repeated: 2, histograms: 3, ..AppendOutcome::default() };
        assert_eq!(Written::of(&outcome), Written { samples: 4, histograms: 3, exemplars: 0 });
    }
}
