//! Requests to other servers over HTTP: scrapes, discovery, samples and alerts that are sent on, and the commands that ask a server.
//!
//! Owns the connections, TLS, proxies, credentials, redirects and decompression; whoever makes a request says how in an [`HttpConfig`].
//! `hyper` with `hyper-rustls`, rather than `reqwest` on top of them: both are in the tree already, and only they let a target's
//! certificate be checked against another name than the URL's host (`server_name`).

mod aws;
mod aws_profile;
mod azure;
mod clients;
mod exchange;
mod fetch;
mod google;
mod jwt;
mod oauth2;
mod proxy;
mod sigv4;
mod token;
mod tunnel;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Result};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, StatusCode, Uri};

use crate::config::{Authorization, HttpConfig, Secret, Source};
use crate::limits::{REDIRECTS_MAX, SECRET_FILE_BYTES_MAX};
use clients::Clients;
pub use exchange::Exchange;
use token::{Credentials, Tokens};

/// What the `User-Agent` header says.
pub const USER_AGENT: &str = concat!("Bellwether/", env!("CARGO_PKG_VERSION"));

/// Reads a variable of the environment, which names proxies and keys of AWS.
pub type Environment = fn(&str) -> Option<String>;

/// Makes requests over HTTP and HTTPS. One serves all, at the same time.
pub struct HttpTransport {
    clients: Clients,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    environment: Environment,
}

/// A request, and how it is made.
struct Outgoing<'a> {
    method: Method,
    url: &'a str,
    headers: HeaderMap,
    body: Bytes,
    http: &'a HttpConfig,
    /// A socket of this machine that is connected to, whatever the URL names.
    socket: Option<&'a Path>,
    /// Whether the body is for the first server alone.
    is_secret: bool,
    /// How long to wait for a token.
    token_wait: Duration,
}

impl HttpTransport {
    /// A transport without connections yet.
    pub fn new(clock: Arc<dyn Clock>, environment: Environment) -> Self {
        Self { clients: Clients::default(), tokens: Tokens::default(), clock, environment }
    }

    /// Sends a request, and again to where it is redirected.
    async fn send(&self, out: Outgoing<'_>) -> Result<Response<Incoming>> {
        let http = out.http;
        let client = self.clients.get(http, out.socket, self.environment).await?;
        let first: Uri = out.url.parse().map_err(|e| Error::invalid(format!("{e}")))?;
        let token = match &http.authorization {
            Authorization::None | Authorization::Basic { .. } | Authorization::Credentials { .. } => None,
            of => Some(Box::pin(self.token(of, out.token_wait)).await?),
        };
        let own = own_headers(http, token.as_ref()).await?;
        let mut uri = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = Request::new(Full::new(out.body.clone()));
            *request.method_mut() = out.method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = out.headers.clone();
            // Another server must not learn the credentials of this one.
            if is_same_server(&uri, &first) {
                for (name, value) in &own {
                    request.headers_mut().append(name.clone(), value.clone());
                }
                if let (Authorization::SigV4(config), Some(Credentials::Aws(key))) =
                    (&http.authorization, &token)
                {
                    sigv4::sign(&mut request, &out.body, key, &config.service, self.clock.now_ms())?;
                }
            }
            if let Some(credentials) = client.route.plain_proxy_authorization(&uri) {
                request.headers_mut().insert(PROXY_AUTHORIZATION, sensitive(credentials.expose())?);
            }
            let response = client.http.request(request).await.map_err(|e| unavailable(&e))?;
            if response.status() == StatusCode::UNAUTHORIZED && token.is_some() {
                // It may have been taken back.
                self.tokens.forget(&http.authorization);
            }
            // By the others a client asks for the new address without a body, which would not be what was meant.
            let keeps_body =
                matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let follows = keeps_body || out.method == Method::GET;
            match if follows { redirect(http, &uri, &response)? } else { None } {
                Some(next) if out.is_secret && !is_same_server(&next, &first) => {
                    let scheme = next.scheme_str().unwrap_or_default();
                    let host = next.host().unwrap_or_default();
                    return Err(Error::unavailable(format!(
                        "it redirects to {scheme}://{host}, another server, which does not get what is secret"
                    )));
                }
                Some(next) => uri = next,
                None => return Ok(response),
            }
        }
        Err(Error::unavailable(format!("stopped after {REDIRECTS_MAX} redirects")))
    }
}

fn is_same_server(a: &Uri, b: &Uri) -> bool {
    a.authority() == b.authority() && a.scheme() == b.scheme()
}

/// Headers that only the server itself may see.
async fn own_headers(http: &HttpConfig, token: Option<&Credentials>) -> Result<HeaderMap> {
    let mut out = HeaderMap::new();
    let authorization = match token {
        Some(Credentials::Header(header)) => Some(header.clone()),
        // A signature depends on the rest of the request.
        Some(Credentials::Aws(_)) => None,
        None => authorization(&http.authorization).await?,
    };
    if let Some(authorization) = authorization {
        out.insert(AUTHORIZATION, sensitive(&authorization)?);
    }
    for (name, values) in &http.headers {
        let name: HeaderName =
            name.parse().map_err(|_| Error::invalid(format!("{name:?} is not the name of a header")))?;
        for value in values {
            let value = HeaderValue::from_str(&reveal(value).await?)
                .map_err(|_| Error::invalid(format!("the header {name} holds bytes that it cannot")))?;
            out.append(name.clone(), hidden(value));
        }
    }
    Ok(out)
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(text);
    value.map(hidden).map_err(|_| Error::invalid("the credentials hold bytes that a header cannot"))
}

fn hidden(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
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
        Authorization::OAuth2(_)
        | Authorization::SigV4(_)
        | Authorization::AzureAd(_)
        | Authorization::GoogleIam(_) => return Err(Error::internal("a token is not there that was got")),
    })
}

async fn reveal(secret: &Source<Secret>) -> Result<String> {
    match secret {
        Source::Inline(secret) => Ok(secret.expose().to_owned()),
        Source::File(path) => read_small_file(path).await,
    }
}

/// Reads a file with a secret or a certificate; white space around it is dropped.
async fn read_small_file(path: &Path) -> Result<String> {
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
