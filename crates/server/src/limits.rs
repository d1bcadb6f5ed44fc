//! The limits of what a client may send and get.

use std::time::Duration;

/// Largest body of a query request, in bytes. Prometheus takes 10 MiB of form values; a query is far smaller.
pub(crate) const MAX_FORM_BYTES: usize = 10 << 20;

/// Parameters of one request, `match[]` and the like included. A dashboard sends a dozen, a federation some hundred; a form that is full of them
/// would take sixty times its size in memory.
pub(crate) const MAX_PARAMETERS: usize = 10_000;

/// How long the body of a query or a remote read may take: one that trickles in holds a connection, and a place, that others need.
pub(crate) const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Most points per series of a range query, as in Prometheus: enough for a minute's resolution over a week.
pub(crate) const MAX_POINTS_PER_SERIES: i64 = 11_000;

/// Largest `limit` of `/api/v1/status/tsdb`, as in Prometheus.
pub(crate) const MAX_TSDB_STATUS_LIMIT: usize = 10_000;

/// Most warnings and, separately, infos of one answer, as in Prometheus.
pub(crate) const MAX_ANNOTATIONS: usize = 10;

/// Most connections at a time, as Prometheus' `--web.max-connections`; further ones wait in the kernel's queue.
pub(crate) const MAX_CONNECTIONS: usize = 512;

/// How long the head of a request may take, also of the next one on a connection that is kept: one that trickles in holds a
/// connection that others need.
pub(crate) const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long open requests may go on once the process was told to stop.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Bytes of bodies of remote write requests that are in memory at the same time, as sent. Two of the largest, hundreds of usual ones.
pub(crate) const WRITE_BODY_BYTES: usize = 2 * ingest::limits::COMPRESSED_BYTES;

/// Bytes that those requests unfold to, from decompressing until they are stored. Two of the largest, a hundred of usual ones.
pub(crate) const WRITE_DECODED_BYTES: usize = 2 * ingest::limits::DECOMPRESSED_BYTES;

/// Room that a pushed body of unknown length begins with, in bytes: a usual request has less, and it doubles for others.
pub(crate) const WRITE_GROWING_BYTES: usize = 64 << 10;

/// Least room for remote write requests, in bytes, however little memory there is: one of a usual size has to fit.
pub(crate) const WRITE_ROOM_LEAST_BYTES: usize = 6 << 20;

/// How long a remote write request waits for room before it is sent away. Senders wait for 30 seconds by default.
pub(crate) const WRITE_WAIT: Duration = Duration::from_secs(10);

/// How long the body of a remote write request may take: one that trickles in holds room that others need.
pub(crate) const WRITE_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// When a sender is to come again. A disk does not get room within a second.
pub(crate) const WRITE_RETRY_AFTER_SECONDS: u64 = 5;

/// Bytes up to which a request is decoded at once, on the thread that serves others too: below a tenth of a millisecond, as much as a
/// hand-over costs. Larger ones go to a thread of their own.
pub(crate) const INLINE_DECODE_BYTES: usize = 256 << 10;

/// Decoders that are kept for the next request, and the bytes that each may hold.
pub(crate) const KEPT_DECODERS: usize = 16;

/// See [`KEPT_DECODERS`].
pub(crate) const KEPT_DECODER_BYTES: usize = 8 << 20;

/// Metric families of which senders' descriptions are kept. Large fleets have tens of thousands.
pub(crate) const PUSHED_METADATA: usize = 100_000;

/// Bytes of those descriptions: names, helps and units are some hundred each.
pub(crate) const PUSHED_METADATA_BYTES: usize = 32 << 20;

/// Terms of one search, as in Prometheus: each is compared with every name.
pub(crate) const MAX_SEARCH_TERMS: usize = 32;

/// Characters of a search term. Nobody types as many, and how similar two texts are is worked out for each pair of their characters.
pub(crate) const MAX_SEARCH_TERM_CHARS: usize = 1_000;

/// Characters of a value that are compared with a term that it does not contain or begin with, for the same reason.
pub(crate) const SEARCHED_VALUE_CHARS: usize = 1_000;

/// Results of one search: more is a download, for which there are `labels` and `series`. Prometheus' `--web.search.max-limit`.
pub(crate) const MAX_SEARCH_LIMIT: usize = 10_000;

/// Clients that may follow the notifications at a time, as Prometheus' `--web.max-notifications-subscribers`.
pub const NOTIFICATION_PLACES: usize = 16;

/// How often it is looked whether there is something to notify of.
pub(crate) const NOTIFICATION_INTERVAL: Duration = Duration::from_secs(1);

/// Remote reads that are answered at a time; Prometheus' `--storage.remote.read-concurrent-limit`.
pub const READ_CONCURRENCY: usize = 10;

/// Samples of one answer that is not streamed; Prometheus' `--storage.remote.read-sample-limit`.
pub const READ_SAMPLES: usize = 50_000_000;

/// Bytes that a streamed answer prepares at a time, and so holds for each client.
pub(crate) const READ_STEP_BYTES: usize = 256 << 10;
