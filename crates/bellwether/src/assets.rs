//! The web UI's files, embedded in the binary. A debug build reads them from `ui/dist` when asked.

use rust_embed::RustEmbed;
use server::{Asset, Assets};

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Files;

/// The embedded files.
pub(crate) struct EmbeddedAssets;

impl EmbeddedAssets {
    /// Tells a developer that the UI was not built before the binary was.
    pub(crate) fn warn_if_missing() {
        if Files::get("index.html").is_none() {
            tracing::warn!("this binary was built without the web UI: build it with `make run`");
        }
    }
}

impl Assets for EmbeddedAssets {
    fn get(&self, path: &str) -> Option<Asset> {
        let file = Files::get(path)?;
        let etag = file.metadata.sha256_hash()[..8].iter().map(|b| format!("{b:02x}")).collect();
        let content_type = content_type(path).to_string();
        Some(Asset { content: file.data, content_type, etag })
    }
}

/// The media types of the files that a web build makes.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
