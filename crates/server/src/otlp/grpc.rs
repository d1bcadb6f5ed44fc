//! OTLP over gRPC: one unary call, `MetricsService/Export`.
//!
//! gRPC is HTTP/2 with a message in a frame of five bytes and its outcome in trailers, which is all that a unary call needs. A message
//! takes room before it is read, as its frame says how long it is.

use std::sync::Arc;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use ingest::otlp::Format;
use tokio::sync::OwnedSemaphorePermit;
use tower_http::catch_panic::CatchPanicLayer;

use super::message::{self, code};
use super::{Body, OtlpReceiver, Partial, take};
use crate::limits::WRITE_READ_TIMEOUT;
use crate::metrics;
use crate::push::{PushFailure, Room};
use crate::state::ServerState;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const GRPC: &str = "application/grpc";

/// Bytes in front of a message: whether it is compressed, and its length.
const FRAME_HEADER: usize = 5;

/// The services that gRPC is answered for.
pub fn grpc_router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route(EXPORT, post(export))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), metrics::observe))
        .layer(CatchPanicLayer::new())
        .with_state(state)
}

async fn unknown() -> Response {
    failed(code::UNIMPLEMENTED, "there is no such method here; OTLP metrics are taken")
}

async fn export(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"));
    if !text("content-type").starts_with(GRPC) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "gRPC is spoken here\n").into_response();
    }
    let Some(receiver) = &state.otlp_receiver else {
        return failed(code::UNIMPLEMENTED, "OTLP is not received here");
    };
    let encoding = text("grpc-encoding");
    let known = matches!(encoding, "" | "identity" | "gzip");
    if !known {
        let mut response = failed(code::UNIMPLEMENTED, &format!("compression {encoding} is not understood"));
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
        return response;
    }
    match receive(&state, receiver, body, encoding == "gzip").await {
        Ok(partial) => succeeded(&message::response(&partial)),
        Err(failure) => failed(message::code_of(failure.status), &failure.text),
    }
}

async fn receive(
    state: &Arc<ServerState>,
    receiver: &Arc<OtlpReceiver>,
    body: HttpBody,
    gzip_allowed: bool,
) -> Result<Partial, PushFailure> {
    let reading = tokio::time::timeout(WRITE_READ_TIMEOUT, read(receiver.room(), body));
    let (bytes, gzip, room) = match Box::pin(reading).await {
        Ok(read) => read?,
        Err(_) => {
            let text = format!("cannot read request: it took more than {WRITE_READ_TIMEOUT:?}");
            return Err(PushFailure::new(StatusCode::REQUEST_TIMEOUT, text));
        }
    };
    if gzip && !gzip_allowed {
        return Err(invalid("cannot read request: it is compressed and does not say how"));
    }
    take(state, receiver, Body { bytes, gzip, format: Format::Protobuf, _room: room }).await
}

/// Reads the one message of a call; tells whether it is compressed.
async fn read(room: &Room, mut body: HttpBody) -> Result<(Bytes, bool, OwnedSemaphorePermit), PushFailure> {
    let mut buffer = BytesMut::new();
    let mut frame: Option<(usize, bool, OwnedSemaphorePermit)> = None;
    while let Some(part) = body.frame().await {
        let part = part.map_err(|e| invalid(format!("cannot read request: {e}")))?;
        let Ok(data) = part.into_data() else { continue };
        buffer.put(data);
        if frame.is_none() && buffer.len() >= FRAME_HEADER {
            let len = u32::from_be_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]) as usize;
            let permit = room.for_body(len).await?;
            frame = Some((len, buffer[0] & 1 == 1, permit));
        }
        if frame.as_ref().is_some_and(|(len, ..)| buffer.len() > FRAME_HEADER + len) {
            return Err(invalid("cannot read request: a unary call has one message"));
        }
    }
    match frame {
        Some((len, gzip, permit)) if buffer.len() == FRAME_HEADER + len => {
            Ok((buffer.split_off(FRAME_HEADER).freeze(), gzip, permit))
        }
        _ => Err(invalid("cannot read request: it is cut short")),
    }
}

fn invalid(text: impl Into<String>) -> PushFailure {
    PushFailure::new(StatusCode::BAD_REQUEST, text)
}

fn succeeded(message: &[u8]) -> Response {
    let mut body = BytesMut::with_capacity(FRAME_HEADER + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("an answer is short"));
    body.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code::OK));
    let body = Full::new(body.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    ([(header::CONTENT_TYPE, GRPC)], HttpBody::new(body)).into_response()
}

/// An outcome without a message: what would be trailers are headers.
fn failed(code: u32, text: &str) -> Response {
    let mut response = [(header::CONTENT_TYPE, GRPC)].into_response();
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(code));
    let text = percent_encoded(&message::shown(text));
    headers.insert("grpc-message", HeaderValue::from_str(&text).expect("it is printable ASCII"));
    response
}

/// A text as gRPC has it in a header.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if (b' '..=b'~').contains(&b) && b != b'%' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    async fn read_parts(parts: &[&[u8]]) -> Result<(Vec<u8>, bool), String> {
        let room = Room::register(12 << 20, &Registry::new()).unwrap();
        let frames: Vec<Result<Bytes, std::io::Error>> =
            parts.iter().map(|p| Ok(Bytes::copy_from_slice(p))).collect();
        let body = HttpBody::from_stream(futures::stream::iter(frames));
        read(&room, body).await.map(|(bytes, gzip, _)| (bytes.to_vec(), gzip)).map_err(|f| f.text)
    }

    #[tokio::test]
    async fn a_message_comes_in_parts_of_any_size() {
        assert_eq!(read_parts(&[b"\0\0\0\0\x03abc"]).await, Ok((b"abc".to_vec(), false)));
        assert_eq!(read_parts(&[b"\x01\0", b"\0\0\x03a", b"", b"bc"]).await, Ok((b"abc".to_vec(), true)));
        assert_eq!(read_parts(&[b"\0\0\0\0\0"]).await, Ok((vec![], false)));
        for cut in [&b""[..], b"\0\0", b"\0\0\0\0\x03ab"] {
            assert!(read_parts(&[cut]).await.unwrap_err().contains("cut short"));
        }
        assert!(read_parts(&[b"\0\0\0\0\x01ab"]).await.unwrap_err().contains("one message"));
        let large = read_parts(&[b"\0\xff\xff\xff\xff"]).await.unwrap_err();
        assert!(large.contains("limit compressed_bytes"), "{large}");
    }

    #[test]
    fn texts_are_safe_in_a_header() {
        assert_eq!(percent_encoded("a b%\n\"ü"), "a b%25%0A\"%C3%BC");
    }
}
