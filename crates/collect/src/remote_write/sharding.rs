//! How many shards an endpoint needs: enough to send what comes in, and to catch up with what has piled up.
//!
//! The calculation is Prometheus'. Pure: rates and times are arguments.

use super::config::QueueConfig;

/// Changes below this share are not worth stopping the shards for.
const TOLERANCE: f64 = 0.3;

/// The share of what has piled up that is to be sent per second.
const CATCH_UP: f64 = 0.05;

/// Seconds behind the newest sample from which on shards are not given up.
const BEHIND_SECONDS: f64 = 10.0;

/// What was seen of an endpoint lately.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    /// Samples per second that the store took.
    pub(super) in_rate: f64,
    /// Samples per second that were sent.
    pub(super) out_rate: f64,
    /// Samples per second that relabelling dropped.
    pub(super) dropped_rate: f64,
    /// Seconds of sending per second, over all shards.
    pub(super) send_seconds_rate: f64,
    /// The newest sample of the store, in seconds since 1970.
    pub(super) highest_in_seconds: f64,
    /// The newest sample that was sent.
    pub(super) highest_sent_seconds: f64,
}

/// How many shards are wanted, before and after rounding, bounds and tolerance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Desired {
    /// As calculated; `None` while nothing is sent.
    pub(super) calculated: Option<f64>,
    /// What there should be.
    pub(super) shards: usize,
}

pub(super) fn desired(seen: &Seen, current: usize, config: &QueueConfig) -> Desired {
    if seen.out_rate <= 0.0 {
        return Desired { calculated: None, shards: current };
    }
    let kept = seen.out_rate / (seen.dropped_rate + seen.out_rate);
    let behind_seconds = seen.highest_in_seconds - seen.highest_sent_seconds;
    let pending = behind_seconds * seen.in_rate * kept;
    let seconds_per_sample = seen.send_seconds_rate / seen.out_rate;
    let calculated = seconds_per_sample * (seen.in_rate * kept + CATCH_UP * pending);
    let up = calculated.ceil();
    let within = (current as f64 * (1.0 - TOLERANCE))..=(current as f64 * (1.0 + TOLERANCE));
    let keep = within.contains(&up) || (up < current as f64 && behind_seconds > BEHIND_SECONDS);
    let shards =
        if keep { current } else { (up.max(0.0) as usize).clamp(config.min_shards, config.max_shards) };
    Desired { calculated: Some(calculated), shards }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(seen: Seen, current: usize) -> usize {
        desired(&seen, current, &QueueConfig::default()).shards
    }

    #[test]
    fn as_many_shards_as_sending_takes_time() {
        let seen = Seen { in_rate: 1000.0, out_rate: 1000.0, send_seconds_rate: 1.0, ..Seen::default() };
        assert_eq!(shards(seen, 1), 1);
        assert_eq!(shards(Seen { send_seconds_rate: 3.5, ..seen }, 1), 4);
        assert_eq!(shards(Seen { send_seconds_rate: 1000.0, ..seen }, 1), 50, "max_shards");
        assert_eq!(shards(Seen { send_seconds_rate: 0.0, ..seen }, 20), 1, "min_shards");
        assert_eq!(shards(Seen { out_rate: 0.0, ..seen }, 7), 7, "nothing is known");
    }

    #[test]
    fn small_changes_and_a_backlog_keep_the_shards() {
        let seen = Seen { in_rate: 1000.0, out_rate: 1000.0, send_seconds_rate: 12.5, ..Seen::default() };
        assert_eq!(shards(seen, 10), 10, "13 are within 30 %");
        assert_eq!(shards(seen, 9), 13);
        let late = Seen { send_seconds_rate: 1.0, highest_in_seconds: 11.0, ..seen };
        assert_eq!(shards(late, 10), 10, "eleven seconds behind");
        assert_eq!(shards(Seen { highest_in_seconds: 9.0, ..late }, 10), 2);
    }

    #[test]
    fn a_backlog_asks_for_more_and_what_is_dropped_for_none() {
        let seen = Seen { in_rate: 1000.0, out_rate: 1000.0, send_seconds_rate: 1.0, ..Seen::default() };
        // 100 s behind: 5 % of 100,000 samples per second on top of 1,000.
        assert_eq!(shards(Seen { highest_in_seconds: 100.0, ..seen }, 1), 6);
        let halved = Seen { out_rate: 500.0, dropped_rate: 500.0, send_seconds_rate: 2.0, ..seen };
        assert_eq!(shards(halved, 10), 2);
    }
}
