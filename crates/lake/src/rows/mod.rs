//! The generic store of rows: every table of the catalogue is kept by one of these.
//!
//! A batch of rows is checked, logged, and then visible in memory; what is in memory is sealed by age and by size into sorted segments, one for
//! each tenant and UTC date, which one commit to the Delta log adds exactly once; then its log goes. Epochs of the log are counted: each
//! attempt to seal closes one. Readers see segments and memory as one.
//!
//! Does not know what rows mean, and does not merge segments.

mod check;
mod export;
mod head;
mod log;
mod metrics;
mod read;
mod record;
mod seal;
mod snapshot;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use base::{Clock, Error, Result, TimeRange};
use parking_lot::RwLock;
use prometheus::Registry;

use crate::Lake;
use crate::limits;
use crate::table::{Table, TableSpec, TableView};
use crate::wal::{ReplayFrom, ReplayReport, Wal, WalOptions, replay};
use check::Rows;
use head::Head;
use log::{Append, RowLog};
use metrics::RowMetrics;
pub use tail::{RowTail, TailedRows};

/// How a store keeps its rows.
#[derive(Debug, Clone)]
pub struct RowOptions {
    /// Bytes in memory after which rows are sealed.
    pub seal_bytes: usize,
    /// Time in memory after which rows are sealed.
    pub seal_age: Duration,
    /// Bytes in memory at which appends are refused.
    pub head_bytes: usize,
    /// How long rows are kept; `None` for as long as nobody removes them.
    pub retention: Option<Duration>,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            seal_bytes: limits::SEAL_BYTES,
            seal_age: limits::SEAL_AGE,
            head_bytes: limits::HEAD_BYTES,
            retention: None,
        }
    }
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowMaintenance {
    /// Rows sealed.
    pub sealed_rows: u64,
    /// Segments removed because of their age.
    pub expired: usize,
    /// Files deleted.
    pub vacuumed: usize,
}

/// What readers and the writer share.
struct State {
    head: Head,
    view: TableView,
}

/// The rows of one table: durable once appended, visible from then on until they are removed.
pub struct RowStore {
    table: Arc<Table>,
    options: RowOptions,
    clock: Arc<dyn Clock>,
    state: Arc<RwLock<State>>,
    wal: Wal<RowLog>,
    metrics: Arc<RowMetrics>,
    /// Wakes whoever waits for enough rows to seal.
    large: Arc<tokio::sync::Notify>,
    /// Held by the one round of maintenance that may run; whether files may lie about that are no part of the table.
    maintenance: tokio::sync::Mutex<bool>,
    lake: Arc<Lake>,
}

impl RowStore {
    /// Opens the store of a table and replays what was not sealed.
    pub async fn open(
        lake: Arc<Lake>,
        spec: TableSpec,
        options: RowOptions,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = Arc::new(RowMetrics::register(registry, spec.name)?);
        let table = Arc::new(lake.table(spec).await?);
        let clock = lake.clock().clone();
        let view = table.view();
        let started = clock.monotonic();
        let (head, report) = {
            let (lake, table, view, now_ms) = (lake.clone(), table.clone(), view.clone(), clock.now_ms());
            tokio::task::spawn_blocking(move || replay_rows(&lake, table.spec(), &view, now_ms))
                .await
                .map_err(|e| Error::internal(format!("cannot replay the WAL of rows: {e}")))??
        };
        metrics.replay_seconds.set(clock.monotonic().saturating_sub(started).as_secs_f64());
        metrics.wal_corruptions.inc_by(report.corruptions.len() as u64);
        let state = Arc::new(RwLock::new(State { head, view }));
        let large = Arc::new(tokio::sync::Notify::new());
        let client = RowLog {
            state: state.clone(),
            metrics: metrics.clone(),
            options: options.clone(),
            clock: clock.clone(),
            large: large.clone(),
        };
        let wal_options = WalOptions {
            fs: lake.fs().clone(),
            dir: lake.wal_dir(table.spec().name),
            clock: clock.clone(),
            metrics: metrics.wal.clone(),
            reserve: lake.reserve().clone(),
        };
        let wal = Wal::start(wal_options, &report, client)?;
        let maintenance = tokio::sync::Mutex::new(true);
        let store = Self { table, options, clock, state, wal, metrics, large, maintenance, lake };
        store.update_gauges();
        Ok(store)
    }

    /// Appends rows of a tenant, whose columns are those of the table, in order, with buffers of their own. Once it resolves they are
    /// durable and visible. After an error none is visible, but where the log failed some may come back with the next start.
    pub async fn append(&self, tenant: &str, batch: &RecordBatch) -> Result<()> {
        let outcome = self.try_append(tenant, batch).await;
        if outcome.is_err() {
            self.metrics.refused.inc();
        }
        outcome
    }

