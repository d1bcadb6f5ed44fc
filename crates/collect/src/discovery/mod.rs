//! Discovery: where lists of targets come from, one provider per file.
//!
//! Owns finding target groups and noticing that they change. Does not relabel and does not scrape.

mod file;
mod static_config;

use async_trait::async_trait;

use crate::config::{ScrapeConfig, TargetGroup};
use crate::scrape::ScrapeMetrics;

pub use file::{FileProvider, target_groups};
pub use static_config::StaticProvider;

/// A source of target groups.
#[async_trait]
pub trait Provider: Send {
    /// Returns the whole list: at once on the first call, and afterwards when it has changed. The caller may drop the
    /// future, and then does not call again. A provider that cannot read its source logs why and keeps what it had.
    async fn next(&mut self) -> Vec<TargetGroup>;
}

/// The providers that a scrape configuration asks for.
pub(crate) fn providers(config: &ScrapeConfig, metrics: &ScrapeMetrics) -> Vec<Box<dyn Provider>> {
    let mut out: Vec<Box<dyn Provider>> = Vec::new();
    if !config.static_configs.is_empty() {
        out.push(Box::new(StaticProvider::new(config.static_configs.clone())));
    }
    for file_sd in &config.file_sd_configs {
        out.push(Box::new(FileProvider::new(file_sd.clone(), metrics.file_read_errors.clone())));
    }
    out
}
