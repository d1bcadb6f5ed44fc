//! When a group is evaluated: at slots that depend on its name alone, so that groups are spread over their interval and
//! keep their place over restarts. Pure.

use std::time::Duration;

use base::Labels;

use crate::state::millis;

/// The slots of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    interval_ms: i64,
    offset_ms: i64,
}

impl Slots {
    pub(crate) fn new(file: &str, name: &str, interval: Duration) -> Self {
        let interval_ms = millis(interval).max(1);
        let hash = Labels::from_pairs([("file", file), ("name", name)]).stable_hash();
        let offset_ms = (hash % interval_ms.unsigned_abs()) as i64;
        Self { interval_ms, offset_ms }
    }

    /// The last slot that is not after `now_ms`.
    pub(crate) fn before(self, now_ms: i64) -> i64 {
        (now_ms - self.offset_ms).div_euclid(self.interval_ms) * self.interval_ms + self.offset_ms
    }

    /// The slot after this one.
    pub(crate) fn after(self, slot_ms: i64) -> i64 {
        slot_ms + self.interval_ms
    }

    /// The slot to evaluate now and how many were missed, given the last one; `None` while the next has not come. A
    /// clock that went back by more than an interval starts the slots anew.
    pub(crate) fn due(self, last_ms: i64, now_ms: i64) -> Option<(i64, u64)> {
        let passed = (now_ms - last_ms).div_euclid(self.interval_ms);
        match passed {
            ..=-2 => Some((self.before(now_ms), 0)),
            -1..=0 => None,
            n => Some((last_ms + n * self.interval_ms, n.unsigned_abs() - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_an_interval_apart_and_stay_over_restarts() {
        let slots = Slots::new("a.yml", "g", Duration::from_secs(15));
        let first = slots.before(1_700_000_000_000);
        assert!((1_699_999_985_001..=1_700_000_000_000).contains(&first));
        assert_eq!(slots.before(slots.after(first)), first + 15_000);
        assert_eq!(slots.before(first - 1), first - 15_000);
        let other = Slots::new("a.yml", "h", Duration::from_secs(15));
        assert_ne!(slots.offset_ms, other.offset_ms);
    }

    #[test]
    fn missed_slots_are_counted_and_left_out() {
        let slots = Slots { interval_ms: 1000, offset_ms: 0 };
        assert_eq!(slots.due(5_000, 5_999), None);
        assert_eq!(slots.due(5_000, 6_000), Some((6_000, 0)));
        assert_eq!(slots.due(5_000, 8_500), Some((8_000, 2)));
        assert_eq!(slots.due(5_000, 4_500), None);
        assert_eq!(slots.due(5_000, 1_500), Some((1_000, 0)));
    }
}
