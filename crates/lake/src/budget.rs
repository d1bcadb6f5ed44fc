//! One bound on memory, divided between those who need it: `limits.memory` of the configuration.
//!
//! Counts what its users say that they hold; allocates nothing and measures nothing. A pool that is used up refuses, and
//! never takes what is another's: a large query must not keep samples from being written, nor the other way round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base::{Error, Result};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// Who memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Samples that are not sealed, and the index of their series.
    Head,
    /// What queries select and calculate.
    Queries,
    /// What is kept to be found again sooner.
    Caches,
    /// Requests that bring data, from their first byte until it is stored.
    Requests,
}

impl Pool {
    /// Every pool.
    pub const ALL: [Self; 4] = [Self::Head, Self::Queries, Self::Caches, Self::Requests];

    /// The name in metrics and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Queries => "queries",
            Self::Caches => "caches",
            Self::Requests => "requests",
        }
    }

    /// Its share of the whole, in percent. The head holds what nobody else has yet, so it gets most; queries hold theirs for
    /// seconds and can be asked again.
    fn percent(self) -> u64 {
        match self {
            Self::Head => 50,
            Self::Queries => 30,
            Self::Caches | Self::Requests => 10,
        }
    }
}

/// A bound on memory, with a pool for each kind of use.
#[derive(Debug)]
pub struct MemoryBudget {
    limit_bytes: u64,
    pools: [PoolState; 4],
}

#[derive(Debug)]
struct PoolState {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
    refused: AtomicU64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        let pool = |pool: Pool| PoolState {
            limit_bytes: usize::try_from(limit_bytes / 100 * pool.percent()).unwrap_or(usize::MAX),
            used_bytes: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        };
        Arc::new(Self { limit_bytes, pools: Pool::ALL.map(pool) })
    }

    /// A budget that never refuses, for tests and tools.
    pub fn unlimited() -> Arc<Self> {
        Self::new(u64::MAX)
    }

    /// The bytes of all pools together.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// The bytes of a pool.
    pub fn pool_limit_bytes(&self, pool: Pool) -> usize {
        self.pool(pool).limit_bytes
    }

    /// Bytes of a pool that are in use.
    pub fn used_bytes(&self, pool: Pool) -> usize {
        self.pool(pool).used_bytes.load(Ordering::Relaxed)
    }

    /// Sets what of a pool is in use, for a user that knows its whole size.
    pub fn note_used(&self, pool: Pool, bytes: usize) {
        self.pool(pool).used_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether a pool is used up.
    pub fn is_full(&self, pool: Pool) -> bool {
        self.used_bytes(pool) >= self.pool_limit_bytes(pool)
    }

    /// Notes that something was refused because a pool is used up.
    pub fn note_refused(&self, pool: Pool) {
        self.pool(pool).refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was refused because a pool is used up.
    pub fn refused(&self, pool: Pool) -> u64 {
        self.pool(pool).refused.load(Ordering::Relaxed)
    }

    /// A reservation in a pool that holds nothing yet.
    pub fn reservation(self: &Arc<Self>, pool: Pool) -> Reservation {
        Reservation { budget: Arc::clone(self), pool, bytes: 0 }
    }

    /// A collector of what the pools hold, may hold and have refused.
    pub fn register(self: &Arc<Self>, registry: &Registry) -> Result<()> {
        BudgetCollector::new(Arc::clone(self))
            .and_then(|c| registry.register(Box::new(c)))
            .map_err(|e| Error::internal(format!("cannot register metrics of the memory budget: {e}")))
    }

    fn pool(&self, pool: Pool) -> &PoolState {
        &self.pools[pool as usize]
    }
}

/// Bytes of a pool that are spoken for until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    pool: Pool,
    bytes: usize,
}

