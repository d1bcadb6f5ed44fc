//! OTLP over HTTP: `POST /api/v1/otlp/v1/metrics`, as in Prometheus, and `/v1/metrics`, as OpenTelemetry has it by default.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::otlp::Format;

use super::{Body, OtlpReceiver, Partial, message, take};
use crate::limits::WRITE_RETRY_AFTER_SECONDS;
use crate::push::PushFailure;
use crate::state::ServerState;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(crate) async fn metrics(State(state): State<Arc<ServerState>>, request: Request) -> Response {
    let Some(receiver) = state.otlp_receiver.as_ref().filter(|receiver| receiver.over_http) else {
        let text = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let (parts, body) = request.into_parts();
    let (format, gzip) = match negotiate(&parts.headers) {
        Ok(negotiated) => negotiated,
        Err(text) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{text}\n")).into_response(),
    };
    answer(format, &receive(&state, receiver, &parts.headers, body, (format, gzip)).await)
}

async fn receive(
    state: &Arc<ServerState>,
    receiver: &Arc<OtlpReceiver>,
    headers: &HeaderMap,
    body: axum::body::Body,
    (format, gzip): (Format, bool),
) -> Result<Partial, PushFailure> {
    let (bytes, room) = receiver.room().read(headers, body).await?;
    take(state, receiver, Body { bytes, gzip, format, _room: room }).await
}

/// How a request is written, and whether it is compressed. The words are Prometheus'.
fn negotiate(headers: &HeaderMap) -> Result<(Format, bool), String> {
    let text = |name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("?")).trim();
    let content_type = text(header::CONTENT_TYPE);
    let format = match content_type.split(';').next().unwrap_or("").trim() {
        PROTOBUF => Format::Protobuf,
        JSON => Format::Json,
        _ => {
            return Err(format!("unsupported content type: {content_type}, supported: [{JSON}, {PROTOBUF}]"));
        }
    };
    match text(header::CONTENT_ENCODING) {
        "" | "identity" => Ok((format, false)),
        "gzip" => Ok((format, true)),
        other => Err(format!("unsupported compression: {other}. Only \"gzip\" or no compression supported")),
    }
}

fn answer(format: Format, result: &Result<Partial, PushFailure>) -> Response {
    let (status, body) = match (result, format) {
        (Ok(partial), Format::Protobuf) => (StatusCode::OK, message::response(partial)),
        (Ok(partial), Format::Json) => (StatusCode::OK, message::response_json(partial).into_bytes()),
        (Err(failure), Format::Protobuf) => (failure.status, message::status(failure)),
        (Err(failure), Format::Json) => (failure.status, message::status_json(failure).into_bytes()),
    };
    let content_type = if format == Format::Json { JSON } else { PROTOBUF };
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(WRITE_RETRY_AFTER_SECONDS));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_how_a_request_is_written() {
        let of = |content_type: &str, encoding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            if !encoding.is_empty() {
                headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
            }
            negotiate(&headers)
        };
        assert_eq!(of("application/x-protobuf", ""), Ok((Format::Protobuf, false)));
        assert_eq!(of("application/json; charset=utf-8", "gzip"), Ok((Format::Json, true)));
        assert!(of("text/plain", "").unwrap_err().starts_with("unsupported content type: text/plain"));
        assert!(of("application/json", "zstd").unwrap_err().starts_with("unsupported compression: zstd"));
    }
}
