//! How far a long command is, on standard error: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::Clock;
use parking_lot::Mutex;

/// How often the line on a terminal changes.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);

/// How often a line is written to what is no terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Samples between two looks at the clock.
const SAMPLES_PER_LOOK: u64 = 1 << 14;

/// Counts samples and tells.
#[derive(Clone)]
pub(crate) struct Progress {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    started: Duration,
    terminal: bool,
    /// What is counted.
    unit: &'static str,
    samples: AtomicU64,
    looked_at: AtomicU64,
    phase: Mutex<Phase>,
}

struct Phase {
    name: String,
    total: Option<u64>,
    /// Samples and time when the phase began.
    from: (u64, Duration),
    told: Duration,
}

impl Progress {
    /// Begins to count.
    pub(crate) fn start(clock: Arc<dyn Clock>, unit: &'static str) -> Self {
        let started = clock.monotonic();
        let phase = Phase { name: String::new(), total: None, from: (0, started), told: started };
        let inner = Inner {
            clock,
            started,
            terminal: std::io::stderr().is_terminal(),
            unit,
            samples: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
            phase: Mutex::new(phase),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins something of which perhaps the number of samples is known.
    pub(crate) fn phase(&self, name: &str, total: Option<u64>) {
        let mut phase = self.inner.phase.lock();
        phase.name = name.to_owned();
        phase.total = total.filter(|n| *n > 0);
        phase.from = (self.inner.samples.load(Ordering::Relaxed), self.inner.clock.monotonic());
    }

    /// Adds samples.
    pub(crate) fn add(&self, samples: u64) {
        let inner = &self.inner;
        let now = inner.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        if now - inner.looked_at.load(Ordering::Relaxed) < SAMPLES_PER_LOOK {
            return;
        }
        inner.looked_at.store(now, Ordering::Relaxed);
        let mut phase = inner.phase.lock();
        let time = inner.clock.monotonic();
        let interval = if inner.terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL };
        if time.saturating_sub(phase.told) < interval {
            return;
        }
        phase.told = time;
        let line = phase.line(now, time, inner.unit);
        // Progress that cannot be told is no reason to stop.
        let _ = if inner.terminal {
            write!(std::io::stderr(), "\r\x1b[K{line}")
        } else {
            writeln!(std::io::stderr(), "{line}")
        };
    }

    /// Ends the line, and tells how long it took.
    pub(crate) fn finish(&self) -> Duration {
        if self.inner.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        self.inner.clock.monotonic().saturating_sub(self.inner.started)
    }
}

impl Phase {
    fn line(&self, samples: u64, time: Duration, unit: &str) -> String {
        let done = samples - self.from.0;
        let took = time.saturating_sub(self.from.1).as_secs_f64();
        let rate = done as f64 / took.max(1e-3);
        let mut line = format!("{}: {done} {unit}", self.name);
        if let Some(total) = self.total {
            let left = total.saturating_sub(done) as f64 / rate.max(1.0);
            let percent = (done as f64 / total as f64 * 100.0).min(100.0);
            line.push_str(&format!(" of {total} ({percent:.0} %), {} left", seconds(left)));
        }
        line.push_str(&format!(", {rate:.0} {unit}/s"));
        line
    }
}

fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_much_is_left() {
        let phase = Phase {
            name: "block X".into(),
            total: Some(1000),
            from: (500, Duration::from_secs(10)),
            told: Duration::ZERO,
        };
        let line = phase.line(750, Duration::from_secs(12), "samples");
        assert_eq!(line, "block X: 250 samples of 1000 (25 %), 6s left, 125 samples/s");
        let open = Phase { total: None, ..phase };
        assert_eq!(open.line(750, Duration::from_secs(12), "samples"), "block X: 250 samples, 125 samples/s");
        assert_eq!([seconds(59.2), seconds(61.0), seconds(7260.0)], ["59s", "1m01s", "2h01m"]);
    }
}
