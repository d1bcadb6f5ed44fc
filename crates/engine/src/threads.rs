//! Threads that compute leaves, shared by all queries.
//!
//! A leaf has as many as there are cores, also while others run: had it to take what they leave, a large one that came at the wrong
//! moment would stay alone on one core to its end. The system shares the cores among them. Owns how many there are.

use std::sync::Arc;

use prometheus::IntCounter;
use promql::leaf::BLOCK_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tsdb::{MemoryBudget, Pool, Reservation};

use crate::limits::{BLOCKS_OF_THREAD, LEAVES_WITH_THREADS, MAX_PARTITIONS, SAMPLES_FOR_THREADS};

/// The threads, and the memory that their blocks are in.
pub(crate) struct Threads {
    each: usize,
    free: Arc<Semaphore>,
    memory: Arc<MemoryBudget>,
    /// Large leaves that got fewer than they could use.
    short: IntCounter,
}

/// Threads of a leaf, and the memory for what they have under way.
pub(crate) struct Share {
    threads: OwnedSemaphorePermit,
    _memory: Reservation,
}

impl Share {
    /// How many there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads.num_permits()
    }
}

impl Threads {
    /// So many for a leaf.
    pub(crate) fn new(each: usize, memory: Arc<MemoryBudget>, short: IntCounter) -> Self {
        let each = each.min(MAX_PARTITIONS);
        Self { each, free: Arc::new(Semaphore::new(each * LEAVES_WITH_THREADS)), memory, short }
    }

    /// Those for a leaf, beside that of its query: none for a small one, and none if there are none left, or no memory for them.
    pub(crate) fn share(&self, samples: u64, blocks: usize) -> Option<Share> {
        let wanted = self.each.min(blocks);
        if samples < SAMPLES_FOR_THREADS || wanted < 2 {
            return None;
        }
        let share = self.take(wanted);
        if share.as_ref().is_none_or(|share| share.threads() < wanted) {
            self.short.inc();
        }
        share
    }

    fn take(&self, wanted: usize) -> Option<Share> {
        let wanted = self.free.available_permits().min(wanted);
        if wanted < 2 {
            return None;
        }
        let threads = Arc::clone(&self.free).try_acquire_many_owned(u32::try_from(wanted).ok()?).ok()?;
        let mut memory = self.memory.reservation(Pool::Queries);
        memory.grow(wanted * BLOCKS_OF_THREAD * BLOCK_BYTES).ok()?;
        Some(Share { threads, _memory: memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(each: usize, memory_bytes: u64) -> Threads {
        let short = IntCounter::new("short", "short").unwrap();
        Threads::new(each, MemoryBudget::new(memory_bytes), short)
    }

    #[test]
    fn large_leaves_get_threads_as_long_as_there_are_any() {
        let threads = threads(3, 1 << 30);
        let taken = |samples, blocks| threads.share(samples, blocks).map(|share| share.threads());
        assert_eq!(taken(SAMPLES_FOR_THREADS - 1, 9), None);
        assert_eq!(taken(SAMPLES_FOR_THREADS, 1), None);
        assert_eq!(taken(SAMPLES_FOR_THREADS, 2), Some(2));
        let shares: Vec<_> = (0..LEAVES_WITH_THREADS - 1).map(|_| threads.share(1 << 20, 9)).collect();
        assert!(shares.iter().flatten().all(|share| share.threads() == 3));
        assert_eq!(threads.short.get(), 0);
        let two = threads.share(1 << 20, 2).unwrap();
        assert_eq!((taken(1 << 20, 9), threads.short.get()), (None, 1), "one is left, which is of no use");
        drop(two);
        assert_eq!((taken(1 << 20, 9), threads.short.get()), (Some(3), 1));
    }

    #[test]
    fn without_memory_for_their_blocks_there_are_none() {
        let threads = threads(2, 1 << 20);
        assert!(threads.share(1 << 20, 9).is_none());
        assert_eq!((threads.short.get(), threads.memory.used_bytes(Pool::Queries)), (1, 0));
        assert_eq!(threads.free.available_permits(), 2 * LEAVES_WITH_THREADS);
    }
}
