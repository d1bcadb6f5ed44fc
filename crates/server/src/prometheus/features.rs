//! `features`: what this server can do and whether it is on, by Prometheus' names.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::ast::{AggregateOp, BinaryOp};
use engine::{Function, ParseOptions};

use super::json;
use super::search::FUZZY_ALGORITHMS;
use crate::state::ServerState;

/// Features by category.
pub(crate) type Features = BTreeMap<String, BTreeMap<String, bool>>;

pub(crate) async fn features(State(state): State<Arc<ServerState>>) -> Response {
    let mut all = state.process.features();
    let mut api = |name: &str, on| set(&mut all, "api", name, on);
    api("admin", state.admin.is_some());
    api("remote_write_receiver", state.write_receiver.is_some());
    api("otlp_write_receiver", state.otlp_receiver.is_some());
    for name in [
        "label_values_match",
        "lifecycle",
        "openapi_3.1",
        "query_stats",
        "query_warnings",
        "search",
        "time_range_labels",
        "time_range_series",
    ] {
        api(name, true);
    }
    api("openapi_3.2", false);
    for algorithm in FUZZY_ALGORITHMS {
        api(&format!("search_fuzz_alg_{algorithm}"), true);
    }
    let options = state.engine.options();
    language(&mut all, options.language, options.step_stats);
    set(&mut all, "promql", "delayed_name_removal", options.delayed_name_removal);
    set(&mut all, "promql", "type_and_unit_labels", options.type_and_unit_labels);
    json::success(&all)
}

fn set(all: &mut Features, category: &str, name: &str, on: bool) {
    all.entry(category.into()).or_default().insert(name.into(), on);
}

/// What the query language has.
fn language(all: &mut Features, on: ParseOptions, step_stats: bool) {
    let experimental = on.experimental_functions;
    for function in Function::ALL {
        set(all, "promql_functions", function.name(), experimental || !function.is_experimental());
    }
    for op in BINARY {
        set(all, "promql_operators", op.as_str(), true);
    }
    for op in ["=~", "!~", "@"] {
        set(all, "promql_operators", op, true);
    }
    for op in AGGREGATE {
        set(all, "promql_operators", op.as_str(), experimental || !op.is_experimental());
    }
    for keyword in [
        "at_modifier",
        "bool",
        "by",
        "duration_expr",
        "group_left",
        "group_right",
        "ignoring",
        "negative_offset",
        "offset",
        "on",
        "per_query_lookback_delta",
        "subqueries",
        "without",
    ] {
        set(all, "promql", keyword, true);
    }
    for (keyword, on) in [
        ("anchored", on.extended_range_selectors),
        ("smoothed", on.extended_range_selectors),
        ("fill", on.fill_modifiers),
        ("fill_left", on.fill_modifiers),
        ("fill_right", on.fill_modifiers),
        ("per_step_stats", step_stats),
    ] {
        set(all, "promql", keyword, on);
    }
}

const BINARY: [BinaryOp; 18] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Eq,
    BinaryOp::Ne,
    BinaryOp::Lt,
    BinaryOp::Le,
    BinaryOp::Gt,
    BinaryOp::Ge,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Unless,
    BinaryOp::TrimUpper,
    BinaryOp::TrimLower,
];

const AGGREGATE: [AggregateOp; 14] = [
    AggregateOp::Sum,
    AggregateOp::Avg,
    AggregateOp::Count,
    AggregateOp::Min,
    AggregateOp::Max,
    AggregateOp::Group,
    AggregateOp::Stddev,
    AggregateOp::Stdvar,
    AggregateOp::Topk,
    AggregateOp::Bottomk,
    AggregateOp::CountValues,
    AggregateOp::Quantile,
    AggregateOp::Limitk,
    AggregateOp::LimitRatio,
];
