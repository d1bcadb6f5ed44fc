//! `admin/tsdb/…`: deleting series, freeing their space, snapshots. Off unless asked for.
//!
//! What has begun is carried out whether or not its client waits for it: half a snapshot is of no use to anybody. The store's
//! end waits for it.

use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base::{Error, Regexes, Result};
use serde_json::json;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

/// That the admin API is on.
#[derive(Default)]
pub struct AdminApi {
    /// Held by the one task that may run of those that take long: those behind it would only wait, without bound.
    long: Arc<Mutex<()>>,
}

impl AdminApi {
    /// Sees to it that nothing else of the kind is under way.
    pub(crate) fn take(&self, what: &str) -> ApiResult<OwnedMutexGuard<()>> {
        Arc::clone(&self.long).try_lock_owned().map_err(|_| {
            let text = format!("cannot {what}: another task of the admin API is under way; try again later");
            Error::unavailable(text).into()
        })
    }
}

pub(crate) async fn delete_series(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<StatusCode> {
    enabled(&state)?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = params.range()?;
    let (mut sets, mut regexes) = (Vec::new(), Regexes::default());
    for text in params.all("match[]") {
        let set = engine::parse_selector_with(text, &mut regexes)
            .map_err(|e| ApiError::invalid_parameter("match[]", e.message()))?;
        if set.is_empty() {
            let cause = "it selects everything; write {__name__=~\".*\"} if that is meant";
            return Err(ApiError::invalid_parameter("match[]", cause));
        }
        sets.push(set);
    }
    let engine = Arc::clone(&state.engine);
    carry_out(async move { engine.delete_series(&sets, range).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn clean_tombstones(State(state): State<Arc<ServerState>>) -> ApiResult<StatusCode> {
    let alone = enabled(&state)?.take("clean tombstones")?;
    let engine = Arc::clone(&state.engine);
    let cleaning = async move {
        let _alone = alone;
        Box::pin(engine.clean_tombstones()).await
    };
    carry_out(cleaning).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn snapshot(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let admin = enabled(&state)?;
    let skip_head = match params.get("skip_head") {
        None => false,
        Some(text) => parse_bool(text).ok_or_else(|| {
            let cause =
                format!("unable to parse boolean: strconv.ParseBool: parsing {text:?}: invalid syntax");
            ApiError::invalid_parameter("skip_head", cause)
        })?,
    };
    let alone = admin.take("take a snapshot")?;
    let engine = Arc::clone(&state.engine);
    let taking = async move {
        let _alone = alone;
        Box::pin(engine.snapshot(skip_head)).await
    };
    let name = carry_out(taking).await?;
    Ok(json::success(&json!({"name": name})))
}

fn enabled(state: &ServerState) -> ApiResult<&AdminApi> {
    state.admin.as_ref().ok_or_else(|| ApiError::disabled("admin APIs disabled"))
}

/// Runs on although the request is given up.
pub(crate) async fn carry_out<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> ApiResult<T> {
    match tokio::spawn(work).await {
        Ok(result) => Ok(result?),
        Err(e) => Err(Error::internal(format!("cannot carry out request: {e}")).into()),
    }
}

/// What Go takes for a boolean.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
