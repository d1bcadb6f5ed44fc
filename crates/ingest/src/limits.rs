//! How much one request, or one file of a foreign folder, may ask of the process that reads it.

/// Bytes of one request as sent. Prometheus sends some 100 KiB, vmagent up to 32 MiB.
pub const COMPRESSED_BYTES: usize = 32 << 20;

/// Bytes of one request once decompressed. Snappy makes label sets ten times smaller at best; more than this is an attack.
pub const DECOMPRESSED_BYTES: usize = 64 << 20;

/// Series of one request. Senders group thousands.
pub const SERIES_PER_REQUEST: usize = 500_000;

/// Samples of one request, histograms included. An empty sample is two bytes on the wire and sixteen in memory.
pub const SAMPLES_PER_REQUEST: usize = 2_000_000;

/// Bytes of the labels of all series of one request. A request whose series refer to texts, or share those of a resource, may name
/// each many times; this is as much as one could say that spells them out.
pub const LABEL_BYTES_PER_REQUEST: usize = DECOMPRESSED_BYTES;

/// Texts that the series of one request may refer to. An empty one is two bytes on the wire and eight in memory.
pub const SYMBOLS_PER_REQUEST: usize = 1_000_000;

/// Exemplars of one request. Clients send one for each bucket at most.
pub const EXEMPLARS_PER_REQUEST: usize = 500_000;

/// Labels of one exemplar. The names and values of those that are stored have 128 characters together.
pub const EXEMPLAR_LABELS: usize = 64;

/// Descriptions of metric families that are taken of one request; a server that has more metrics describes the others in the next.
pub const METADATA_PER_REQUEST: usize = 50_000;

/// Series whose starts are remembered, sixteen bytes each.
pub(crate) const STARTS_KNOWN: usize = 1_000_000;

/// Lists and maps within each other in one attribute. People write two or three.
pub const ATTRIBUTE_DEPTH: usize = 32;

/// Bytes that a byte of deflate may stand for: two bits repeat 258 bytes (RFC 1951, section 3.2.5).
pub(crate) const DEFLATE_UNFOLDS: usize = 1032;

/// Bytes of memory that a byte of JSON may take while it is turned into protobuf: itself, and four for a number of a list.
pub const JSON_UNFOLDS: usize = 5;

/// Samples of `target_info` for one resource of one request: a day and a half of data points that come at once.
pub(crate) const TARGET_INFO_SAMPLES: u64 = 1000;

/// Labels of one request of which it is said that several attributes became them.
pub(crate) const COLLISIONS_SAID: usize = 1000;

/// Bytes of the sums of deltas. A number takes a hundred or two, a histogram some kilobytes.
pub const DELTA_STATE_BYTES: usize = 64 << 20;

/// Buckets of one side of an exponential histogram that is added up, empty ones included; as OpenTelemetry's libraries have.
pub(crate) const DELTA_BUCKETS: i64 = 160;

/// How long a series of deltas may pause before its sum is forgotten, as in OpenTelemetry's Collector.
pub(crate) const DELTA_STALE_MS: i64 = 300_000;

/// How often sums that are to be forgotten are looked for.
pub(crate) const DELTA_SWEEP_MS: i64 = 30_000;

/// Reasons that are said of what was refused of one request.
pub(crate) const REFUSALS_QUOTED: usize = 5;

/// Labels of one series by default. Label sets beyond a hundred are mistakes; this leaves room.
pub const LABELS_PER_SERIES: usize = 1024;

/// Bytes of one label's name by default.
pub const LABEL_NAME_BYTES: usize = 1024;

/// Bytes of one label's value by default. Stack traces and queries end up in labels, but nothing longer.
pub const LABEL_VALUE_BYTES: usize = 64 << 10;

/// Bytes of one whole label set: below what the store's log takes.
pub const LABEL_SET_BYTES: usize = 256 << 10;

/// Buckets of one side of a native histogram, and its custom bounds. Clients stop at 160; a bucket that takes a byte on the wire
/// takes eight in memory.
pub const HISTOGRAM_BUCKETS: usize = 16_384;

/// Buckets of all histograms of one request, for the same reason.
pub const BUCKETS_PER_REQUEST: usize = 4_000_000;

/// Characters of a label set that an error quotes.
pub(crate) const QUOTED_CHARS: usize = 256;

/// Bytes of one chunk in a Prometheus folder. Prometheus aims at a kilobyte; a histogram of thousands of buckets has some hundred.
pub const TSDB_CHUNK_BYTES: usize = 16 << 20;

/// Bytes of one series entry in a block's index: labels by reference and three numbers for each chunk.
pub const TSDB_SERIES_ENTRY_BYTES: usize = 64 << 20;

/// Bytes of a block's symbol table, which is held while the block is read; the format has 32-bit lengths.
pub const TSDB_SYMBOLS_BYTES: usize = 2 << 30;

/// Bytes of a block's tombstones, which are held while the block is read.
pub const TSDB_TOMBSTONES_BYTES: usize = 256 << 20;

/// Bytes of one record in a write-ahead log, once decompressed. A record is what one scrape or remote write appended.
pub const TSDB_RECORD_BYTES: usize = 256 << 20;

/// Bytes read ahead at once. The chunks of a series are neighbours, a few kilobytes each.
pub const TSDB_READ_BYTES: usize = 32 << 10;

/// Queries of one remote read request. Prometheus sends one.
pub const READ_QUERIES: usize = 1000;

/// Matchers of one query of a remote read request.
pub const READ_MATCHERS: usize = 1000;

/// Samples of a chunk that answers a remote read, as many as Prometheus' own have.
pub const READ_CHUNK_SAMPLES: usize = 120;

/// Bytes of a frame of a streamed answer after which another begins; Prometheus' `--storage.remote.read-max-bytes-in-frame`.
pub const READ_FRAME_BYTES: usize = 1 << 20;
