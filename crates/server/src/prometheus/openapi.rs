//! `openapi.yaml`: the description of every route but the pages'; a test compares the two.

use axum::http::header;
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.yaml");

pub(crate) async fn document() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/yaml; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
    ];
    (headers, DOCUMENT)
}
