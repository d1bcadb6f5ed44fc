//! The files of logs and checkpoints, as they lie in the folder.

use std::io::ErrorKind;

use base::{Error, Result};

use super::LakeAtRest;
use crate::filenames::{self, CheckpointPart};

/// A file in the folder of a table's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// What it is.
    pub kind: LogFileKind,
}

/// What a file in the folder of a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFileKind {
    /// Records of an epoch.
    Records {
        /// The epoch.
        epoch: i64,
        /// The number of the file.
        sequence: u64,
    },
    /// A part of the checkpoint before the file of this number.
    Checkpoint {
        /// The number.
        sequence: u64,
        /// What the part has.
        part: CheckpointPart,
    },
    /// A damaged file that a start has set aside.
    SetAside,
    /// Something that a start removes or passes over.
    Other,
}

impl LakeAtRest {
    /// The files of a table's log, by name. None if it is not known where the logs lie.
    pub fn log_files(&self, table: &str) -> Result<Vec<LogFile>> {
        let Some(dir) = self.wal_dir(table) else { return Ok(Vec::new()) };
        let fail = |e: std::io::Error| Error::unavailable(format!("cannot list {}: {e}", dir.display()));
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fail(e)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let metadata = entry.metadata().map_err(fail)?;
            if metadata.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                files.push(LogFile { kind: kind(&name), name, size_bytes: metadata.len() });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }
}

fn kind(name: &str) -> LogFileKind {
    if let Some((epoch, sequence)) = filenames::parse_wal_file(name) {
        return LogFileKind::Records { epoch, sequence };
    }
    match filenames::parse_checkpoint_file(name) {
        Some((sequence, part)) => LogFileKind::Checkpoint { sequence, part },
        None if name.ends_with(filenames::CORRUPT_SUFFIX) => LogFileKind::SetAside,
        None => LogFileKind::Other,
    }
}
