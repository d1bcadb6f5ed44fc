//! Every bound of rules and alerts, each with its unit and its reason.

use std::time::Duration;

/// Bytes of one rule file. The largest generated ones of the field (10,000 rules) have about 4 MiB.
pub const RULE_FILE_BYTES_MAX: u64 = 64 << 20;

/// Rule files that all patterns of `rule_files` together may match.
pub const RULE_FILES_MAX: usize = 10_000;

/// Rules that are evaluated at the same time beyond one of each group; `--rules.max-concurrent-evals` of Prometheus. A
/// fifth of the engine's places, so that people's queries find one.
pub const CONCURRENT_EVALS: usize = 4;

/// Rules whose results are written in one append. An append waits for a sync of the disk, so that 10,000 rules of one
/// group written one by one would take a minute.
pub(crate) const RULES_PER_APPEND: usize = 256;

/// Samples after which results are written although fewer rules than [`RULES_PER_APPEND`] gave them: about 10 MB.
pub(crate) const SAMPLES_PER_APPEND: usize = 50_000;

/// How long a resolved alert is kept and sent again, as in Prometheus: an Alertmanager that starts anew must hear of it.
pub(crate) const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// An alert says that it ends after so many intervals (or resend delays, if these are longer) unless it is sent again:
/// two evaluations or two sendings may fail. Taken from Prometheus.
pub(crate) const VALID_INTERVALS: u32 = 4;

/// Alerts that wait for one Alertmanager; `--alertmanager.notification-queue-capacity` of Prometheus. Beyond it the
/// oldest are dropped and counted. About 1 KiB each.
pub const NOTIFICATION_QUEUE_CAPACITY: usize = 10_000;

/// Alerts in one request to an Alertmanager; `--alertmanager.notification-batch-size` of Prometheus.
pub const NOTIFICATION_BATCH_SIZE: usize = 256;

/// How long stopping may take to send what still waits, over all Alertmanagers.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Observations that a summary's quantiles are taken from: an hour of one evaluation in 15 seconds of 40 groups.
pub(crate) const QUANTILE_OBSERVATIONS: usize = 10_000;
