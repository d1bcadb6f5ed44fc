//! Fetching the body of a target, or of a list of targets.

use std::io::Read;

use async_trait::async_trait;
use base::{Error, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
    USER_AGENT as USER_AGENT_HEADER,
};
use hyper::{Method, Response, StatusCode};

use super::{HttpTransport, Outgoing, USER_AGENT, internal, unavailable};
use crate::limits::TOKEN_WAIT;
use crate::scrape::{FetchRequest, FetchedBody, Purpose, Transport, body_too_large};

#[async_trait]
impl Transport for HttpTransport {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody> {
        let what = |e: Error| e.context(format!("cannot {} {}", request.purpose.verb(), request.url));
        let outgoing = Outgoing {
            method: Method::GET,
            url: &request.url,
            headers: headers(request).map_err(what)?,
            body: Bytes::new(),
            http: &request.http,
            socket: request.socket.as_deref(),
            is_secret: false,
            // Who waits gives up by itself, and would not know for what it waited.
            token_wait: TOKEN_WAIT.min(request.timeout.mul_f64(0.8)),
        };
        let response = Box::pin(self.send(outgoing)).await.map_err(what)?;
        let body = read(request, response).await;
        // The page of targets has the address beside a scrape's error.
        if request.purpose == Purpose::Scrape { body } else { body.map_err(what) }
    }
}

fn headers(request: &FetchRequest) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    let text = |value: &str| HeaderValue::from_str(value).map_err(|e| internal(&e));
    out.insert(ACCEPT, text(&request.accept)?);
    out.insert(
        ACCEPT_ENCODING,
        HeaderValue::from_static(if request.compression { "gzip" } else { "identity" }),
    );
    out.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    out.insert(request.purpose.header(), text(&request.timeout.as_secs_f64().to_string())?);
    Ok(out)
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
