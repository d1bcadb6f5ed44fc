//! The metric store: append, select, and what keeps it in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{BatchSeries, Clock, Error, Labels, Result, TimeRange, WriteBatch};
use lake::{Lake, ReplayReport, Table, TableView, Wal, WalOptions};
use parking_lot::{Mutex, RwLock};
use prometheus::Registry;
use tokio::sync::Notify;

use crate::blocks::BlockCache;
use crate::checkpoint::{self, Loaded, Manifest, NamesPart};
use crate::exemplars::ExemplarOutcome;
use crate::head::SeriesLimits;
use crate::inspect::Inspections;
use crate::limits;
use crate::log::{Batch, HeadLog, State, Terms};
use crate::metrics::StoreMetrics;
use crate::record::RecordReader;
use crate::retention::Retention;
use crate::rollup::{RollupOptions, Rollups};
use crate::stats::{self, SegmentStats, StoreStats};
use crate::table::{self, METRICS_TABLE};
use crate::tombstones::Tombstones;

/// How a store keeps its samples.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// What is kept at first, and how long; [`MetricStore::retain`] changes it.
    pub retention: Retention,
    /// The length of a window, which becomes one segment. Divides a day.
    pub block: Duration,
    /// Whose samples these are: letters, digits, `_` and `-`.
    pub tenant: String,
    /// Bytes of chunks and labels that one selection may gather.
    pub select_bytes: usize,
    /// What can be changed later.
    pub tunable: Tunable,
    /// The rollups that are made and kept. Hours are made from five minutes.
    pub rollups: Vec<RollupOptions>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            block: Duration::from_secs(7200),
            tenant: "default".into(),
            select_bytes: limits::SELECT_BYTES,
            tunable: Tunable::default(),
            rollups: RollupOptions::defaults(),
        }
    }
}

/// Why a sample is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// See [`AppendOutcome::out_of_order`].
    OutOfOrder,
    /// See [`AppendOutcome::too_old`].
    TooOld,
    /// See [`AppendOutcome::duplicate`].
    Duplicate,
    /// See [`AppendOutcome::out_of_bounds`].
    OutOfBounds,
    /// See [`AppendOutcome::limited`].
    Limited,
}

/// What became of the samples of an append.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Stored.
    pub accepted: u64,
    /// Stored before, with the same value: nothing to do.
    pub repeated: u64,
    /// Refused: a later sample of the series is stored ("out of order sample").
    pub out_of_order: u64,
    /// Refused: the time is stored with another value ("duplicate sample for timestamp").
    pub duplicate: u64,
    /// Stored, although later samples were stored before; counted in `accepted` too.
    pub late: u64,
    /// Refused: later samples are stored, and it is older than late ones may be ("too old sample").
    pub too_old: u64,
    /// Refused: a limit on the number of series is reached, and theirs would be new.
    pub limited: u64,
    /// Refused: it is half a block older than the latest sample, the window is sealed, the time is beyond retention, or too far in the future ("out of bounds").
    pub out_of_bounds: u64,
    /// Series that the head did not have.
    pub new_series: u64,
    /// Histograms among those accepted and repeated.
    pub histograms: u64,
    /// Why the first of those refused was, and its series, for whoever is told.
    pub first_refused: Option<(Refusal, Labels)>,
    /// What became of the exemplars; they are not among the counts above.
    pub exemplars: ExemplarOutcome,
}

impl AppendOutcome {
    /// Counts samples of a series that are refused.
    pub(crate) fn refuse(&mut self, why: Refusal, samples: u64, series: &BatchSeries<'_>) {
        let count = match why {
            Refusal::OutOfOrder => &mut self.out_of_order,
            Refusal::TooOld => &mut self.too_old,
            Refusal::Duplicate => &mut self.duplicate,
            Refusal::OutOfBounds => &mut self.out_of_bounds,
            Refusal::Limited => &mut self.limited,
        };
        *count += samples;
        if samples > 0 && self.first_refused.is_none() {
            self.first_refused = Some((why, series.to_labels()));
        }
    }
}

/// What can be changed while the store is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tunable {
    /// How much earlier than the latest sample of all others may be that come out of order, into windows that are
    /// sealed too. None by default, as in Prometheus.
    pub out_of_order: Duration,
    /// How many series there may be.
    pub series: SeriesLimits,
}

/// The samples of one tenant: durable once appended, selectable from then on until retention takes them.
pub struct MetricStore {
    pub(crate) table: Table,
    /// Of the table's segments.
    pub(crate) blocks: BlockCache,
    pub(crate) rollups: Rollups,
    pub(crate) options: StoreOptions,
    pub(crate) block_ms: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) wal: Wal<HeadLog>,
    pub(crate) metrics: Arc<StoreMetrics>,
    /// Held by the one round of maintenance that may run.
    pub(crate) maintenance: tokio::sync::Mutex<()>,
    /// Set when the store closes: compactions end early.
    pub(crate) stopping: AtomicBool,
    retention: RwLock<Arc<Retention>>,
    pub(crate) tombstones: Tombstones,
    pub(crate) inspections: Inspections,
    pub(crate) lake: Arc<Lake>,
    /// What can be changed while the store is open.
    tunable: RwLock<Tunable>,
    /// The last checkpoint.
    pub(crate) manifest: Mutex<Manifest>,
    /// The files of names of checkpoints, in order, for who follows the log.
    pub(crate) names_parts: Arc<Mutex<Vec<NamesPart>>>,
    pub(crate) catch_up_due: Notify,
    /// Tells appends that wait for room that a window was sealed.
    pub(crate) sealed: Notify,
    wal_files_replayed: usize,
}

