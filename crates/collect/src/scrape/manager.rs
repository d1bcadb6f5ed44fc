//! The pools of all scrape configurations.
//!
//! Owns starting, changing and stopping pools as the configuration says, and gathers what they show.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use base::{Clock, Error, Result};
use futures::future::join_all;
use parking_lot::RwLock;
use prometheus::Registry;

use super::Sink;
use super::metrics::ScrapeMetrics;
use super::pool::{Pool, PoolView};
use super::runner::Context;
use super::snapshot::{ActiveTarget, DroppedTarget, PoolTargets, TargetMetadata, TargetsSnapshot};
use super::transport::Transport;
use crate::config::ScrapeConfig;
use crate::discovery::DiscoveryMetrics;

/// Scrapes what the configuration names.
pub struct ScrapeManager {
    context: Context,
    /// `None` once stopped. Held while a configuration is applied, so that two are applied one after the other.
    pools: tokio::sync::Mutex<Option<BTreeMap<String, Running>>>,
    /// The same pools, for those who only look.
    views: RwLock<BTreeMap<String, Arc<RwLock<PoolView>>>>,
}

struct Running {
    pool: Pool,
    config: Arc<ScrapeConfig>,
}

impl ScrapeManager {
    /// A manager without pools. Its own metrics go into the registry, samples to the sink.
    pub fn new(
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
        transport: Arc<dyn Transport>,
    ) -> Result<Self> {
        let metrics = ScrapeMetrics::new(registry)?;
        let cache_seed = RandomState::new().hash_one(0u8);
        let context = Context { sink, clock, transport, metrics, cache_seed };
        Ok(Self { context, pools: tokio::sync::Mutex::new(Some(BTreeMap::new())), views: RwLock::default() })
    }

    /// Metrics of discovery, for whoever else finds something by it.
    pub fn discovery_metrics(&self) -> DiscoveryMetrics {
        self.context.metrics.discovery.clone()
    }

    /// Makes the pools follow these configurations, and returns when they do. Targets that stay are scraped on without
    /// a gap and at the same phase; the series of targets that go are marked stale. With an invalid configuration
    /// nothing changes.
    pub async fn apply(&self, configs: Vec<ScrapeConfig>) -> Result<()> {
        let mut wanted: BTreeMap<String, Arc<ScrapeConfig>> = BTreeMap::new();
        for config in configs {
            config.validate()?;
            let name = config.job_name.clone();
            if wanted.insert(name.clone(), Arc::new(config)).is_some() {
                return Err(Error::invalid(format!("found multiple scrape configs with job name {name:?}")));
            }
        }
        let mut guard = self.pools.lock().await;
        let pools = guard
            .as_mut()
            .ok_or_else(|| Error::unavailable("cannot apply scrape configurations: scraping is stopped"))?;
        let gone: Vec<_> = pools.extract_if(.., |name, _| !wanted.contains_key(name)).collect();
        self.views.write().retain(|name, _| wanted.contains_key(name));
        join_all(gone.into_iter().map(|(_, running)| running.pool.stop(true))).await;
        for (name, config) in &wanted {
            if !pools.contains_key(name) {
                self.context.metrics.pools_created.inc();
                let pool = Pool::start(self.context.clone(), name);
                self.views.write().insert(name.clone(), pool.view.clone());
                // Differs from what is wanted, so that it is applied below.
                let config = Arc::new(ScrapeConfig { scrape_protocols: Vec::new(), ..(**config).clone() });
                pools.insert(name.clone(), Running { pool, config });
            }
        }
        let changes = pools.iter_mut().filter_map(|(name, running)| {
            let config = wanted.get(name).filter(|c| **c != running.config)?;
            running.config = config.clone();
            self.context.metrics.pool_reloads.inc();
            Some(running.pool.apply(config.clone()))
        });
        join_all(changes).await;
        Ok(())
    }

    /// Stops all loops and returns when they have ended. Series are not marked stale: a program that stops goes on
    /// where it was when it is started again.
    pub async fn stop(&self) {
        let pools = self.pools.lock().await.take().unwrap_or_default();
        join_all(pools.into_values().map(|running| running.pool.stop(false))).await;
    }

    /// All targets, as they are now.
    pub fn targets(&self) -> TargetsSnapshot {
        let views = self.views.read().clone();
        let mut out = TargetsSnapshot::default();
        for (name, view) in views {
            let view = view.read();
            out.pools.push(PoolTargets {
                scrape_pool: name.clone(),
                active: view.active.len(),
                dropped: view.dropped_count,
            });
            out.active.extend(view.active.iter().map(|a| {
                let (target, status) = (&a.target, a.status.lock().clone());
                ActiveTarget {
                    discovered_labels: target.discovered_labels.clone(),
                    labels: target.labels.clone(),
                    scrape_pool: name.clone(),
                    scrape_url: target.url.clone(),
                    last_error: status.last_error,
                    last_scrape_ms: status.last_scrape_ms,
                    last_scrape_duration: status.last_duration,
                    health: status.health,
                    scrape_interval: target.interval,
                    scrape_timeout: target.timeout,
                }
            }));
            let dropped = view
                .dropped
                .iter()
                .map(|labels| DroppedTarget { discovered_labels: labels.clone(), scrape_pool: name.clone() });
            out.dropped.extend(dropped);
        }
        out
    }

    /// What every target says of its metrics, by pool, target and metric.
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        let views = self.views.read().clone();
        let mut out = Vec::new();
        for view in views.values() {
            // Copied out first: listing takes each target's lock, and should not hold the pool's meanwhile.
            let active = view.read().active.clone();
            for a in active {
                out.extend(a.metadata.list().into_iter().map(|(metric, metadata)| TargetMetadata {
                    target: a.target.labels.clone(),
                    metric,
                    metadata,
                }));
            }
        }
        out
    }
}
