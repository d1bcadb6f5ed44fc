//! `search/…`: names and values that fit what somebody types, as a stream of JSON lines.
//!
//! A line has a batch of results; the last one says whether there are more.

mod filter;
mod params;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base::{Error, METRIC_NAME, Metadata};
use serde_json::{Map, Value, json};

use super::query::lookup_error;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;
use params::{Order, SearchParams};

pub(super) use params::FUZZY_ALGORITHMS;

const NDJSON: &str = "application/x-ndjson; charset=utf-8";

/// A value that fits, and how well.
struct Hit {
    value: String,
    score: f64,
}

pub(crate) async fn metric_names(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let search = Arc::new(SearchParams::read(&params, "metric_names", state.clock.now_ms())?);
    let with_metadata = params::boolean(&params, "include_metadata", false)?;
    let hits = values(&state, &search, METRIC_NAME).await?;
    let metadata = if with_metadata { metadata(&state) } else { BTreeMap::new() };
    Ok(answer(hits, &search, "name", |name, out| {
        let Some(m) = metadata.get(name) else { return };
        out.insert("type".into(), json!(m.metric_type.as_str()));
        for (key, text) in [("help", &m.help), ("unit", &m.unit)] {
            if !text.is_empty() {
                out.insert(key.into(), json!(**text));
            }
        }
    }))
}

pub(crate) async fn label_names(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let search = Arc::new(SearchParams::read(&params, "label_names", state.clock.now_ms())?);
    let names = state.engine.label_names(&search.sets, search.range).await.map_err(lookup_error)?;
    let hits = fitting(&search, names).await?;
    Ok(answer(hits, &search, "name", |_, _| ()))
}

pub(crate) async fn label_values(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let search = Arc::new(SearchParams::read(&params, "label_values", state.clock.now_ms())?);
    let Some(label) = params.get("label") else {
        return Err(ApiError::bad_data("missing required parameter \"label\""));
    };
    let hits = values(&state, &search, label).await?;
    Ok(answer(hits, &search, "value", |_, _| ()))
}

async fn values(state: &ServerState, search: &Arc<SearchParams>, label: &str) -> ApiResult<Vec<Hit>> {
    let values = state.engine.label_values(label, &search.sets, search.range).await.map_err(lookup_error)?;
    fitting(search, values).await
}

/// There may be millions, each of which is compared with every term: other requests should not wait for that.
async fn fitting(search: &Arc<SearchParams>, values: Vec<String>) -> ApiResult<Vec<Hit>> {
    let search = Arc::clone(search);
    let picking = tokio::task::spawn_blocking(move || search.pick(values)).await;
    picking.map_err(|e| Error::internal(format!("cannot search: {e}")).into())
}

/// What the first target that has a metric says of it, or else what a sender said.
fn metadata(state: &ServerState) -> BTreeMap<Arc<str>, Metadata> {
    let mut all = BTreeMap::new();
    for (_, metric, m) in state.targets.metadata() {
        all.entry(metric).or_insert(m);
    }
    state.pushed_metadata.visit(None, |metric, m| {
        all.entry(Arc::clone(metric)).or_insert_with(|| m.clone());
    });
    all
}

impl SearchParams {
    /// Those that fit, in the order asked for; one more than the limit if there are more.
    fn pick(&self, values: Vec<String>) -> Vec<Hit> {
        let score = |value: &str| self.filter.as_ref().map_or(Some(1.0), |f| f.score(value));
        let fitting = values.into_iter().filter_map(|value| score(&value).map(|score| Hit { value, score }));
        let mut hits: Vec<Hit> = fitting.collect();
        match self.order {
            Order::Ascending => {}
            Order::Descending => hits.reverse(),
            // The sort is stable, so that those of one score stay in the order of the alphabet.
            Order::Score => hits.sort_by(|a, b| b.score.total_cmp(&a.score)),
        }
        hits.truncate(self.limit.saturating_add(1));
        hits
    }
}

fn answer(
    mut hits: Vec<Hit>,
    search: &SearchParams,
    key: &str,
    more: impl Fn(&str, &mut Map<String, Value>),
) -> Response {
    let has_more = hits.len() > search.limit;
    hits.truncate(search.limit);
    let show = |hit: &Hit| {
        let mut out = Map::new();
        out.insert(key.into(), json!(hit.value));
        if search.include_score {
            out.insert("score".into(), json!(hit.score));
        }
        more(&hit.value, &mut out);
        Value::Object(out)
    };
    let mut body = String::new();
    let mut line = |value: Value| {
        body.push_str(&value.to_string());
        body.push('\n');
    };
    if hits.is_empty() {
        line(json!({"results": []}));
    }
    for batch in hits.chunks(search.batch_size) {
        line(json!({"results": batch.iter().map(show).collect::<Vec<_>>()}));
    }
    line(json!({"status": "success", "has_more": has_more}));
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}
