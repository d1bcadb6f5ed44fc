//! A Delta table: active segments, commits, and what this data folder has sealed into it.
//!
//! The Delta log is the only truth about which segments exist and which epochs are sealed. A seal adds its segments and
//! a `txn` action (this writer and table, the epoch) in one commit, so it happened or it did not, and who is unsure asks the log.

mod append;
mod blocks;
mod columns;
mod objects;
mod scan;
mod segment;
mod snapshot;
mod spec;
mod statistics;
mod upload;
mod vacuum;
mod verify;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use base::{Clock, Error, ErrorKind, Result};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{
    CommitBuilder, CommitProperties, TableReference, TransactionError,
};
use deltalake_core::kernel::{Action, LogicalFileView, Remove, StructType, Transaction};
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use parking_lot::Mutex;

pub use blocks::Block;
pub use columns::ColumnSize;
pub use scan::{Keys, RowPredicate, Scan};
pub use segment::{NewSegment, Segment, SegmentWriter};
pub use spec::{Layout, TableSpec, TimeColumns};
pub use vacuum::{Garbage, Reason};
pub use verify::{Findings, RowChecker, RowRules};

use crate::budget::MemoryBudget;
use crate::calendar;
use crate::disk::Disk;
use crate::filenames;
use crate::limits::{
    COMMIT_PAUSE, COMMIT_RETRIES, COMMIT_ROUNDS, COMMITS_PER_CHECKPOINT, SEGMENT_TARGET_BYTES,
};
use crate::local_store::LocalStore;
use crate::remote::explain;
use scan::MetadataCache;
use segment::PendingFiles;

/// Partition columns of every table.
const PARTITIONS: [&str; 2] = ["tenant", "date"];

/// What the Delta log says, as one.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The active segments, in order of time.
    pub segments: Arc<[Arc<Segment>]>,
    /// The last epoch that this writer has sealed; `i64::MIN` if none.
    pub sealed_until: i64,
    /// The version of the log.
    pub version: i64,
}

/// A Delta table that this process writes to.
pub struct Table {
    spec: TableSpec,
    store: Arc<dyn ObjectStore>,
    /// The store that the lake is in, and the table's folder there.
    root: Arc<dyn ObjectStore>,
    /// The same, if it is a folder of the local disk.
    local: Option<Arc<LocalStore>>,
    folder: String,
    clock: Arc<dyn Clock>,
    writer_id: String,
    app_id: String,
    attempts: AtomicU64,
    delta: tokio::sync::Mutex<DeltaTable>,
    view: Mutex<TableView>,
    /// Segments that left the view; their files go when no reader holds them.
    retired: Mutex<HashMap<String, Weak<Segment>>>,
    metadata: MetadataCache,
    pending: PendingFiles,
    disk: Arc<dyn Disk>,
    /// Whether other processes may write to the store and read what this one is about to delete.
    shared: bool,
    /// Whether nobody at all is about to commit anything: the store is this process' own, and nothing is sealed.
    idle: bool,
    /// When the store was last searched for garbage.
    searched: Mutex<Option<Duration>>,
    /// Held by the one compaction that may run in the lake.
    pub(crate) compaction: Arc<tokio::sync::Mutex<()>>,
}

/// What a table shares with the others of its lake.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same, if it is a folder of the local disk.
    pub(crate) local: Option<Arc<LocalStore>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) shared: bool,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) compaction: Arc<tokio::sync::Mutex<()>>,
    /// Whether nobody of this writer seals meanwhile; a table that is not there is not created then.
    pub(crate) at_rest: bool,
    /// The folder of the store in which the lake lies; empty for the store itself.
    pub(crate) prefix: String,
}

