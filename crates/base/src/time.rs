//! Time: the injected clock, and ranges.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Tells the time. The binary passes the system's clock, tests a [`ManualClock`].
pub trait Clock: Send + Sync {
    /// Wall-clock time in milliseconds since the Unix epoch. May jump.
    fn now_ms(&self) -> i64;

    /// Time since an arbitrary fixed point; never goes back. For measuring durations.
    fn monotonic(&self) -> Duration;
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(
            i64::try_from(by.as_millis()).expect("a test moves by less than an age"),
            Ordering::SeqCst,
        );
    }

    /// Sets the clock.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms()).unwrap_or(0))
    }
}

/// A range of time with both ends included, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First millisecond of the range.
    pub start_ms: i64,
    /// Last millisecond of the range.
    pub end_ms: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// The range from `start_ms` to `end_ms`, both included; empty if they are in the wrong order.
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// Whether a time lies in the range.
    pub fn contains(self, t_ms: i64) -> bool {
        self.start_ms <= t_ms && t_ms <= self.end_ms
    }

    /// Whether the ranges have a millisecond in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start_ms <= other.end_ms && other.start_ms <= self.end_ms
    }
}
