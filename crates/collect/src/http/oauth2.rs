//! Tokens of OAuth 2, by the client credentials grant.
//!
//! A token is kept until shortly before it ends and then got anew, by one request at a time. How the client names itself to the server
//! is found out, as Go's client does it: in a header, and where that fails in the form.

use std::sync::Arc;
use std::time::Duration;

use base::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use serde_json::Value;
use url::form_urlencoded;

use super::exchange::Exchange;
use super::{HttpTransport, reveal};
use crate::config::{Authorization, HttpConfig, OAuth2Config, Secret, Source};
use crate::limits::{TOKEN_ANSWER_BYTES_MAX, TOKEN_RENEWED_BEFORE, TOKENS_MAX};
use crate::post::PostResponse;

/// The tokens that are in use.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Vec<(OAuth2Config, Arc<Place>)>>);

type Place = tokio::sync::Mutex<Kept>;

#[derive(Default)]
struct Kept {
    /// With the secret that it was got with, which may stand in a file and change.
    token: Option<(String, Token)>,
    style: Option<Style>,
}

/// A token as the header has it.
#[derive(Clone)]
struct Token {
    header: String,
    /// By the monotonic clock.
    until: Option<Duration>,
}

/// How a client names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Header,
    Form,
}

impl Tokens {
    fn place(&self, config: &OAuth2Config) -> Arc<Place> {
        let mut all = self.0.lock();
        if let Some((_, place)) = all.iter().find(|(c, _)| c == config) {
            return Arc::clone(place);
        }
        if all.len() == TOKENS_MAX {
            all.remove(0);
        }
        let place = Arc::new(Place::default());
        all.push((config.clone(), Arc::clone(&place)));
        place
    }

    /// Forgets a token that a server did not take.
    pub(super) fn forget(&self, config: &OAuth2Config) {
        self.0.lock().retain(|(c, _)| c != config);
    }
}

impl HttpTransport {
    /// The `Authorization` header with a token that is valid now.
    pub(super) async fn token(&self, config: &OAuth2Config, wait: Duration) -> Result<String> {
        let what =
            |e: Error| e.context(format!("cannot get a token from {}", shown(config.token_url.expose())));
        let place = self.tokens.place(config);
        let get = async {
            let mut kept = place.lock().await;
            let secret = reveal(&config.client_secret).await?;
            let now = self.clock.monotonic();
            if let Some((of, token)) = &kept.token
                && *of == secret
                && token.until.is_none_or(|until| now < until)
            {
                return Ok(token.header.clone());
            }
            kept.token = None;
            let token = self.new_token(config, &secret, &mut kept.style).await?;
            let header = token.header.clone();
            kept.token = Some((secret, token));
            Ok(header)
        };
        match tokio::time::timeout(wait, get).await {
            Ok(result) => result.map_err(what),
            Err(_) => Err(what(Error::unavailable(format!("no answer within {wait:?}")))),
        }
    }

    async fn new_token(
        &self,
        config: &OAuth2Config,
        secret: &str,
        style: &mut Option<Style>,
    ) -> Result<Token> {
        if let Some(style) = *style {
            return self.ask_for_token(config, secret, style).await;
        }
        match self.ask_for_token(config, secret, Style::Header).await {
            // It was reached and did not like something, which may be where the credentials stand.
            Err(e) if e.kind() == ErrorKind::Invalid => {
                let token = self.ask_for_token(config, secret, Style::Form).await?;
                *style = Some(Style::Form);
                Ok(token)
            }
            Err(e) => Err(e),
            Ok(token) => {
                *style = Some(Style::Header);
                Ok(token)
            }
        }
    }

    async fn ask_for_token(&self, config: &OAuth2Config, secret: &str, style: Style) -> Result<Token> {
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let http = HttpConfig {
            authorization: match style {
                Style::Form => Authorization::None,
                Style::Header => Authorization::Basic {
                    username: Source::Inline(encoded(&config.client_id)),
                    password: Source::Inline(Secret::new(encoded(secret))),
                },
            },
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            ..HttpConfig::default()
        };
        let request = Exchange {
            url: config.token_url.expose().to_owned(),
            headers,
            body: Some(form(config, secret, style).into()),
            http,
            answer_bytes_max: TOKEN_ANSWER_BYTES_MAX,
        };
        let answer = self.exchange(request).await?;
        if answer.is_cut {
            return Err(Error::unavailable("its answer is cut off, or too large"));
        }
        if !answer.is_success() {
            return Err(refused(&answer, secret));
        }
        read_token(&answer, self.clock.monotonic())
    }
}

