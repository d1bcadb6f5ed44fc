//! The HTTP API of Prometheus below `/api/v1`, to the letter.

mod admin;
mod explain;
mod json;
mod query;
mod rules;
mod series;
mod status;
mod targets;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::otlp;
use crate::state::ServerState;

pub use admin::AdminApi;
pub use write::{WriteOptions, WriteReceiver};

pub(crate) fn routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/explain", get(explain::explain).post(explain::explain))
        .route("/format_query", get(query::format).post(query::format))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::label_names).post(series::label_names))
        .route("/label/{name}/values", get(series::label_values))
        .route("/write", post(write::write))
        .route("/otlp/v1/metrics", post(otlp::http::metrics))
        .route("/metadata", get(targets::metadata))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alertmanagers", get(rules::alertmanagers))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
}
