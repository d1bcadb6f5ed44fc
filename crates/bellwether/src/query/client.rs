//! The HTTP API as a client sees it: requests, and what a server answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Result};
use base64::Engine as _;
use collect::config::{Authorization, HttpConfig, Secret, Source};
use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How long a server has for an answer: as long as promtool waits.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes of an answer. Larger than any page of results that a person reads; it is held in memory.
const MAX_ANSWER_BYTES: u64 = 1 << 30;

/// A server that is asked.
pub(crate) struct Client {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server says so: its type of error and its text.
    Refused { kind: String, text: String },
    /// There was no proper answer.
    NoAnswer(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::NoAnswer(e)
    }
}

impl Client {
    /// A client for the server at `url`, where `http://` may be left out.
    pub(crate) fn new(
        url: &str,
        http_config_file: Option<&Path>,
        headers: &[(String, String)],
    ) -> Result<Self> {
        let config = match http_config_file {
            Some(file) => crate::config::load_http_config(file)?,
            None => HttpConfig::default(),
        };
        let mut headers = headers.to_vec();
        let (url, credentials) = split_url(url)?;
        let authorization = authorization(&config)?;
        if authorization.is_some() && credentials.is_some() {
            return Err(Error::invalid(
                "cannot log in: both the server's URL and the HTTP configuration file say how",
            ));
        }
        headers.extend(authorization.or(credentials).map(|value| ("Authorization".to_owned(), value)));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(collect::scrape::USER_AGENT)
            .max_redirects(if config.follow_redirects { 10 } else { 0 })
            .tls_config(tls(&config)?)
            .build();
        Ok(Self { agent: agent.into(), url, headers, timeout: TIMEOUT })
    }

    /// Gives the server more time than queries get.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Asks for a path with its query.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.get(&url).config().timeout_global(Some(self.timeout)).build();
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        read(&url, request.call())
    }

    /// Sends a form.
    pub(crate) fn post(&self, path: &str, form: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let mut request = self
            .agent
            .post(&url)
            .config()
            .timeout_global(Some(self.timeout))
            .build()
            .content_type("application/x-www-form-urlencoded");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        read(&url, request.send(form))
    }

    /// The data of an endpoint of the API and its warnings. Parameters go into a form, or into the URL for an endpoint
    /// that only takes them there.
    pub(crate) fn api(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        by_form: bool,
    ) -> Result<(Value, Vec<String>), Failure> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            form.append_pair(name, value);
        }
        let form = form.finish();
        let answer = if by_form { self.post(path, &form)? } else { self.get(&format!("{path}?{form}"))? };
        let url = &self.url;
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let kind = if answer.status >= 500 { "server_error" } else { "client_error" };
            let text = match answer.status {
                200..300 => {
                    return Err(Error::invalid(format!(
                        "cannot read the answer of {url}{path}: it is no JSON"
                    ))
                    .into());
                }
                status if status >= 500 => format!("server error: {status}"),
                status => format!("client error: {status}"),
            };
            return Err(Failure::Refused { kind: kind.into(), text });
        };
        if body["status"] != "success" {
            let text = |key: &str| body[key].as_str().unwrap_or("").to_owned();
            return Err(Failure::Refused { kind: text("errorType"), text: text("error") });
        }
        let warnings = body["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(|w| w.as_str().map(str::to_owned)).collect();
        Ok((body["data"].clone(), warnings))
    }
}

fn read(url: &str, response: std::result::Result<ureq::http::Response<Body>, ureq::Error>) -> Result<Answer> {
    let failed = |e: ureq::Error| Error::unavailable(format!("cannot ask {url}: {e}"));
    let mut response = response.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(failed)?;
    Ok(Answer { status, body })
}

/// The URL without a slash at its end and without the user and password in it, which become a header.
fn split_url(url: &str) -> Result<(String, Option<String>)> {
    let url = url.trim_end_matches('/');
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (scheme, rest) = full.split_once("://").unwrap_or(("http", &full));
    if !matches!(scheme, "http" | "https") || rest.is_empty() {
        return Err(Error::invalid(format!("cannot ask {url}: write the server as http://127.0.0.1:9090")));
    }
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user, host)) => {
            let user = form_urlencoded::parse(user.replace('+', "%2B").as_bytes())
                .next()
                .map_or(String::new(), |(decoded, _)| decoded.into_owned());
            let encoded = base64::engine::general_purpose::STANDARD.encode(user);
            Ok((format!("{scheme}://{host}{}", &rest[end..]), Some(format!("Basic {encoded}"))))
        }
        None => Ok((full, None)),
    }
}

fn authorization(config: &HttpConfig) -> Result<Option<String>> {
    Ok(match &config.authorization {
        Authorization::None => None,
        Authorization::Basic { username, password } => {
            let user = match username {
                Source::Inline(name) => name.clone(),
                Source::File(path) => read_file(path)?,
            };
            let pair = format!("{user}:{}", reveal(password)?);
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
        }
        Authorization::Credentials { scheme, credentials } => {
            Some(format!("{scheme} {}", reveal(credentials)?))
        }
    })
}

fn reveal(secret: &Source<Secret>) -> Result<String> {
    match secret {
        Source::Inline(secret) => Ok(secret.expose().to_owned()),
        Source::File(path) => read_file(path),
    }
}

fn read_file(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::unavailable(format!("cannot read {}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

fn tls(config: &HttpConfig) -> Result<TlsConfig> {
    let bad = |what: &str, e: ureq::Error| Error::invalid(format!("cannot use the {what}: {e}"));
    let text = |source: &Source<String>| match source {
        Source::Inline(text) => Ok(text.clone()),
        Source::File(path) => read_file(path),
    };
    let roots = match &config.tls.ca {
        Some(source) => {
            let pem = text(source)?;
            let ca = Certificate::from_pem(pem.as_bytes()).map_err(|e| bad("certificate authority", e))?;
            RootCerts::new_with_certs(&[ca])
        }
        None => RootCerts::PlatformVerifier,
    };
    let identity = match &config.tls.identity {
        Some(identity) => {
            let (cert, key) = (text(&identity.cert)?, reveal(&identity.key)?);
            let cert = Certificate::from_pem(cert.as_bytes()).map_err(|e| bad("client certificate", e))?;
            let key = PrivateKey::from_pem(key.as_bytes()).map_err(|e| bad("client key", e))?;
            Some(ClientCert::new_with_certs(&[cert], key))
        }
        None => None,
    };
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .client_cert(identity)
        .disable_verification(config.tls.insecure_skip_verify)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_who_asks() {
        let split = |url| split_url(url).map_err(|e| e.to_string());
        assert_eq!(split("127.0.0.1:9090/"), Ok(("http://127.0.0.1:9090".into(), None)));
        assert_eq!(split("https://u:p%40+@h/p/"), Ok(("https://h/p".into(), Some("Basic dTpwQCs=".into()))));
        assert!(split("ftp://x").is_err());
        assert!(split("").is_err());
    }
}
