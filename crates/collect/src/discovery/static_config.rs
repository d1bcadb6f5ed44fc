//! Targets that the configuration itself names.

use async_trait::async_trait;

use super::Provider;
use crate::config::TargetGroup;

/// Gives its groups once; they never change.
#[derive(Debug)]
pub struct StaticProvider {
    groups: Option<Vec<TargetGroup>>,
}

impl StaticProvider {
    /// A provider of these groups.
    pub fn new(groups: Vec<TargetGroup>) -> Self {
        Self { groups: Some(groups) }
    }
}

#[async_trait]
impl Provider for StaticProvider {
    async fn next(&mut self) -> Vec<TargetGroup> {
        match self.groups.take() {
            Some(groups) => groups,
            None => std::future::pending().await,
        }
    }
}
