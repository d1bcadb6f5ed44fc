//! The times of an evaluation: the caller's [`Grid`], and the steps that each part of a query is evaluated at.

use base::{Error, Result};
use serde::{Deserialize, Serialize};

/// The times at which a query is evaluated: `start_ms`, and every `step_ms` after it up to `end_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First time, milliseconds since the epoch.
    pub start_ms: i64,
    /// Last time, milliseconds since the epoch; not evaluated itself unless the steps hit it.
    pub end_ms: i64,
    /// Distance, positive; any for an instant.
    pub step_ms: i64,
}

/// The steps of one part of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Steps {
    /// First time.
    pub(crate) start_ms: i64,
    /// Distance; positive.
    pub(crate) step_ms: i64,
    /// Number of steps; may be 0.
    pub(crate) count: usize,
}

impl Grid {
    /// A single time.
    pub(crate) fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, end_ms: t_ms, step_ms: 1 }
    }

    /// The steps; a step width has to be positive.
    pub(crate) fn steps(&self) -> Result<Steps> {
        if self.step_ms <= 0 {
            return Err(Error::invalid(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        Ok(Steps::between(self.start_ms, self.end_ms, self.step_ms))
    }
}

impl Steps {
    /// The steps from `start_ms` up to `end_ms`; none if they are in the wrong order.
    pub(crate) fn between(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let count = if end_ms < start_ms {
            0
        } else {
            usize::try_from(end_ms.saturating_sub(start_ms) / step_ms).unwrap_or(usize::MAX - 1) + 1
        };
        Self { start_ms, step_ms, count }
    }

    /// The first step alone.
    pub(crate) fn first(self) -> Self {
        Self { count: self.count.min(1), ..self }
    }

    /// The steps before one of them, and those from it on.
    pub(crate) fn split(self, at: usize) -> (Self, Self) {
        let at = at.min(self.count);
        (Self { count: at, ..self }, Self { start_ms: self.at(at), count: self.count - at, ..self })
    }

    /// The time of a step.
    #[inline]
    pub(crate) fn at(self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    /// The time of the last step.
    pub(crate) fn last_ms(self) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(self.count.saturating_sub(1) as i64))
    }

    /// Whether all times can be told, which those of a query can.
    pub(crate) fn is_possible(self) -> bool {
        let last = i64::try_from(self.count.saturating_sub(1)).ok().and_then(|n| n.checked_mul(self.step_ms));
        self.step_ms > 0 && last.is_some_and(|after| self.start_ms.checked_add(after).is_some())
    }

    /// The first step for which a condition that holds up to some step does not hold; the number of steps if it holds for all.
    pub(crate) fn partition_point(self, holds: impl Fn(usize) -> bool) -> usize {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from + (to - from) / 2;
            if holds(middle) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// All times.
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |i| self.at(i))
    }

    /// Whether the order of a result's series is the result's own, and not that of their labels.
    pub(crate) fn is_instant(self) -> bool {
        self.count <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_at_or_before_the_end() {
        let s = Steps::between(0, 59, 15);
        assert_eq!((s.count, s.last_ms()), (4, 45));
        assert_eq!(Steps::between(10, 9, 1).count, 0);
        assert_eq!(Steps::between(10, 10, 1).count, 1);
        assert!(Grid { start_ms: 0, end_ms: 1, step_ms: 0 }.steps().is_err());
    }
}
