//! The space on the disk that tables lie on: a seam, so that tests decide what is free.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

/// Space in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What this process may still write.
    pub available_bytes: u64,
    /// The size of the disk.
    pub total_bytes: u64,
}

/// Tells the space where tables lie.
pub trait Disk: Debug + Send + Sync {
    /// The space now; `None` where nothing can tell, as in an object store.
    fn space(&self) -> io::Result<Option<DiskSpace>>;
}

/// Storage without a known bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unbounded;

impl Disk for Unbounded {
    fn space(&self) -> io::Result<Option<DiskSpace>> {
        Ok(None)
    }
}

/// The disk of a local folder.
#[derive(Debug, Clone)]
pub struct LocalDisk {
    folder: PathBuf,
}

impl LocalDisk {
    /// The disk on which `folder` lies.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Disk for LocalDisk {
    fn space(&self) -> io::Result<Option<DiskSpace>> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(Some(DiskSpace {
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_folder_has_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        let space = LocalDisk::new(dir.path()).space().unwrap().unwrap();
        assert!(space.total_bytes > 0 && space.available_bytes <= space.total_bytes, "{space:?}");
        assert!(LocalDisk::new(dir.path().join("none")).space().is_err());
    }
}
