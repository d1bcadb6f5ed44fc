//! Scraping: a loop per target, a pool per scrape configuration, a manager over the pools.
//!
//! Owns when targets are scraped, what of an answer becomes samples, staleness markers, the reports about each scrape
//! (`up` and its like), and what the targets page shows. Does not store: a [`Sink`] takes the samples.

mod buckets;
mod cache;
pub(crate) mod family;
mod ingest;
mod manager;
mod metadata;
mod metrics;
mod pool;
mod quantiles;
mod runner;
mod snapshot;
mod starts;
mod transport;

use async_trait::async_trait;
use base::{SeriesExemplar, SeriesHistogram, SeriesSample};

pub use manager::ScrapeManager;
pub use metrics::ScrapeMetrics;
pub use snapshot::{ActiveTarget, DroppedTarget, Health, PoolTargets, TargetMetadata, TargetsSnapshot};
pub(crate) use transport::body_too_large;
pub use transport::{FetchRequest, FetchedBody, LocalSource, Purpose, Transport, Transports};

/// Takes the samples of scrapes.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Called once for each scrape, with everything that it brought in, reports and staleness markers included; before that
    /// with zeros where counters began, if there are new ones. The loop waits for the answer before its next scrape, and after an
    /// error logs and goes on: these samples are lost. A series may come twice in one call with different timestamps. Exemplars belong
    /// to series of the samples and histograms; a target exposes one until it has another, so that most come again and again. The
    /// slices may not be kept.
    async fn append(
        &self,
        samples: &[SeriesSample],
        histograms: Vec<SeriesHistogram>,
        exemplars: &[SeriesExemplar],
    ) -> base::Result<()>;
}
