//! How the values on a page of node_exporter move from one scrape to the next.

use crate::random::Random;

/// What one series does over time.
#[derive(Debug, Clone)]
pub(super) enum Motion {
    /// Stays what it is, as most series of a host do.
    Constant(f64),
    /// A whole number that grows by about `pace` a second, and not at all in the share `quiet` of the ticks.
    Counter { pace: f64, quiet: f64 },
    /// Seconds that pass at the rate `share`, counted with so many decimals.
    Seconds { share: f64, decimals: i32 },
    /// A number of bytes in whole pages of memory, changing in the share `busy` of the ticks.
    Bytes { low: f64, high: f64, busy: f64 },
    /// A gauge that walks between two ends, with so many decimals.
    Walk { low: f64, high: f64, step: f64, decimals: i32 },
    /// Something measured anew every time, with all its digits, such as how long a collector took.
    Noise { low: f64, high: f64 },
    /// The host's clock.
    Clock,
    /// A histogram's bucket: its share of all observations, which come in waves at about `pace` a second. Buckets with
    /// one pace stay cumulative whatever their shares.
    Bucket { pace: f64, share: f64 },
}

const PAGE_BYTES: f64 = 4096.0;

impl Motion {
    /// The value of a series that has existed for a while.
    pub(super) fn first(&self, t_ms: i64, random: &mut Random) -> f64 {
        match *self {
            Self::Constant(v) => v,
            Self::Counter { pace, .. } => (pace * random.between(1e3, 1e6)).trunc(),
            Self::Seconds { share, decimals } => round(share * random.between(1e4, 1e6), decimals),
            Self::Bytes { low, high, .. } => (random.between(low, high) / PAGE_BYTES).trunc() * PAGE_BYTES,
            Self::Walk { low, high, decimals, .. } => round(random.between(low, high), decimals),
            Self::Noise { low, high } => random.between(low, high),
            Self::Clock | Self::Bucket { .. } => self.next(0.0, t_ms, 0, 0, random),
        }
    }

    /// The value `interval_ms` after `last`, at `t_ms`; `age_ms` is how long the data set has run by then.
    pub(super) fn next(
        &self,
        last: f64,
        t_ms: i64,
        age_ms: i64,
        interval_ms: i64,
        random: &mut Random,
    ) -> f64 {
        let seconds = interval_ms as f64 / 1000.0;
        match *self {
            Self::Constant(v) => v,
            Self::Counter { quiet, .. } if random.chance(quiet) => last,
            Self::Counter { pace, .. } => {
                let mean = pace * seconds;
                // About Poisson, whose deviation is the root of its mean, and sometimes a burst.
                let burst = if random.chance(0.02) { 4.0 } else { 1.0 };
                last + (mean * burst + random.normal() * mean.sqrt()).round().max(0.0)
            }
            Self::Seconds { share, decimals } => {
                let passed = seconds * (share * random.between(0.5, 1.5)).min(1.0);
                round(last + passed, decimals)
            }
            Self::Bytes { busy, .. } if !random.chance(busy) => last,
            Self::Bytes { low, high, .. } => {
                let pages = (random.normal() * (high - low) * 0.003 / PAGE_BYTES).round();
                (last + pages * PAGE_BYTES).clamp(low, high)
            }
            Self::Walk { low, high, step, decimals } => {
                round((last + random.normal() * step).clamp(low, high), decimals)
            }
            Self::Noise { low, high } => random.between(low, high),
            Self::Clock => t_ms as f64 / 1000.0 + random.between(0.0, 1e-3),
            Self::Bucket { pace, share } => {
                let age = 1e5 + age_ms as f64 / 1000.0;
                // The slope is between 2/3 and 4/3, so a bucket never falls.
                (pace * share * (age + 20.0 * (age / 60.0).sin())).trunc()
            }
        }
    }
}

fn round(v: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (v * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(motion: &Motion) -> Vec<f64> {
        let mut random = Random::new(7);
        let mut values = vec![motion.first(0, &mut random)];
        for i in 1..2000 {
            let last = *values.last().unwrap();
            values.push(motion.next(last, i * 10_000, i * 10_000, 10_000, &mut random));
        }
        values
    }

    #[test]
    fn counters_do_not_fall() {
        for motion in [
            Motion::Counter { pace: 3.0, quiet: 0.5 },
            Motion::Seconds { share: 0.3, decimals: 2 },
            Motion::Clock,
            Motion::Bucket { pace: 20.0, share: 0.4 },
        ] {
            let values = run(&motion);
            assert!(values.windows(2).all(|w| w[0] <= w[1]), "{motion:?}");
            assert!(values[0] < values[1999], "{motion:?}");
        }
    }

    #[test]
    fn a_counter_keeps_its_pace() {
        let values = run(&Motion::Counter { pace: 3.0, quiet: 0.0 });
        let pace = (values[1999] - values[0]) / 19_990.0;
        assert!((2.7..3.6).contains(&pace), "{pace}");
    }

    #[test]
    fn gauges_stay_within_their_ends() {
        let values = run(&Motion::Bytes { low: 8192.0, high: 8.192e6, busy: 0.5 });
        assert!(values.iter().all(|v| (8192.0..=8.192e6).contains(v) && v % PAGE_BYTES == 0.0));
        let values = run(&Motion::Walk { low: 0.0, high: 2.0, step: 0.1, decimals: 2 });
        assert!(values.iter().all(|v| (0.0..=2.0).contains(v)));
        assert!(values.iter().all(|v| ((v * 100.0).round() / 100.0 - v).abs() < 1e-12));
        assert!(run(&Motion::Constant(3.0)).iter().all(|v| *v == 3.0));
    }
}
