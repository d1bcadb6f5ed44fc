//! HTTP to one server: writes, queries and the few maintenance calls that a benchmark needs.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use ureq::Agent;

use super::Kind;
use crate::clock::{self, Stopwatch};
use crate::limits::{ANSWER_BYTES_MAX, HTTP_TIMEOUT, PATIENCE, SEND_ATTEMPTS_MAX, SEND_RETRY_PAUSE};

/// A connection, or a few that are kept open.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    kind: Kind,
}

/// What became of one write.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    /// How often it was refused with a status that asks to come back.
    pub(crate) retries: u64,
}

impl Client {
    pub(crate) fn new(kind: Kind, port: u16) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(HTTP_TIMEOUT))
            .http_status_as_error(false)
            .max_idle_connections_per_host(1)
            .build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}"), kind }
    }

    /// Another client of the same server that shares no connection with this one.
    pub(crate) fn separate(&self) -> Self {
        let agent = Agent::new_with_config(self.agent.config().clone());
        Self { agent, base: self.base.clone(), kind: self.kind }
    }

    /// Whether the server says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.get(self.kind.ready_path()).is_ok_and(|(status, _)| status == 200)
    }

    /// Sends one remote-write request until it is accepted.
    pub(crate) fn write(&self, body: &[u8]) -> Result<Sent> {
        let mut sent = Sent::default();
        loop {
            let answer = self
                .agent
                .post(format!("{}/api/v1/write", self.base))
                .header("Content-Encoding", "snappy")
                .header("Content-Type", "application/x-protobuf")
                .header("X-Prometheus-Remote-Write-Version", "0.1.0")
                .header("User-Agent", "bellwether-bench")
                .send(body)
                .with_context(|| format!("cannot write to {}", self.kind))?;
            let (status, text) = read(answer)?;
            let again = status == 429 || status >= 500;
            if (200..300).contains(&status) {
                return Ok(sent);
            }
            if !again || sent.retries >= u64::from(SEND_ATTEMPTS_MAX) {
                bail!("cannot write to {}: it answers {status}: {}", self.kind, shorten(&text));
            }
            sent.retries += 1;
            clock::sleep(SEND_RETRY_PAUSE);
        }
    }

    /// The `data` of an answer of Prometheus' API, and how long it took until the last byte was there.
    pub(crate) fn data(&self, path: &str, form: &[(&str, &str)]) -> Result<(Value, Duration)> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("{path}?{query}");
        let watch = Stopwatch::start();
        let (status, body) = self.get(&url).with_context(|| format!("cannot query {}", self.kind))?;
        let took = watch.elapsed();
        let mut json: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{} answers {status} {} to {url}", self.kind, shorten(&body)))?;
        ensure!(
            status == 200 && json["status"] == "success",
            "{} answers {status} {} to {url}",
            self.kind,
            shorten(&body)
        );
        Ok((json["data"].take(), took))
    }

    /// The only value of an instant query; 0 if nothing was selected.
    pub(crate) fn number(&self, query: &str, time_ms: i64) -> Result<f64> {
        let time = seconds(time_ms);
        let form = [("query", query), ("time", time.as_str()), ("nocache", "1")];
        let (data, _) = self.data("/api/v1/query", &form)?;
        let Some(first) = data["result"].get(0) else { return Ok(0.0) };
        let text = first["value"][1].as_str().context("a vector has values")?;
        text.parse().with_context(|| format!("{text:?} is no number"))
    }

    /// Makes what was acknowledged visible at once, where a server takes its time with that.
    pub(crate) fn flush(&self) -> Result<()> {
        if self.kind == Kind::VictoriaMetrics {
            self.maintain("/internal/force_flush")?;
        }
        Ok(())
    }

    /// A maintenance call that answers with any 2xx.
    pub(crate) fn maintain(&self, path: &str) -> Result<Vec<u8>> {
        let (status, body) = self.get(path)?;
        ensure!((200..300).contains(&status), "{} answers {status} {} to {path}", self.kind, shorten(&body));
        Ok(body)
    }

    /// The same as a POST without a body.
    pub(crate) fn post(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.agent.post(format!("{}{path}", self.base)).send_empty()?;
        let (status, body) = read(answer)?;
        ensure!((200..300).contains(&status), "{} answers {status} {} to {path}", self.kind, shorten(&body));
        Ok(body)
    }

    fn get(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        read(self.agent.get(format!("{}{path}", self.base)).call()?)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<(u16, Vec<u8>)> {
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let mut reader = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).reader();
    reader.read_to_end(&mut body).context("cannot read an answer")?;
    Ok((status, body))
}

fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim().chars().take(300).collect()
}

/// A time as the APIs take it.
pub(crate) fn seconds(t_ms: i64) -> String {
    format!("{}.{:03}", t_ms.div_euclid(1000), t_ms.rem_euclid(1000))
}

/// Tries until something is so, for as long as anything may take.
pub(crate) fn eventually<T>(
    pause: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let watch = Stopwatch::start();
    loop {
        let result = attempt()?;
        if result.is_some() || watch.elapsed() > PATIENCE {
            return Ok(result);
        }
        clock::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_decimals() {
        assert_eq!(seconds(1_700_000_000_007), "1700000000.007");
    }

    #[test]
    fn long_answers_are_shortened() {
        assert_eq!(shorten(" a\n".as_bytes()), "a");
        assert_eq!(shorten(&[b'x'; 1000]).len(), 300);
    }
}
