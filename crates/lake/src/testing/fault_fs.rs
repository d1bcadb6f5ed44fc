//! A file system in memory that remembers what a crash would leave.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Faults, Random};
use crate::fs::{AppendFile, Fs};

/// Files in memory; clones share them.
#[derive(Debug, Clone)]
pub struct FaultFs {
    faults: Arc<Faults>,
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// What a failed fsync has dropped: as on Linux, a later one of the same content succeeds without writing it.
    lost: Option<Range<usize>>,
}

impl FaultFs {
    /// An empty disk.
    pub fn new(faults: Arc<Faults>) -> Self {
        Self { faults, disk: Arc::default() }
    }

    /// Leaves what a power cut leaves: of each name and of each file's end that were not synced, nothing, some, or all, and
    /// some of it torn.
    pub fn crash(&self, seed: u64) {
        let mut random = Random::new(seed);
        let mut disk = self.disk.lock();
        let (names, durable) = (disk.names.clone(), disk.durable_names.clone());
        let mut left = BTreeMap::new();
        for path in names.keys().chain(durable.keys()) {
            let survivors = [names.get(path), durable.get(path)];
            if let Some(inode) = survivors[usize::from(random.below(2) == 0)] {
                left.insert(path.clone(), *inode);
            }
        }
        for inode in &mut disk.inodes {
            inode.crash(&mut random);
        }
        disk.names.clone_from(&left);
        disk.durable_names = left;
    }

    /// Changes a byte of a file, as a bad disk would.
    pub fn flip(&self, path: &Path, offset: usize) {
        self.with_inode(path, |inode| {
            inode.content[offset] ^= 0x40;
            inode.durable.clone_from(&inode.content);
        });
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        self.with_inode(path, |inode| inode.content.clone())
    }

    fn with_inode<T>(&self, path: &Path, f: impl FnOnce(&mut Inode) -> T) -> T {
        let mut disk = self.disk.lock();
        let at = disk.names[path];
        f(&mut disk.inodes[at])
    }

    fn step<T>(&self, verb: &str, path: &Path, effect: impl FnOnce(&mut Disk) -> T) -> io::Result<T> {
        self.faults.check_writable()?;
        self.faults.step(|| format!("{verb} {}", path.display()), || effect(&mut self.disk.lock()))
    }
}

impl Inode {
    fn crash(&mut self, random: &mut Random) {
        if self.content.starts_with(&self.durable) {
            let unsynced = self.content.len() - self.durable.len();
            let keep = random.below(unsynced as u64 + 1) as usize;
            self.content.truncate(self.durable.len() + keep);
            if keep > 0 && random.below(2) == 0 {
                // A page that never arrived reads as zeros.
                let from = self.content.len() - 1 - random.below(keep as u64) as usize;
                self.content[from..].fill(0);
            }
        } else if random.below(2) == 0 {
            self.content.clone_from(&self.durable);
        }
        self.durable.clone_from(&self.content);
        self.lost = None;
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.content);
        if let Some(lost) = &self.lost {
            let end = lost.end.min(self.durable.len());
            self.durable[lost.start.min(end)..end].fill(0);
        }
    }
}

impl Fs for FaultFs {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk.lock();
        let inode = disk.names.get(path).ok_or(ErrorKind::NotFound)?;
        let content = &disk.inodes[*inode].content;
        let from = usize::try_from(offset).map_or(content.len(), |o| o.min(content.len()));
        let n = buf.len().min(content.len() - from);
        buf[..n].copy_from_slice(&content[from..from + n]);
        Ok(n)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.faults.check_writable()?;
        let exists = self.disk.lock().names.get(path).copied();
        let inode = match exists {
            Some(inode) => inode,
            None => self.step("create", path, |disk| {
                disk.inodes.push(Inode::default());
                disk.names.insert(path.into(), disk.inodes.len() - 1);
                disk.inodes.len() - 1
            })?,
        };
        Ok(Box::new(FaultFile { fs: self.clone(), inode, path: path.into() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", from, |disk| {
            let inode = disk.names.remove(from).ok_or(ErrorKind::NotFound)?;
            disk.names.insert(to.into(), inode);
            Ok(())
        })?
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", path, |disk| {
            disk.names.remove(path).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
        })?
    }

    fn preallocate(&self, path: &Path, _: u64) -> io::Result<()> {
        // Before it is known that there is no space the name is there.
        drop(self.open_append(path)?);
        if self.faults.is_full() {
            return Err(ErrorKind::StorageFull.into());
        }
        self.step("preallocate", path, |_| ())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step("sync folder", dir, |disk| {
            disk.durable_names.retain(|path, _| path.parent() != Some(dir));
            let inside = disk.names.iter().filter(|(path, _)| path.parent() == Some(dir));
            disk.durable_names.extend(inside.map(|(path, inode)| (path.clone(), *inode)));
        })
    }
}

struct FaultFile {
    fs: FaultFs,
    inode: usize,
    path: PathBuf,
}

impl AppendFile for FaultFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode;
        let half = &bytes[..bytes.len() / 2];
        if self.fs.faults.is_full() {
            self.fs.disk.lock().inodes[inode].content.extend_from_slice(half);
            return Err(io::Error::new(ErrorKind::StorageFull, "injected: no space left on device"));
        }
        let appended =
            self.fs.step("append to", &self.path, |disk| disk.inodes[inode].content.extend_from_slice(bytes));
        appended.inspect_err(|_| {
            // A write that fails may have written some of it.
            let content = &mut self.fs.disk.lock().inodes[inode].content;
            let may_write = !self.fs.faults.is_dead() && self.fs.faults.check_writable().is_ok();
            if !content.ends_with(bytes) && may_write {
                content.extend_from_slice(half);
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let inode = self.inode;
        let synced = self.fs.step("sync", &self.path, |disk| disk.inodes[inode].sync());
        synced.inspect_err(|_| {
            let inode = &mut self.fs.disk.lock().inodes[inode];
            if inode.content.len() > inode.durable.len() {
                inode.lost = Some(inode.durable.len()..inode.content.len());
            }
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let inode = self.inode;
        self.fs.step("truncate", &self.path, |disk| {
            let inode = &mut disk.inodes[inode];
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            inode.content.truncate(len);
            inode.lost = inode.lost.take().filter(|lost| lost.start < len);
        })
    }
}
