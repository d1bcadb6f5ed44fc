//! The data folder belongs to one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use base::{Error, Result};

use crate::filenames;

/// Holds the folder until it is dropped; the kernel releases it when the process dies.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn acquire(folder: &Path) -> Result<Self> {
        let fail = |cause: String| {
            Error::unavailable(format!("cannot open data folder {}: {cause}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(|e| fail(in_the_way(folder).unwrap_or(e.to_string())))?;
        let path = folder.join(filenames::LOCK);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        // What may only be read can still be locked.
        let mut file = match opened {
            Ok(file) => file,
            Err(error) => File::open(&path).map_err(|_| fail(error.to_string()))?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Whoever holds the lock may not have written its id yet.
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim() } else { "unknown" };
                return Err(fail(format!("it is in use by process {pid}")));
            }
            Err(TryLockError::Error(e)) => return Err(fail(e.to_string())),
        }
        // The lock is what counts. On a full or read-only disk only its owner's name is lost, and what there is can be read.
        let told = file.set_len(0).and_then(|()| file.rewind());
        if let Err(error) = told.and_then(|()| write!(file, "{}", std::process::id())) {
            tracing::warn!(%error, folder = %folder.display(), "cannot write the process' id to the data folder's lock");
        }
        Ok(Self { _file: file })
    }
}

/// What says that a folder cannot be made because it, or one above it, is something else.
fn in_the_way(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    let is_odd = !there.is_dir();
    is_odd.then(|| {
        let what = if there == folder { "it".to_owned() } else { there.display().to_string() };
        format!("{what} is not a folder; name a folder, or a place where nothing is yet")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_open_names_folder_and_process() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::acquire(dir.path()).unwrap();
        let refused = FolderLock::acquire(dir.path()).unwrap_err();
        let want = format!(
            "cannot open data folder {}: it is in use by process {}",
            dir.path().display(),
            std::process::id()
        );
        assert_eq!(refused.message(), want);
        drop(lock);
        FolderLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_file_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = |path: &Path| FolderLock::acquire(path).unwrap_err().message().to_owned();
        let (name, then) =
            (file.display(), "is not a folder; name a folder, or a place where nothing is yet");
        assert_eq!(refused(&file), format!("cannot open data folder {name}: it {then}"));
        assert_eq!(refused(&file.join("a/b")), format!("cannot open data folder {name}/a/b: {name} {then}"));
    }
}
