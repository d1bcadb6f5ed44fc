//! `explain`: carries a query out, and answers with what each part of it took in place of its result. Ours, not Prometheus'.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::{Explained, Gathered, PlanNode, QueryOptions, QueryReply, Timings, Value};
use serde_json::json;

use super::{json, query};
use crate::client::Origin;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

/// Takes the parameters of `query_range`, or without `start`, `end` and `step` those of `query`.
pub(crate) async fn explain(
    State(state): State<Arc<ServerState>>,
    origin: Origin,
    params: Params,
) -> ApiResult<Response> {
    let options = QueryOptions { explain: true, ..query::options(&params, origin)? };
    let text = params.get("query").unwrap_or("");
    let is_range = ["start", "end", "step"].iter().any(|name| params.get(name).is_some());
    let reply = match is_range {
        true => state.engine.query_range(text, query::grid(&params)?, &options).await,
        false => {
            let t_ms = params.time_or("time", state.clock.now_ms())?;
            state.engine.query_instant(text, t_ms, &options).await
        }
    };
    let reply = reply.map_err(ApiError::from)?;
    let Some(explained) = &reply.explained else {
        return Err(base::Error::internal("cannot explain query: nothing was measured").into());
    };
    let data = json!({
        "plan": node(&explained.plan, explained),
        "timings": timings(&reply.timings),
        "result": result(&reply),
        "leaves": explained.leaves,
    });
    Ok(json::success_warned(&data, &reply.output.annotations))
}

fn node(node: &PlanNode, explained: &Explained) -> serde_json::Value {
    let mut out = json!({
        "operator": node.operator,
        "start": node.span.start,
        "end": node.span.end,
        "steps": node.steps,
        "series": node.series,
        "points": node.points,
        "totalSeconds": node.total.as_secs_f64(),
        "ownSeconds": node.own.as_secs_f64(),
    });
    if let Some(read) = &node.read {
        out["read"] = json!({
            "series": read.series,
            "samples": read.samples,
            "seconds": read.time.as_secs_f64(),
        });
        if let Some(found) = explained.gathered.get(read.selection) {
            out["gathered"] = gathered(found);
        }
    }
    out["inputs"] = node.inputs.iter().map(|input| self::node(input, explained)).collect();
    out
}

fn gathered(found: &Gathered) -> serde_json::Value {
    json!({
        "series": found.sample_series,
        "rollups": found.rolled_up.map(|(of, series)| json!({"resolution": of.as_str(), "series": series})),
        "bytes": found.size_bytes,
        "seconds": found.took.as_secs_f64(),
        "from": found.range.start_ms as f64 / 1000.0,
        "to": found.range.end_ms as f64 / 1000.0,
    })
}

fn timings(timings: &Timings) -> serde_json::Value {
    json!({
        "queueSeconds": timings.queue.as_secs_f64(),
        "gatherSeconds": timings.prepare.as_secs_f64(),
        "evaluateSeconds": timings.evaluate.as_secs_f64(),
        "totalSeconds": timings.total.as_secs_f64(),
    })
}

fn result(reply: &QueryReply) -> serde_json::Value {
    let (kind, series, points) = match &reply.output.value {
        Value::Scalar(_) => ("scalar", 1, 1),
        Value::String(..) => ("string", 1, 1),
        Value::Vector(v) => ("vector", v.len(), v.len()),
        Value::Matrix(m) => ("matrix", m.len(), m.iter().map(|s| s.samples.len() + s.histograms.len()).sum()),
    };
    let stats = &reply.output.stats;
    json!({
        "type": kind, "series": series, "points": points,
        "samples": stats.samples, "peakSamples": stats.peak_samples,
    })
}