impl MetricStore {
    /// Opens the store and replays what was not sealed.
    pub async fn open(
        lake: Arc<Lake>,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let block_ms = millis(options.block);
        if block_ms == 0 || 86_400_000 % block_ms != 0 {
            return Err(Error::invalid(
                "cannot open metric store: the block's duration does not divide a day",
            ));
        }
        let metrics = Arc::new(StoreMetrics::register(registry)?);
        let table = lake.table(table::spec()).await?;
        let rollups = Box::pin(Rollups::open(&lake, &options.rollups)).await?;
        let view = table.view();
        let started = clock.monotonic();
        let (loaded, report) = {
            let (lake, sealed_until) = (lake.clone(), view.sealed_until);
            tokio::task::spawn_blocking(move || replay(&lake, sealed_until, block_ms))
                .await
                .map_err(|e| Error::internal(format!("cannot replay the WAL of metrics: {e}")))??
        };
        metrics.replay_seconds.set(clock.monotonic().saturating_sub(started).as_secs_f64());
        metrics.wal_corruptions.inc_by((report.corruptions.len() + loaded.corruptions.len()) as u64);
        let mut head = loaded.head;
        head.note_received(clock.monotonic(), |_| true);
        let epochs = head.windows().iter().map(|w| w.end_ms).collect();
        let state = State { head, min_valid_ms: view.sealed_until, view };
        let state = Arc::new(RwLock::new(state));
        let client = HeadLog { state: state.clone(), metrics: metrics.clone(), generation: 1, epochs };
        let wal_options = WalOptions {
            fs: lake.fs().clone(),
            dir: lake.wal_dir(METRICS_TABLE),
            clock: clock.clone(),
            metrics: metrics.wal.clone(),
            reserve: lake.reserve().clone(),
        };
        let wal = Wal::start(wal_options, &report, client)?;
        let names_parts = loaded.manifest.names_parts(lake.fs(), &lake.wal_dir(METRICS_TABLE))?;
        let retention = RwLock::new(Arc::new(options.retention.clone()));
        let tombstones = Tombstones::open(&table, &options.tenant).await?;
        let blocks = BlockCache::new(lake.memory(), &metrics.block_lookups);
        let store = Self {
            table,
            blocks,
            tunable: RwLock::new(options.tunable),
            rollups,
            options,
            block_ms,
            clock,
            state,
            wal,
            metrics,
            maintenance: tokio::sync::Mutex::new(()),
            stopping: AtomicBool::new(false),
            retention,
            tombstones,
            inspections: Inspections::default(),
            wal_files_replayed: report.files,
            lake,
            names_parts: Arc::new(Mutex::new(names_parts)),
            manifest: Mutex::new(loaded.manifest),
            catch_up_due: Notify::new(),
            sealed: Notify::new(),
        };
        store.remove_stale_parts();
        store.update_gauges();
        Ok(store)
    }

    /// Changes what is kept, and how long: at once for what is seen, with the next maintenance for what is stored. What a longer
    /// age would have kept does not come back once it is removed.
    pub fn retain(&self, retention: Retention) {
        *self.retention.write() = Arc::new(retention);
    }

    pub(crate) fn retention(&self) -> Arc<Retention> {
        self.retention.read().clone()
    }

    /// Changes what can be changed while the store is open; appends that began before are not concerned.
    pub fn tune(&self, tunable: Tunable) {
        *self.tunable.write() = tunable;
    }

    /// Appends samples. Once it resolves those accepted are durable and selectable; the others were refused for the reasons
    /// counted. After an error none of them is stored, and the same append may be tried again.
    pub async fn append(&self, samples: WriteBatch) -> Result<AppendOutcome> {
        if let Some(large) = samples.series().find(|s| s.labels.len() > limits::LABEL_SET_BYTES) {
            return Err(Error::limit(format!(
                "cannot append sample of {:?}: its labels have {} bytes (limit label_set_bytes is {})",
                large.to_labels().metric().chars().take(100).collect::<String>(),
                large.labels.len(),
                limits::LABEL_SET_BYTES,
            )));
        }
        let now_ms = self.clock.now_ms();
        let tunable = *self.tunable.read();
        let terms = Terms {
            min_ms: self.retention().oldest_ms(now_ms).max(0),
            max_ms: now_ms.saturating_add(millis(limits::MAX_AHEAD)),
            late_ms: millis(tunable.out_of_order),
            limits: tunable.series,
            at: self.clock.monotonic(),
        };
        self.wait_for_room(now_ms, tunable.series.head_bytes).await?;
        let bytes = samples.size_bytes();
        let outcome = self.wal.append(Batch::new(samples, terms), bytes).await;
        self.ask_to_catch_up(now_ms);
        outcome
    }

