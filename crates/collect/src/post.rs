//! Requests that carry a body: the seam to the network for what is sent to others.

use async_trait::async_trait;
use base::Result;
use bytes::Bytes;

use crate::config::HttpConfig;

/// A body and where it goes.
#[derive(Debug, Clone)]
pub struct PostRequest {
    /// The address.
    pub url: String,
    /// Headers, with what the body is. Credentials come from `http`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Authentication, TLS and redirects.
    pub http: HttpConfig,
}

/// An answer of any status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostResponse {
    /// The status.
    pub status: u16,
    /// Headers that are text, with their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, of at most [`crate::limits::POST_ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
    /// The body had more, or ended before it was whole.
    pub is_cut: bool,
}

impl PostResponse {
    /// Whether the status says that the body was taken.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of a name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text for a message.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// Posts bodies. One serves all who send, at the same time.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts one body. The caller drops the future when it has waited long enough. An error says that there was no answer.
    async fn post(&self, request: PostRequest) -> Result<PostResponse>;
}
