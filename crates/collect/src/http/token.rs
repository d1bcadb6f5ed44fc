//! Tokens and keys that end, from wherever they come.
//!
//! One is kept until shortly before it ends and then got anew, by one request at a time. After a failure the next attempt waits, and who
//! asks meanwhile hears of that failure: a server that is away is not asked by every target of a pool.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Result};
use hyper::Method;
use parking_lot::Mutex;
use serde_json::Value;
use url::form_urlencoded;

use super::exchange::Exchange;
use super::{HttpTransport, oauth2, sigv4};
use crate::config::{Authorization, HttpConfig, ProxyChoice, ProxyConfig};
use crate::limits::{
    TOKEN_ANSWER_BYTES_MAX, TOKEN_RENEWED_BEFORE, TOKEN_RETRY_MAX, TOKEN_RETRY_MIN, TOKENS_MAX,
};
use crate::post::PostResponse;

/// The tokens that are in use.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Vec<(Authorization, Arc<Place>)>>);

type Place = tokio::sync::Mutex<Kept>;

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// How a client of OAuth 2 names itself, once that is known.
    style: Option<oauth2::Style>,
    failure: Option<Failure>,
}

/// Why there is no token, and until when nobody tries.
struct Failure {
    error: Error,
    pause: Duration,
    /// By the monotonic clock.
    until: Duration,
}

/// What authorizes requests for a while.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) credentials: Credentials,
    /// What it was got with, where that stands in a file and may change.
    pub(super) secret: String,
    /// When it is got anew, by the monotonic clock; `None` if it does not end.
    pub(super) until: Option<Duration>,
}

/// What a token is.
#[derive(Clone)]
pub(super) enum Credentials {
    /// The value of the header `Authorization`.
    Header(String),
    /// A key that signs.
    Aws(sigv4::Key),
}

impl Tokens {
    fn place(&self, of: &Authorization) -> Arc<Place> {
        let mut all = self.0.lock();
        if let Some((_, place)) = all.iter().find(|(other, _)| other == of) {
            return Arc::clone(place);
        }
        if all.len() == TOKENS_MAX {
            all.remove(0);
        }
        let place = Arc::new(Place::default());
        all.push((of.clone(), Arc::clone(&place)));
        place
    }

    /// Forgets a token that a server did not take.
    pub(super) fn forget(&self, of: &Authorization) {
        self.0.lock().retain(|(other, _)| other != of);
    }
}

impl HttpTransport {
    /// Credentials that are valid now. Waits for at most so long.
    pub(super) async fn token(&self, of: &Authorization, wait: Duration) -> Result<Credentials> {
        let what = |e: Error| e.context(format!("cannot get {}", what_of(of)));
        let late = || what(Error::unavailable(format!("no answer within {wait:?}")));
        let begun = self.clock.monotonic();
        let place = self.tokens.place(of);
        let mut kept = tokio::time::timeout(wait, place.lock()).await.map_err(|_| late())?;
        let secret = self.secret_of(of).await.map_err(what)?;
        let now = self.clock.monotonic();
        if let Some(token) = &kept.token
            && token.secret == secret
            && token.until.is_none_or(|until| now < until)
        {
            return Ok(token.credentials.clone());
        }
        kept.token = None;
        if let Some(failure) = &kept.failure
            && now < failure.until
        {
            return Err(what(failure.error.clone()));
        }
        let left = wait.saturating_sub(now.saturating_sub(begun));
        let attempt = Box::pin(self.new_token(of, secret, &mut kept.style));
        let got = match tokio::time::timeout(left, attempt).await {
            Ok(got) => got,
            Err(_) => Err(Error::unavailable(format!("no answer within {wait:?}"))),
        };
        match got {
            Ok(token) => {
                kept.failure = None;
                let credentials = token.credentials.clone();
                kept.token = Some(token);
                Ok(credentials)
            }
            Err(error) => {
                let last = kept.failure.as_ref().map_or(Duration::ZERO, |failure| failure.pause);
                let pause = (last * 2).clamp(TOKEN_RETRY_MIN, TOKEN_RETRY_MAX);
                let until = self.clock.monotonic().saturating_add(pause);
                kept.failure = Some(Failure { error: error.clone(), pause, until });
                Err(what(error))
            }
        }
    }

    /// What a token is got with that stands in a file, so that a new one takes effect.
    async fn secret_of(&self, of: &Authorization) -> Result<String> {
        match of {
            Authorization::OAuth2(config) => oauth2::secret(config).await,
            _ => Ok(String::new()),
        }
    }

    async fn new_token(
        &self,
        of: &Authorization,
        secret: String,
        style: &mut Option<oauth2::Style>,
    ) -> Result<Token> {
        match of {
            Authorization::OAuth2(config) => self.oauth2_token(config, secret, style).await,
            Authorization::AzureAd(config) => self.azure_token(config).await,
            Authorization::GoogleIam(config) => self.google_token(config).await,
            Authorization::SigV4(config) => self.aws_key(config).await,
            Authorization::None | Authorization::Basic { .. } | Authorization::Credentials { .. } => {
                Err(Error::internal("these credentials are no token"))
            }
        }
    }

