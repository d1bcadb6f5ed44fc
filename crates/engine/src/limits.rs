//! The limits of queries: Prometheus' defaults, so that nobody's dashboards change their mind on moving here.

use std::time::Duration;

/// Longest time a query may take; `--query.timeout` of Prometheus.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Queries that run at the same time; `--query.max-concurrency` of Prometheus.
pub(crate) const QUERY_MAX_CONCURRENCY: usize = 20;

/// Samples that one query may hold in memory; `--query.max-samples` of Prometheus. 16 bytes each.
pub(crate) const QUERY_MAX_SAMPLES: u64 = 50_000_000;

/// How far back a selector looks for a series' last sample; `--query.lookback-delta` of Prometheus.
pub(crate) const LOOKBACK: Duration = Duration::from_secs(300);

/// Bytes of a query's text in the list of active queries: up to 220 of them are held beside the queries' own.
pub(crate) const ACTIVE_QUERY_BYTES: usize = 16 << 10;

/// Bytes of the file of queries under way. As many as may run and wait, with texts of [`QUERY_FILE_QUERY_BYTES`], take a quarter of it.
pub(crate) const QUERY_FILE_BYTES: usize = 1 << 20;

/// Bytes of a query's text in that file: an entry of Prometheus' file has 1000 bytes in all.
pub(crate) const QUERY_FILE_QUERY_BYTES: usize = 1000;

/// Queries of the process before that are quoted in the log: twice as many as run at a time. Their number is always said.
pub(crate) const QUERIES_QUOTED: usize = 40;

/// Samples of a leaf from which on several threads compute it: fewer take less time than the threads need to wake up (140 µs).
pub(crate) const SAMPLES_FOR_THREADS: u64 = 30_000;

/// Leaves that may have threads for all cores at a time: enough that a large one has some beside those of a dashboard, and few enough that
/// their blocks fit into memory.
pub(crate) const LEAVES_WITH_THREADS: usize = 4;

/// Blocks that a thread has under way: one that it computes, one that waits, and one that is taken in.
pub(crate) const BLOCKS_OF_THREAD: usize = 2 + PARTITION_BATCHES;

/// Batches of a thread that wait to be taken in: one, so that it goes on meanwhile, and no more, as each may have 2 MiB.
pub(crate) const PARTITION_BATCHES: usize = 1;

/// Partitions of a plan that comes as bytes, each of which takes a thread.
pub(crate) const MAX_PARTITIONS: usize = 256;

/// Queries that may wait for a place. Beyond that the server is overloaded and says so at once.
pub(crate) const QUERY_MAX_WAITING: usize = 200;