fn form(config: &OAuth2Config, secret: &str, style: Style) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let own = |name: &str| config.endpoint_params.iter().any(|(n, _)| n == name);
    if !own("grant_type") {
        form.append_pair("grant_type", "client_credentials");
    }
    if !config.scopes.is_empty() {
        form.append_pair("scope", &config.scopes.join(" "));
    }
    if style == Style::Form {
        form.append_pair("client_id", &config.client_id);
        if !secret.is_empty() {
            form.append_pair("client_secret", secret);
        }
    }
    for (name, value) in &config.endpoint_params {
        form.append_pair(name, value.expose());
    }
    form.finish()
}

/// What the server says of itself by RFC 6749, and nothing else of its answer: that might repeat the secret.
fn refused(answer: &PostResponse, secret: &str) -> Error {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| json[key].as_str().filter(|t| !t.is_empty());
    let said =
        [text("error"), text("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let said = if secret.is_empty() { said } else { said.replace(secret, "<secret>") };
    let status = format!("server returned HTTP status {}", answer.status);
    let text = if said.is_empty() { status } else { format!("{status}: {said}") };
    if answer.status >= 500 { Error::unavailable(text) } else { Error::invalid(text) }
}

fn read_token(answer: &PostResponse, now: Duration) -> Result<Token> {
    let content_type = answer.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let json = if matches!(media_type, "application/x-www-form-urlencoded" | "text/plain") {
        let pairs = form_urlencoded::parse(&answer.body);
        Value::Object(pairs.map(|(n, v)| (n.into_owned(), Value::String(v.into_owned()))).collect())
    } else {
        // The cause would quote the answer, and that may hold a token.
        serde_json::from_slice(&answer.body).map_err(|_| Error::unavailable("its answer is no JSON"))?
    };
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
    let seconds = match &json["expires_in"] {
        Value::String(text) => text.trim().parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let lasts = seconds.filter(|s| *s > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
    // One that never ends says nothing, or more than a clock can show.
    let until = lasts.and_then(|lasts| now.checked_add(lasts.saturating_sub(TOKEN_RENEWED_BEFORE)));
    Ok(Token { header: format!("{kind} {token}"), until })
}

/// An address without the parts that may be secret.
fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "an address that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &str) -> PostResponse {
        PostResponse {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            is_cut: false,
        }
    }

    #[test]
    fn answers_are_read_in_both_forms() {
        let now = Duration::from_secs(100);
        let read = |content_type, body| {
            read_token(&answer(content_type, body), now).map(|t| (t.header, t.until.map(|u| u.as_secs())))
        };
        let json = "application/json;charset=utf-8";
        let full = r#"{"access_token":"t","token_type":"bearer","expires_in":3600}"#;
        assert_eq!(read(json, full), Ok(("Bearer t".into(), Some(3690))));
        assert_eq!(
            read(json, r#"{"access_token":"t","expires_in":"60"}"#),
            Ok(("Bearer t".into(), Some(150)))
        );
        assert_eq!(read(json, r#"{"access_token":"t","token_type":"MAC"}"#), Ok(("MAC t".into(), None)));
        let form = "application/x-www-form-urlencoded";
        assert_eq!(read(form, "access_token=a%2Bb&expires_in=5"), Ok(("Bearer a+b".into(), Some(100))));
        for (nonsense, why) in
            [("<html>", "no JSON"), ("[]", "no access_token"), (r#"{"access_token":7}"#, "no access_token")]
        {
            let error = read(json, nonsense).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        assert_eq!(read(json, r#"{"access_token":"t","expires_in":1e300}"#), Ok(("Bearer t".into(), None)));
    }

    #[test]
    fn a_refusal_does_not_repeat_the_secret() {
        let body = r#"{"error":"invalid_client","error_description":"hunter2 is wrong"}"#;
        let refusal = PostResponse { status: 401, ..answer("application/json", body) };
        let error = refused(&refusal, "hunter2");
        assert_eq!(error.message(), "server returned HTTP status 401: invalid_client: <secret> is wrong");
        assert_eq!(shown("https://u:p@h/token?key=x"), "https://h/token");
    }
}
