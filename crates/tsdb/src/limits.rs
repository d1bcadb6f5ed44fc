//! Every bound of this crate, with its unit and reason.

use std::time::Duration;

/// Samples of one chunk in the head. A reader of a short range decodes at most this many too many, and the state of an open
/// chunk is shared by as many.
pub const HEAD_CHUNK_SAMPLES: u16 = 240;

/// Bytes of histograms after which a chunk in the head is closed, however few they are.
pub const HEAD_HISTOGRAM_CHUNK_BYTES: usize = 16 << 10;

/// Late samples of one series that are kept sorted in memory before they become a chunk, as many as in Prometheus.
pub const LATE_SAMPLES: usize = 32;

/// Bytes of the log after which a checkpoint of the head is due. Replay takes about 0.2 s for so many, and a checkpoint of a
/// million series writes a few times as much.
pub const CHECKPOINT_LOG_BYTES: u64 = 32 << 20;

/// Series whose state a checkpoint copies while it keeps writers waiting.
pub const CHECKPOINT_SLICE: usize = 1024;

/// Labels in checkpoint files beyond twice those of living series, from which on all are written anew: about a megabyte, which is
/// not worth a checkpoint of its own.
pub const CHECKPOINT_SPARE_NAMES: u64 = 1 << 12;

/// Samples of one chunk in a segment. Two hours at one second fit; longer chunks gain nothing in size.
pub const SEGMENT_CHUNK_SAMPLES: usize = 8192;

/// Histograms of one chunk in a segment: one takes about as much as fifty floats.
pub const HISTOGRAM_CHUNK_SAMPLES: usize = 256;

/// Rows that a seal encodes at once.
pub const SEAL_BATCH_ROWS: usize = 1024;

/// Samples may lie this far ahead of the clock, as in Prometheus: a machine with a wrong clock must not open windows in
/// the far future.
pub const MAX_AHEAD: Duration = Duration::from_secs(600);

/// A window for which nothing came for so long is sealed once it is over, although no later data says that it is complete. Longer than the
/// pauses of senders that repeat what failed or send by the quarter of an hour.
pub const IDLE_WINDOW: Duration = Duration::from_secs(30 * 60);

/// How long an append waits for a window to be sealed if the head has used up its memory.
pub const SEAL_WAIT: Duration = Duration::from_secs(10);

/// Windows that may wait to be sealed: three weeks of two hours, more than any retention by default. A batch of arbitrary
/// times must not open files without end.
pub const OPEN_WINDOWS: usize = 256;

/// Bytes of one label set: a frame of the log must hold it. Ingestion has its own, lower bounds.
pub const LABEL_SET_BYTES: usize = 1 << 20;

/// Default for the bytes of chunks and labels that one selection may gather.
pub const SELECT_BYTES: usize = 256 << 20;

/// Bytes of decoded blocks of segments that are kept for the next question, unless half of the memory for caches is less. The
/// last hours of what a few dashboards show fit: a block of chunks takes about half a megabyte.
pub const BLOCK_CACHE_BYTES: u64 = 256 << 20;

/// Chunks of one row group of a segment: large enough that statistics prune, small enough to be held while writing.
pub const ROW_GROUP_ROWS: usize = 16 << 10;

/// Chunks of one page: the unit that the page index prunes. A selector of one metric reads at least this.
pub const PAGE_ROWS: usize = 512;

/// pco's level for sealed values: beyond it, size gains less than a percent on node_exporter data.
pub const PCO_LEVEL: usize = 8;

/// pco's level for values that a seal writes and compaction writes again.
pub const PCO_QUICK_LEVEL: usize = PCO_LEVEL;

/// Entries of each list in the head's statistics, as many as Prometheus shows by default.
pub const STATS_ENTRIES: usize = 10;

/// Series that a compaction encodes at once.
pub const COMPACTION_BATCH_SERIES: usize = 512;

/// Encoded bytes of these, whatever their number.
pub const COMPACTION_BATCH_BYTES: usize = 4 << 20;

/// Batches that a compaction has in the works: what it holds beside its inputs, and the threads that it occupies.
pub const COMPACTION_TASKS: usize = 2;

/// Sealed segments of a day that goes on are merged in groups of this many: eight hours, so that a day has a handful of segments.
pub const COMPACTION_FAN_IN: usize = 4;

