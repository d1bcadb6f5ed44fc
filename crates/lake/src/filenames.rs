//! Names of everything on disk, in one place.

/// Held, with an exclusive lock, by the process that uses the data folder; its content is that process' id.
pub const LOCK: &str = "lock";

/// Names this data folder in the Delta log, whose `txn` actions say what it has sealed.
pub const WRITER_ID: &str = "writer-id";

/// The queries under way, so that the next start can say which there were when the process died.
pub const QUERIES_ACTIVE: &str = "queries.active";

/// Holds space of the disk that nothing but sealing may use.
pub const RESERVE: &str = "reserve";

/// Folder of the write-ahead logs, one folder per table.
pub const WAL: &str = "wal";

/// Folder of the Delta tables.
pub const TABLES: &str = "tables";

/// Begins the name of an object that is written and deleted at start, to find out what a bucket can do.
pub const PROBE_PREFIX: &str = "probe-";

/// Folder of what an import puts out of memory while it sorts; emptied by the next one.
pub const IMPORT_SPILL: &str = "import.tmp";

/// The epoch in the names of segments that no window became: vacuum may delete those that were never committed once any window
/// is sealed, as an import has the data folder for itself.
pub const IMPORT_EPOCH: i64 = 0;

/// Folder of the snapshots, each a lake of its own.
pub const SNAPSHOTS: &str = "snapshots";

/// The name of a snapshot, as Prometheus forms it: `20060102T150405Z-` and sixteen hexadecimal digits.
pub fn snapshot(t_ms: i64, random: u64) -> String {
    let date = crate::calendar::date(t_ms).replace('-', "");
    let seconds = t_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{date}T{:02}{:02}{:02}Z-{random:016x}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

const WAL_SUFFIX: &str = ".wal";
/// Ends the name of a WAL file that was set aside because it is damaged.
pub const CORRUPT_SUFFIX: &str = ".corrupt";
/// Ends the name of a WAL file that is being rewritten.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// The name of one WAL file. Names sort by epoch, then by the order in which the files were begun.
pub fn wal_file(epoch: i64, sequence: u64) -> String {
    format!("{epoch:020}-{sequence:010}{WAL_SUFFIX}")
}

/// Epoch and sequence number of a WAL file's name; `None` for other files.
pub fn parse_wal_file(name: &str) -> Option<(i64, u64)> {
    let (epoch, sequence) = name.strip_suffix(WAL_SUFFIX)?.split_once('-')?;
    let (epoch, sequence) = (epoch.parse().ok()?, sequence.parse().ok()?);
    (wal_file(epoch, sequence) == name).then_some((epoch, sequence))
}

const READER_SUFFIX: &str = ".reader";

/// The file that says how far a reader of a log has got. Its name has lower-case letters, digits and `-`.
pub fn reader_file(name: &str) -> String {
    format!("{name}{READER_SUFFIX}")
}

/// The name of the reader whose file this is; `None` for other files.
pub fn parse_reader_file(name: &str) -> Option<&str> {
    let reader = name.strip_suffix(READER_SUFFIX)?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!reader.is_empty() && reader.chars().all(is_plain)).then_some(reader)
}

/// What a file of a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckpointPart {
    /// What is complete for good, of one epoch.
    Epoch(i64),
    /// What names the things that the other parts speak of.
    Names,
    /// The state at the checkpoint. Its file is written last: the checkpoint is there once it is.
    State,
}

/// The name of a file of the checkpoint before the WAL file `sequence`.
pub fn checkpoint_file(sequence: u64, part: CheckpointPart) -> String {
    match part {
        CheckpointPart::Epoch(epoch) => format!("checkpoint-{sequence:010}-{epoch:020}.epoch"),
        CheckpointPart::Names => format!("checkpoint-{sequence:010}.names"),
        CheckpointPart::State => format!("checkpoint-{sequence:010}.state"),
    }
}

/// Sequence number and part of a checkpoint file's name; `None` for other files.
pub fn parse_checkpoint_file(name: &str) -> Option<(u64, CheckpointPart)> {
    let (stem, suffix) = name.strip_prefix("checkpoint-")?.split_once('.')?;
    let (sequence, part) = match (suffix, stem.split_once('-')) {
        ("epoch", Some((sequence, epoch))) => (sequence, CheckpointPart::Epoch(epoch.parse().ok()?)),
        ("names", None) => (stem, CheckpointPart::Names),
        ("state", None) => (stem, CheckpointPart::State),
        _ => return None,
    };
    let sequence = sequence.parse().ok()?;
    (checkpoint_file(sequence, part) == name).then_some((sequence, part))
}

