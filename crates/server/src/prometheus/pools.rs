//! `scrape_pools/config` and `targets/relabel_steps`: how a scrape configuration reads, and what it makes of a target's labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base::Labels;
use serde_json::{Map, Value, json};

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::process::{RelabelRule, RelabelStep};
use crate::state::ServerState;

pub(crate) async fn config(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let pool = pool_of(&params)?;
    let yaml = state.targets.pool_yaml(pool).ok_or_else(|| not_found(pool))?;
    Ok(json::success(&json!({"yaml": yaml})))
}

pub(crate) async fn relabel_steps(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let pool = pool_of(&params)?;
    let text = params.get("labels").ok_or_else(|| ApiError::bad_data("no labels parameter provided"))?;
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|e| ApiError::bad_data(format!("error parsing labels: {e}")))?;
    let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let steps = state.targets.relabel_steps(pool, &labels).ok_or_else(|| not_found(pool))?;
    Ok(json::success(&json!({"steps": steps.iter().map(step).collect::<Vec<_>>()})))
}

fn pool_of(params: &Params) -> ApiResult<&str> {
    params.get("scrapePool").ok_or_else(|| ApiError::bad_data("no scrapePool parameter provided"))
}

fn not_found(pool: &str) -> ApiError {
    ApiError::bad_data(format!("error retrieving scrape config: scrape pool {pool:?} not found"))
}

fn step(step: &RelabelStep) -> Value {
    let output: Map<String, Value> =
        step.output.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({"rule": rule(&step.rule), "output": output, "keep": step.keep})
}

/// What is as if it had not been given is left out.
fn rule(rule: &RelabelRule) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value, wanted: bool| {
        if wanted {
            out.insert(name.into(), value);
        }
    };
    put("source_labels", json!(rule.source_labels), !rule.source_labels.is_empty());
    put("separator", json!(rule.separator), true);
    put("regex", json!(rule.regex), true);
    put("modulus", json!(rule.modulus), rule.modulus > 0);
    put("target_label", json!(rule.target_label), !rule.target_label.is_empty());
    put("replacement", json!(rule.replacement), true);
    put("action", json!(rule.action), true);
    Value::Object(out)
}
