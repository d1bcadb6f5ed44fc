//! `targets`, `targets/metadata`, `metadata`, `scrape_pools`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base::{Labels, Metadata};
use serde::Serialize;
use serde::ser::SerializeMap;

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::process::{ActiveTarget, DroppedTarget};
use crate::state::ServerState;

/// A label set as a JSON object.
pub(super) struct LabelsJson<'a>(pub(super) &'a Labels);

impl Serialize for LabelsJson<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTargetJson<'a> {
    discovered_labels: LabelsJson<'a>,
    labels: LabelsJson<'a>,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: &'a str,
    last_error: &'a str,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: &'a str,
    scrape_timeout: &'a str,
}

impl<'a> From<&'a ActiveTarget> for ActiveTargetJson<'a> {
    fn from(t: &'a ActiveTarget) -> Self {
        Self {
            discovered_labels: LabelsJson(&t.discovered_labels),
            labels: LabelsJson(&t.labels),
            scrape_pool: &t.scrape_pool,
            scrape_url: &t.scrape_url,
            global_url: &t.global_url,
            last_error: &t.last_error,
            last_scrape: t.last_scrape_ms.map_or_else(|| json::NEVER.into(), json::rfc3339),
            last_scrape_duration: t.last_scrape_duration_seconds,
            health: t.health.as_str(),
            scrape_interval: &t.scrape_interval,
            scrape_timeout: &t.scrape_timeout,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedTargetJson<'a> {
    discovered_labels: LabelsJson<'a>,
    scrape_pool: &'a str,
}

impl<'a> From<&'a DroppedTarget> for DroppedTargetJson<'a> {
    fn from(t: &'a DroppedTarget) -> Self {
        Self { discovered_labels: LabelsJson(&t.discovered_labels), scrape_pool: &t.scrape_pool }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetsJson<'a> {
    active_targets: Vec<ActiveTargetJson<'a>>,
    dropped_targets: Vec<DroppedTargetJson<'a>>,
    dropped_target_counts: &'a BTreeMap<String, usize>,
}

pub(crate) async fn targets(State(state): State<Arc<ServerState>>, params: Params) -> Response {
    let view = state.targets.targets();
    let pool = params.get("scrapePool");
    let shown = params.get("state").unwrap_or("any").to_ascii_lowercase();
    let in_pool = |p: &str| pool.is_none_or(|wanted| wanted == p);
    let active = matches!(shown.as_str(), "any" | "active");
    let dropped = matches!(shown.as_str(), "any" | "dropped");
    let none = BTreeMap::new();
    json::success(&TargetsJson {
        active_targets: view
            .active
            .iter()
            .filter(|t| active && in_pool(&t.scrape_pool))
            .map(Into::into)
            .collect(),
        dropped_targets: view
            .dropped
            .iter()
            .filter(|t| dropped && in_pool(&t.scrape_pool))
            .map(Into::into)
            .collect(),
        dropped_target_counts: if dropped { &view.dropped_counts } else { &none },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScrapePoolsJson {
    scrape_pools: BTreeSet<String>,
}

pub(crate) async fn scrape_pools(State(state): State<Arc<ServerState>>) -> Response {
    let view = state.targets.targets();
    let pools = view.active.iter().map(|t| t.scrape_pool.clone());
    let pools = pools.chain(view.dropped_counts.into_keys()).collect();
    json::success(&ScrapePoolsJson { scrape_pools: pools })
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct MetadataJson {
    r#type: &'static str,
    help: Arc<str>,
    unit: Arc<str>,
}

pub(crate) async fn metadata(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let limit = number(&params, "limit")?;
    let per_metric = number(&params, "limit_per_metric")?;
    let wanted = params.get("metric");
    let mut by_metric: BTreeMap<Arc<str>, BTreeSet<MetadataJson>> = BTreeMap::new();
    let mut note = |metric: Arc<str>, m: Metadata| {
        let known = by_metric.entry(metric).or_default();
        if per_metric.is_none_or(|n| known.len() < n) {
            known.insert(MetadataJson { r#type: m.metric_type.as_str(), help: m.help, unit: m.unit });
        }
    };
    for (_, metric, m) in state.targets.metadata() {
        if wanted.is_none_or(|w| w == &*metric) {
            note(metric, m);
        }
    }
    // Targets first: where they bring as much as is wanted, what was pushed adds nothing.
    state.pushed_metadata.visit(wanted, |metric, m| note(Arc::clone(metric), m.clone()));
    let kept: BTreeMap<_, _> = by_metric.into_iter().take(limit.unwrap_or(usize::MAX)).collect();
    Ok(json::success(&kept))
}

/// A number that may be absent; negative means no limit, as in Prometheus.
fn number(params: &Params, name: &str) -> ApiResult<Option<usize>> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let n: i64 = text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(n).ok())
}

#[derive(Serialize)]
struct TargetMetadataJson<'a> {
    target: LabelsJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'a str>,
    r#type: &'static str,
    help: &'a str,
    unit: &'a str,
}

pub(crate) async fn target_metadata(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let limit = number(&params, "limit")?;
    let matchers = match params.get("match_target") {
        None => vec![],
        Some(text) => {
            engine::parse_selector(text).map_err(|e| ApiError::invalid_parameter("match_target", e))?
        }
    };
    let metric = params.get("metric");
    let all = state.targets.metadata();
    let found: Vec<_> = all
        .iter()
        .filter(|(target, name, _)| {
            metric.is_none_or(|m| m == &**name) && matchers.iter().all(|m| m.matches_labels(target))
        })
        .take(limit.unwrap_or(usize::MAX))
        .map(|(target, name, m)| TargetMetadataJson {
            target: LabelsJson(target),
            metric: if metric.is_some() { None } else { Some(name) },
            r#type: m.metric_type.as_str(),
            help: &m.help,
            unit: &m.unit,
        })
        .collect();
    Ok(json::success(&found))
}
