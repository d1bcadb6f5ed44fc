//! A lake at rest: its tables and logs as an operator looks at them, while no server uses the folder, or beside the server that does.
//!
//! Owns opening without creating anything, and the list of what there is. Does not know what rows mean.

mod examine;
pub mod invariants;
mod logs;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Clock, Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

pub use examine::LogReport;
pub use logs::{LogFile, LogFileKind};
pub use summary::{Summary, column_sizes, partitions};

use crate::Lake;
use crate::budget::MemoryBudget;
use crate::disk::{Disk, LocalDisk, Unbounded};
use crate::filenames;
use crate::local_store::LocalStore;
use crate::location::Bucket;
use crate::lock::FolderLock;
use crate::remote::{self, Environment, RemoteMetrics, explain};
use crate::table::{Shared, Table, TableSpec};

/// A lake that nobody serves from this folder, or that another part of this process serves.
pub struct LakeAtRest {
    store: Arc<dyn ObjectStore>,
    /// The same, if it is a folder.
    local: Option<Arc<LocalStore>>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    writer_id: String,
    shared: bool,
    compaction: Arc<tokio::sync::Mutex<()>>,
    /// Where the logs lie, if that was said.
    folder: Option<PathBuf>,
    in_use: bool,
    _lock: Option<FolderLock>,
}

impl LakeAtRest {
    /// Opens a data folder that is there, and keeps other processes out until it is dropped.
    pub fn open_folder(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let lock = lock(folder)?;
        let store = LocalStore::new(folder)
            .map_err(|e| Error::unavailable(format!("cannot open data folder {}: {e}", folder.display())))?;
        let store = Arc::new(store);
        Ok(Self {
            store: store.clone(),
            local: Some(store),
            clock,
            disk: Arc::new(LocalDisk::new(folder)),
            writer_id: writer_id(Some(folder)),
            shared: false,
            compaction: Arc::default(),
            folder: Some(folder.to_owned()),
            in_use: false,
            _lock: Some(lock),
        })
    }

    /// Opens the tables of a bucket, which others may be writing to; with a folder its logs too, and then other processes are
    /// kept out of that. `to_change` also tries whether the bucket keeps two writers apart.
    pub async fn open_bucket(
        bucket: &Bucket,
        folder: Option<&Path>,
        environment: &Environment,
        clock: Arc<dyn Clock>,
        to_change: bool,
    ) -> Result<Self> {
        let lock = folder.map(lock).transpose()?;
        let (writer_id, metrics) = (writer_id(folder), RemoteMetrics::new()?);
        let store = match to_change {
            true => remote::open(bucket, environment, &writer_id, &metrics).await?,
            false => remote::open_to_read(bucket, environment, &metrics).await?,
        };
        Ok(Self {
            store,
            local: None,
            clock,
            disk: Arc::new(Unbounded),
            writer_id,
            shared: true,
            compaction: Arc::default(),
            folder: folder.map(Path::to_owned),
            in_use: false,
            _lock: lock,
        })
    }

    /// Looks at a lake that is being served: as another process would at a bucket that several share, so that nothing is deleted
    /// that the server may need or is about to commit.
    pub fn beside(lake: &Lake) -> Self {
        Self {
            store: lake.store.clone(),
            local: lake.local.clone(),
            clock: lake.clock.clone(),
            disk: lake.disk.clone(),
            // What the server has uploaded and not committed is not this one's to delete.
            writer_id: uuid::Uuid::new_v4().to_string(),
            shared: true,
            compaction: lake.compaction.clone(),
            folder: Some(lake.folder.clone()),
            in_use: true,
            _lock: None,
        }
    }

    /// Whether the logs are being written, so that what is in them changes while it is looked at.
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// Whether other processes may write to the tables meanwhile.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The names of the tables that are there, known or not, sorted.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let folder = ObjectPath::from(filenames::TABLES);
        let found = match self.store.list_with_delimiter(Some(&folder)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(e) => {
                return Err(Error::unavailable(format!("cannot list tables: {}", explain::cause(&e))));
            }
        };
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a table that is there.
    pub async fn table(&self, spec: TableSpec) -> Result<Table> {
        let shared = Shared {
            store: self.store.clone(),
            local: self.local.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            shared: self.shared,
            memory: MemoryBudget::unlimited(),
            compaction: self.compaction.clone(),
            at_rest: true,
            prefix: String::new(),
        };
        Table::open(spec, shared, &self.writer_id).await
    }

    /// The folder of a table's log; `None` if it is not known where the logs lie.
    pub fn wal_dir(&self, table: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(filenames::WAL).join(table))
    }
}

fn lock(folder: &Path) -> Result<FolderLock> {
    // Otherwise a typing error would leave a folder behind and find everything in order.
    if ![filenames::TABLES, filenames::WAL].iter().any(|name| folder.join(name).is_dir()) {
        let cause = match (folder.exists(), folder.is_dir()) {
            (false, _) => "it does not exist",
            (true, false) => "it is not a folder",
            (true, true) => "there is no data in it",
        };
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("cannot open data folder {}: {cause}", folder.display()),
        ));
    }
    FolderLock::acquire(folder)
}

/// The folder's name in the Delta logs; without one a name that has sealed nothing.
fn writer_id(folder: Option<&Path>) -> String {
    let id = folder.and_then(|f| std::fs::read_to_string(f.join(filenames::WRITER_ID)).ok());
    let id = id.map(|id| id.trim().to_owned()).filter(|id| uuid::Uuid::parse_str(id).is_ok());
    id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}
