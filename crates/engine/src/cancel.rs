//! Ends an evaluation when its deadline passes or its caller has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{Clock, Error, ErrorKind, Result};
use promql::Interrupt;

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

#[cfg(test)]
mod tests {
    use base::ManualClock;

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
}
