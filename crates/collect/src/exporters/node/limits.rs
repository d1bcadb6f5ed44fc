//! The limits of the node collector.

use std::time::Duration;

/// How long one collection may take, in all. Half of Prometheus' default scrape timeout of 10 s, so that what was
/// gathered from the healthy parts of a sick host still arrives.
pub const COLLECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long one mount may take to answer `statfs`. A healthy one answers from memory within microseconds, also over the
/// network; one that needs longer is reported as failing and is back as soon as it answers.
pub const MOUNT_DEADLINE: Duration = Duration::from_secs(1);

/// How long all mounts of one collection together may be waited for past their first answer, so that ten mounts of one
/// dead server cost no more than two do. Mounts that come after have [`MOUNT_DEADLINE_LATE`].
pub const MOUNTS_DEADLINE: Duration = Duration::from_secs(2);

/// How long a mount may take once [`MOUNTS_DEADLINE`] has been spent on others: an aeon for a healthy one.
pub const MOUNT_DEADLINE_LATE: Duration = Duration::from_millis(50);

/// How many threads may hang in `statfs` at a time, each with its stack in memory and a process slot. Past that no
/// further mount is asked until one answers.
pub const STUCK_MOUNTS: usize = 16;

/// How many collectors run at a time: one that waits (cpufreq may sleep in the kernel) does not delay the rest, and a
/// host of two cores is not taken over.
pub const WORKERS: usize = 2;

/// How much of one file is read, in bytes. The largest, `/proc/net/udp` with all 65,535 sockets of an address in use,
/// has less than 10 MB.
pub const FILE_BYTES: usize = 16 << 20;

/// How much of one attribute below `/sys` is read, in bytes: the kernel never gives more than a page.
pub const ATTRIBUTE_BYTES: usize = 4096;
