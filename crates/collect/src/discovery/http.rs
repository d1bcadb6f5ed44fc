//! Targets that a server names, as JSON: `[{"targets": ["host:port"], "labels": {"name": "value"}}]`.
//!
//! The list is asked for every refresh interval. When that fails the last good list stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Error, Result};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::file::RawGroup;
use super::{Provider, Sources};
use crate::config::{HttpSdConfig, Scheme, TargetGroup};
use crate::limits::{HTTP_SD_BODY_BYTES_MAX, HTTP_SD_TARGETS_MAX};
use crate::scrape::{FetchRequest, FetchedBody, Purpose, Transport};

const URL_LABEL: &str = "__meta_url";

/// The last good lists, by address: they outlive the providers, which a reload may replace while a server is away.
pub(crate) type LastLists = Arc<Mutex<BTreeMap<String, Vec<TargetGroup>>>>;

/// Asks a server for target groups.
pub struct HttpProvider {
    config: HttpSdConfig,
    sources: Sources,
    last: LastLists,
    groups: Vec<TargetGroup>,
    /// When to ask next; `None` before anything was given.
    next: Option<Instant>,
}

impl HttpProvider {
    /// A provider of the groups that a server names.
    pub(crate) fn new(config: HttpSdConfig, sources: Sources, last: LastLists) -> Self {
        Self { config, sources, last, groups: Vec::new(), next: None }
    }

    /// Asks once. Returns whether the list differs from the one before.
    async fn refresh(&mut self) -> bool {
        let started = Instant::now();
        self.next = Some(started + self.config.refresh_interval);
        let asked = http_groups(&self.config, self.sources.transport.as_ref()).await;
        let metrics = &self.sources.metrics;
        let of = &[self.sources.set.as_str(), "http"];
        metrics.refresh_seconds.with_label_values(of).observe(started.elapsed().as_secs_f64());
        match asked {
            Ok(groups) => {
                let changed = groups != self.groups;
                if changed {
                    self.last.lock().insert(self.config.url.clone(), groups.clone());
                    self.groups = groups;
                }
                changed
            }
            Err(error) => {
                metrics.http_failures.inc();
                metrics.refresh_failures.with_label_values(of).inc();
                warn!(set = self.sources.set, %error, "targets are left as they were");
                false
            }
        }
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn next(&mut self) -> Vec<TargetGroup> {
        if self.next.is_none() {
            let last = self.last.lock().get(&self.config.url).cloned();
            match last {
                Some(groups) => {
                    self.groups = groups;
                    self.next = Some(Instant::now());
                }
                None => {
                    self.refresh().await;
                }
            }
            return self.groups.clone();
        }
        loop {
            if let Some(next) = self.next {
                tokio::time::sleep_until(next).await;
            }
            if self.refresh().await {
                return self.groups.clone();
            }
        }
    }
}

/// The groups that a server names now.
pub async fn http_groups(config: &HttpSdConfig, transport: &dyn Transport) -> Result<Vec<TargetGroup>> {
    let what = |e: Error| e.context(format!("cannot get targets from {}", config.url));
    let request = FetchRequest {
        purpose: Purpose::Discovery,
        scheme: if config.url.starts_with("https:") { Scheme::Https } else { Scheme::Http },
        address: String::new(),
        url: config.url.as_str().into(),
        accept: "application/json".into(),
        timeout: config.refresh_interval,
        compression: true,
        socket: None,
        body_size_limit: HTTP_SD_BODY_BYTES_MAX,
        http: Arc::new(config.http.clone()),
    };
    let fetched = tokio::time::timeout(config.refresh_interval, transport.fetch(&request)).await;
    let no_answer = |wait: Duration| {
        what(Error::unavailable(format!("no answer within {}", base::format_duration(wait))))
    };
    let body = fetched.map_err(|_| no_answer(config.refresh_interval))??;
    parse(&config.url, &body).map_err(what)
}

fn parse(url: &str, body: &FetchedBody) -> Result<Vec<TargetGroup>> {
    if !is_json(&body.content_type) {
        return Err(Error::invalid(format!("unsupported content type {:?}", body.content_type)));
    }
    let raw: Option<Vec<Option<RawGroup>>> =
        serde_json::from_slice(&body.bytes).map_err(|e| Error::invalid(e.to_string()))?;
    let raw: Option<Vec<RawGroup>> = raw.unwrap_or_default().into_iter().collect();
    let raw = raw.ok_or_else(|| Error::invalid("nil target group item found"))?;
    let targets: usize = raw.iter().map(RawGroup::len).sum();
    if targets > HTTP_SD_TARGETS_MAX {
        return Err(Error::limit(format!("it names {targets} targets, the limit is {HTTP_SD_TARGETS_MAX}")));
    }
    Ok(raw.into_iter().enumerate().map(|(i, group)| group.into_group(i, url, URL_LABEL)).collect())
}

/// JSON in UTF-8, as Prometheus wants it.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let utf8 =
        |p: &str| p.eq_ignore_ascii_case("charset=utf-8") || p.eq_ignore_ascii_case("charset=\"utf-8\"");
    json && parts.next().is_none_or(utf8) && parts.next().is_none()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
