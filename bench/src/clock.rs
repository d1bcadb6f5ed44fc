//! The one place that reads the time and waits: a benchmark measures the real one.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time, which nothing can inject")]

use std::time::{Duration, Instant};

/// Measures how long something takes.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The UTC date, as 2026-01-31.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Waits.
pub(crate) fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}
