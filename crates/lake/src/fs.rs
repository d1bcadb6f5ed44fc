//! The file system as the WAL needs it: a seam, so that tests tear writes, fill the disk and crash between two steps.
//!
//! Segments and the Delta log do not come through here but through an `object_store::ObjectStore`.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Files by path. Nothing is durable before [`AppendFile::sync`] for content and [`Fs::sync_dir`] for names.
pub trait Fs: Debug + Send + Sync {
    /// Creates a folder and those above it; it may exist.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Fills `buf` from `offset` on, as far as the file goes; returns how much that was.
    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Opens a file for appending; creates it if it does not exist.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Renames a file, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Takes `bytes` of the disk for a file, which may exist and keeps its content and its length. What another process writes cannot
    /// use them; once the file is removed anybody can. `Unsupported` where the file system has no such thing.
    fn preallocate(&self, path: &Path, bytes: u64) -> io::Result<()>;

    /// Makes created, renamed and removed names of a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file opened for appending.
pub trait AppendFile: Send {
    /// Appends all of `bytes`. After an error any prefix may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all content durable. After an error nothing is known of what was appended since the last success.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file off at `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct LocalFs;

impl Fs for LocalFs {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = File::open(path)?;
        let mut filled = 0;
        while filled < buf.len() {
            match file.read_at(&mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(OpenOptions::new().append(true).create(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn preallocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes).map_err(|errno| match errno {
            Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported.into(),
            errno => errno.into(),
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl AppendFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
