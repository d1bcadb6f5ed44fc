//! Requests of any kind, and their answers of any status.

use async_trait::async_trait;
use base::{Error, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT as USER_AGENT_HEADER};
use hyper::{Method, Response};

use super::{HttpTransport, Outgoing, USER_AGENT, hidden};
use crate::config::HttpConfig;
use crate::limits::{POST_ANSWER_BYTES_MAX, TOKEN_WAIT};
use crate::post::{Post, PostRequest, PostResponse};

/// A request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The address.
    pub url: String,
    /// Headers, with what the body is. Credentials come from `http`.
    pub headers: Vec<(String, String)>,
    /// What is posted; without it, the address is asked for.
    pub body: Option<Bytes>,
    /// Authentication, TLS and redirects.
    pub http: HttpConfig,
    /// Bytes of the answer that are kept.
    pub answer_bytes_max: usize,
}

#[async_trait]
impl Post for HttpTransport {
    async fn post(&self, request: PostRequest) -> Result<PostResponse> {
        let PostRequest { url, headers, body, http } = request;
        self.exchange(Exchange {
            url,
            headers,
            body: Some(body),
            http,
            answer_bytes_max: POST_ANSWER_BYTES_MAX,
        })
        .await
    }
}

impl HttpTransport {
    /// Makes a request and reads the answer.
    pub async fn exchange(&self, request: Exchange) -> Result<PostResponse> {
        let method = if request.body.is_some() { Method::POST } else { Method::GET };
        self.exchange_by(method, request, false).await
    }

    /// The same by a method that the body does not say, and with a body that may be for this server alone.
    pub(super) async fn exchange_by(
        &self,
        method: Method,
        request: Exchange,
        is_secret: bool,
    ) -> Result<PostResponse> {
        let verb = if request.body.is_some() { "post to" } else { "get" };
        let what = |e: Error| e.context(format!("cannot {verb} {}", without_credentials(&request.url)));
        let outgoing = Outgoing {
            method,
            url: &request.url,
            headers: headers(&request).map_err(what)?,
            body: request.body.clone().unwrap_or_default(),
            http: &request.http,
            socket: None,
            is_secret,
            token_wait: TOKEN_WAIT,
        };
        let response = Box::pin(self.send(outgoing)).await.map_err(what)?;
        Ok(read(response, request.answer_bytes_max).await)
    }
}

fn headers(request: &Exchange) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    out.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &request.headers {
        let name: HeaderName =
            name.parse().map_err(|_| Error::invalid(format!("{name:?} is not the name of a header")))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::invalid(format!("the header {name} holds bytes that it cannot")))?;
        // Headers of the configuration may hold keys.
        out.insert(name, hidden(value));
    }
    Ok(out)
}

/// The whole body is read, so that the connection can be used again, and its beginning kept.
async fn read(response: Response<Incoming>, bytes_max: usize) -> PostResponse {
    let text = |v: &HeaderValue| v.to_str().ok().map(str::to_owned);
    let mut answer = PostResponse {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
            .collect(),
        body: Vec::new(),
        is_cut: false,
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        // The status came, and it counts.
        let Ok(frame) = frame else {
            answer.is_cut = true;
            break;
        };
        if let Some(data) = frame.data_ref() {
            let room = bytes_max - answer.body.len();
            answer.body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                answer.is_cut = true;
                break;
            }
        }
    }
    answer
}

/// An address for messages.
fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) => {
            // Only addresses without a host refuse, and they have no credentials.
            let _ = parsed.set_password(None);
            let _ = parsed.set_username("");
            parsed.to_string()
        }
        Err(_) => "an address that cannot be read".to_owned(),
    }
}