impl Table {
    /// Opens a table, or creates it unless the lake is at rest.
    pub(crate) async fn open(spec: TableSpec, shared: Shared, writer_id: &str) -> Result<Self> {
        spec.check()?;
        let Shared { store: root, local, clock, disk, memory, shared, compaction, prefix, at_rest } = shared;
        let store: Arc<dyn ObjectStore> = match prefix.as_str() {
            "" => root.clone(),
            prefix => Arc::new(PrefixStore::new(root.clone(), prefix)),
        };
        let name = spec.name;
        let folder = format!("{}/{name}", filenames::TABLES);
        let prefixed: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store.clone(), folder.as_str()));
        // Both views of the store begin at the lake's root, so the URL is one within the lake. Its scheme is one for which the
        // Delta library asks nothing but the store, and expects listings in order.
        let url = url::Url::parse(&format!("memory:///{folder}/")).expect("a folder of plain letters");
        let log_store = default_logstore(prefixed.clone(), store.clone(), &url, &StorageConfig::default());
        let fail = |e: &DeltaTableError| delta_error("open", name, e);
        let mut delta = DeltaTable::new(log_store.clone());
        if log_store.is_delta_table_location().await.map_err(|e| fail(&e))? {
            Box::pin(delta.load()).await.map_err(|e| fail(&e))?;
        } else if at_rest {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("cannot open table {name}: there is no Delta log"),
            ));
        } else {
            match create(&spec, log_store).await {
                Ok(created) => delta = created,
                // Another process may have created it in this moment.
                Err(e) => Box::pin(delta.load()).await.map_err(|_| fail(&e))?,
            }
        }
        let table = Self {
            app_id: format!("bellwether/{writer_id}/{name}"),
            writer_id: writer_id.into(),
            spec,
            store: prefixed,
            root,
            local,
            folder: if prefix.is_empty() { folder } else { format!("{prefix}/{folder}") },
            clock,
            attempts: AtomicU64::new(0),
            delta: tokio::sync::Mutex::new(delta),
            view: Mutex::new(TableView { segments: Arc::new([]), sealed_until: i64::MIN, version: -1 }),
            retired: Mutex::new(HashMap::new()),
            metadata: MetadataCache::new(memory),
            pending: PendingFiles::default(),
            disk,
            shared,
            idle: at_rest && !shared,
            searched: Mutex::new(None),
            compaction,
        };
        let delta = table.delta.lock().await;
        table.check_schema(&delta)?;
        table.update_view(&delta).await?;
        drop(delta);
        Ok(table)
    }

    /// The table's description.
    pub fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// The name of this data folder in the log.
    pub fn writer_id(&self) -> &str {
        &self.writer_id
    }

    /// The disk that the segments lie on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// What the log said at the last look.
    pub fn view(&self) -> TableView {
        self.view.lock().clone()
    }

    /// Looks at the log again.
    pub async fn refresh(&self) -> Result<TableView> {
        let mut delta = self.delta.lock().await;
        self.reload(&mut delta).await
    }

    /// Begins a segment of an epoch. It is part of the table once [`Table::commit_seal`] has committed it.
    pub fn segment_writer(&self, tenant: &str, date: &str, epoch: i64) -> Result<SegmentWriter> {
        let file = filenames::segment_file(&self.writer_id, epoch, self.next_attempt());
        self.writer_of(tenant, date, &file)
    }

    /// Begins a segment that is made of others, the latest of `epoch`. It is part of the table once [`Table::commit_replace`] has
    /// committed it.
    pub fn compacted_writer(&self, tenant: &str, date: &str, epoch: i64, level: u8) -> Result<SegmentWriter> {
        let file = filenames::compacted_file(&self.writer_id, epoch, self.next_attempt(), level.max(1));
        self.writer_of(tenant, date, &file)
    }

    /// A segment that is uploaded and no part of the table, to be read by who made it and holds it.
    pub fn uncommitted(&self, segment: &NewSegment) -> Arc<Segment> {
        Arc::new(segment.to_segment(&self.spec))
    }

    /// A number that no attempt had before: they count from the time of the start, so that no file of an earlier process
    /// is overwritten.
    fn next_attempt(&self) -> u64 {
        let attempt = self.attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        attempt + u64::try_from(self.clock.now_ms()).unwrap_or(0)
    }

    fn writer_of(&self, tenant: &str, date: &str, file: &str) -> Result<SegmentWriter> {
        if !is_tenant(tenant) {
            return Err(Error::invalid(format!(
                "cannot write segment: tenant {tenant:?} has other characters than letters, digits, '_' and '-'"
            )));
        }
        if !calendar::is_date(date) {
            return Err(Error::invalid(format!(
                "cannot write segment: date {date:?} is none from 0001-01-01 to 9999-12-31"
            )));
        }
        let path = format!("tenant={tenant}/date={date}/{file}");
        let partition = [tenant, date].map(str::to_owned);
        SegmentWriter::new(&self.spec, self.store.clone(), path, partition, &self.pending)
    }

    /// Commits the segments of an epoch and that it is sealed, exactly once: if the log has the epoch already, which an earlier
    /// attempt cannot always know, nothing changes. After an error the epoch may be sealed; the next look tells.
    pub async fn commit_seal(&self, epoch: i64, segments: &[NewSegment]) -> Result<TableView> {
        let mut delta = self.delta.lock().await;
        let view = self.reload(&mut delta).await?;
        if view.sealed_until >= epoch {
            return Ok(view);
        }
        let now_ms = self.clock.now_ms();
        let adds = segments.iter().map(|s| Action::Add(s.add(now_ms, true))).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(PARTITIONS.map(str::to_owned).to_vec()),
            predicate: None,
        };
        let txn = Transaction::new_with_last_update(&self.app_id, epoch, Some(now_ms));
        match self.commit(&mut delta, adds, vec![txn], operation, COMMIT_RETRIES).await {
            Ok(view) => Ok(view),
            Err(error) => match self.reload(&mut delta).await {
                Ok(view) if view.sealed_until >= epoch => Ok(view),
                _ => Err(error.context(format!("cannot seal epoch {epoch}"))),
            },
        }
    }

    /// Takes segments out of the table. Their files go with the next [`Table::vacuum`] after the last reader.
    pub async fn remove(&self, paths: &[String]) -> Result<TableView> {
        let mut delta = self.delta.lock().await;
        self.reload(&mut delta).await?;
        let removes = self.remove_actions(&delta, paths, true)?;
        if removes.is_empty() {
            return Ok(self.view());
        }
        let operation = DeltaOperation::Delete { predicate: None };
        self.commit(&mut delta, removes, Vec::new(), operation, COMMIT_RETRIES).await
    }

    /// Puts segments in the place of others, in one commit. `None` if the log does not have all of the others any more, because someone
    /// removed or replaced them first: then nothing changes, and the new files go with the next vacuum once they are dropped.
    /// `data_change` says whether the rows differ, and not only their arrangement.
    pub async fn commit_replace(
        &self,
        removes: &[String],
        adds: &[NewSegment],
        data_change: bool,
    ) -> Result<Option<TableView>> {
        if removes.is_empty() && adds.is_empty() {
            return Ok(Some(self.view()));
        }
        let mut delta = self.delta.lock().await;
        let mut view = self.reload(&mut delta).await?;
        let mut attempts = 0;
        loop {
            let mut actions = self.remove_actions(&delta, removes, data_change)?;
            if actions.len() < removes.len() {
                return Ok(None);
            }
            let now_ms = self.clock.now_ms();
            actions.extend(adds.iter().map(|s| Action::Add(s.add(now_ms, data_change))));
            let operation = match data_change {
                false => DeltaOperation::Optimize { predicate: None, target_size: SEGMENT_TARGET_BYTES },
                true => DeltaOperation::Delete { predicate: None },
            };
            // Never on top of a commit that was not looked at: the Delta library takes two rearrangements of one file for compatible.
            let error = match self.commit(&mut delta, actions, Vec::new(), operation, 0).await {
                Ok(view) => return Ok(Some(view)),
                Err(error) => error,
            };
            // The commit may have happened although its answer was lost, or another one may have come before it.
            let (before, after) = (view, self.reload(&mut delta).await?);
            let active = |path: &str| after.segments.iter().any(|s| s.path() == path);
            let gone = removes.iter().all(|path| !active(path));
            if gone && adds.iter().all(|s| active(s.path())) {
                return Ok(Some(after));
            }
            attempts += 1;
            let unchanged = before.version == after.version;
            if attempts > COMMIT_ROUNDS || unchanged {
                return Err(error.context("cannot replace segments"));
            }
            view = after;
            tokio::time::sleep(self.commit_pause(attempts)).await;
        }
    }

    fn remove_actions(&self, delta: &DeltaTable, paths: &[String], data_change: bool) -> Result<Vec<Action>> {
        let snapshot = delta.snapshot().map_err(|e| self.error("read the log of", &e))?;
        let paths: HashSet<&str> = paths.iter().map(String::as_str).collect();
        Ok(snapshot
            .log_data()
            .into_iter()
            .filter(|f| paths.contains(f.object_store_path().as_ref()))
            .map(|f| {
                // Whether a file may go is decided by this clock too.
                let deletion_timestamp = Some(self.clock.now_ms());
                Action::Remove(Remove { deletion_timestamp, ..f.remove_action(data_change) })
            })
            .collect())
    }

    async fn commit(
        &self,
        delta: &mut DeltaTable,
        actions: Vec<Action>,
        txns: Vec<Transaction>,
        operation: DeltaOperation,
        // Tries on top of commits of others that do not conflict; 0 to fail when there is any.
        retries: usize,
    ) -> Result<TableView> {
        let mut round = 0;
        let committed = loop {
            let properties = CommitProperties::default()
                .with_application_transactions(txns.clone())
                .with_max_retries(retries);
            // Also in later rounds what came since this state is checked for conflicts with it.
            let snapshot = delta.snapshot().map_err(|e| self.error("commit to", &e))?;
            let tried = CommitBuilder::from(properties)
                .with_actions(actions.clone())
                .build(Some(snapshot as &dyn TableReference), delta.log_store(), operation.clone())
                .await;
            match tried {
                Ok(committed) => break committed,
                Err(e) if is_overtaken(&e) && retries > 0 && round < COMMIT_ROUNDS => {
                    round += 1;
                    tokio::time::sleep(self.commit_pause(round)).await;
                }
                Err(e) => return Err(self.error("commit to", &e)),
            }
        };
        delta.state = Some(committed.snapshot());
        self.update_view(delta).await
    }

    /// The pause before another round of commits: longer each time, and not the same for any two writers, who would meet again.
    fn commit_pause(&self, round: u32) -> Duration {
        let salt = format!("{} {} {round}", self.writer_id, self.clock.monotonic().as_nanos());
        let fraction = f64::from(crc32c::crc32c(salt.as_bytes())) / f64::from(u32::MAX);
        COMMIT_PAUSE.mul_f64(f64::from(1_u32 << round.min(16)) * (0.5 + fraction / 2.0))
    }

    async fn reload(&self, delta: &mut DeltaTable) -> Result<TableView> {
        // Boxed: it is large, and every future that looks at the log would be as large.
        Box::pin(delta.update_state()).await.map_err(|e| self.error("read the log of", &e))?;
        self.update_view(delta).await
    }

    /// Makes the view say what the loaded state of the log says. Segments that stay keep their identity.
    async fn update_view(&self, delta: &DeltaTable) -> Result<TableView> {
        let fail = |e: &DeltaTableError| self.error("read the log of", e);
        let snapshot = delta.snapshot().map_err(|e| fail(&e))?;
        let sealed_until = snapshot
            .transaction_version(delta.log_store().as_ref(), &self.app_id)
            .await
            .map_err(|e| fail(&e))?
            .unwrap_or(i64::MIN);
        let before = self.view();
        let known: HashMap<&str, &Arc<Segment>> = before.segments.iter().map(|s| (s.path(), s)).collect();
        let mut segments = Vec::new();
        for file in snapshot.log_data() {
            let path = file.object_store_path();
            match known.get(path.as_ref()) {
                Some(segment) => segments.push((*segment).clone()),
                None => segments.push(Arc::new(Segment::from_log(&self.spec, &file, &path))),
            }
        }
        segments.sort_by(|a, b| (a.time().start_ms, a.path()).cmp(&(b.time().start_ms, b.path())));
        let active: HashSet<&str> = segments.iter().map(|s| s.path()).collect();
        let mut retired = self.retired.lock();
        for gone in before.segments.iter().filter(|s| !active.contains(s.path())) {
            retired.insert(gone.path().to_owned(), Arc::downgrade(gone));
            self.metadata.remove(gone.path());
        }
        drop(retired);
        let version = i64::try_from(snapshot.version()).unwrap_or(i64::MAX);
        let view = TableView { segments: segments.into(), sealed_until, version };
        *self.view.lock() = view.clone();
        Ok(view)
    }

    /// Refuses a table of other columns rather than misread it.
    fn check_schema(&self, delta: &DeltaTable) -> Result<()> {
        let snapshot = delta.snapshot().map_err(|e| self.error("open", &e))?;
        let want = kernel_schema(&self.spec).map_err(|e| self.error("open", &e))?;
        let missing: Vec<&str> = want
            .fields()
            .filter(|f| {
                snapshot.schema().field(f.name()).is_none_or(|have| have.data_type() != f.data_type())
            })
            .map(|f| f.name().as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "cannot open table {}: its columns {missing:?} are missing or of another type",
            self.spec.name
        )))
    }

    fn error(&self, verb: &str, e: &DeltaTableError) -> Error {
        delta_error(verb, self.spec.name, e)
    }
}

