//! What holds of stored data at any moment, by name. Tests and `verify` check the same; `docs/format/invariants.md` lists them.

/// Something that holds of stored data.
#[derive(Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What holds.
    pub about: &'static str,
}

/// What is found where an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What does not hold.
    pub invariant: &'static Invariant,
    /// Where and how.
    pub detail: String,
}

/// Defines invariants, and the list of all of them.
macro_rules! invariants {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $about:literal;)*) => {
        $($(#[$doc])* pub static $id: Invariant = Invariant { name: $name, about: $about };)*

        /// All that this crate checks.
        pub static ALL: &[&Invariant] = &[$(&$id),*];
    };
}

invariants! {
    /// Of a table.
    TABLE_LOG = "table-log", "The Delta log of a table can be read, and its columns are those of the table.";
    /// Of a segment.
    SEGMENT_PRESENT = "segment-present", "Each segment that the Delta log names has its file, of the size that the log says.";
    /// Of a segment.
    SEGMENT_CHECKSUM = "segment-checksum", "The crc32c of a segment's file is that in the Delta log, where the log has one.";
    /// Of a segment.
    SEGMENT_PATH = "segment-path", "A segment lies in the folder of its tenant and date.";
    /// Of a segment.
    SEGMENT_PARQUET = "segment-parquet", "A segment is a Parquet file with the table's columns, and all of its pages can be read.";
    /// Of a segment.
    SEGMENT_ROWS = "segment-rows", "A segment has as many rows as the Delta log says.";
    /// Of a segment.
    SEGMENT_TIME = "segment-time", "The times of a segment's rows lie within the bounds in the Delta log.";
    /// Of a segment.
    SEGMENT_KEYS = "segment-keys", "The values of a segment's first sort column lie within the bounds in the Delta log.";
    /// Of a segment.
    SEGMENT_DATE = "segment-date", "A segment's rows begin within its date, in UTC.";
    /// Of a segment.
    SEGMENT_SORTED = "segment-sorted", "A segment's rows come in the table's order.";
    /// Of a log.
    LOG_FRAMES = "log-frames", "Every frame of a write-ahead log matches its checksum, but for bytes behind the last good one.";
    /// Of a log.
    LOG_RECORDS = "log-records", "Every record of a write-ahead log can be read.";
}
