//! Tokens of OAuth 2, by the grants of client credentials and of what the client signs.
//!
//! How the client names itself to the server is found out for the former, as Go's client does it: in a header, and where that fails in
//! the form.

use base::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::token::{FORM, Question, Token, read_answer, read_token, refused};
use super::{HttpTransport, jwt, reveal};
use crate::config::{Authorization, Grant, HttpConfig, JwtGrant, OAuth2Config, Secret, Source};
use crate::limits::JWT_LASTS;

/// The grant for which the client signs what it asks.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How a client names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Header,
    Form,
}

/// The client's secret or key, as it is now.
pub(super) async fn secret(config: &OAuth2Config) -> Result<String> {
    match &config.grant {
        Grant::Secret(secret) => reveal(secret).await,
        Grant::Jwt(grant) => reveal(&grant.key).await,
    }
}

impl HttpTransport {
    /// Gets a token, by this secret or key.
    pub(super) async fn oauth2_token(
        &self,
        config: &OAuth2Config,
        secret: String,
        style: &mut Option<Style>,
    ) -> Result<Token> {
        if let Grant::Jwt(grant) = &config.grant {
            let assertion = self.assertion(config, grant, &secret)?;
            let form = signed_form(config, &assertion)?;
            return self.ask_for_token(config, form, Authorization::None, secret).await;
        }
        if let Some(style) = *style {
            return self.ask_by_secret(config, secret, style).await;
        }
        match self.ask_by_secret(config, secret.clone(), Style::Header).await {
            // It was reached and did not like something, which may be where the credentials stand.
            Err(e) if e.kind() == ErrorKind::Invalid => {
                let token = self.ask_by_secret(config, secret, Style::Form).await?;
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

    async fn ask_by_secret(&self, config: &OAuth2Config, secret: String, style: Style) -> Result<Token> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        // Not a header of our own, which would go along to where the answer redirects.
        let authorization = match style {
            Style::Form => Authorization::None,
            Style::Header => Authorization::Basic {
                username: Source::Inline(encoded(&config.client_id)),
                password: Source::Inline(Secret::new(encoded(&secret))),
            },
        };
        self.ask_for_token(config, form(config, &secret, style), authorization, secret).await
    }

    async fn ask_for_token(
        &self,
        config: &OAuth2Config,
        form: String,
        authorization: Authorization,
        secret: String,
    ) -> Result<Token> {
        let headers = [("content-type", FORM.to_owned())];
        let http = HttpConfig {
            authorization,
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            ..HttpConfig::default()
        };
        let question = Question {
            url: config.token_url.expose(),
            headers: &headers,
            body: Some(form),
            http: Some(http),
            ..Question::default()
        };
        let answer = self.ask(question).await?;
        if !answer.is_success() {
            return Err(refused(&answer, &secret));
        }
        read_token(&read_answer(&answer)?, secret, self.clock.monotonic())
    }

    /// What the client signs (RFC 7523, section 3).
    fn assertion(&self, config: &OAuth2Config, grant: &JwtGrant, key: &str) -> Result<String> {
        let now = self.clock.now_ms().div_euclid(1000);
        let issuer = grant.issuer.as_deref().unwrap_or(&config.client_id);
        let audience = grant.audience.as_deref().unwrap_or(config.token_url.expose());
        let claims = json!({
            "iss": issuer,
            "sub": config.client_id,
            "aud": audience,
            "jti": jwt::unique_id()?,
            "iat": now,
            "exp": now + JWT_LASTS.as_secs() as i64,
        });
        let Value::Object(mut claims) = claims else { return Err(Error::internal("claims are an object")) };
        if !config.scopes.is_empty() {
            claims.insert("scope".into(), json!(config.scopes.join(" ")));
        }
        claims.extend(grant.claims.clone());
        let mut header = Map::new();
        if !grant.key_id.is_empty() {
            header.insert("kid".into(), json!(grant.key_id));
        }
        jwt::sign(grant.algorithm, header, &claims, key)
    }
}

/// Only the grant may be another than the usual one, for servers that want that.
fn signed_form(config: &OAuth2Config, assertion: &str) -> Result<String> {
    let own = |name: &str| config.endpoint_params.iter().any(|(n, _)| n == name);
    let scope = config.scopes.join(" ");
    let mut form = form_urlencoded::Serializer::new(String::new());
    if !own("grant_type") {
        form.append_pair("grant_type", JWT_BEARER);
    }
    form.append_pair("assertion", assertion);
    if !scope.is_empty() {
        form.append_pair("scope", &scope);
    }
    for (name, value) in &config.endpoint_params {
        if name == "assertion" || (name == "scope" && !scope.is_empty()) {
            return Err(Error::invalid(format!("endpoint_params cannot overwrite the parameter {name:?}")));
        }
        form.append_pair(name, value.expose());
    }
    Ok(form.finish())
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

/// An address without the parts that may be secret.
pub(super) fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "an address that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::token::Credentials;
    use super::*;
    use crate::post::PostResponse;

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
            let token = read_token(&read_answer(&answer(content_type, body))?, String::new(), now)?;
            let Credentials::Header(header) = token.credentials else { panic!("no header") };
            Ok::<_, Error>((header, token.until.map(|u| u.as_secs())))
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
