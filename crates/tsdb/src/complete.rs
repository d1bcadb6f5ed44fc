//! Which windows of the head are complete, so that they can be sealed. Decides only.

use std::time::Duration;

use crate::limits::IDLE_WINDOW;

/// A window of the head that has samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its exclusive end.
    pub(crate) end_ms: i64,
    /// When it received samples last, by the monotonic clock.
    pub(crate) received: Duration,
}

/// What the decision depends on besides the windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The wall clock.
    pub(crate) now_ms: i64,
    /// The monotonic clock.
    pub(crate) monotonic: Duration,
    /// The latest time of all samples.
    pub(crate) latest_ms: i64,
    /// The length of a window.
    pub(crate) block_ms: i64,
}

/// The ends of the windows that are complete, oldest first. `windows` are in order of their ends.
///
/// Samples may be half a block behind the latest one, as in Prometheus, so a window is complete once the data is half a block past its
/// end. By the wall clock alone it would be complete in the middle of a backfill. Where no data comes any more, time decides.
pub(crate) fn complete(windows: &[Window], moment: Moment) -> Vec<i64> {
    let is_complete = |window: &&Window| {
        let due_ms = window.end_ms.saturating_add(moment.block_ms / 2);
        let is_idle = moment.monotonic.saturating_sub(window.received) >= IDLE_WINDOW;
        due_ms <= moment.now_ms && (due_ms <= moment.latest_ms || is_idle)
    };
    // A window that is sealed takes those before it along.
    windows.iter().take_while(is_complete).map(|window| window.end_ms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NONE: [i64; 0] = [];

    /// The complete ones of windows that end at 2, 4, ... o'clock and received samples so long ago.
    fn hours(now: i64, latest: i64, received_ago: &[u64]) -> Vec<i64> {
        let monotonic = Duration::from_secs(100_000);
        let windows: Vec<Window> = (1..)
            .zip(received_ago)
            .map(|(i, minutes)| Window {
                end_ms: i * 2 * HOUR_MS,
                received: monotonic - Duration::from_secs(minutes * 60),
            })
            .collect();
        let (now_ms, latest_ms) = (now * HOUR_MS, latest * HOUR_MS);
        let moment = Moment { now_ms, monotonic, latest_ms, block_ms: 2 * HOUR_MS };
        complete(&windows, moment).into_iter().map(|end_ms| end_ms / HOUR_MS).collect()
    }

    #[test]
    fn a_window_is_complete_half_a_block_after_its_end_when_data_comes_as_it_is_made() {
        assert_eq!(hours(2, 2, &[0, 0]), NONE);
        assert_eq!(hours(3, 3, &[0, 0]), [2]);
        assert_eq!(hours(4, 4, &[0, 0]), [2]);
        assert_eq!(hours(5, 5, &[0, 0]), [2, 4]);
    }

    #[test]
    fn old_data_completes_windows_as_it_goes_on_and_not_before() {
        assert_eq!(hours(100, 1, &[0]), NONE);
        assert_eq!(hours(100, 2, &[0, 0]), NONE);
        assert_eq!(hours(100, 3, &[0, 0]), [2]);
        assert_eq!(hours(100, 11, &[0, 0, 0, 0, 0, 0]), [2, 4, 6, 8, 10]);
    }

    #[test]
    fn data_ahead_of_the_clock_completes_nothing() {
        assert_eq!(hours(2, 3, &[0, 0]), NONE);
        assert_eq!(hours(2, 3, &[1000, 1000]), NONE);
    }

    #[test]
    fn a_window_is_complete_once_nothing_has_come_for_it_for_long() {
        let long = IDLE_WINDOW.as_secs() / 60;
        assert_eq!(hours(100, 1, &[long - 1]), NONE);
        assert_eq!(hours(100, 1, &[long]), [2]);
        assert_eq!(hours(2, 1, &[long]), NONE, "it goes on");
        assert_eq!(hours(100, 4, &[long, long - 1]), [2]);
        assert_eq!(hours(100, 4, &[0, long]), [2, 4]);
        assert_eq!(hours(100, 2, &[0, long]), NONE, "the first is not complete, so the second waits for it");
    }
}