impl Reservation {
    /// Takes more. An error of kind `Limit` names the limit, and leaves the reservation as it is.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let pool = self.budget.pool(self.pool);
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= pool.limit_bytes);
        if pool.used_bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            self.bytes += bytes;
            return Ok(());
        }
        self.budget.note_refused(self.pool);
        Err(Error::limit(format!(
            "cannot take {bytes} bytes of memory for {name}: {used} of {limit} are in use (limit limits.memory is {whole}, of which {name} get {percent} %)",
            name = self.pool.name(),
            used = pool.used_bytes.load(Ordering::Relaxed),
            limit = pool.limit_bytes,
            whole = self.budget.limit_bytes,
            percent = self.pool.percent(),
        )))
    }

    /// Gives some back; all of it if it is less than that.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.pool(self.pool).used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// Reads the budget when it is asked for metrics.
struct BudgetCollector {
    budget: Arc<MemoryBudget>,
    used: IntGaugeVec,
    limit: IntGaugeVec,
    refused: IntCounterVec,
}

impl BudgetCollector {
    fn new(budget: Arc<MemoryBudget>) -> prometheus::Result<Self> {
        let used = Opts::new("bellwether_memory_pool_used_bytes", "Bytes of limits.memory in use, by pool.");
        let limit = Opts::new("bellwether_memory_pool_limit_bytes", "Bytes of limits.memory, by pool.");
        let refused = Opts::new(
            "bellwether_memory_pool_refused_total",
            "Total number of times that something was refused because a pool of limits.memory was used up.",
        );
        Ok(Self {
            budget,
            used: IntGaugeVec::new(used, &["pool"])?,
            limit: IntGaugeVec::new(limit, &["pool"])?,
            refused: IntCounterVec::new(refused, &["pool"])?,
        })
    }
}

impl Collector for BudgetCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.used.desc(), self.limit.desc(), self.refused.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for pool in Pool::ALL {
            let name = &[pool.name()];
            self.used.with_label_values(name).set(gauge(self.budget.used_bytes(pool)));
            self.limit.with_label_values(name).set(gauge(self.budget.pool_limit_bytes(pool)));
            let counter = self.refused.with_label_values(name);
            counter.inc_by(self.budget.refused(pool).saturating_sub(counter.get()));
        }
        [self.used.collect(), self.limit.collect(), self.refused.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use base::ErrorKind;

    use super::*;

    #[test]
    fn a_pool_takes_nothing_of_another() {
        let budget = MemoryBudget::new(1000);
        let mut query = budget.reservation(Pool::Queries);
        query.grow(300).unwrap();
        let error = query.grow(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.message().contains("limit limits.memory is 1000"), "{error}");
        assert_eq!((query.bytes(), budget.refused(Pool::Queries)), (300, 1));
        budget.reservation(Pool::Caches).grow(100).unwrap();
        assert!(budget.is_full(Pool::Queries) && !budget.is_full(Pool::Caches));
        assert_eq!(Pool::ALL.iter().map(|p| budget.pool_limit_bytes(*p)).sum::<usize>(), 1000);
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let budget = MemoryBudget::new(1000);
        let mut query = budget.reservation(Pool::Queries);
        query.grow(200).unwrap();
        query.shrink(50);
        assert_eq!(budget.used_bytes(Pool::Queries), 150);
        drop(query);
        assert_eq!(budget.used_bytes(Pool::Queries), 0);
        let mut all = MemoryBudget::unlimited().reservation(Pool::Queries);
        all.grow(usize::MAX / 100 * 30).unwrap();
        assert!(all.grow(usize::MAX).is_err());
    }

    #[test]
    fn metrics_say_what_is_used_and_refused() {
        let budget = MemoryBudget::new(1000);
        let registry = Registry::new();
        budget.register(&registry).unwrap();
        budget.note_used(Pool::Head, 123);
        budget.reservation(Pool::Caches).grow(101).unwrap_err();
        for _ in 0..2 {
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            for line in [
                "bellwether_memory_pool_used_bytes{pool=\"head\"} 123",
                "bellwether_memory_pool_limit_bytes{pool=\"queries\"} 300",
                "bellwether_memory_pool_refused_total{pool=\"caches\"} 1",
            ] {
                assert!(text.contains(line), "{line} is not in {text}");
            }
        }
    }
}
