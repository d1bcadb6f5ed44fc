//! The HTTP API as a client sees it: requests, and what a server answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, Result};
use collect::config::{Authorization, HttpConfig};
use collect::http::{Exchange, HttpTransport};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::clock::SystemClock;

/// How long a server has for an answer: as long as promtool waits.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes of an answer. Larger than any page of results that a person reads; it is held in memory.
const MAX_ANSWER_BYTES: usize = 1 << 30;

/// A server that is asked.
pub(crate) struct Client {
    transport: HttpTransport,
    runtime: Runtime,
    http: HttpConfig,
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
        let mut http = match http_config_file {
            Some(file) => crate::config::load_http_config(file)?,
            None => HttpConfig::default(),
        };
        let mut url = full_url(url)?;
        let authorized = http.authorization != Authorization::None;
        let before = url.clone();
        http.take_credentials(&mut url);
        if authorized && url != before {
            return Err(Error::invalid(
                "cannot log in: both the server's URL and the HTTP configuration file say how",
            ));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::unavailable(format!("cannot start a runtime: {e}")))?;
        let transport = HttpTransport::new(Arc::new(SystemClock::new()), crate::serve::environment);
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { transport, runtime, http, url, headers: headers.to_vec(), timeout: TIMEOUT })
    }

    /// Gives the server more time than queries get.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Asks for a path with its query.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.ask(path, &[], None)
    }

    /// Sends a form.
    pub(crate) fn post(&self, path: &str, form: &str) -> Result<Answer> {
        let form_type = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        self.ask(path, &[form_type], Some(form.as_bytes().to_vec()))
    }

    /// Sends a body if there is one, with headers besides those of the command line.
    pub(crate) fn ask(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let failed = |cause: String| Error::unavailable(format!("cannot ask {url}: {cause}"));
        let request = Exchange {
            url: url.clone(),
            headers: headers.iter().chain(&self.headers).cloned().collect(),
            body: body.map(Into::into),
            http: self.http.clone(),
            answer_bytes_max: MAX_ANSWER_BYTES,
        };
        let asked = async { tokio::time::timeout(self.timeout, self.transport.exchange(request)).await };
        let answer = match self.runtime.block_on(asked) {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(failed(format!("no answer within {}", base::format_duration(self.timeout))));
            }
        };
        if answer.is_cut {
            return Err(failed(format!(
                "the answer ended too early, or has more than {} MiB",
                MAX_ANSWER_BYTES >> 20
            )));
        }
        Ok(Answer { status: answer.status, body: answer.body })
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

/// The URL with its scheme.
fn full_url(url: &str) -> Result<String> {
    let url = url.trim_end_matches('/');
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (scheme, rest) = full.split_once("://").unwrap_or(("http", &full));
    if !matches!(scheme, "http" | "https") || rest.is_empty() {
        return Err(Error::invalid(format!("cannot ask {url}: write the server as http://127.0.0.1:9090")));
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use collect::config::{Secret, Source};

    use super::*;

    #[test]
    fn urls_say_who_asks() {
        let asks = |url| Client::new(url, None, &[]).map(|c| (c.url, c.http.authorization));
        let basic = |user: &str, password: &str| Authorization::Basic {
            username: Source::Inline(user.into()),
            password: Source::Inline(Secret::new(password)),
        };
        assert_eq!(asks("127.0.0.1:9090/"), Ok(("http://127.0.0.1:9090".into(), Authorization::None)));
        assert_eq!(asks("https://u:p%40+@h/p/"), Ok(("https://h/p".into(), basic("u", "p@+"))));
        assert!(asks("ftp://x").is_err());
        assert!(asks("").is_err());
    }
}
