//! Says why in answers to what cannot be read as a request. The HTTP library answers it before anybody else sees it, with a status and without a
//! text; Go's server says the status at least.
//!
//! Owns these texts. Recognises such an answer by its first bytes, which no other answer of this program has, and puts another in its place.

use bytes::Bytes;

/// How the library begins an answer of its own, after the status.
const EMPTY: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\n";

const VERSION: &[u8] = b"HTTP/1.1 ";

/// Statuses of such answers, and what is the matter.
const REASONS: [(&str, &str); 3] = [
    ("400 Bad Request", "the request's first line or a header cannot be read"),
    ("414 URI Too Long", "the request's address has more bytes than are read"),
    (
        "431 Request Header Fields Too Large",
        "the request's headers are more, or have more bytes, than are read",
    ),
];

/// What is written in place of these bytes; `None` if they are no such answer.
pub(crate) fn with_reason(written: &[u8]) -> Option<Bytes> {
    let rest = written.strip_prefix(VERSION)?;
    let (status, why, rest) = REASONS.iter().find_map(|(status, why)| {
        let rest = rest.strip_prefix(status.as_bytes())?.strip_prefix(EMPTY)?;
        Some((status, why, rest))
    })?;
    // The other headers, which are those of every answer.
    let headers = std::str::from_utf8(rest.strip_suffix(b"\r\n")?).ok()?;
    if !headers.is_empty() && !headers.ends_with("\r\n") {
        return None;
    }
    let text = format!("{status}: {why}\n");
    Some(Bytes::from(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\n{headers}\r\n{text}",
        text.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_of_the_library_are_replaced() {
        let empty = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let said = with_reason(empty).unwrap();
        let want = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
            content-length: 69\r\ndate: x\r\n\r\n400 Bad Request: the request's first line or a header cannot be read\n";
        assert_eq!(std::str::from_utf8(&said), Ok(want));
        for cut in 0..empty.len() {
            assert_eq!(with_reason(&empty[..cut]), None);
        }
        for other in ["200 OK", "400 Bad Request\r\ncontent-type: text/plain", "404 Not Found"] {
            let other = format!("HTTP/1.1 {other}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(with_reason(other.as_bytes()), None, "{other}");
        }
    }
}