/// The name of a segment, without its partition folders: who sealed what, and a number that no earlier attempt had.
pub fn segment_file(writer_id: &str, epoch: i64, attempt: u64) -> String {
    format!("{writer_id}-{epoch:020}-{attempt:06}.parquet")
}

/// Whether a path is that of a segment: a file that never changes, within a partition.
pub fn is_segment(path: &str) -> bool {
    path.ends_with(".parquet") && path.split('/').any(|folder| folder.starts_with("tenant="))
}

/// The name of a segment that was made of other segments: `level` says how often its rows were merged, from 1 on.
pub fn compacted_file(writer_id: &str, epoch: i64, attempt: u64, level: u8) -> String {
    format!("{writer_id}-{epoch:020}-{attempt:06}-c{level}.parquet")
}

/// What a segment's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentName<'a> {
    /// The data folder that made it.
    pub writer_id: &'a str,
    /// The epoch that it was sealed from; of a merged segment the latest of those that it was made of.
    pub epoch: i64,
    /// Distinguishes attempts.
    pub attempt: u64,
    /// How often its rows were merged; 0 for sealed ones.
    pub level: u8,
}

/// Reads the name at the end of a segment's path; `None` for files that have another.
pub fn parse_segment(path: &str) -> Option<SegmentName<'_>> {
    let name = path.rsplit('/').next()?;
    let stem = name.strip_suffix(".parquet")?;
    let level = |(stem, level): (_, &str)| Some((stem, level.parse().ok()?));
    // A writer's id may have the same letters in it, but not at the end of the name.
    let (stem, level) = stem.rsplit_once("-c").and_then(level).unwrap_or((stem, 0));
    let (stem, attempt) = stem.rsplit_once('-')?;
    let (writer_id, epoch) = stem.rsplit_once('-')?;
    let (epoch, attempt) = (epoch.parse().ok()?, attempt.parse().ok()?);
    let written = match level {
        0 => segment_file(writer_id, epoch, attempt),
        level => compacted_file(writer_id, epoch, attempt, level),
    };
    (written == name).then_some(SegmentName { writer_id, epoch, attempt, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_as_prometheus_names_them() {
        assert_eq!(snapshot(1_709_251_199_999, 0x2be6_50b6_d019_eb54), "20240229T235959Z-2be650b6d019eb54");
    }

    #[test]
    fn names_read_back_and_sort() {
        assert_eq!(parse_wal_file(&wal_file(7_200_000, 3)), Some((7_200_000, 3)));
        assert!(wal_file(9, 1) < wal_file(10, 0) && wal_file(10, 9) < wal_file(10, 10));
        for other in ["x.wal", "1-2.wal", "00000000000000000001-0000000001.wal.corrupt", ""] {
            assert_eq!(parse_wal_file(other), None, "{other}");
        }
        for part in [CheckpointPart::Epoch(7_200_000), CheckpointPart::Names, CheckpointPart::State] {
            assert_eq!(parse_checkpoint_file(&checkpoint_file(12, part)), Some((12, part)));
        }
        assert_eq!(parse_checkpoint_file("checkpoint-12.names"), None);
        let name = format!("tenant=t/date=2026-01-01/{}", segment_file("w-1", 42, 7));
        assert_eq!(
            parse_segment(&name),
            Some(SegmentName { writer_id: "w-1", epoch: 42, attempt: 7, level: 0 })
        );
        let id = "ea632ab3-c1ed-4d0f-978d-c698206cb6c2";
        assert!(parse_segment(&segment_file(id, 42, 7)).is_some());
        let name = compacted_file(id, 42, 7, 2);
        assert_eq!(
            parse_segment(&name),
            Some(SegmentName { writer_id: id, epoch: 42, attempt: 7, level: 2 })
        );
        for other in ["part-00000-c1.parquet", "w-1-2.parquet", "x.parquet", "w-c1.parquet", ""] {
            assert_eq!(parse_segment(other), None, "{other}");
        }
    }
}
