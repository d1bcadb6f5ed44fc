//! `parse_query`: the tree of a query, as Prometheus' own pages draw it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base::Matcher;
use engine::ast::{
    Aggregate, AtModifier, Binary, Cardinality, DurationExpr, DurationValue, Expr, ExprKind, Subquery,
    VectorMatching, VectorSelector,
};
use serde_json::{Value, json};

use super::json;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

pub(crate) async fn parse_query(
    State(state): State<Arc<ServerState>>,
    params: Params,
) -> ApiResult<Response> {
    let expr = state.engine.parse_query(params.get("query").unwrap_or("")).map_err(ApiError::from)?;
    Ok(json::success(&tree(&expr)))
}

/// A node and all below it. Queries have a bounded depth.
fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => json!({"type": "numberLiteral", "val": number(*value)}),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": &**text}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
        ExprKind::Unary { negative, expr } => {
            json!({"type": "unaryExpr", "op": sign(*negative), "expr": tree(expr)})
        }
        ExprKind::Binary(b) => binary(b),
        ExprKind::Aggregate(a) => aggregation(a),
        ExprKind::Call { function, args } => json!({
            "type": "call",
            "func": {
                "name": function.name(),
                "argTypes": function.arg_types().iter().map(|t| type_name(*t)).collect::<Vec<_>>(),
                "variadic": function.variadic(),
                "returnType": type_name(function.return_type()),
            },
            "args": args.iter().map(tree).collect::<Vec<_>>(),
        }),
        ExprKind::Vector(selector) => selection("vectorSelector", selector),
        ExprKind::Matrix { selector, range, .. } => {
            let mut node = selection("matrixSelector", selector);
            node["range"] = millis(Some(range));
            node["rangeExpr"] = computed(Some(range));
            node
        }
        ExprKind::Subquery(s) => subquery(s),
    }
}

fn binary(b: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": b.op.as_str(),
        "lhs": tree(&b.lhs),
        "rhs": tree(&b.rhs),
        "matching": b.matching.as_ref().map(matching),
        "bool": b.return_bool,
    })
}

fn matching(m: &VectorMatching) -> Value {
    let card = match m.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card,
        "labels": texts(&m.labels),
        "on": m.on,
        "include": texts(&m.include),
        "fillValues": {"lhs": m.fill_left, "rhs": m.fill_right},
    })
}

fn aggregation(a: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": a.op.as_str(),
        "expr": tree(&a.expr),
        "param": a.param.as_ref().map(tree),
        "grouping": texts(&a.grouping),
        "without": a.without,
    })
}

fn subquery(s: &Subquery) -> Value {
    json!({
        "type": "subquery",
        "expr": tree(&s.expr),
        "range": millis(Some(&s.range)),
        "rangeExpr": computed(Some(&s.range)),
        "offset": millis(s.offset.as_ref()),
        "offsetExpr": computed(s.offset.as_ref()),
        "step": millis(s.step.as_ref()),
        "stepExpr": computed(s.step.as_ref()),
        "timestamp": timestamp(s.at),
        "startOrEnd": start_or_end(s.at),
    })
}

fn selection(node_type: &str, s: &VectorSelector) -> Value {
    json!({
        "type": node_type,
        "name": s.name.as_deref().unwrap_or(""),
        "offset": millis(s.offset.as_ref()),
        "offsetExpr": computed(s.offset.as_ref()),
        "matchers": s.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(s.at),
        "startOrEnd": start_or_end(s.at),
        "anchored": s.anchored,
        "smoothed": s.smoothed,
    })
}

fn matcher(m: &Matcher) -> Value {
    json!({"name": m.name(), "value": m.value(), "type": m.op().as_str()})
}

/// A fixed duration; zero if there is none or if it is computed.
fn millis(duration: Option<&DurationValue>) -> Value {
    match duration {
        Some(DurationValue::Millis(ms)) => json!(ms),
        Some(DurationValue::Expr(_)) | None => json!(0),
    }
}

/// A computed duration.
fn computed(duration: Option<&DurationValue>) -> Value {
    match duration {
        Some(DurationValue::Expr(e)) => duration_tree(e, false),
        Some(DurationValue::Millis(_)) | None => Value::Null,
    }
}

fn duration_tree(e: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, lhs: Option<&DurationExpr>, rhs: Option<&DurationExpr>| {
        let side = |e: Option<&DurationExpr>| e.map(|e| duration_tree(e, false));
        json!({"type": "durationExpr", "op": op, "lhs": side(lhs), "rhs": side(rhs), "wrapped": wrapped})
    };
    match e {
        DurationExpr::Number { value, is_duration, .. } => {
            json!({"type": "numberLiteral", "val": number(*value), "duration": is_duration})
        }
        DurationExpr::Step { .. } => node("step", None, None),
        DurationExpr::Range { .. } => node("range", None, None),
        DurationExpr::Unary { negative, expr, .. } => node(sign(*negative), None, Some(expr)),
        DurationExpr::Binary { op, lhs, rhs } => node(op.as_str(), Some(lhs), Some(rhs)),
        DurationExpr::Extreme { max, lhs, rhs, .. } => {
            node(if *max { "max_of" } else { "min_of" }, Some(lhs), Some(rhs))
        }
        DurationExpr::Paren { expr, .. } => duration_tree(expr, true),
    }
}

fn sign(negative: bool) -> &'static str {
    if negative { "-" } else { "+" }
}

fn number(value: f64) -> String {
    let mut text = String::new();
    base::format_float(value, &mut text);
    text
}

fn texts(list: &[Arc<str>]) -> Vec<&str> {
    list.iter().map(|t| &**t).collect()
}

/// The name of a type in Prometheus' JSON.
fn type_name(t: engine::ValueType) -> &'static str {
    match t {
        engine::ValueType::Scalar => "scalar",
        engine::ValueType::Vector => "vector",
        engine::ValueType::Matrix => "matrix",
        engine::ValueType::String => "string",
    }
}

fn timestamp(at: Option<AtModifier>) -> Value {
    match at {
        Some(AtModifier::At(t_ms)) => json!(t_ms),
        Some(AtModifier::Start | AtModifier::End) | None => Value::Null,
    }
}

fn start_or_end(at: Option<AtModifier>) -> Value {
    match at {
        Some(AtModifier::Start) => json!("start"),
        Some(AtModifier::End) => json!("end"),
        Some(AtModifier::At(_)) | None => Value::Null,
    }
}
