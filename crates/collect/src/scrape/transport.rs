//! How the body of a target is got: the seam to the network, and sources within this process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Error, Result};

use crate::config::{HttpConfig, Scheme, ScrapeConfig};
use crate::limits::BODY_SIZE_BYTES_MAX;
use crate::target::Target;

/// What a body is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The samples of a target.
    Scrape,
    /// A list of targets.
    Discovery,
}

impl Purpose {
    /// What cannot be done, for messages.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Scrape => "scrape",
            Self::Discovery => "get targets from",
        }
    }

    /// The header that says how long an answer is waited for, or how often one is asked for.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Scrape => "x-prometheus-scrape-timeout-seconds",
            Self::Discovery => "x-prometheus-refresh-interval-seconds",
        }
    }
}

/// What to fetch, and how.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// What for.
    pub purpose: Purpose,
    /// Scheme of the URL.
    pub scheme: Scheme,
    /// `host:port`, or the name of an in-process source.
    pub address: String,
    /// The URL.
    pub url: Arc<str>,
    /// The `Accept` header.
    pub accept: String,
    /// How long the target has for its answer; also sent to it.
    pub timeout: Duration,
    /// Whether to ask for gzip.
    pub compression: bool,
    /// A socket of this machine that is connected to, whatever host the URL names.
    pub socket: Option<PathBuf>,
    /// Bytes that an uncompressed body may have.
    pub body_size_limit: usize,
    /// Authentication, TLS and redirects.
    pub http: Arc<HttpConfig>,
}

impl FetchRequest {
    /// The request for scraping a target.
    pub(crate) fn new(target: &Target, config: &ScrapeConfig) -> Self {
        let limit = config.limits.body_size_limit;
        Self {
            purpose: Purpose::Scrape,
            scheme: target.scheme,
            address: target.address.clone(),
            url: target.url.clone(),
            accept: accept_header(config),
            timeout: target.timeout,
            compression: config.enable_compression,
            socket: target.socket.clone(),
            body_size_limit: if limit == 0 { BODY_SIZE_BYTES_MAX } else { limit },
            http: Arc::new(config.http.clone()),
        }
    }
}

/// Formats in order of preference, as Prometheus weighs them.
fn accept_header(config: &ScrapeConfig) -> String {
    use crate::config::ScrapeProtocol as P;
    let mut weight = 6;
    let mut parts = Vec::with_capacity(config.scrape_protocols.len() + 1);
    for protocol in &config.scrape_protocols {
        let mut part = protocol.media_type().to_owned();
        if matches!(protocol, P::PrometheusText1_0_0 | P::OpenMetricsText1_0_0) {
            part.push_str(&format!(";escaping={}", config.name_escaping.as_str()));
        }
        parts.push(format!("{part};q=0.{weight}"));
        weight -= 1;
    }
    parts.push(format!("*/*;q=0.{weight}"));
    parts.join(",")
}

/// What a target answered, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedBody {
    /// The `Content-Type` header, or the empty string.
    pub content_type: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Gets bodies. One serves all loops, at the same time.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Fetches one body. The caller drops the future once the timeout is over. An error of the kind
    /// [`base::ErrorKind::Limit`] says that the body is larger than the request allows.
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody>;
}

/// A target within this process.
#[async_trait]
pub trait LocalSource: Send + Sync {
    /// Prometheus text, version 0.0.4. Must not block the runtime: what may hang belongs on a thread of its own.
    async fn gather(&self) -> Result<Vec<u8>>;
}

/// Sends each request where its scheme says: to a named source of this process, or over the network.
pub struct Transports {
    network: Arc<dyn Transport>,
    local: HashMap<String, Arc<dyn LocalSource>>,
}

impl Transports {
    /// Everything over the network.
    pub fn new(network: Arc<dyn Transport>) -> Self {
        Self { network, local: HashMap::new() }
    }

    /// Adds a source of this process: the target of scheme [`Scheme::InProcess`] with this name as its address.
    #[must_use]
    pub fn with_local(mut self, name: impl Into<String>, source: Arc<dyn LocalSource>) -> Self {
        self.local.insert(name.into(), source);
        self
    }
}

#[async_trait]
impl Transport for Transports {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody> {
        if request.scheme != Scheme::InProcess {
            return self.network.fetch(request).await;
        }
        let source = self.local.get(&request.address).ok_or_else(|| {
            Error::new(
                base::ErrorKind::NotFound,
                format!("cannot scrape {}: this process has no source {:?}", request.url, request.address),
            )
        })?;
        let bytes = source.gather().await?;
        if bytes.len() > request.body_size_limit {
            return Err(body_too_large(request.body_size_limit));
        }
        Ok(FetchedBody { content_type: "text/plain; version=0.0.4; charset=utf-8".into(), bytes })
    }
}

/// The error for a body beyond its limit.
pub(crate) fn body_too_large(limit: usize) -> Error {
    Error::limit(format!("body size limit exceeded: the body has more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NameEscaping, ScrapeProtocol};

    #[test]
    fn asks_for_formats_as_prometheus_does() {
        assert_eq!(
            accept_header(&ScrapeConfig::new("a")),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        let config = ScrapeConfig {
            scrape_protocols: ScrapeProtocol::PROTO_FIRST.to_vec(),
            name_escaping: NameEscaping::Underscores,
            ..ScrapeConfig::new("a")
        };
        assert_eq!(
            accept_header(&config),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=underscores;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
        let dots = ScrapeConfig {
            scrape_protocols: vec![ScrapeProtocol::PrometheusText1_0_0],
            name_escaping: NameEscaping::Dots,
            ..ScrapeConfig::new("a")
        };
        assert_eq!(accept_header(&dots), "text/plain;version=1.0.0;escaping=dots;q=0.6,*/*;q=0.5");
    }
}
