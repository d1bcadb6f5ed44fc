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

use crate::http::Route;
use crate::state::ServerState;
use crate::{lake, otlp};

pub use admin::AdminApi;
pub(crate) use admin::{carry_out, parse_bool};
pub use read::RemoteRead;
pub(crate) use status::version;
pub use write::{WriteOptions, WriteReceiver};

pub(crate) fn routes() -> Router<Arc<ServerState>> {
    list().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

/// The routes, in one list: `openapi.yaml` describes each of them.
pub(crate) fn list() -> Vec<Route> {
    vec![
        ("/query", get(query::instant).post(query::instant)),
        ("/query_range", get(query::range).post(query::range)),
        ("/explain", get(explain::explain).post(explain::explain)),
        ("/format_query", get(query::format).post(query::format)),
        ("/parse_query", get(ast::parse_query).post(ast::parse_query)),
        ("/query_exemplars", get(exemplars::query_exemplars).post(exemplars::query_exemplars)),
        ("/search/metric_names", get(search::metric_names).post(search::metric_names)),
        ("/search/label_names", get(search::label_names).post(search::label_names)),
        ("/search/label_values", get(search::label_values).post(search::label_values)),
        ("/features", get(features::features)),
        ("/notifications", get(notifications::notifications)),
        ("/notifications/live", get(notifications::live)),
        ("/openapi.yaml", get(openapi::document)),
        ("/series", get(series::series).post(series::series)),
        ("/labels", get(series::label_names).post(series::label_names)),
        ("/label/{name}/values", get(series::label_values)),
        ("/read", post(read::read)),
        ("/write", post(write::write)),
        ("/otlp/v1/metrics", post(otlp::http::metrics)),
        ("/metadata", get(targets::metadata)),
        ("/targets", get(targets::targets)),
        ("/targets/metadata", get(targets::target_metadata)),
        ("/scrape_pools", get(targets::scrape_pools)),
        ("/rules", get(rules::rules)),
        ("/alerts", get(rules::alerts)),
        ("/alertmanagers", get(rules::alertmanagers)),
        ("/scrape_pools/config", get(pools::config)),
        ("/targets/relabel_steps", get(pools::relabel_steps)),
        ("/status/buildinfo", get(status::build_info)),
        ("/status/runtimeinfo", get(status::runtime_info)),
        ("/status/config", get(status::config)),
        ("/status/flags", get(status::flags)),
        ("/status/tsdb", get(status::tsdb)),
        ("/status/tsdb/blocks", get(status::blocks)),
        ("/status/walreplay", get(status::wal_replay)),
        ("/status/self_metrics", get(self_metrics::self_metrics)),
        ("/status/active_queries", get(status::active_queries)),
        ("/status/remote_write", get(status::remote_write)),
        ("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series)),
        ("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones)),
        ("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot)),
        ("/admin/lake/{task}", get(lake::carry).post(lake::carry)),
    ]
}
