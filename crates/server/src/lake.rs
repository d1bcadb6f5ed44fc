//! `/api/v1/admin/lake/{task}`: what `bellwether lake` does, through the server that uses the data. Off unless the admin API is on.
//!
//! What only looks is asked for by GET, what changes stored data by POST.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use serde_json::json;

use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::process::{LakeRequest, LakeTask};
use crate::prometheus::{carry_out, json, parse_bool};
use crate::state::ServerState;

pub(crate) async fn carry(
    State(state): State<Arc<ServerState>>,
    Path(task): Path<String>,
    method: Method,
    params: Params,
) -> ApiResult<Response> {
    let admin = state.admin.as_ref().ok_or_else(|| ApiError::disabled("admin APIs disabled"))?;
    let request = request(&task, &params)?;
    let changes = matches!(request.task, LakeTask::Compact | LakeTask::Vacuum { dry_run: false });
    if changes && method == Method::GET {
        let cause = format!("{task} changes what is stored: send a POST");
        return Err(ApiError::bad_data(cause));
    }
    let alone = admin.take(&format!("{task} the lake"))?;
    let process = Arc::clone(&state.process);
    let work = async move {
        let _alone = alone;
        Box::pin(process.look_after_lake(&request)).await
    };
    let reply = carry_out(work).await?;
    Ok(json::success(&json!({ "inOrder": reply.in_order, "report": reply.report })))
}

fn request(task: &str, params: &Params) -> ApiResult<LakeRequest> {
    let flag = |name: &str| match params.get(name) {
        None => Ok(false),
        Some(text) => parse_bool(text)
            .ok_or_else(|| ApiError::invalid_parameter(name, format!("{text:?} is neither true nor false"))),
    };
    let task = match task {
        "ls" => LakeTask::Ls { segments: flag("segments")? },
        "stat" => LakeTask::Stat,
        "verify" => LakeTask::Verify,
        "compact" => LakeTask::Compact,
        "vacuum" => LakeTask::Vacuum { dry_run: flag("dry_run")? },
        other => {
            let cause = format!("cannot {other} the lake: there are ls, stat, verify, compact and vacuum");
            return Err(ApiError::bad_data(cause));
        }
    };
    let as_json = match params.get("format") {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            return Err(ApiError::invalid_parameter("format", format!("{other:?} is neither text nor json")));
        }
    };
    Ok(LakeRequest { task, table: params.get("table").map(str::to_owned), as_json })
}
