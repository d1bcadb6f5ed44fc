//! `query`, `query_range`, `format_query`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base::ErrorKind;
use engine::{Grid, QueryOptions, QueryReply, QueryStats, RollupUse, StepStats, Value};

use super::json;
use crate::client::Origin;
use crate::error::{ApiError, ApiErrorType, ApiResult};
use crate::limits::MAX_POINTS_PER_SERIES;
use crate::params::Params;
use crate::state::ServerState;

const TRUNCATED: &str = "results truncated due to limit";

pub(crate) async fn instant(
    State(state): State<Arc<ServerState>>,
    origin: Origin,
    params: Params,
) -> ApiResult<Response> {
    let limit = params.limit()?;
    let t_ms = params.time_or("time", state.clock.now_ms())?;
    let options = options(&params, origin)?;
    let reply = state.engine.query_instant(params.get("query").unwrap_or(""), t_ms, &options).await;
    Ok(answer(&params, limit, reply.map_err(ApiError::from)?))
}

pub(crate) async fn range(
    State(state): State<Arc<ServerState>>,
    origin: Origin,
    params: Params,
) -> ApiResult<Response> {
    let limit = params.limit()?;
    let grid = grid(&params)?;
    let options = options(&params, origin)?;
    let reply = state.engine.query_range(params.get("query").unwrap_or(""), grid, &options).await;
    Ok(answer(&params, limit, reply.map_err(ApiError::from)?))
}

/// The steps of a range query.
pub(super) fn grid(params: &Params) -> ApiResult<Grid> {
    let (start_ms, end_ms) = (params.time("start")?, params.time("end")?);
    if end_ms < start_ms {
        return Err(ApiError::invalid_parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.step_ms()?;
    if end_ms.saturating_sub(start_ms) / step_ms > MAX_POINTS_PER_SERIES {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(Grid { start_ms, end_ms, step_ms })
}

pub(crate) async fn format(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let text = state.engine.format_query(params.get("query").unwrap_or("")).map_err(ApiError::from)?;
    Ok(json::success(&text))
}

pub(super) fn options(params: &Params, origin: Origin) -> ApiResult<QueryOptions> {
    let lookback = params.duration("lookback_delta").map_err(|e| {
        ApiError::bad_data(
            e.message
                .replace("invalid parameter \"lookback_delta\"", "error parsing lookback delta duration"),
        )
    })?;
    Ok(QueryOptions {
        timeout: params.duration("timeout")?,
        lookback: lookback.filter(|d| !d.is_zero()),
        explain: false,
        step_stats: params.get("stats") == Some("all"),
        origin: Some(origin.0),
    })
}

fn answer(params: &Params, limit: Option<usize>, mut reply: QueryReply) -> Response {
    if let Some(limit) = limit {
        let len = match &mut reply.output.value {
            Value::Vector(v) => truncate(v, limit),
            Value::Matrix(m) => truncate(m, limit),
            Value::Scalar(_) | Value::String(..) => false,
        };
        if len {
            reply.output.annotations.warnings.push(TRUNCATED.into());
        }
    }
    let stats = params.get("stats");
    if let Some(other) = stats.filter(|s| !matches!(*s, "true" | "all")) {
        reply.output.annotations.warnings.push(format!(
            "value {other:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
        ));
    }
    let mut data = String::new();
    json::write_query_data(&mut data, &reply.output.value);
    if stats.is_some() {
        data.push_str(",\"stats\":");
        data.push_str(&stats_of(&reply));
    }
    data.push('}');
    json::success_raw(&data, &reply.output.annotations)
}

fn truncate<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let longer = items.len() > limit;
    items.truncate(limit);
    longer
}

fn stats_of(reply: &QueryReply) -> String {
    let (timings, stats) = (&reply.timings, &reply.output.stats);
    let mut out = serde_json::json!({
        "timings": {
            "evalTotalTime": timings.total.as_secs_f64(),
            "resultSortTime": 0,
            "queryPreparationTime": timings.prepare.as_secs_f64(),
            "innerEvalTime": timings.evaluate.as_secs_f64(),
            "execQueueTime": timings.queue.as_secs_f64(),
            "execTotalTime": (timings.queue + timings.total).as_secs_f64(),
        },
        "samples": samples(stats),
    });
    if !reply.rollups.is_empty() {
        let of = |r: &RollupUse| {
            let until = r.until_ms.map(|t| t as f64 / 1000.0);
            serde_json::json!({"resolution": r.resolution.as_str(), "exact": r.exact, "until": until})
        };
        out["rollups"] = reply.rollups.iter().map(of).collect();
    }
    out.to_string()
}

/// What samples a query used; by step, if that was asked for and may be.
fn samples(stats: &QueryStats) -> serde_json::Value {
    let mut out = serde_json::json!({
        "totalQueryableSamples": stats.samples,
        "samplesRead": stats.samples_read,
        "peakSamples": stats.peak_samples,
    });
    if !stats.steps.is_empty() {
        let points = |of: fn(&StepStats) -> u64| {
            let point = |step: &StepStats| serde_json::json!([step.t_ms as f64 / 1000.0, of(step)]);
            stats.steps.iter().map(point).collect::<serde_json::Value>()
        };
        out["totalQueryableSamplesPerStep"] = points(|step| step.samples);
        out["samplesReadPerStep"] = points(|step| step.read);
    }
    out
}

/// The error of a request for series or labels, where the request itself may be what is wrong.
pub(crate) fn lookup_error(e: base::Error) -> ApiError {
    match e.kind() {
        ErrorKind::Invalid => ApiError { error_type: ApiErrorType::BadData, message: e.message().into() },
        _ => e.into(),
    }
}
