//! Importing: samples of another system become segments directly, as the head takes nothing so old.
//!
//! Owns the way from sorted series to committed segments, and the sorting of samples that come in any order ([`Spill`]). Knows no foreign
//! format. A source is imported in parts, each a UTC day of it; a part is committed once, with its number, so that an import
//! that was interrupted goes on behind the last one.

mod part;
mod run;
mod spill;

use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Result};
use lake::{Lake, NewSegment, Table};
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_128;

pub use lake::DATED_MS;
pub use part::{PartOutcome, PartWriter};
pub use spill::{SeriesSink, Sorted, Spill};

use crate::limits::IMPORT_SEGMENT_BYTES;
use crate::table;

/// Milliseconds of a UTC day.
pub const DAY_MS: i64 = 86_400_000;

/// A day since 1970 as `yyyy-mm-dd`.
pub fn date_of_day(day: i64) -> String {
    lake::date(day.saturating_mul(DAY_MS))
}

/// Batches between the thread that encodes and the task that writes.
const BATCHES_UNDER_WAY: usize = 2;

/// Names what is imported, so that its parts are committed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    app_id: String,
}

impl Source {
    /// A source of a kind, such as `prometheus-block`, whose content `identity` stands for: equal identities are equal contents.
    pub fn new(tenant: &str, kind: &str, identity: &[u8]) -> Self {
        Self { app_id: format!("bellwether-import/{tenant}/{kind}/{:032x}", xxh3_128(identity)) }
    }
}

/// Writes imported samples into the table `metrics` of a lake that no store has opened.
pub struct Importer {
    table: Table,
    tenant: String,
    lake: Arc<Lake>,
}

impl Importer {
    /// Opens the table.
    pub async fn open(lake: Arc<Lake>, tenant: &str) -> Result<Self> {
        let table = lake.table(table::spec()).await?;
        Ok(Self { table, tenant: tenant.into(), lake })
    }

    /// The number of the last part of a source that is in the table.
    pub async fn last_part(&self, source: &Source) -> Result<Option<i64>> {
        self.table.appended_until(&source.app_id).await
    }

    /// Rows of the whole table.
    pub fn rows(&self) -> u64 {
        self.table.view().segments.iter().map(|s| s.rows()).sum()
    }

    /// Begins to sort samples on this lake's disk.
    pub fn spill(&self) -> Result<Spill> {
        Spill::create(&self.lake.folder().join(lake::filenames::IMPORT_SPILL))
    }

    /// Imports a part: the samples of one UTC day, counted since 1970, which `feed` hands over by metric, then by labels. It runs on a
    /// thread where it may block. If it fails, nothing of the part is imported, and its error is the inner one; the outer one is
    /// the lake's. Part numbers of a source ascend.
    pub async fn write_part<F>(
        &self,
        source: &Source,
        part: i64,
        day: i64,
        feed: F,
    ) -> Result<Result<PartOutcome>>
    where
        F: FnOnce(&mut PartWriter) -> Result<()> + Send + 'static,
    {
        let (batches, mut encoded) = mpsc::channel(BATCHES_UNDER_WAY);
        let feeding = tokio::task::spawn_blocking(move || {
            let mut writer = PartWriter::new(batches, day);
            feed(&mut writer)?;
            writer.finish()
        });
        let written = self.write_segments(&mut encoded, day).await;
        // Without a receiver the feed ends at its next batch.
        drop(encoded);
        let fed =
            feeding.await.map_err(|e| Error::internal(format!("cannot encode imported samples: {e}")))?;
        let segments = written?;
        let mut outcome = match fed {
            Ok(outcome) => outcome,
            // The files that were written go with the vacuum.
            Err(e) => return Ok(Err(e)),
        };
        outcome.bytes = segments.iter().map(NewSegment::size_bytes).sum();
        self.table.commit_append(&source.app_id, part, &segments).await?;
        Ok(Ok(outcome))
    }

    async fn write_segments(
        &self,
        batches: &mut mpsc::Receiver<RecordBatch>,
        day: i64,
    ) -> Result<Vec<NewSegment>> {
        let mut segments = Vec::new();
        let mut writer: Option<(lake::SegmentWriter, u64)> = None;
        while let Some(batch) = batches.recv().await {
            let (mut open, written) = match writer.take() {
                Some(open) => open,
                None => {
                    let epoch = lake::filenames::IMPORT_EPOCH;
                    (self.table.segment_writer(&self.tenant, &date_of_day(day), epoch)?, 0)
                }
            };
            open.write(&batch).await?;
            let written = written + batch.get_array_memory_size() as u64;
            if written < IMPORT_SEGMENT_BYTES {
                writer = Some((open, written));
            } else {
                segments.push(open.finish().await?);
            }
        }
        if let Some((open, _)) = writer {
            segments.push(open.finish().await?);
        }
        Ok(segments)
    }
}
