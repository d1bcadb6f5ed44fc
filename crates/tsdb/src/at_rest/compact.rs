//! Merging segments of samples that nobody serves.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use base::Result;
use lake::compact::Merger;
use lake::{NewSegment, Segment, Table};

use crate::compact::merge_chunks;
use crate::hidden::Visibility;

/// Merges chunks, as a server does in the background. What is deleted or due stays hidden and stays there: the server knows
/// its rules.
#[derive(Debug, Clone, Copy)]
pub struct MergeChunks;

#[async_trait]
impl Merger for MergeChunks {
    async fn merge(&self, table: &Table, inputs: &[Arc<Segment>], level: u8) -> Result<Vec<NewSegment>> {
        let stop = AtomicBool::new(false);
        merge_chunks(table, inputs, level, Visibility::default(), &stop).await
    }
}
