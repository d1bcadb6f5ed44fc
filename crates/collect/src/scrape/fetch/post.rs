//! Sending bodies over HTTP.

use async_trait::async_trait;
use base::{Error, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT as USER_AGENT_HEADER};
use hyper::{Request, Response, StatusCode, Uri};

use super::{HttpTransport, USER_AGENT, authorize, internal, redirect, unavailable};
use crate::limits::{POST_ANSWER_BYTES_MAX, REDIRECTS_MAX};
use crate::post::{Post, PostRequest, PostResponse};

#[async_trait]
impl Post for HttpTransport {
    async fn post(&self, request: PostRequest) -> Result<PostResponse> {
        let what = |e: Error| e.context(format!("cannot post to {}", without_credentials(&request.url)));
        let client = self.clients.get(&request.http).await.map_err(what)?;
        let headers = headers(&request).await.map_err(what)?;
        let first: Uri = request.url.parse().map_err(|e| what(Error::invalid(format!("{e}"))))?;
        let mut uri = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let body = Full::new(request.body.clone());
            let mut outgoing = Request::post(uri.clone()).body(body).map_err(|e| what(internal(&e)))?;
            *outgoing.headers_mut() = headers.clone();
            if uri.authority() != first.authority() || uri.scheme() != first.scheme() {
                // Another server must not learn the credentials of this one.
                outgoing.headers_mut().remove(AUTHORIZATION);
            }
            let response = client.request(outgoing).await.map_err(|e| what(unavailable(&e)))?;
            // By the others a client asks for the new address without a body, which would not be what was meant.
            let keeps_body =
                matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let next =
                if keeps_body { redirect(&request.http, &uri, &response).map_err(what)? } else { None };
            match next {
                Some(next) => uri = next,
                None => return read(response).await.map_err(what),
            }
        }
        Err(what(Error::unavailable(format!("stopped after {REDIRECTS_MAX} redirects"))))
    }
}

async fn headers(request: &PostRequest) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    out.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &request.headers {
        let name: HeaderName =
            name.parse().map_err(|_| Error::invalid(format!("{name:?} is not the name of a header")))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Error::invalid(format!("the header {name} holds bytes that it cannot")))?;
        // Headers of the configuration may hold keys.
        value.set_sensitive(true);
        out.insert(name, value);
    }
    authorize(&request.http, &mut out).await?;
    Ok(out)
}

/// The whole body is read, so that the connection can be used again, and its beginning kept.
async fn read(response: Response<Incoming>) -> Result<PostResponse> {
    let text = |v: &HeaderValue| v.to_str().ok().map(str::to_owned);
    let mut answer = PostResponse {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
            .collect(),
        body: Vec::new(),
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        // The status came, and it counts.
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            let room = POST_ANSWER_BYTES_MAX - answer.body.len();
            answer.body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                break;
            }
        }
    }
    Ok(answer)
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
