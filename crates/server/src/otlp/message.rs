//! The messages that answers hold: `ExportMetricsServiceResponse`, and `google.rpc.Status` where a request has failed.

use axum::http::StatusCode;
use serde_json::json;

use super::Partial;
use crate::push::PushFailure;

/// Characters of an answer's text: gRPC has it in a header.
const TEXT_CHARS: usize = 2048;

/// gRPC's codes.
pub(super) mod code {
    pub(in super::super) const OK: u32 = 0;
    pub(in super::super) const INVALID_ARGUMENT: u32 = 3;
    pub(in super::super) const DEADLINE_EXCEEDED: u32 = 4;
    pub(in super::super) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(in super::super) const UNIMPLEMENTED: u32 = 12;
    pub(in super::super) const INTERNAL: u32 = 13;
    pub(in super::super) const UNAVAILABLE: u32 = 14;
}

/// An `ExportMetricsServiceResponse`; empty if nothing was refused.
pub(super) fn response(partial: &Partial) -> Vec<u8> {
    let mut out = Vec::new();
    if partial.rejected > 0 {
        let mut inner = Vec::new();
        inner.push(1 << 3);
        put_varint(&mut inner, partial.rejected);
        put_text(&mut inner, 2, &shown(&partial.text));
        out.push(1 << 3 | 2);
        put_varint(&mut out, inner.len() as u64);
        out.extend(inner);
    }
    out
}

/// The same as JSON.
pub(super) fn response_json(partial: &Partial) -> String {
    if partial.rejected == 0 {
        return "{}".into();
    }
    let (rejected, text) = (partial.rejected.to_string(), shown(&partial.text));
    json!({"partialSuccess": {"rejectedDataPoints": rejected, "errorMessage": text}}).to_string()
}

/// A `google.rpc.Status`.
pub(super) fn status(failure: &PushFailure) -> Vec<u8> {
    let mut out = vec![1 << 3];
    put_varint(&mut out, code_of(failure.status).into());
    put_text(&mut out, 2, &shown(&failure.text));
    out
}

/// The same as JSON.
pub(super) fn status_json(failure: &PushFailure) -> String {
    json!({"code": code_of(failure.status), "message": shown(&failure.text)}).to_string()
}

/// gRPC's code for a failure. Only what may be tried again is `UNAVAILABLE`.
pub(super) fn code_of(status: StatusCode) -> u32 {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => code::RESOURCE_EXHAUSTED,
        StatusCode::REQUEST_TIMEOUT => code::DEADLINE_EXCEEDED,
        StatusCode::SERVICE_UNAVAILABLE => code::UNAVAILABLE,
        StatusCode::NOT_IMPLEMENTED => code::UNIMPLEMENTED,
        s if s.is_client_error() => code::INVALID_ARGUMENT,
        _ => code::INTERNAL,
    }
}

/// A text as long as an answer may have it.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

fn put_text(out: &mut Vec<u8>, number: u8, text: &str) {
    out.push(number << 3 | 2);
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_success_says_nothing() {
        assert!(response(&Partial::default()).is_empty());
        assert_eq!(response_json(&Partial::default()), "{}");
    }

    #[test]
    fn messages_are_as_the_specification_has_them() {
        let partial = Partial { rejected: 300, text: "why".into() };
        assert_eq!(response(&partial), b"\x0a\x08\x08\xac\x02\x12\x03why");
        assert_eq!(
            response_json(&partial),
            r#"{"partialSuccess":{"rejectedDataPoints":"300","errorMessage":"why"}}"#
        );
        let failure = PushFailure::new(StatusCode::BAD_REQUEST, "why");
        assert_eq!(status(&failure), b"\x08\x03\x12\x03why");
        assert_eq!(status_json(&failure), r#"{"code":3,"message":"why"}"#);
    }

    #[test]
    fn only_what_may_be_tried_again_is_unavailable() {
        let check = |status: StatusCode, want| assert_eq!(code_of(status), want, "{status}");
        check(StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE);
        check(StatusCode::PAYLOAD_TOO_LARGE, code::RESOURCE_EXHAUSTED);
        check(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT);
        check(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_ARGUMENT);
        check(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL);
    }
}