    /// Makes a request on the way to a token. An answer that is cut off is an error, one of any status is not.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<PostResponse> {
        let choice = match question.direct {
            true => ProxyChoice::None,
            false => ProxyChoice::FromEnvironment,
        };
        let http = question.http.unwrap_or_else(|| HttpConfig {
            proxy: ProxyConfig { choice, ..ProxyConfig::default() },
            // Who redirects a request with a secret would get it.
            follow_redirects: false,
            ..HttpConfig::default()
        });
        let body = question.body.map(bytes::Bytes::from);
        let headers = question.headers.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        let request = Exchange {
            url: question.url.to_owned(),
            headers,
            body,
            http,
            answer_bytes_max: TOKEN_ANSWER_BYTES_MAX,
        };
        let method = match (question.method_put, request.body.is_some()) {
            (true, _) => Method::PUT,
            (false, true) => Method::POST,
            (false, false) => Method::GET,
        };
        let answer = Box::pin(self.exchange_by(method, request, true)).await?;
        if answer.is_cut {
            return Err(Error::unavailable("its answer is cut off, or too large"));
        }
        Ok(answer)
    }

    /// Posts a form and reads the token of the answer. `secret` is not repeated in errors.
    pub(super) async fn ask_by_form(&self, url: &str, form: &[(&str, &str)], secret: &str) -> Result<Value> {
        secure(url)?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = &[("content-type", FORM.to_owned())];
        let answer = self.ask(Question { url, headers, body: Some(body), ..Question::default() }).await?;
        if !answer.is_success() {
            return Err(refused(&answer, secret));
        }
        read_answer(&answer)
    }
}

/// The media type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A request on the way to a token.
#[derive(Default)]
pub(super) struct Question<'a> {
    pub(super) url: &'a str,
    pub(super) headers: &'a [(&'a str, String)],
    pub(super) body: Option<String>,
    /// Whether it is put instead of posted.
    pub(super) method_put: bool,
    /// Whether no proxy may be asked: services of the machine itself are not behind one.
    pub(super) direct: bool,
    /// How it is made, where that is configured.
    pub(super) http: Option<HttpConfig>,
}

/// Refuses an address that would show a secret to the network.
pub(super) fn secure(url: &str) -> Result<()> {
    let parsed =
        url::Url::parse(url).map_err(|_| Error::invalid("the address of the token cannot be read"))?;
    let near = match parsed.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if near => Ok(()),
        _ => {
            Err(Error::invalid(format!("{} is not asked: secrets go out by https alone", oauth2::shown(url))))
        }
    }
}

/// What an error calls what was to be got.
fn what_of(of: &Authorization) -> String {
    match of {
        Authorization::OAuth2(config) => {
            format!("a token from {}", oauth2::shown(config.token_url.expose()))
        }
        Authorization::AzureAd(_) => "a token of Azure".to_owned(),
        Authorization::GoogleIam(_) => "a token of Google Cloud".to_owned(),
        _ => "a key of AWS".to_owned(),
    }
}

/// What the server says of itself by RFC 6749, and nothing else of its answer: that might repeat the secret.
pub(super) fn refused(answer: &PostResponse, secret: &str) -> Error {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| json[key].as_str().filter(|t| !t.is_empty());
    let said =
        [text("error"), text("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    refusal(answer.status, &said, secret)
}

/// The error of a status, with what the server said of it.
pub(super) fn refusal(status: u16, said: &str, secret: &str) -> Error {
    let said = if secret.is_empty() { said.to_owned() } else { said.replace(secret, "<secret>") };
    let status_text = format!("server returned HTTP status {status}");
    let text = if said.is_empty() { status_text } else { format!("{status_text}: {said}") };
    if status >= 500 { Error::unavailable(text) } else { Error::invalid(text) }
}

/// The fields of an answer, whether it is JSON or a form.
pub(super) fn read_answer(answer: &PostResponse) -> Result<Value> {
    let content_type = answer.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if matches!(media_type, FORM | "text/plain") && !answer.body.starts_with(b"{") {
        let pairs: HashMap<_, _> = form_urlencoded::parse(&answer.body).into_owned().collect();
        return Ok(Value::Object(pairs.into_iter().map(|(n, v)| (n, Value::String(v))).collect()));
    }
    // The cause would quote the answer, and that may hold a token.
    serde_json::from_slice(&answer.body).map_err(|_| Error::unavailable("its answer is no JSON"))
}

/// The token of an answer by RFC 6749, section 5.1.
pub(super) fn read_token(json: &Value, secret: String, now: Duration) -> Result<Token> {
    let text = |key: &str| json[key].as_str().unwrap_or_default();
    let token = text("access_token");
    if token.is_empty() {
        return Err(Error::unavailable("its answer has no access_token"));
    }
    let kind = match text("token_type") {
        "" => "Bearer",
        kind if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        kind if kind.eq_ignore_ascii_case("basic") => "Basic",
        kind => kind,
    };
    let lasts = seconds(&json["expires_in"]).filter(|s| *s > 0.0);
    let lasts = lasts.and_then(|s| Duration::try_from_secs_f64(s).ok());
    // One that never ends says nothing, or more than a clock can show.
    let until = lasts.and_then(|lasts| now.checked_add(lasts.saturating_sub(TOKEN_RENEWED_BEFORE)));
    Ok(Token { credentials: Credentials::Header(format!("{kind} {token}")), secret, until })
}

/// A number, which some write as a text.
pub(super) fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

/// Reads a file with credentials in JSON. Its text is not in errors.
pub(super) async fn read_json_file(path: &Path) -> Result<Value> {
    let text = super::read_small_file(path).await?;
    serde_json::from_str(&text)
        .map_err(|_| Error::invalid(format!("cannot read {}: it is no JSON", path.display())))
}
