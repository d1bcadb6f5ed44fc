//! `status/…`: facts about the process and the store.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base::TimeRange;
use engine::{NameCount, QueryOrigin};
use serde::Serialize;
use serde_json::json;

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::limits::MAX_TSDB_STATUS_LIMIT;
use crate::params::Params;
use crate::state::ServerState;

/// Clients read the version to know what they may ask for, so `version` is that of the Prometheus whose API this is.
const PROMETHEUS_API_VERSION: &str = "3.14.0";

pub(crate) async fn build_info(State(state): State<Arc<ServerState>>) -> Response {
    json::success(&build(&state))
}

/// `/version`: the same without the envelope, as Prometheus has had it since before its API.
pub(crate) async fn version(State(state): State<Arc<ServerState>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, build(&state).to_string()).into_response()
}

fn build(state: &ServerState) -> serde_json::Value {
    json!({
        "version": PROMETHEUS_API_VERSION,
        "revision": state.revision,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "bellwether",
        "applicationVersion": state.version,
    })
}

pub(crate) async fn runtime_info(State(state): State<Arc<ServerState>>) -> Response {
    let info = state.process.runtime();
    json::success(&json!({
        "startTime": json::rfc3339(info.start_ms),
        "CWD": info.working_directory,
        "hostname": info.hostname,
        "serverTime": json::rfc3339(state.clock.now_ms()),
        "reloadConfigSuccess": info.reload_succeeded,
        "lastConfigTime": json::rfc3339(info.last_config_ms),
        "corruptionCount": state.engine.wal_corruptions(),
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": info.worker_threads,
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": info.storage_retention,
    }))
}

pub(crate) async fn config(State(state): State<Arc<ServerState>>) -> Response {
    json::success(&json!({"yaml": state.process.config_yaml()}))
}

pub(crate) async fn flags(State(state): State<Arc<ServerState>>) -> Response {
    json::success(&state.process.flags())
}

#[derive(Serialize)]
struct CountJson {
    name: String,
    value: u64,
}

pub(crate) async fn tsdb(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let limit = match params.get("limit").map(str::parse::<usize>) {
        None => 10,
        Some(Ok(n)) if n > MAX_TSDB_STATUS_LIMIT => {
            return Err(ApiError::bad_data(format!("limit must not exceed {MAX_TSDB_STATUS_LIMIT}")));
        }
        Some(Ok(n)) if n > 0 => n,
        Some(_) => return Err(ApiError::bad_data("limit must be a positive number")),
    };
    let stats = state.engine.store_stats(limit);
    let time = stats.head_time.unwrap_or(TimeRange::new(i64::MAX, i64::MIN));
    let counts = |rows: Vec<NameCount>| -> Vec<CountJson> {
        rows.into_iter().map(|c| CountJson { name: c.name, value: c.count }).collect()
    };
    Ok(json::success(&json!({
        "headStats": {
            "numSeries": stats.head_series,
            "numLabelPairs": stats.label_pairs,
            "chunkCount": stats.head_chunks,
            "minTime": time.start_ms,
            "maxTime": time.end_ms,
        },
        "seriesCountByMetricName": counts(stats.series_by_metric),
        "labelValueCountByLabelName": counts(stats.values_by_label),
        "memoryInBytesByLabelName": counts(stats.bytes_by_label),
        "seriesCountByLabelValuePair": counts(stats.series_by_pair),
    })))
}

/// Segments as Prometheus' blocks. What is not known without reading them, as the number of samples, is left out.
pub(crate) async fn blocks(State(state): State<Arc<ServerState>>) -> Response {
    let blocks: Vec<_> = state
        .engine
        .segments()
        .iter()
        .map(|s| {
            json!({
                "ulid": s.path,
                "minTime": s.time.start_ms,
                "maxTime": s.time.end_ms.saturating_add(1),
                "stats": {"numChunks": s.chunks},
                "compaction": {"level": 1},
                "version": 1,
            })
        })
        .collect();
    json::success(&json!({"blocks": blocks}))
}

/// The log is replayed before requests are answered, so that all of it has been.
pub(crate) async fn wal_replay(State(state): State<Arc<ServerState>>) -> Response {
    let files = state.engine.wal_files_replayed();
    json::success(&json!({"min": 0, "max": files, "current": files}))
}

/// The endpoints that samples are sent on to.
pub(crate) async fn remote_write(State(state): State<Arc<ServerState>>) -> Response {
    let endpoints: Vec<_> = state
        .process
        .remote_write()
        .into_iter()
        .map(|e| {
            let (error_ms, error) = e.last_error.unzip();
            json!({
                "name": e.name,
                "url": e.url,
                "behindSeconds": e.behind_seconds,
                "pending": e.pending,
                "failed": e.failed,
                "shards": e.shards,
                "lastError": error.unwrap_or_default(),
                "lastErrorTime": error_ms.map(json::rfc3339),
            })
        })
        .collect();
    json::success(&json!({"endpoints": endpoints}))
}

/// The queries that wait or run, longest first.
pub(crate) async fn active_queries(State(state): State<Arc<ServerState>>) -> Response {
    let mut active = state.engine.active_queries();
    active.sort_by(|a, b| b.elapsed.cmp(&a.elapsed).then(a.id.cmp(&b.id)));
    let queries: Vec<_> = active
        .into_iter()
        .map(|q| {
            let (start_ms, end_ms, step_ms) = q.grid;
            let origin = match q.origin {
                Some(QueryOrigin::Http { client_ip, method, path }) => {
                    json!({"httpRequest": {"clientIP": client_ip, "method": method, "path": path}})
                }
                Some(QueryOrigin::RuleGroup { name, file }) => {
                    json!({"ruleGroup": {"name": name, "file": file}})
                }
                None => json!({}),
            };
            json!({
                "id": q.id,
                "query": q.query,
                "since": json::rfc3339(q.since_ms),
                "elapsedSeconds": q.elapsed.as_secs_f64(),
                "start": json::rfc3339(start_ms),
                "end": json::rfc3339(end_ms),
                "stepSeconds": step_ms as f64 / 1000.0,
                "origin": origin,
            })
        })
        .collect();
    let most = state.engine.options().query_max_concurrency;
    json::success(&json!({"queries": queries, "maxConcurrent": most}))
}
