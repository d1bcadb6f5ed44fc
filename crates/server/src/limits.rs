//! The limits of what a client may send and get.

use std::time::Duration;

/// Largest body of a query request, in bytes. Prometheus takes 10 MiB of form values; a query is far smaller.
pub(crate) const MAX_FORM_BYTES: usize = 10 << 20;

/// Most points per series of a range query, as in Prometheus: enough for a minute's resolution over a week.
pub(crate) const MAX_POINTS_PER_SERIES: i64 = 11_000;

/// Largest `limit` of `/api/v1/status/tsdb`, as in Prometheus.
pub(crate) const MAX_TSDB_STATUS_LIMIT: usize = 10_000;

/// Most warnings and, separately, infos of one answer, as in Prometheus.
pub(crate) const MAX_ANNOTATIONS: usize = 10;

/// Most connections at a time, as Prometheus' `--web.max-connections`; further ones wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 512;

/// How long open requests may go on once the process was told to stop.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
