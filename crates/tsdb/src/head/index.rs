//! Finding series: by their labels as a whole, by matchers, and how many there are of a kind.

use base::{Labels, METRIC_NAME};
use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::SeriesId;
use super::postings::Postings;
use super::slab::Slab;

/// How many series there may be. A new one beyond a limit is refused; those that are there go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeriesLimits {
    /// Series of the tenant.
    pub per_tenant: Option<usize>,
    /// Series of one metric.
    pub per_metric: Option<usize>,
    /// Series of one target: with the same `job` and `instance`.
    pub per_target: Option<usize>,
    /// Bytes of memory of the head, about.
    pub head_bytes: Option<usize>,
}

/// Which limit kept a series out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    Tenant,
    Metric,
    Target,
    Memory,
}

impl LimitReached {
    /// The limit's name, in the configuration and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "series_per_tenant",
            Self::Metric => "series_per_metric",
            Self::Target => "series_per_target",
            Self::Memory => "memory",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    by_labels: HashTable<(u32, SeriesId)>,
    postings: Postings,
    /// Series by target; counted once there is a limit.
    targets: Option<FxHashMap<u64, usize>>,
    label_bytes: usize,
}

/// The part of a hash that the table keeps beside the id, so that growing it looks at no series.
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// What the table hashes by: all of it is in the short form, so that growth can repeat it.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    pub(super) fn find(&self, slab: &Slab, hash: u64, packed: &[u8]) -> Option<SeriesId> {
        let short = short(hash);
        let same = |(s, id): &(u32, SeriesId)| {
            *s == short
                && slab
                    .get(*id)
                    .is_some_and(|s| s.labels().stable_hash() == hash && s.labels().as_packed() == packed)
        };
        self.by_labels.find(spread(short), same).map(|(_, id)| *id)
    }

    /// Adds a series that is not in the index.
    pub(super) fn insert(&mut self, id: SeriesId, labels: &Labels) {
        let short = short(labels.stable_hash());
        self.label_bytes += labels.size_bytes();
        self.by_labels.insert_unique(spread(short), (short, id), |(short, _)| spread(*short));
        self.postings.insert(id, labels);
        if let Some(targets) = &mut self.targets {
            *targets.entry(target(labels)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, id: SeriesId, labels: &Labels) {
        if let Ok(entry) =
            self.by_labels.find_entry(spread(short(labels.stable_hash())), |(_, other)| *other == id)
        {
            entry.remove();
            self.label_bytes -= labels.size_bytes();
        }
        self.postings.remove(id, labels);
        if let Some(targets) = &mut self.targets {
            let key = target(labels);
            if let Some(count) = targets.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    targets.remove(&key);
                }
            }
        }
    }

    /// Fills an empty index with all series at once.
    pub(super) fn fill(&mut self, slab: &Slab) {
        self.by_labels.reserve(slab.len(), |(short, _)| spread(*short));
        std::thread::scope(|scope| {
            // The postings take most of the time, and nothing needs them meanwhile.
            let postings = &mut self.postings;
            scope.spawn(move || postings.fill(slab.iter().map(|(id, series)| (id, series.labels()))));
            for (id, series) in slab.iter() {
                let labels = series.labels();
                let short = short(labels.stable_hash());
                self.label_bytes += labels.size_bytes();
                self.by_labels.insert_unique(spread(short), (short, id), |(short, _)| spread(*short));
            }
        });
    }

    pub(super) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(super) fn label_bytes(&self) -> usize {
        self.label_bytes
    }

    pub(super) fn postings(&self) -> &Postings {
        &self.postings
    }

    pub(super) fn check_limits(
        &mut self,
        slab: &Slab,
        labels: &Labels,
        limits: &SeriesLimits,
    ) -> Result<(), LimitReached> {
        let full = |limit: Option<usize>, count: usize| limit.is_some_and(|limit| count >= limit);
        if full(limits.per_tenant, self.len()) {
            return Err(LimitReached::Tenant);
        }
        if limits.per_metric.is_some() {
            let count = self.postings.count(METRIC_NAME, labels.metric());
            if full(limits.per_metric, usize::try_from(count).unwrap_or(usize::MAX)) {
                return Err(LimitReached::Metric);
            }
        }
        if limits.per_target.is_some() && full(limits.per_target, self.count_target(slab, labels)) {
            return Err(LimitReached::Target);
        }
        Ok(())
    }

    /// Series of the target that a label set names. The first call counts those of all targets.
    fn count_target(&mut self, slab: &Slab, labels: &Labels) -> usize {
        let counts = self.targets.get_or_insert_with(|| {
            let mut counts = FxHashMap::default();
            for (_, series) in slab.iter() {
                *counts.entry(target(series.labels())).or_default() += 1;
            }
            counts
        });
        counts.get(&target(labels)).copied().unwrap_or(0)
    }
}

/// Tells targets apart.
fn target(labels: &Labels) -> u64 {
    let job = labels.get_or_empty("job");
    xxh3_64_with_seed(labels.get_or_empty("instance").as_bytes(), xxh3_64_with_seed(job.as_bytes(), 0))
}
