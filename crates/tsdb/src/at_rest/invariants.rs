//! What holds of stored chunks and of the head's log at any moment, beside what the lake's own invariants say.

pub use lake::inspect::invariants::Invariant;

/// Of a row.
pub static CHUNK_SERIES: Invariant = Invariant {
    name: "chunk-series",
    about: "A row's labels can be read; its metric and its series id are those of the labels.",
};
/// Of a row.
pub static CHUNK_SAMPLES: Invariant = Invariant {
    name: "chunk-samples",
    about: "A row's timestamps and values can be decoded; count, first and last time are those that the row says.",
};
/// Of the rows of a series.
pub static CHUNK_DISJOINT: Invariant = Invariant {
    name: "chunk-disjoint",
    about: "Within a segment, the chunks of floats of one series do not overlap in time.",
};
/// Of the rows of a rollup.
pub static BUCKET_ONCE: Invariant =
    Invariant { name: "bucket-once", about: "Within a segment of rollups, a series has one row." };
/// Of a row of a rollup.
pub static BUCKET_COLUMNS: Invariant = Invariant {
    name: "bucket-columns",
    about: "A row's buckets can be decoded, end at whole multiples of their length, and are of the times that the row says.",
};
/// Of deletions.
pub static TOMBSTONE: Invariant = Invariant {
    name: "tombstone",
    about: "Every tombstone beside the table can be read, so that what is deleted stays hidden.",
};
/// Of a checkpoint.
pub static CHECKPOINT: Invariant = Invariant {
    name: "checkpoint",
    about: "The last checkpoint of the head can be read, with all of its parts, and every chunk of it has its series.",
};
/// Of a log.
pub static LOG_SERIES: Invariant = Invariant {
    name: "log-series",
    about: "Every sample of the write-ahead log has its series, from the same file or from the checkpoint.",
};

/// All that this crate checks.
pub static ALL: &[&Invariant] = &[
    &CHUNK_SERIES,
    &CHUNK_SAMPLES,
    &CHUNK_DISJOINT,
    &BUCKET_ONCE,
    &BUCKET_COLUMNS,
    &TOMBSTONE,
    &CHECKPOINT,
    &LOG_SERIES,
];
