//! `status/…`: facts about the process and the store.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base::TimeRange;
use engine::NameCount;
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
    json::success(&json!({
        "version": PROMETHEUS_API_VERSION,
        "revision": state.revision,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "bellwether",
        "applicationVersion": state.version,
    }))
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
    let stats = state.engine.store_stats();
    let time = stats.head_time.unwrap_or(TimeRange::new(i64::MAX, i64::MIN));
    let counts = |rows: Vec<NameCount>| -> Vec<CountJson> {
        rows.into_iter().take(limit).map(|c| CountJson { name: c.name, value: c.count }).collect()
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
