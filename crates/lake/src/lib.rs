//! Storage under every signal: write-ahead logs on the local disk, Parquet segments and Delta logs in an object store.
//!
//! Owns the data folder and its lock, WALs, tables, segments, scans and vacuum. Knows columns, not what
//! they mean: that is the affair of the crates above.

mod budget;
mod calendar;
pub mod catalog;
pub mod compact;
mod disk;
pub mod export;
pub mod filenames;
pub mod frames;
pub mod fs;
pub mod inspect;
pub mod limits;
mod local_store;
mod location;
mod lock;
mod remote;
mod reserve;
mod rows;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Clock, Error, Result};
use object_store::ObjectStore;

pub use budget::{MemoryBudget, Pool, Reservation};
pub use calendar::{DATED_MS, date};
pub use disk::{Disk, DiskSpace, LocalDisk, Unbounded};
pub use local_store::LocalStore;
pub use location::{Bucket, Location, Provider};
pub use remote::{Environment, RemoteMetrics};
pub use reserve::{Reserve, ReserveMetrics};
pub use rows::{RowMaintenance, RowOptions, RowStore, RowTail, TailedRows};
pub use table::{
    Block, ColumnSize, Findings, Garbage, Keys, Layout, NewSegment, Reason, RowChecker, RowPredicate,
    RowRules, Scan, Segment, SegmentWriter, Table, TableSpec, TableView, TimeColumns,
};
pub use wal::{
    Found, Group, HeldLimits, LogReader, Look, Mark, Origin, Position, ReaderHandle, ReplayFrom,
    ReplayReport, Wal, WalClient, WalMetrics, WalOptions, replay,
};

use fs::{Fs, LocalFs};
use lock::FolderLock;
use table::Shared;

/// A data folder with the object store that its tables lie in.
pub struct Lake {
    folder: PathBuf,
    fs: Arc<dyn Fs>,
    store: Arc<dyn ObjectStore>,
    /// The same, if it is a folder.
    local: Option<Arc<LocalStore>>,
    clock: Arc<dyn Clock>,
    writer_id: String,
    disk: Arc<dyn Disk>,
    memory: Arc<MemoryBudget>,
    reserve: Arc<Reserve>,
    compaction: Arc<tokio::sync::Mutex<()>>,
    shared: bool,
    remote: Option<RemoteMetrics>,
    _lock: Option<FolderLock>,
}

impl Lake {
    /// Opens a data folder that holds WALs and tables alike, and keeps other processes out until it is dropped.
    pub fn open_local(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let lock = FolderLock::acquire(folder)?;
        let store = LocalStore::new(folder)
            .map_err(|e| Error::unavailable(format!("cannot open data folder {}: {e}", folder.display())))?;
        let store = Arc::new(store);
        let mut lake = Self::open(folder, Arc::new(LocalFs), store.clone(), clock)?;
        (lake.local, lake._lock) = (Some(store), Some(lock));
        Ok(lake.with_disk(Arc::new(LocalDisk::new(folder))).with_own_reserve())
    }

    /// Opens a lake whose tables lie in a bucket and whose WALs lie in a local folder, which it keeps other processes out of
    /// until it is dropped. The bucket may be shared with other lakes.
    pub async fn open_bucket(
        bucket: &Bucket,
        wal_folder: &Path,
        environment: &Environment,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let lock = FolderLock::acquire(wal_folder)?;
        let fail = |e: std::io::Error| {
            Error::unavailable(format!("cannot open data folder {}: {e}", wal_folder.display()))
        };
        let writer_id = writer_id(&LocalFs, wal_folder).map_err(fail)?;
        let metrics = RemoteMetrics::new()?;
        let store = remote::open(bucket, environment, &writer_id, &metrics).await?;
        let mut lake = Self::open(wal_folder, Arc::new(LocalFs), store, clock)?.into_shared();
        lake.remote = Some(metrics);
        lake._lock = Some(lock);
        Ok(lake.with_own_reserve())
    }

