//! Every bound of this crate, with its unit and reason.

use std::time::Duration;

/// Bytes of one frame's payload. Larger claims are damage: writers split their batches far below this.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// Bytes after which a writer starts another frame: small enough that replay holds little, large enough that the
/// frame's header costs nothing.
pub const TARGET_FRAME_BYTES: usize = 1 << 20;

/// Bytes that one group commit gathers before it stops taking more records: bounds the time of one fsync.
pub const GROUP_BYTES: usize = 8 << 20;

/// Records waiting for the WAL's writer. More than this waits at the sender.
pub const QUEUE_RECORDS: usize = 1024;

/// KiB of batches waiting for the WAL's writer, as their senders estimate them.
pub const QUEUE_KIB: usize = 64 << 10;

/// Bytes that replay reads at once.
pub const REPLAY_BUFFER_BYTES: usize = 1 << 20;

/// Bytes of log files that are kept only because a reader lags behind. Two hours of a million samples a minute are about a tenth of it;
/// beyond it the disk belongs to what is stored for good.
pub const HELD_LOG_BYTES: u64 = 4 << 30;

/// How long a log file is kept only because a reader lags behind: a receiver that is away over night misses nothing. Prometheus
/// keeps its log for two to three hours.
pub const HELD_LOG_AGE: Duration = Duration::from_secs(24 * 3600);

/// Bytes of the file that says how far a reader has got: some hundred open files at fifty bytes each are far below.
pub const READER_FILE_BYTES: usize = 256 << 10;

/// Rows of a row group of single records: a few MiB of spans or log records, which is what finding one trace reads.
pub const ROWS_PER_GROUP: usize = 32 << 10;

/// Rows of a page of single records: some hundred KiB of log text, enough for it to compress.
pub const ROWS_PER_PAGE: usize = 4 << 10;

/// Bytes, in memory, of the batches that one row group gathers: the most that a scan of it may have to hold.
pub const ROW_GROUP_BYTES: usize = 64 << 20;

/// Pages whose rows a scan decodes at once, if they are within [`SCAN_BATCH_BYTES`].
pub const SCAN_BATCH_PAGES: usize = 2;

/// Bytes that a scan decodes at once, estimated from what the columns of a row group hold: large rows come in small batches.
pub const SCAN_BATCH_BYTES: usize = 8 << 20;

/// Bytes of text kept in the Delta log as least value of a column; a longer greatest value is left out.
pub const STATISTICS_TEXT_BYTES: usize = 256;

/// Share of row groups that a bloom filter lets pass although they do not have the value.
pub const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Bytes of segment footers and page indexes kept decoded.
pub const METADATA_CACHE_BYTES: usize = 16 << 20;

/// Commits between two checkpoints of the Delta log: opening a table reads at most this many commits.
pub const COMMITS_PER_CHECKPOINT: usize = 32;

/// Times a commit is tried again at once when another writer committed first.
pub const COMMIT_RETRIES: usize = 4;

/// Rounds of such tries, with a pause before each but the first.
pub const COMMIT_ROUNDS: u32 = 6;

/// The pause before the second round; it doubles with each. All rounds take some six seconds.
pub const COMMIT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a segment beyond which a compaction begins another.
pub const SEGMENT_TARGET_BYTES: i64 = 1 << 30;

/// Bytes that the inputs of one compaction may have, and so the space that it may need while both they and its result exist.
pub const COMPACTION_JOB_BYTES: u64 = 8 << 30;

/// Segments that one compaction may read at once: a day of windows and some late ones. With [`ROW_GROUP_BYTES`] of each this bounds
/// its memory.
pub const COMPACTION_INPUTS: usize = 16;

/// Bytes that must stay free on the disk beside what a compaction may need: the WAL has to go on.
pub const COMPACTION_SPARE_BYTES: u64 = 256 << 20;

/// Most bytes of the disk that are kept from the write-ahead log, so that on a full disk what it has can still be sealed, merged and
/// deleted. Two hours of a million series at ten seconds are 720 million samples, whose segment takes about one byte for each before the log goes.
pub const RESERVE_BYTES: u64 = 1 << 30;

/// What part of a small disk that may be, as a divisor: three percent is what file systems keep for root.
pub const RESERVE_DISK_PARTS: u64 = 32;

/// The pause between two looks at a full disk for space to take the reserve again: an append then costs no more than the answer.
pub const RESERVE_RETRY: Duration = Duration::from_secs(1);