impl Segment {
    /// Reads what the log says of a segment.
    fn from_log(spec: &TableSpec, file: &LogicalFileView, path: &Path) -> Self {
        #[expect(deprecated, reason = "nothing else tells the tags")]
        let tags = file.add_action().tags;
        let mut partitions = file.partition_values_map();
        let mut partition = |name: &str| partitions.remove(name).flatten().unwrap_or_default();
        Self::new(
            path.to_string(),
            u64::try_from(file.size()).unwrap_or(0),
            statistics::read(spec, file.stats().as_deref()),
            PARTITIONS.map(&mut partition),
            segment::checksum(tags.as_ref()),
        )
    }
}

/// Whether a tenant's name can be part of a path.
pub(crate) fn is_tenant(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The times of a column as they are stored, whatever its type.
pub(crate) fn times(batch: &RecordBatch, column: &str) -> Result<Int64Array> {
    let values = batch.column_by_name(column).and_then(|values| cast(values, &DataType::Int64).ok());
    values
        .map(|values| values.as_primitive::<Int64Type>().clone())
        .ok_or_else(|| Error::corrupt(format!("cannot read times: {column} is missing or of another type")))
}

/// Bytes of the rows of a batch, without what its buffers have room for.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| data.get_buffer_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

async fn create(
    spec: &TableSpec,
    log_store: deltalake_core::logstore::LogStoreRef,
) -> Result<DeltaTable, DeltaTableError> {
    CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(spec.name)
        // Another process may be creating it in this moment.
        .with_save_mode(SaveMode::Ignore)
        // The second would otherwise describe the table anew behind the first one's commits, which fails those that come after.
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .with_columns(kernel_schema(spec)?.fields().cloned())
        .with_partition_columns(PARTITIONS)
        .with_configuration_property(
            TableProperty::CheckpointInterval,
            Some(COMMITS_PER_CHECKPOINT.to_string()),
        )
        .await
}

fn kernel_schema(spec: &TableSpec) -> Result<StructType, DeltaTableError> {
    let mut fields = vec![
        Arc::new(Field::new(PARTITIONS[0], DataType::Utf8, false)),
        Arc::new(Field::new(PARTITIONS[1], DataType::Date32, false)),
    ];
    fields.extend(spec.schema.fields().iter().cloned());
    Ok((&Schema::new(fields)).try_into_kernel()?)
}

/// Whether other writers were faster at every try.
fn is_overtaken(e: &DeltaTableError) -> bool {
    matches!(e, DeltaTableError::Transaction { source: TransactionError::MaxCommitAttempts(_) })
}

fn delta_error(verb: &str, table: &str, e: &DeltaTableError) -> Error {
    Error::unavailable(format!("cannot {verb} table {table}: {}", explain::cause(e)))
}
