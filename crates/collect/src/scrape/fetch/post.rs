//! Sending a body to a server, with the same clients, TLS and credentials as fetching one.

use base::{Error, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Uri};

use super::{HttpTransport, authorization, internal, unavailable};
use crate::config::HttpConfig;
use crate::limits::POST_ANSWER_BYTES_MAX;

/// What a server answers to a body that it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, as it was written.
    pub retry_after: Option<String>,
    /// The headers, by name in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, as text for messages.
    pub text: String,
}

impl PostAnswer {
    /// Whether the server took the body.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl HttpTransport {
    /// Posts a body with headers of its own, and returns what the server answers, whatever its status; an error means
    /// that there was no answer. Redirects are not followed: a body goes where the configuration says. The caller
    /// drops the future once its time is over.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        config: &HttpConfig,
    ) -> Result<PostAnswer> {
        let what = |e: Error| e.context(format!("cannot post to {url}"));
        let client = self.clients.get(config).await.map_err(what)?;
        let uri: Uri = url.parse().map_err(|e| what(Error::invalid(format!("{e}"))))?;
        let request = Request::post(uri).body(Full::new(body.into()));
        let mut request = request.map_err(|e| what(internal(&e)))?;
        *request.headers_mut() = own_headers(headers, config).await.map_err(what)?;
        let response = client.request(request).await.map_err(|e| what(unavailable(&e)))?;
        let status = response.status().as_u16();
        let text = |v: &HeaderValue| v.to_str().unwrap_or_default().to_owned();
        let retry_after = response.headers().get(RETRY_AFTER).map(text);
        let headers = response.headers().iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect();
        let mut bytes = Vec::new();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| what(unavailable(&e)))?;
            let left = POST_ANSWER_BYTES_MAX - bytes.len();
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(&data[..data.len().min(left)]);
            }
            if bytes.len() == POST_ANSWER_BYTES_MAX {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(PostAnswer { status, retry_after, headers, text })
    }
}

async fn own_headers(headers: &[(&str, &str)], config: &HttpConfig) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    out.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| internal(&e))?;
        out.insert(name, HeaderValue::from_str(value).map_err(|e| internal(&e))?);
    }
    if let Some(authorization) = authorization(&config.authorization).await? {
        let mut value = HeaderValue::from_str(&authorization)
            .map_err(|_| Error::invalid("the credentials hold bytes that a header cannot"))?;
        value.set_sensitive(true);
        out.insert(AUTHORIZATION, value);
    }
    Ok(out)
}