    /// Looks at the log of the table again, for what others have changed.
    pub async fn refresh(&self) -> Result<()> {
        let view = self.table.refresh().await?;
        self.install(view);
        Ok(())
    }

    /// Lets maintenance that is under way end soon, with what it has finished.
    pub fn stop_maintenance(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The memory that it and those who ask it share.
    pub fn memory(&self) -> &Arc<lake::MemoryBudget> {
        self.lake.memory()
    }

    /// Finishes appends under way and refuses later ones. Nothing needs to be sealed: the log has it.
    pub async fn close(&self) -> Result<()> {
        self.stop_maintenance();
        let _one = self.maintenance.lock().await;
        self.wal.close().await
    }

    /// Statistics of the head.
    pub fn stats(&self) -> StoreStats {
        self.stats_with(limits::STATS_ENTRIES)
    }

    /// The same with lists of so many entries.
    pub fn stats_with(&self, entries: usize) -> StoreStats {
        stats::of_head(&self.state.read().head, entries)
    }

    /// The segments of samples, oldest first.
    pub fn segments_stored(&self) -> Vec<SegmentStats> {
        let state = self.state.read();
        let own = state.view.segments.iter().filter(|s| s.tenant() == self.options.tenant);
        let mut segments: Vec<SegmentStats> = own
            .map(|s| SegmentStats {
                path: s.path().to_owned(),
                time: s.time(),
                chunks: s.rows(),
                size_bytes: s.size_bytes(),
            })
            .collect();
        segments.sort_by(|a, b| a.time.start_ms.cmp(&b.time.start_ms).then_with(|| a.path.cmp(&b.path)));
        segments
    }

    /// Files of the write-ahead log that were read when the store was opened.
    pub fn wal_files_replayed(&self) -> usize {
        self.wal_files_replayed
    }

    /// Damaged places found in the write-ahead log since the store was opened.
    pub fn wal_corruptions(&self) -> u64 {
        self.metrics.wal_corruptions.get()
    }

    /// First and last millisecond of everything stored.
    pub fn time(&self) -> Option<TimeRange> {
        let state = self.state.read();
        let segments = state.view.segments.iter().map(|s| s.time());
        segments
            .chain(state.head.time())
            .reduce(|a, b| TimeRange::new(a.start_ms.min(b.start_ms), a.end_ms.max(b.end_ms)))
    }

    /// Brings the gauges up to date.
    pub fn update_gauges(&self) {
        let state = self.state.read();
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.head_series.set(gauge(state.head.series_count()));
        self.metrics.head_chunks.set(gauge(state.head.chunk_count()));
        let time = state.head.time().unwrap_or(TimeRange::new(0, 0));
        self.metrics.head_min_time.set(time.start_ms);
        self.metrics.head_max_time.set(time.end_ms);
        self.metrics.head_bytes.set(gauge(state.head.size_bytes()));
        self.lake.memory().note_used(lake::Pool::Head, state.head.size_bytes());
        self.metrics.blocks_loaded.set(gauge(state.view.segments.len()));
        let bytes: u64 = state.view.segments.iter().map(|s| s.size_bytes()).sum();
        self.metrics.blocks_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Makes what the log of the table says visible, and drops from the head what it says is sealed, in one step.
    pub(crate) fn install(&self, view: TableView) {
        let mut state = self.state.write();
        // Whoever looked at the log later may have been faster.
        if view.version < state.view.version {
            return;
        }
        let before = state.head.series_count();
        state.head.drop_until(view.sealed_until);
        self.metrics.series_removed.inc_by((before - state.head.series_count()) as u64);
        state.min_valid_ms = state.min_valid_ms.max(view.sealed_until);
        state.view = view;
    }
}

/// Rebuilds the head from the last checkpoint and the log behind it.
fn replay(lake: &Lake, sealed_until: i64, block_ms: i64) -> Result<(Loaded, ReplayReport)> {
    let dir = lake.wal_dir(METRICS_TABLE);
    lake.fs()
        .create_dir_all(&dir)
        .map_err(|e| Error::unavailable(format!("cannot create WAL folder {}: {e}", dir.display())))?;
    let mut loaded = checkpoint::load(lake.fs(), &dir, sealed_until, block_ms)?;
    let mut reader = RecordReader::new(sealed_until);
    let head = &mut loaded.head;
    let mut sink = |origin: lake::Origin, payload: &[u8]| reader.read(origin, payload, head);
    let from = lake::ReplayFrom { sealed_until, sequence: loaded.manifest.sequence };
    let report = lake::replay(lake.fs(), &dir, from, &mut sink)?;
    loaded.head.drop_idle();
    if reader.orphans > 0 {
        tracing::error!(
            samples = reader.orphans,
            "samples in the WAL refer to labels that were lost with a damaged frame"
        );
    }
    Ok((loaded, report))
}

pub(crate) fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