    /// Opens a lake whose WALs lie in `folder` of `fs` and whose tables lie in `store`. The caller sees to it that nobody
    /// else uses the folder; the store may be shared.
    pub fn open(
        folder: &Path,
        fs: Arc<dyn Fs>,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let writer_id = writer_id(fs.as_ref(), folder)
            .map_err(|e| Error::unavailable(format!("cannot open data folder {}: {e}", folder.display())))?;
        let (folder, disk, compaction) = (folder.into(), Arc::new(Unbounded), Arc::default());
        let (shared, remote) = (false, None);
        let (memory, reserve) = (MemoryBudget::unlimited(), Arc::new(Reserve::none()));
        Ok(Self {
            folder,
            fs,
            store,
            local: None,
            clock,
            writer_id,
            disk,
            memory,
            reserve,
            compaction,
            shared,
            remote,
            _lock: None,
        })
    }

    /// Says which disk the tables lie on; for a lake that was opened over a store that does not tell.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Keeps space of the disk from appends; for a lake that was opened over a seam.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = Arc::new(reserve);
        self
    }

    /// Takes the reserve of the disk on which the logs lie.
    fn with_own_reserve(self) -> Self {
        let disk = Arc::new(LocalDisk::new(&self.folder));
        let reserve = Reserve::take(&self.folder, self.fs.clone(), disk, self.clock.clone());
        self.with_reserve(reserve)
    }

    /// The space that appends may not use.
    pub fn reserve(&self) -> &Arc<Reserve> {
        &self.reserve
    }

    /// Says that other processes write to the store as well.
    #[must_use]
    pub fn into_shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Whether other processes may write to the store: then what the log says has to be looked at again from time to time,
    /// and a file may be deleted only when no other process can need it.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// What is counted of the object store, if the tables lie in a bucket.
    pub fn remote_metrics(&self) -> Option<&RemoteMetrics> {
        self.remote.as_ref()
    }

    /// Bounds the memory of this lake and of those who keep their memory with it; without this there is no bound.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<MemoryBudget>) -> Self {
        self.memory = memory;
        self
    }

    /// The memory that is shared.
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }

    /// Opens a table, or creates it.
    pub async fn table(&self, spec: TableSpec) -> Result<Table> {
        Table::open(spec, self.parts(String::new()), &self.writer_id).await
    }

    /// A name for a snapshot: the time, and something that no other has.
    pub fn snapshot_name(&self) -> String {
        filenames::snapshot(self.clock.now_ms(), uuid::Uuid::new_v4().as_u64_pair().0)
    }

    /// Creates a table in the folder of a snapshot, to be filled by [`Table::copy_to`]. The folder can be opened as a lake.
    pub async fn snapshot_table(&self, spec: TableSpec, name: &str) -> Result<Table> {
        let prefix = format!("{}/{name}", filenames::SNAPSHOTS);
        // What a snapshot adds of its own is made by nobody who writes to the original.
        let writer_id = uuid::Uuid::new_v4().to_string();
        Table::open(spec, self.parts(prefix), &writer_id).await
    }

    fn parts(&self, prefix: String) -> Shared {
        Shared {
            store: self.store.clone(),
            local: self.local.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            shared: self.shared,
            memory: self.memory.clone(),
            compaction: self.compaction.clone(),
            at_rest: false,
            prefix,
        }
    }

    /// The disk that the tables lie on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The folder of a table's WAL.
    pub fn wal_dir(&self, table: &str) -> PathBuf {
        self.folder.join(filenames::WAL).join(table)
    }

    /// The file system of the WALs.
    pub fn fs(&self) -> &Arc<dyn Fs> {
        &self.fs
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The name of this data folder in the Delta logs, made up when the folder is first used.
fn writer_id(fs: &dyn Fs, folder: &Path) -> std::io::Result<String> {
    let path = folder.join(filenames::WRITER_ID);
    fs.create_dir_all(folder)?;
    let mut buf = [0; 64];
    if fs.list(folder)?.iter().any(|name| name == filenames::WRITER_ID) {
        let n = fs.read_at(&path, 0, &mut buf)?;
        let id = String::from_utf8_lossy(&buf[..n]).trim().to_owned();
        if uuid::Uuid::parse_str(&id).is_ok() {
            return Ok(id);
        }
    }
    let id = uuid::Uuid::new_v4().to_string();
    let temporary = folder.join(format!("{}{}", filenames::WRITER_ID, filenames::TEMPORARY_SUFFIX));
    let mut file = fs.open_append(&temporary)?;
    file.truncate(0)?;
    file.append(id.as_bytes())?;
    file.sync()?;
    fs.rename(&temporary, &path)?;
    fs.sync_dir(folder)?;
    Ok(id)
}
