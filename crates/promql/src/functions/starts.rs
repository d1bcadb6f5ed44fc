//! Start timestamps: when the counting of a sample began, and what that tells of counter resets. Zero is not known.

use super::rollup::Series;

/// A sample's time and its start timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) t_ms: i64,
    pub(crate) start_ms: i64,
}

impl Stamp {
    /// That of the sample at a position.
    pub(crate) fn of(times: &[i64], starts: &[i64], at: usize) -> Self {
        Self { t_ms: times[at], start_ms: starts.get(at).copied().unwrap_or(0) }
    }

    /// Whether counting began anew after the sample before. Starts that are not before their sample are unknown; one at the very time
    /// of the sample before is that of a delta, unless that sample's own is not known.
    pub(crate) fn is_reset_since(self, before: Self) -> bool {
        if self.start_ms == 0 || self.start_ms >= self.t_ms || self.start_ms < before.t_ms {
            return false;
        }
        self.start_ms > before.t_ms || (before.start_ms != 0 && before.start_ms < before.t_ms)
    }

    /// Whether counting began before the sample before, and not when that one's did.
    fn overlaps(self, before: Self) -> bool {
        self.start_ms != 0 && self.start_ms < before.t_ms && self.start_ms != before.start_ms
    }
}

/// Whether counting began anew between a sample and the one before it.
#[inline]
pub(crate) fn is_reset(times: &[i64], starts: &[i64], at: usize) -> bool {
    !starts.is_empty() && Stamp::of(times, starts, at).is_reset_since(Stamp::of(times, starts, at - 1))
}

/// When counting of the first sample of a range began, if that was within the range.
#[inline]
pub(crate) fn begun_within(times: &[i64], starts: &[i64], first: usize, range_start_ms: i64) -> Option<i64> {
    let start_ms = *starts.get(first)?;
    (start_ms != 0 && start_ms > range_start_ms && start_ms < times[first]).then_some(start_ms)
}

/// Whether a sample after the first of a range overlaps with the one before it.
pub(crate) fn has_overlap(times: &[i64], starts: &[i64], from: usize, to: usize) -> bool {
    !starts.is_empty()
        && (from + 1..to).any(|at| Stamp::of(times, starts, at).overlaps(Stamp::of(times, starts, at - 1)))
}

/// In how many windows samples overlap.
pub(crate) fn count_overlaps(series: &Series<'_>) -> u64 {
    let mut windows = 0;
    series.slide(|from, to, _| {
        windows += u64::from(has_overlap(series.times, series.starts, from, to));
        0.0
    });
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_tell_of_resets() {
        let is_reset = |before: (i64, i64), now: (i64, i64)| {
            let of = |(t_ms, start_ms)| Stamp { t_ms, start_ms };
            of(now).is_reset_since(of(before))
        };
        assert!(is_reset((10, 5), (20, 15)));
        assert!(!is_reset((10, 5), (20, 5)));
        // Deltas follow each other; a start that is unknown at first is none.
        assert!(is_reset((10, 5), (20, 10)));
        assert!(!is_reset((10, 10), (20, 10)));
        assert!(!is_reset((10, 0), (20, 10)));
        assert!(!is_reset((10, 5), (20, 20)));
        assert!(!is_reset((10, 5), (20, 25)));
    }

    #[test]
    fn overlaps_are_found_within_the_window() {
        let (times, starts) = ([10, 20, 30], [5, 5, 15]);
        assert!(has_overlap(&times, &starts, 0, 3));
        assert!(!has_overlap(&times, &starts, 0, 2));
        assert!(!has_overlap(&times, &[], 0, 3));
        assert_eq!(begun_within(&times, &starts, 0, 4), Some(5));
        assert_eq!(begun_within(&times, &starts, 0, 5), None);
    }
}