/// Least that `limits.memory` may be, in bytes: below it the head of a single host and one query do not fit side by side.
pub const MEMORY_BYTES_LEAST: u64 = 64 << 20;

/// Longest wait for a connection to an object store.
pub const REMOTE_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time of one request to an object store, its body included: a part of an upload takes a few seconds on a slow line.
pub const REMOTE_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Times that a request to an object store is tried again, after 0.1 s and then up to twice as long each time.
pub const REMOTE_RETRIES: usize = 4;

/// Longest pause between two tries.
pub const REMOTE_BACKOFF: Duration = Duration::from_secs(5);

/// No request is tried again after this time: its caller, a query or a seal, learns that the store does not answer.
pub const REMOTE_RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests to an object store under way at once; others wait.
pub const REMOTE_REQUESTS: usize = 64;

/// Bytes that segments in an object store are read and kept in: a request for less takes about as long as one for this.
pub const REMOTE_BLOCK_BYTES: u64 = 1 << 20;

/// Blocks that one request reads.
pub const REMOTE_BLOCKS_PER_REQUEST: u64 = 8;

/// Requests that one read of several ranges has under way.
pub const REMOTE_READS: usize = 8;

/// Bytes of segments in an object store that are kept in memory.
pub const REMOTE_CACHE_BYTES: u64 = 64 << 20;

/// Bytes of one part of an upload. Smaller objects go in one request. S3 takes at most 10,000 parts.
pub const UPLOAD_PART_BYTES: usize = 8 << 20;

/// Parts of one upload under way at once, each in memory.
pub const UPLOAD_PARTS: usize = 4;

/// Bytes, in memory, of one append of rows, which becomes one frame of the log: a quarter of what a frame may have, for
/// buffers that are small in memory are not smaller in the log.
pub const APPEND_BYTES: usize = 16 << 20;

/// Bytes of a tenant's name: it is part of every path.
pub const TENANT_BYTES: usize = 128;

/// Default for the bytes of rows in memory after which they are sealed: a replay reads about as much, in a fraction of a second,
/// and a segment of it has a few MiB.
pub const SEAL_BYTES: usize = 32 << 20;

/// Default for the bytes of rows in memory at which appends are refused, because seals fail or cannot follow.
pub const HEAD_BYTES: usize = 128 << 20;

/// Default for the time after which rows are sealed, so that other engines see them.
pub const SEAL_AGE: Duration = Duration::from_secs(300);

/// Tenants and dates of which rows may be in memory. Each becomes a file of its own, so that rows of arbitrary dates must not
/// come without end.
pub const HEAD_PARTITIONS: usize = 4096;

/// Rows up to which batches in memory are put together: readers do not like crumbs, and copying takes time.
pub const HEAD_BATCH_ROWS: usize = 8192;

/// Bytes up to which batches in memory are put together.
pub const HEAD_BATCH_BYTES: usize = 4 << 20;

/// Bytes, in memory, of the batches in which a seal hands rows to a segment's writer.
pub const SEAL_BATCH_BYTES: usize = 4 << 20;

/// How long the files of removed segments stay in a store that others read too: they may have looked at the log before. Longer than
/// a round of maintenance, which looks again, and a query together.
pub const REMOVED_KEPT: Duration = Duration::from_secs(3600);

/// Age beyond which a file of another writer that no log names is no upload under way but one that was given up. As long as Delta Lake's
/// own vacuum waits.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// Age beyond which a file without its name is left by a process that died, and not one that is being written: a write ends within minutes.
pub const STAGED_KEPT: Duration = Duration::from_secs(86_400);

/// How long after the end of a day its segments are left to the writer that made them, where several share a table. Who runs merges its day
/// within hours; what is not merged by then is of a writer that is gone.
pub const ADOPTED_AFTER: Duration = Duration::from_secs(2 * 86_400);

/// How often a store that others write to is searched for files to delete: listing costs requests, and garbage only space.
pub const SEARCH_EVERY: Duration = Duration::from_secs(3600);

/// Violations of one object that a verification lists; it counts the others. What is wrong with one row is often wrong with all.
pub const VIOLATIONS_PER_OBJECT: usize = 10;

/// Files that a snapshot copies at the same time: in an object store each waits for an answer.
pub const SNAPSHOT_COPIES: usize = 8;

/// Rows of a row group of an exported Parquet file: large, as those who read such files scan them.
pub const EXPORT_GROUP_ROWS: usize = 1 << 20;

/// Bytes that the writer of an exported Parquet file holds before it ends a row group.
pub const EXPORT_GROUP_BYTES: usize = 64 << 20;
