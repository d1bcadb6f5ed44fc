//! Every bound of this crate, with its unit and reason.

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

/// Times a commit is tried again when another writer committed first.
pub const COMMIT_RETRIES: usize = 15;

/// Bytes of a segment beyond which a compaction begins another.
pub const SEGMENT_TARGET_BYTES: i64 = 1 << 30;

/// Bytes that the inputs of one compaction may have, and so the space that it may need while both they and its result exist.
pub const COMPACTION_JOB_BYTES: u64 = 8 << 30;

/// Segments that one compaction may read at once: a day of windows and some late ones. With [`ROW_GROUP_BYTES`] of each this bounds
/// its memory.
pub const COMPACTION_INPUTS: usize = 16;

/// Bytes that must stay free on the disk beside what a compaction may need: the WAL has to go on.
pub const COMPACTION_SPARE_BYTES: u64 = 256 << 20;

/// Least that `limits.memory` may be, in bytes: below it the head of a single host and one query do not fit side by side.
pub const MEMORY_BYTES_LEAST: u64 = 64 << 20;
