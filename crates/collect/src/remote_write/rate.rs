//! Rates that smooth what happened in the last ticks, as Prometheus computes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The weight of the latest tick.
const WEIGHT: f64 = 0.2;

/// Events that are counted from everywhere and turned into a rate in one place.
#[derive(Debug, Default)]
pub(super) struct Events(AtomicU64);

impl Events {
    pub(super) fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// An exponentially weighted moving average of a rate per second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    per_second: Option<f64>,
}

impl Rate {
    /// Takes in the events of one tick.
    pub(super) fn tick(&mut self, events: &Events, interval: Duration) {
        self.note(events.take() as f64, interval);
    }

    pub(super) fn note(&mut self, events: f64, interval: Duration) {
        let instant = events / interval.as_secs_f64();
        match &mut self.per_second {
            Some(rate) => *rate += WEIGHT * (instant - *rate),
            // Until something happens there is no rate that could be smoothed.
            none if events > 0.0 => *none = Some(instant),
            _ => {}
        }
    }

    pub(super) fn get(&self) -> f64 {
        self.per_second.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_starts_with_the_first_events_and_follows_slowly() {
        let (events, mut rate) = (Events::default(), Rate::default());
        let second = Duration::from_secs(10);
        rate.tick(&events, second);
        assert_eq!(rate.get(), 0.0);
        events.add(100);
        rate.tick(&events, second);
        assert_eq!(rate.get(), 10.0);
        rate.tick(&events, second);
        assert_eq!(rate.get(), 8.0);
    }
}
