//! What has to be done to a file of the log before anything more may be logged.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::fs::Fs;

/// A file whose first `durable` bytes are to stay, durably, and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repair {
    pub(super) path: PathBuf,
    pub(super) durable: u64,
}

impl Repair {
    /// Does it; it may have been done before. A file of which nothing stays is removed, which is durable once its folder is synced.
    pub(super) fn carry_out(&self, fs: &dyn Fs) -> io::Result<()> {
        if self.durable == 0 {
            return match fs.remove(&self.path) {
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
                other => other,
            };
        }
        let mut file = fs.open_append(&self.path)?;
        file.truncate(self.durable)?;
        // Whatever the cause: what a failed sync leaves can never be trusted, so this is no error to be put off.
        file.sync().map_err(io::Error::other)
    }
}

/// Whether a step failed because nothing can be written now, and left everything as it was: it can be done later.
pub(super) fn is_put_off(error: &io::Error) -> bool {
    use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), ReadOnlyFilesystem | PermissionDenied | StorageFull | QuotaExceeded)
}
