//! Requests as bytes on a connection, since no client of ours would send most of them, and what has to come of each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Stands for a connection without an answer: it is closed, or waits for the rest of what was begun.
pub(super) const CLOSED: u16 = 0;

/// How long it is waited for an answer that need not come.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// How long an answer may take: hostile requests are to be answered, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an answer that are looked at.
const ANSWER_BYTES: u64 = 1 << 20;

/// A request, and what has to come of it.
pub(super) struct Hostile {
    pub(super) what: &'static str,
    bytes: Vec<u8>,
    /// One of these.
    statuses: &'static [u16],
    /// What an answer says.
    says: &'static str,
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Hostile {
    /// Bytes of any kind.
    pub(super) fn raw(
        what: &'static str,
        bytes: impl Into<Vec<u8>>,
        statuses: &'static [u16],
        says: &'static str,
    ) -> Self {
        Self { what, bytes: bytes.into(), statuses, says }
    }

    pub(super) fn get(what: &'static str, path: &str, statuses: &'static [u16], says: &'static str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        Self::raw(what, head, statuses, says)
    }

    /// A body with these lines in its head.
    pub(super) fn post(
        what: &'static str,
        (path, head): (&str, &str),
        body: &[u8],
        statuses: &'static [u16],
        says: &'static str,
    ) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n"
        );
        Self::raw(what, [head.as_bytes(), body].concat(), statuses, says)
    }

    /// A query as a form.
    pub(super) fn query(
        what: &'static str,
        form: &[(&str, &str)],
        statuses: &'static [u16],
        says: &'static str,
    ) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let path = if form.iter().any(|(name, _)| *name == "step") { "query_range" } else { "query" };
        let (path, head) = (format!("/api/v1/{path}"), FORM);
        Self::post(what, (&path, head), body.finish().as_bytes(), statuses, says)
    }

    /// Sends it; what is wrong with the answer, if anything is.
    pub(super) fn fault(&self, url: &str) -> Option<String> {
        let answer = self.send(url);
        let expected = self.statuses.contains(&answer.status);
        let says = answer.status == CLOSED || answer.text.contains(self.says);
        let text: String = answer.text.chars().take(400).collect();
        (!expected || !says).then(|| {
            format!("{}: {} {text:?}, not {:?} {:?}", self.what, answer.status, self.statuses, self.says)
        })
    }

    fn send(&self, url: &str) -> Answer {
        let mut connection = connect(url);
        if self.statuses.contains(&CLOSED) {
            connection.set_read_timeout(Some(IMPATIENCE)).expect("a positive time");
        }
        // A server that has refused a request need not read the rest of it.
        let _ = connection.write_all(&self.bytes);
        let mut bytes = Vec::new();
        let _ = connection.take(ANSWER_BYTES).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Answer { status: status.unwrap_or(CLOSED), text: text.into_owned() }
    }
}

/// The line of a head that says that a form follows.
pub(super) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

pub(super) fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an address of ours");
    let connection = TcpStream::connect(address).expect("it takes connections");
    connection.set_read_timeout(Some(PATIENCE)).expect("a positive time");
    connection.set_write_timeout(Some(PATIENCE)).expect("a positive time");
    connection
}