    async fn try_append(&self, tenant: &str, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::check(self.table.spec(), tenant, batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let item = Append::new(rows)?;
        let bytes = item.bytes();
        self.wal.append(item, bytes).await?
    }

    /// Resolves when so many rows are in memory that [`RowStore::maintain`] has something to seal.
    pub async fn wait_until_large(&self) {
        self.large.notified().await;
    }

    /// Seals rows that are old or many enough, removes segments older than retention and deletes files that are no part of the
    /// table. To be called every few seconds, and when [`RowStore::wait_until_large`] resolves. What fails is tried again
    /// by the next call.
    pub async fn maintain(&self) -> Result<RowMaintenance> {
        let mut litter = self.maintenance.lock().await;
        let now_ms = self.clock.now_ms();
        self.wal.sweep_held();
        let due = self.state.read().head.is_due(now_ms, self.options.seal_bytes, self.options.seal_age);
        let mut done = RowMaintenance::default();
        // A seal that fails, on a full disk say, must not keep retention from making room.
        let mut sealed = if due { self.seal_all(&mut litter).await } else { Ok(0) };
        if sealed.is_err() && self.lake.reserve().give_way() {
            sealed = self.seal_all(&mut litter).await;
        }
        let expired = self.expire(now_ms, &mut litter, &mut done).await;
        // Whatever the log of the table has been found to say, also if its answer to a commit was lost.
        self.install(self.table.view());
        self.update_gauges();
        done.sealed_rows = sealed?;
        expired.map(|()| done)
    }

    /// Seals everything that was appended before. Returns how many rows.
    pub async fn seal(&self) -> Result<u64> {
        let mut litter = self.maintenance.lock().await;
        let sealed = self.seal_all(&mut litter).await;
        self.install(self.table.view());
        self.update_gauges();
        sealed
    }

    async fn expire(&self, now_ms: i64, litter: &mut bool, done: &mut RowMaintenance) -> Result<()> {
        if let Some(retention) = self.options.retention {
            let kept_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
            let oldest_ms = now_ms.saturating_sub(kept_ms);
            let view = self.table.view();
            let old = view.segments.iter().filter(|s| s.time().end_ms < oldest_ms);
            let old: Vec<String> = old.map(|s| s.path().to_owned()).collect();
            // Its segments would count as held by a reader.
            drop(view);
            if !old.is_empty() {
                *litter = true;
                self.install(self.table.remove(&old).await?);
                done.expired = old.len();
            }
        }
        if *litter {
            done.vacuumed = self.table.vacuum().await?;
            *litter = false;
        }
        Ok(())
    }

    /// Finishes appends under way and refuses later ones. Nothing needs to be sealed: the log has it.
    pub async fn close(&self) -> Result<()> {
        let _one = self.maintenance.lock().await;
        self.wal.close().await
    }

    /// The table, for those who merge or remove its segments.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Lets readers see what others did to the table: its log is read again.
    pub async fn refresh(&self) -> Result<()> {
        let view = self.table.refresh().await?;
        self.install(view);
        Ok(())
    }

    /// Rows and bytes in memory.
    pub fn head_size(&self) -> (u64, usize) {
        let state = self.state.read();
        (state.head.rows(), state.head.bytes())
    }

    /// First and last millisecond of everything stored.
    pub fn time(&self) -> Option<TimeRange> {
        let state = self.state.read();
        let segments = state.view.segments.iter().map(|s| s.time());
        segments
            .chain(state.head.time())
            .reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)))
    }

    /// Makes what the log of the table says visible, and drops from memory what it says is sealed, in one step.
    fn install(&self, view: TableView) {
        let mut state = self.state.write();
        state.head.drop_until(view.sealed_until);
        state.view = view;
    }

    fn update_gauges(&self) {
        let state = self.state.read();
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.head_rows.set(gauge(state.head.rows()));
        self.metrics.head_bytes.set(gauge(state.head.bytes() as u64));
        self.metrics.segments.set(gauge(state.view.segments.len() as u64));
        self.metrics.segment_bytes.set(gauge(state.view.segments.iter().map(|s| s.size_bytes()).sum()));
    }
}

/// Whether a start could take a record of the log.
pub(crate) fn check_record(spec: &TableSpec, payload: &[u8]) -> Result<()> {
    read_record(spec, payload).map(|_| ())
}

fn read_record(spec: &TableSpec, payload: &[u8]) -> Result<Rows> {
    let (tenant, batch) = record::decode(payload)?;
    Rows::check(spec, &tenant, &record::adapt(spec, &batch)?)
}

/// Rebuilds the head from the log.
fn replay_rows(lake: &Lake, spec: &TableSpec, view: &TableView, now_ms: i64) -> Result<(Head, ReplayReport)> {
    let mut head = Head::new(view.sealed_until);
    let from = ReplayFrom { sealed_until: view.sealed_until, sequence: 0 };
    let mut sink = |origin: crate::Origin, payload: &[u8]| {
        head.replay(origin.epoch, read_record(spec, payload)?, now_ms);
        Ok(())
    };
    let report = replay(lake.fs(), &lake.wal_dir(spec.name), from, &mut sink)?;
    Ok((head, report))
}
