//! How large, how often and how long: every number that shapes a run but does not belong to one data set.

use std::time::Duration;

/// Series in one remote-write request, one sample each: what the orientation loads of DESIGN §7 had.
pub(crate) const SERIES_PER_REQUEST: usize = 5_000;

/// Connections that write at once. Prometheus itself starts with one shard per target and ends with a few.
pub(crate) const LANES: usize = 4;

/// Ticks that one connection may be ahead of another. Prometheus refuses what is more than an hour older than the newest
/// sample of any series; this is ten minutes.
pub(crate) const TICKS_PER_ROUND_MAX: usize = 60;

/// How long a server may take to get ready, to stop, or to show what it has acknowledged.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two looks at a server that starts. Readiness is measured to this precision.
pub(crate) const READY_POLL: Duration = Duration::from_millis(2);

/// How long one HTTP exchange may take. The slowest ones are counts over a whole data set.
pub(crate) const HTTP_TIMEOUT: Duration = Duration::from_secs(300);

/// The largest answer that is read, in bytes: twelve hours of raw samples of a few hundred hosts, as JSON.
pub(crate) const ANSWER_BYTES_MAX: u64 = 2 << 30;

/// Attempts to send one request that is answered 429 or 5xx, before the run is given up.
pub(crate) const SEND_ATTEMPTS_MAX: u32 = 60;

/// Pause between two such attempts.
pub(crate) const SEND_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often the CPU time of a server is looked at to see whether it is idle.
pub(crate) const IDLE_POLL: Duration = Duration::from_millis(500);

/// Looks in a row that have to find a server idle.
pub(crate) const IDLE_LOOKS: u32 = 4;

/// CPU time per look, in milliseconds, below which a server counts as idle: 5 % of a core.
pub(crate) const IDLE_CPU_MS_PER_LOOK: u64 = 25;

/// The longest wait for a server to become idle.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(300);

/// The shortest such wait in a full run: Prometheus looks once a minute whether its head is to be compacted, so that
/// a shorter one would leave that work out.
pub(crate) const SETTLE_MIN_FULL: Duration = Duration::from_secs(65);

/// The same in a quick run, which is for trying things out.
pub(crate) const SETTLE_MIN_QUICK: Duration = Duration::from_secs(2);

/// The shortest wait before a server is killed while idle, even in a quick run: VictoriaMetrics writes what it holds in
/// memory some seconds later, and that it loses those is another figure.
pub(crate) const SETTLE_MIN_BEFORE_KILL: Duration = Duration::from_secs(12);

/// How long a server that is ready may take to show what it had.
pub(crate) const FIRST_ANSWER_MAX: Duration = Duration::from_secs(20);

/// Repetitions of a query in a full run; their median is reported.
pub(crate) const QUERY_REPETITIONS_FULL: usize = 15;

/// The same in a quick run.
pub(crate) const QUERY_REPETITIONS_QUICK: usize = 3;

/// Time after which a query is not repeated further, unless it was repeated fewer than three times.
pub(crate) const QUERY_REPETITION_TIME_MAX: Duration = Duration::from_secs(20);

/// Relative difference of two values that are the same: sums are taken in different orders.
pub(crate) const SAME_VALUE: f64 = 1e-9;

/// Differences between two answers that are shown; the others are counted.
pub(crate) const DIFFERENCES_SHOWN: usize = 3;

/// How far before now the newest sample lies. Servers refuse the future, and VictoriaMetrics hides the last 30 s.
pub(crate) const END_BEFORE_NOW: Duration = Duration::from_secs(120);

/// The same for `disk`: by then every window of two hours is complete, so nobody has to keep anything back in memory.
pub(crate) const DISK_END_BEFORE_NOW: Duration = Duration::from_secs(4 * 3600);

/// Where samples lie in a minute, in milliseconds after the full ten seconds. Queries are evaluated at full seconds, so
/// no sample lies on the border of a window, about which Prometheus 2 and 3 disagree.
pub(crate) const SAMPLE_OFFSET_MS: i64 = 3_127;

/// Time between two samples of a series, in milliseconds.
pub(crate) const INTERVAL_MS: i64 = 10_000;

/// Requests that a browser has under way to one server at a time.
pub(crate) const BROWSER_CONNECTIONS: usize = 6;
