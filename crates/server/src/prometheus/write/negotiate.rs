//! Which message a request of remote write holds, by its headers. The words are Prometheus'.

use axum::http::{HeaderMap, header};
use ingest::remote_write::Message;

/// The encoding and the type that a sender may use.
const SNAPPY: &str = "snappy";
const PROTOBUF: &str = "application/x-protobuf";

/// The message, or what is wrong with the encoding or the type; both may be left out.
pub(super) fn message(headers: &HeaderMap, accepted: &[Message]) -> Result<Message, String> {
    let text = |name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"));
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != SNAPPY {
        return Err(format!(
            "{encoding} encoding (compression) is not accepted by this server; only {SNAPPY} is acceptable"
        ));
    }
    let message = of_content_type(text(header::CONTENT_TYPE).trim())?;
    if accepted.contains(&message) {
        return Ok(message);
    }
    Err(format!(
        "{} protobuf message is not accepted by this server; only accepts {}",
        message.name(),
        names(accepted)
    ))
}

fn of_content_type(content_type: &str) -> Result<Message, String> {
    if content_type.is_empty() {
        return Ok(Message::V1);
    }
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or("").trim();
    if media != PROTOBUF {
        return Err(format!(
            "expected {PROTOBUF} as the first (media) part, got {content_type} content-type"
        ));
    }
    for parameter in parts {
        match parameter.trim().split_once('=') {
            Some(("proto", name)) => {
                return Message::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
                    format!(
                        "got {content_type} content type; unknown type for remote write protobuf message {name}, supported: {}",
                        names(&Message::ALL)
                    )
                });
            }
            Some(_) => {}
            None => {
                return Err(format!(
                    "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {parameter} in {content_type} content-type"
                ));
            }
        }
    }
    Ok(Message::V1)
}

fn names(messages: &[Message]) -> String {
    messages.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, encoding: &str, accepted: &[Message]) -> Result<Message, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::CONTENT_TYPE, content_type), (header::CONTENT_ENCODING, encoding)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        message(&headers, accepted)
    }

    #[test]
    fn headers_name_the_message() {
        let check = |content_type: &str, encoding: &str, want: Message| {
            assert_eq!(of(content_type, encoding, &Message::ALL), Ok(want), "{content_type}");
        };
        check("", "", Message::V1);
        check("application/x-protobuf", "snappy", Message::V1);
        check("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", Message::V1);
        check("application/x-protobuf; version=0.1.0", "snappy", Message::V1);
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", Message::V2);
        check("application/x-protobuf; proto=io.prometheus.write.v2.Request", "", Message::V2);
    }

    #[test]
    fn what_is_not_accepted_is_said_in_prometheus_words() {
        let check = |content_type: &str, encoding: &str, accepted: &[Message], want: &str| {
            let got = of(content_type, encoding, accepted).unwrap_err();
            assert!(got.contains(want), "{got}");
        };
        let (all, v2) = (&Message::ALL, "application/x-protobuf;proto=io.prometheus.write.v2.Request");
        check("application/x-protobuf", "gzip", all, "gzip encoding (compression) is not accepted");
        check("application/json", "snappy", all, "expected application/x-protobuf as the first");
        check(v2, "snappy", &[Message::V1], "only accepts prometheus.WriteRequest");
        check("", "snappy", &[Message::V2], "prometheus.WriteRequest protobuf message is not accepted");
        let unknown = "type for remote write protobuf message x, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request";
        check("application/x-protobuf;proto=x", "snappy", all, unknown);
        check("application/x-protobuf;proto", "snappy", all, "expected parameters to be key-values");
    }
}
