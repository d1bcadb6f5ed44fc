//! Ends an evaluation when its deadline passes, its caller has left, or there is no memory for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{Clock, Error, ErrorKind, Result};
use parking_lot::Mutex;
use promql::Interrupt;
use tsdb::Reservation;

/// Polled by the evaluation, which runs on a thread of its own.
pub(crate) struct Deadline {
    clock: Arc<dyn Clock>,
    /// On the clock's monotonic scale.
    at: Duration,
    left: Arc<AtomicBool>,
}

/// Held by the caller's future; dropping it ends the evaluation.
pub(crate) struct CallerPresent(Arc<AtomicBool>);

impl Drop for CallerPresent {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Deadline {
    /// A deadline `timeout` from now, and the guard of its caller.
    pub(crate) fn after(timeout: Duration, clock: &Arc<dyn Clock>) -> (Self, CallerPresent) {
        let left = Arc::new(AtomicBool::new(false));
        let at = clock.monotonic().saturating_add(timeout);
        (Self { clock: Arc::clone(clock), at, left: Arc::clone(&left) }, CallerPresent(left))
    }

    /// Time that is left.
    pub(crate) fn remaining(&self) -> Duration {
        self.at.saturating_sub(self.clock.monotonic())
    }
}

/// The error of a query that took too long, in Prometheus' words.
pub(crate) fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "query timed out in expression evaluation")
}

impl Interrupt for Deadline {
    fn check(&self) -> Result<()> {
        if self.left.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Canceled, "query was canceled in expression evaluation"));
        }
        if self.remaining().is_zero() { Err(timed_out()) } else { Ok(()) }
    }
}

/// What an evaluation runs under.
pub(crate) struct Guard {
    deadline: Deadline,
    memory: Mutex<Reservation>,
}

impl Guard {
    pub(crate) fn new(deadline: Deadline, memory: Reservation) -> Self {
        Self { deadline, memory: Mutex::new(memory) }
    }
}

impl Interrupt for Guard {
    fn check(&self) -> Result<()> {
        self.deadline.check()
    }

    fn holds(&self, bytes: u64) -> Result<()> {
        let mut memory = self.memory.lock();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let held = memory.bytes();
        if bytes < held {
            memory.shrink(held - bytes);
            return Ok(());
        }
        memory.grow(bytes - held).map_err(|e| e.context("cannot evaluate query"))
    }
}

#[cfg(test)]
mod tests {
    use base::ManualClock;
    use tsdb::{MemoryBudget, Pool};

    use super::*;

    #[test]
    fn ends_at_the_deadline_or_when_the_caller_leaves() {
        let manual = Arc::new(ManualClock::new(0));
        let clock: Arc<dyn Clock> = Arc::clone(&manual) as _;
        let (deadline, present) = Deadline::after(Duration::from_secs(2), &clock);
        assert_eq!(deadline.check(), Ok(()));
        manual.advance(Duration::from_secs(2));
        assert_eq!(deadline.check().map_err(|e| e.kind()), Err(ErrorKind::Timeout));
        drop(present);
        assert_eq!(deadline.check().map_err(|e| e.kind()), Err(ErrorKind::Canceled));
    }

    #[test]
    fn ends_when_it_holds_more_than_there_is() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
        let (deadline, _present) = Deadline::after(Duration::from_secs(2), &clock);
        let budget = MemoryBudget::new(1000);
        let guard = Guard::new(deadline, budget.reservation(Pool::Queries));
        guard.holds(200).unwrap();
        guard.holds(100).unwrap();
        assert_eq!(budget.used_bytes(Pool::Queries), 100);
        let error = guard.holds(301).unwrap_err();
        assert!(error.kind() == ErrorKind::Limit && error.message().contains("limits.memory"), "{error}");
        drop(guard);
        assert_eq!(budget.used_bytes(Pool::Queries), 0);
    }
}
