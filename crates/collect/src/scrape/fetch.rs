//! Fetching over HTTP.
//!
//! Owns the connections, TLS, authentication, redirects and decompression. `hyper` with `hyper-rustls`, rather than
//! `reqwest` on top of them: both are in the tree already, and only they let a target's certificate be checked against
//! another name than the URL's host (`server_name`).

mod post;
mod tls;

use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Error, Result};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    USER_AGENT as USER_AGENT_HEADER,
};
use hyper::{Request, Response, StatusCode, Uri};

use super::transport::{FetchRequest, FetchedBody, Transport, body_too_large};
use crate::config::{Authorization, HttpConfig, Secret, Source};
use crate::limits::{REDIRECTS_MAX, SECRET_FILE_BYTES_MAX};
use tls::Clients;

/// What the `User-Agent` header says.
pub const USER_AGENT: &str = concat!("Bellwether/", env!("CARGO_PKG_VERSION"));

const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";

/// Fetches bodies over HTTP and HTTPS.
#[derive(Default)]
pub struct HttpTransport {
    clients: Clients,
}

impl HttpTransport {
    /// A transport without connections yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody> {
        let what = |e: Error| e.context(format!("cannot scrape {}", request.url));
        let client = self.clients.get(&request.http).await.map_err(what)?;
        let headers = headers(request).await.map_err(what)?;
        let first: Uri = request.url.parse().map_err(|e| what(Error::invalid(format!("{e}"))))?;
        let mut uri = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut outgoing =
                Request::get(uri.clone()).body(Full::<Bytes>::default()).map_err(|e| what(internal(&e)))?;
            *outgoing.headers_mut() = headers.clone();
            if uri.authority() != first.authority() || uri.scheme() != first.scheme() {
                // Another server must not learn the credentials of this one.
                outgoing.headers_mut().remove(AUTHORIZATION);
            }
            let response = client.request(outgoing).await.map_err(|e| what(unavailable(&e)))?;
            match redirect(&request.http, &uri, &response).map_err(what)? {
                Some(next) => uri = next,
                None => return read(request, response).await,
            }
        }
        Err(what(Error::unavailable(format!("stopped after {REDIRECTS_MAX} redirects"))))
    }
}

async fn headers(request: &FetchRequest) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    let text = |value: &str| HeaderValue::from_str(value).map_err(|e| internal(&e));
    out.insert(ACCEPT, text(&request.accept)?);
    out.insert(
        ACCEPT_ENCODING,
        HeaderValue::from_static(if request.compression { "gzip" } else { "identity" }),
    );
    out.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    out.insert(TIMEOUT_HEADER, text(&request.timeout.as_secs_f64().to_string())?);
    authorize(&request.http, &mut out).await?;
    Ok(out)
}

/// Adds the credentials.
async fn authorize(http: &HttpConfig, headers: &mut HeaderMap) -> Result<()> {
    if let Some(authorization) = authorization(&http.authorization).await? {
        let mut value = HeaderValue::from_str(&authorization)
            .map_err(|_| Error::invalid("the credentials hold bytes that a header cannot"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

async fn authorization(authorization: &Authorization) -> Result<Option<String>> {
    Ok(match authorization {
        Authorization::None => None,
        Authorization::Basic { username, password } => {
            let user = match username {
                Source::Inline(name) => name.clone(),
                Source::File(path) => read_small_file(path).await?,
            };
            let pair = format!("{user}:{}", reveal(password).await?);
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
        }
        Authorization::Credentials { scheme, credentials } => {
            Some(format!("{scheme} {}", reveal(credentials).await?))
        }
    })
}

async fn reveal(secret: &Source<Secret>) -> Result<String> {
    match secret {
        Source::Inline(secret) => Ok(secret.expose().to_owned()),
        Source::File(path) => read_small_file(path).await,
    }
}

/// Reads a file with a secret or a certificate; white space around it is dropped.
async fn read_small_file(path: &std::path::Path) -> Result<String> {
    let fail = |cause: String| Error::unavailable(format!("cannot read {}: {cause}", path.display()));
    let length = tokio::fs::metadata(path).await.map_err(|e| fail(e.to_string()))?.len();
    if length > SECRET_FILE_BYTES_MAX {
        return Err(fail(format!("it has {length} bytes, the limit is {SECRET_FILE_BYTES_MAX}")));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|e| fail(e.to_string()))?;
    Ok(text.trim().to_owned())
}

/// Where a response sends the request, if it does and that is allowed.
fn redirect(http: &HttpConfig, from: &Uri, response: &Response<Incoming>) -> Result<Option<Uri>> {
    let moved = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| moved && http.follow_redirects) else {
        return Ok(None);
    };
    let bad = || Error::invalid(format!("cannot follow the redirect to {location:?}"));
    let base = url::Url::parse(&from.to_string()).map_err(|_| bad())?;
    let next = base.join(location.to_str().map_err(|_| bad())?).map_err(|_| bad())?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(bad());
    }
    next.as_str().split('#').next().unwrap_or_default().parse().map(Some).map_err(|_| bad())
}

async fn read(request: &FetchRequest, response: Response<Incoming>) -> Result<FetchedBody> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Error::unavailable(format!("server returned HTTP status {status}")));
    }
    let header =
        |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (content_type, encoding) = (header(CONTENT_TYPE), header(CONTENT_ENCODING));
    let limit = request.body_size_limit;
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| unavailable(&e).context(format!("cannot read the body of {}", request.url)))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > limit {
                return Err(body_too_large(limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    match encoding.as_str() {
        "gzip" => bytes = gunzip(&bytes, limit)?,
        "" | "identity" => {}
        other => {
            return Err(Error::invalid(format!(
                "the target sends the encoding {other:?}, which was not asked for"
            )));
        }
    }
    Ok(FetchedBody { content_type, bytes })
}

fn gunzip(compressed: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
    // One byte more than allowed tells "at the limit" from "beyond it".
    let mut reader = flate2::read::MultiGzDecoder::new(compressed).take(limit as u64 + 1);
    reader.read_to_end(&mut out).map_err(|e| Error::invalid(format!("cannot decompress the body: {e}")))?;
    if out.len() > limit { Err(body_too_large(limit)) } else { Ok(out) }
}

fn internal(e: &dyn std::error::Error) -> Error {
    Error::internal(e.to_string())
}

/// The innermost cause says what happened; the layers around it only that something did.
fn unavailable(e: &dyn std::error::Error) -> Error {
    let mut cause = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Error::unavailable(cause.to_string())
}

impl HttpTransport {
    /// A transport behind an `Arc`, as loops share it.
    pub fn shared() -> Arc<dyn Transport> {
        Arc::new(Self::new())
    }
}
