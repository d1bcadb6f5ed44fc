//! Since when an alert is active that was so before a restart, from the last sample of `ALERTS_FOR_STATE`. Pure.

use std::time::Duration;

use base::is_stale;

use crate::state::millis;

/// What decides how a restart counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restoration {
    /// How long the rule's condition has to hold.
    pub(crate) hold: Duration,
    /// The least time between a restoration and the alert's firing.
    pub(crate) grace: Duration,
    /// Now.
    pub(crate) now_ms: i64,
}

impl Restoration {
    /// Since when the alert counts as active, given that it was so since `value` (seconds) at `t_ms`. The time of the
    /// outage does not count, and an alert does not fire earlier than the grace period allows, so that one whose
    /// condition no longer holds is seen to end first.
    pub(crate) fn active_at_ms(self, t_ms: i64, value: f64) -> Option<i64> {
        if is_stale(value) || !value.is_finite() {
            return None;
        }
        let (hold_ms, grace_ms) = (millis(self.hold), millis(self.grace));
        // Times are whole seconds there.
        let (down_at_ms, before_ms) = (t_ms.div_euclid(1000) * 1000, (value as i64).saturating_mul(1000));
        let remaining_ms = hold_ms.saturating_sub(down_at_ms.saturating_sub(before_ms));
        let active_at_ms = match remaining_ms {
            // It fired: it does so again at the next evaluation if the condition still holds.
            ..=0 => before_ms,
            r if r < grace_ms => self.now_ms.saturating_add(grace_ms).saturating_sub(hold_ms),
            _ => before_ms.saturating_add(self.now_ms.saturating_sub(down_at_ms)),
        };
        // Anybody may write such series: one that says that its alert began after its own sample would keep the alert
        // pending for as long as it likes.
        (active_at_ms <= self.now_ms).then_some(active_at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;

    fn check(hold: i64, active_at: i64, down_at: i64, now: i64, want: i64) {
        let r = Restoration {
            hold: Duration::from_secs((hold * MINUTE) as u64),
            grace: Duration::from_secs(600),
            now_ms: now * MINUTE * 1000,
        };
        let got = r.active_at_ms(down_at * MINUTE * 1000, (active_at * MINUTE) as f64);
        assert_eq!(got, Some(want * MINUTE * 1000), "{hold} {active_at} {down_at} {now}");
    }

    #[test]
    fn an_outage_does_not_count_and_the_grace_period_does() {
        // Firing when it went down.
        check(30, 0, 40, 50, 0);
        // Five minutes were left, so ten are given.
        check(30, 0, 25, 50, 30);
        // Fifteen minutes were left, and are left.
        check(30, 0, 15, 50, 35);
    }

    #[test]
    fn an_alert_that_had_ended_is_not_restored() {
        let r = Restoration { hold: Duration::from_secs(1800), grace: Duration::ZERO, now_ms: 0 };
        assert_eq!(r.active_at_ms(0, f64::from_bits(base::STALE_NAN)), None);
    }

    #[test]
    fn what_cannot_be_so_is_not_restored() {
        let now_ms = 1_700_000_000_000;
        let r = Restoration { hold: Duration::from_secs(1800), grace: Duration::from_secs(600), now_ms };
        for value in [1e300, 4e9, 9.3e15] {
            assert_eq!(r.active_at_ms(now_ms - 60_000, value), None, "{value}");
        }
        // Before every clock: it fired.
        assert!(r.active_at_ms(now_ms - 60_000, -1e300).is_some_and(|at| at < 0));
    }
}
