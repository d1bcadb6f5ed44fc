//! The pages: embedded files, with cache headers; any path that is no file is a page of the single-page application.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, ApiErrorType};
use crate::state::ServerState;

/// Holds the files of the web UI.
pub trait Assets: Send + Sync {
    /// The file at a path below the root, without a leading slash.
    fn get(&self, path: &str) -> Option<Asset>;
}

/// A file of the web UI.
pub struct Asset {
    /// Its bytes.
    pub content: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: String,
    /// A tag that changes when the bytes do, without quotes.
    pub etag: String,
}

/// Files below this folder carry a hash of their content in their name.
const HASHED_PREFIX: &str = "assets/";

pub(crate) async fn serve(
    State(state): State<Arc<ServerState>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_read = matches!(method, Method::GET | Method::HEAD);
    if is_endpoint(path) || !is_read {
        let message = format!("cannot find {}: no such endpoint", uri.path());
        return ApiError { error_type: ApiErrorType::NotFound, message }.into_response();
    }
    let looks_like_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let found = state
        .assets
        .get(path)
        .or_else(|| if looks_like_file { None } else { state.assets.get("index.html") });
    let Some(asset) = found else {
        return (StatusCode::NOT_FOUND, format!("cannot find {}: no such page\n", uri.path()))
            .into_response();
    };
    let etag = format!("\"{}\"", asset.etag);
    let cache =
        if path.starts_with(HASHED_PREFIX) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|t| t.trim().trim_start_matches("W/") == etag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag), (header::CACHE_CONTROL, cache.into())])
            .into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, cache.into()),
        (header::ETAG, etag),
    ];
    (headers, bytes::Bytes::from(asset.content.into_owned())).into_response()
}

/// Whether a path is asked for by programs, here or at other servers, for which a page in its place would be a wrong answer: `promtool debug`
/// would keep it as a profile, and a check behind a wrong prefix would say that all is well.
fn is_endpoint(path: &str) -> bool {
    let begins = ["api/", "-/", "debug/", "v1/"].iter().any(|prefix| path.starts_with(prefix));
    begins || path.contains("/api/v1/") || path.contains("/-/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_ask_for_is_no_page() {
        for path in
            ["api/v1/nope", "-/nope", "debug/pprof/heap", "v1/logs", "wrong/api/v1/query", "wrong/-/ready"]
        {
            assert!(is_endpoint(path), "{path}");
        }
        for path in ["", "hosts", "explore", "graph", "status", "targets", "alerts", "assets/index-api.js"] {
            assert!(!is_endpoint(path), "{path}");
        }
    }
}
