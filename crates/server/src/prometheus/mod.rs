//! The HTTP API of Prometheus below `/api/v1`, to the letter.

mod admin;
mod ast;
mod exemplars;
mod explain;
mod features;
pub(crate) mod json;
mod notifications;
mod openapi;
mod pools;
mod query;
mod read;
mod rules;
mod search;
mod self_metrics;
mod series;
mod status;
mod targets;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::state::ServerState;
use crate::{lake, otlp};

pub use admin::AdminApi;
pub(crate) use admin::{carry_out, parse_bool};
pub use read::RemoteRead;
pub use write::{WriteOptions, WriteReceiver};

pub(crate) fn routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/explain", get(explain::explain).post(explain::explain))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(ast::parse_query).post(ast::parse_query))
        .route("/query_exemplars", get(exemplars::query_exemplars).post(exemplars::query_exemplars))
        .route("/search/metric_names", get(search::metric_names).post(search::metric_names))
        .route("/search/label_names", get(search::label_names).post(search::label_names))
        .route("/search/label_values", get(search::label_values).post(search::label_values))
        .route("/features", get(features::features))
        .route("/notifications", get(notifications::notifications))
        .route("/notifications/live", get(notifications::live))
        .route("/openapi.yaml", get(openapi::document))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::label_names).post(series::label_names))
        .route("/label/{name}/values", get(series::label_values))
        .route("/read", post(read::read))
        .route("/write", post(write::write))
        .route("/otlp/v1/metrics", post(otlp::http::metrics))
        .route("/metadata", get(targets::metadata))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alertmanagers", get(rules::alertmanagers))
        .route("/scrape_pools/config", get(pools::config))
        .route("/targets/relabel_steps", get(pools::relabel_steps))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/status/self_metrics", get(self_metrics::self_metrics))
        .route("/status/active_queries", get(status::active_queries))
        .route("/status/remote_write", get(status::remote_write))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/admin/lake/{task}", get(lake::carry).post(lake::carry))
}