/// Time after which a round of maintenance begins no other compaction: the next window must not wait long for its seal.
pub const COMPACTION_ROUND: Duration = Duration::from_secs(60);

/// How long rollups of five minutes are kept by default: a quarter, so that it can be compared with itself at that resolution.
pub const ROLLUP_5M_AGE: Duration = Duration::from_secs(90 * 86_400);

/// How long rollups of an hour are kept by default: two years, so that a year can be compared with the one before.
pub const ROLLUP_1H_AGE: Duration = Duration::from_secs(730 * 86_400);

/// Series that a rollup computes at once.
pub const ROLLUP_BATCH_SERIES: usize = 1024;

/// Bytes of decoded samples that a rollup computes at once.
pub const ROLLUP_BATCH_BYTES: usize = 32 << 20;

/// Time after which a round of rolling up leaves the rest to the next: sealing must not wait for an import's years.
pub const ROLLUP_ROUND: Duration = Duration::from_secs(20);

/// How much longer than retention says samples are kept that are not rolled up yet, should rolling up be late.
pub const ROLLUP_HOLD: Duration = Duration::from_secs(2 * 86_400);

/// Spans that one segment of samples is rolled up to. Ten years; none of ours has more than a few days.
pub const ROLLUP_INPUT_SPANS: i64 = 3660;

/// Bytes of samples and labels that an import sorts in memory before it puts them on the disk.
pub const IMPORT_SORT_BYTES: usize = 128 << 20;

/// Bytes that an import reads at once of each sorted run: some hundred runs are read side by side.
pub const IMPORT_RUN_BYTES: usize = 64 << 10;

/// Samples that an import encodes at once: bounds the batches on their way to the file.
pub const IMPORT_BATCH_SAMPLES: usize = 1 << 20;

/// Bytes of a segment after which an import begins another one, so that compaction and queries meet no giants.
pub const IMPORT_SEGMENT_BYTES: u64 = 256 << 20;

/// What is held of the log for those who lag behind is at most one part of so many of the disk: an endpoint that is away must not fill it.
pub const HELD_LOG_DISK_PARTS: u64 = 10;

/// Bytes of the log that who follows it reads at once: tens of thousands of samples.
pub const TAIL_READ_BYTES: usize = 256 << 10;

/// Series beyond twice those in use that who follows the log keeps in mind before it looks which are used: a few megabytes.
pub const TAIL_SPARE_SERIES: usize = 16 << 10;

/// Deletions in force: each is compared with every series that is read. More have to be cleaned first.
pub const TOMBSTONES: usize = 1000;

/// Age that a deletion must have before it is forgotten where several processes share the tables: the samples that another
/// one had in memory are in segments by then.
pub const SHARED_TOMBSTONE_AGE: Duration = Duration::from_secs(7 * 86_400);

/// Part of a segment's rows that must be hidden for it to be written again without them before it is merged anyway.
pub const REWRITE_SHARE: f64 = 0.1;

/// Times that cleaning looks for segments that still have deleted samples: others may seal meanwhile.
pub const CLEANING_ROUNDS: usize = 4;

/// Bytes of exemplars in memory after which they are sealed, in addition to those of which memory keeps the newest.
pub const EXEMPLAR_SEAL_BYTES: usize = 8 << 20;

/// Time after which exemplars are sealed: the log has them, so that this only decides how many small segments there are a day.
pub const EXEMPLAR_SEAL_AGE: Duration = Duration::from_secs(3600);

/// Bytes of exemplars in memory at which appends are refused, because seals fail or cannot follow.
pub const EXEMPLAR_HEAD_BYTES: usize = 64 << 20;

/// Bytes of exemplars that one append may store, their series' labels included: half of what memory takes until they are sealed, so that no sender
/// alone makes the appends of others be refused. A scrape with an exemplar for each of a hundred thousand series has as much.
pub const EXEMPLAR_BURST_BYTES: usize = EXEMPLAR_HEAD_BYTES / 2;

/// Bytes of exemplars that go to the log at once: each row spells out its series' labels, which all exemplars of a series share before.
pub const EXEMPLAR_BATCH_BYTES: usize = 4 << 20;

/// Exemplars that one selection returns, the newest: as many as Prometheus keeps by default, so that an answer here is no larger.
pub const EXEMPLARS_PER_SELECT: usize = 100_000;

/// Buckets that an export hands over at once: a megabyte or so of rows.
pub const EXPORT_BATCH_BUCKETS: usize = 8192;
