//! The metric store: append, select, and what keeps it in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, BinaryArray};
use base::{Clock, Error, Labels, Matcher, Result, SeriesSample, TimeRange};
use futures::StreamExt;
use lake::{Lake, ReplayReport, Segment, Table, TableView, Wal, WalOptions};
use parking_lot::RwLock;
use prometheus::Registry;
use rustc_hash::FxHashSet;

use crate::head::Head;
use crate::limits;
use crate::log::{Batch, HeadLog, State};
use crate::metrics::StoreMetrics;
use crate::record::RecordReader;
use crate::select::{Gather, SelectedSeries};
use crate::stats::{self, StoreStats};
use crate::table::{self, LABELS, METRICS_TABLE, column};

/// How a store keeps its samples.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How long samples are kept.
    pub retention: Duration,
    /// The length of a window, which becomes one segment. Divides a day.
    pub block: Duration,
    /// Whose samples these are: letters, digits, `_` and `-`.
    pub tenant: String,
    /// Bytes of chunks and labels that one selection may gather.
    pub select_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(15 * 86_400),
            block: Duration::from_secs(7200),
            tenant: "default".into(),
            select_bytes: limits::SELECT_BYTES,
        }
    }
}

/// What became of the samples of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Stored.
    pub accepted: u64,
    /// Stored before, with the same value: nothing to do.
    pub repeated: u64,
    /// Refused: a later sample of the series is stored ("out of order sample").
    pub out_of_order: u64,
    /// Refused: the time is stored with another value ("duplicate sample for timestamp").
    pub duplicate: u64,
    /// Refused: the window is sealed, the time is beyond retention, or too far in the future ("out of bounds").
    pub out_of_bounds: u64,
    /// Series that the head did not have.
    pub new_series: u64,
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Windows sealed.
    pub sealed: usize,
    /// Segments removed because of their age.
    pub expired: usize,
    /// Files deleted.
    pub vacuumed: usize,
}

/// The samples of one tenant: durable once appended, selectable from then on until retention takes them.
pub struct MetricStore {
    pub(crate) table: Table,
    pub(crate) options: StoreOptions,
    pub(crate) block_ms: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) wal: Wal<HeadLog>,
    pub(crate) metrics: Arc<StoreMetrics>,
    /// Held by the one round of maintenance that may run.
    maintenance: tokio::sync::Mutex<()>,
    _lake: Arc<Lake>,
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
        let view = table.view();
        let started = clock.monotonic();
        let (head, report) = {
            let (lake, sealed_until) = (lake.clone(), view.sealed_until);
            tokio::task::spawn_blocking(move || replay(&lake, sealed_until, block_ms))
                .await
                .map_err(|e| Error::internal(format!("cannot replay the WAL of metrics: {e}")))??
        };
        metrics.replay_seconds.set(clock.monotonic().saturating_sub(started).as_secs_f64());
        metrics.wal_corruptions.inc_by(report.corruptions.len() as u64);
        let windows = head.windows();
        let state = State { head, min_valid_ms: view.sealed_until, view };
        let state = Arc::new(RwLock::new(state));
        let client =
            HeadLog { state: state.clone(), metrics: metrics.clone(), block_ms, generation: 1, windows };
        let wal_options = WalOptions {
            fs: lake.fs().clone(),
            dir: lake.wal_dir(METRICS_TABLE),
            clock: clock.clone(),
            metrics: metrics.wal.clone(),
        };
        let wal = Wal::start(wal_options, &report, client)?;
        let maintenance = tokio::sync::Mutex::new(());
        let store = Self { table, options, block_ms, clock, state, wal, metrics, maintenance, _lake: lake };
        store.update_gauges();
        Ok(store)
    }

    /// Appends samples. Once it resolves those accepted are durable and selectable; the others were refused for the reasons
    /// counted. After an error none of them is stored, and the same append may be tried again.
    pub async fn append(&self, samples: &[SeriesSample]) -> Result<AppendOutcome> {
        if let Some(large) = samples.iter().find(|s| s.labels.size_bytes() > limits::LABEL_SET_BYTES) {
            return Err(Error::limit(format!(
                "cannot append sample of {:?}: its labels have {} bytes (limit label_set_bytes is {})",
                large.labels.metric().chars().take(100).collect::<String>(),
                large.labels.size_bytes(),
                limits::LABEL_SET_BYTES,
            )));
        }
        let now_ms = self.clock.now_ms();
        let oldest_ms = now_ms.saturating_sub(millis(self.options.retention)).max(0);
        let bounds_ms = (oldest_ms, now_ms.saturating_add(millis(limits::MAX_AHEAD)));
        let bytes = samples.iter().map(|s| size_of::<SeriesSample>() + s.labels.size_bytes()).sum();
        self.wal.append(Batch::new(samples.to_vec(), bounds_ms), bytes).await
    }

    /// Gathers the chunks of the series that satisfy all matchers, with samples in the range, both ends included.
    pub async fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SelectedSeries> {
        let mut gather = Gather::new(self.options.select_bytes);
        // One look at both: a window is either in the head or in the segments.
        let (segments, head) = {
            let state = self.state.read();
            (self.segments(&state.view, range), state.head.select(matchers, range))
        };
        gather.add_head(head)?;
        let scan = table::scan(matchers, range, Gather::COLUMNS.to_vec());
        for segment in segments {
            let mut batches = self.table.scan(&segment, &scan).await?;
            while let Some(batch) = batches.next().await {
                gather.add_segment(&batch?)?;
            }
        }
        Ok(gather.finish(range))
    }

    /// The series that satisfy any of the sets of matchers and have chunks in the range, in order; no set means all. At most `limit`.
    pub async fn series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>> {
        let mut found = FxHashSet::default();
        self.visit_series(matcher_sets, range, &mut |labels| {
            found.insert(labels.clone());
        })
        .await?;
        let mut found: Vec<Labels> = found.into_iter().collect();
        found.sort_unstable();
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// The label names of those series, sorted.
    pub async fn label_names(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        self.visit_series(matcher_sets, range, &mut |labels| {
            for (name, _) in labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        })
        .await?;
        Ok(names.into_iter().collect())
    }

    /// The values that a label has in those series, sorted.
    pub async fn label_values(
        &self,
        name: &str,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let mut values: BTreeSet<String> = BTreeSet::new();
        self.visit_series(matcher_sets, range, &mut |labels| {
            if let Some(value) = labels.get(name)
                && !values.contains(value)
            {
                values.insert(value.to_owned());
            }
        })
        .await?;
        Ok(values.into_iter().collect())
    }

    /// Seals windows half a block after their end, removes segments older than retention and deletes their files. To be
    /// called every minute or so. What fails is tried again by the next call.
    pub async fn maintain(&self) -> Result<Maintenance> {
        let _one = self.maintenance.lock().await;
        let mut done = Maintenance::default();
        let now_ms = self.clock.now_ms();
        // A seal that fails, on a full disk say, must not keep retention from making room.
        let sealed = self.seal_complete(now_ms, &mut done).await;
        let expired = self.expire(now_ms, &mut done).await;
        // Whatever the log of the table has been found to say, also if its answer to a commit was lost.
        self.install(self.table.view());
        self.update_gauges();
        sealed.and(expired).map(|()| done)
    }

    async fn seal_complete(&self, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        let windows = self.state.read().head.windows();
        // Half a block is the time that samples may be late, as in Prometheus.
        for end_ms in windows.into_iter().filter(|end| end.saturating_add(self.block_ms / 2) <= now_ms) {
            self.seal(end_ms).await?;
            done.sealed += 1;
        }
        Ok(())
    }

    async fn expire(&self, now_ms: i64, done: &mut Maintenance) -> Result<()> {
        let oldest_ms = now_ms.saturating_sub(millis(self.options.retention));
        let view = self.table.view();
        let expired: Vec<String> = view
            .segments
            .iter()
            .filter(|s| s.tenant() == self.options.tenant && s.time().end_ms < oldest_ms)
            .map(|s| s.path().to_owned())
            .collect();
        // Its segments would count as held by a reader.
        drop(view);
        if !expired.is_empty() {
            self.install(self.table.remove(&expired).await?);
            self.metrics.time_retentions.inc();
            done.expired = expired.len();
        }
        done.vacuumed = self.table.vacuum().await?;
        Ok(())
    }

    /// Finishes appends under way and refuses later ones. Nothing needs to be sealed: the log has it.
    pub async fn close(&self) -> Result<()> {
        let _one = self.maintenance.lock().await;
        self.wal.close().await
    }

    /// Statistics of the head.
    pub fn stats(&self) -> StoreStats {
        stats::of_head(&self.state.read().head)
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

    /// Brings the gauges up to date. Looks at every series of the head.
    pub fn update_gauges(&self) {
        let state = self.state.read();
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.head_series.set(gauge(state.head.series_count()));
        self.metrics.head_chunks.set(gauge(state.head.chunk_count()));
        let time = state.head.time().unwrap_or(TimeRange::new(0, 0));
        self.metrics.head_min_time.set(time.start_ms);
        self.metrics.head_max_time.set(time.end_ms);
        self.metrics.blocks_loaded.set(gauge(state.view.segments.len()));
        let bytes: u64 = state.view.segments.iter().map(|s| s.size_bytes()).sum();
        self.metrics.blocks_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Makes what the log of the table says visible, and drops from the head what it says is sealed, in one step.
    pub(crate) fn install(&self, view: TableView) {
        let mut state = self.state.write();
        let before = state.head.series_count();
        state.head.drop_until(view.sealed_until);
        self.metrics.series_removed.inc_by((before - state.head.series_count()) as u64);
        state.min_valid_ms = state.min_valid_ms.max(view.sealed_until);
        state.view = view;
    }

    fn segments(&self, view: &TableView, range: TimeRange) -> Vec<Arc<Segment>> {
        let wanted = |s: &&Arc<Segment>| s.tenant() == self.options.tenant && s.time().overlaps(range);
        view.segments.iter().filter(wanted).cloned().collect()
    }

    /// Calls `visit` for every series at least once.
    async fn visit_series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        visit: &mut (dyn FnMut(&Labels) + Send),
    ) -> Result<()> {
        let all = [Vec::new()];
        let sets = if matcher_sets.is_empty() { &all } else { matcher_sets };
        let (segments, head) = {
            let state = self.state.read();
            let head: Vec<Labels> = sets.iter().flat_map(|m| state.head.labels(m, range)).collect();
            (self.segments(&state.view, range), head)
        };
        head.iter().for_each(&mut *visit);
        for matchers in sets {
            let scan = table::scan(matchers, range, vec![LABELS]);
            for segment in &segments {
                let mut batches = self.table.scan(segment, &scan).await?;
                while let Some(batch) = batches.next().await {
                    let batch = batch?;
                    let labels: &BinaryArray = column(&batch, LABELS)?;
                    for row in 0..labels.len() {
                        // A series with several chunks has them in consecutive rows.
                        if row == 0 || labels.value(row) != labels.value(row - 1) {
                            visit(&Labels::from_packed(labels.value(row))?);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Rebuilds the head from the log.
fn replay(lake: &Lake, sealed_until: i64, block_ms: i64) -> Result<(Head, ReplayReport)> {
    let mut head = Head::new(block_ms);
    let mut reader = RecordReader::default();
    let mut sink =
        |origin: lake::Origin, payload: &[u8]| reader.read(origin, payload, sealed_until, &mut head);
    let report = lake::replay(lake.fs(), &lake.wal_dir(METRICS_TABLE), sealed_until, &mut sink)?;
    if reader.orphans > 0 {
        tracing::error!(
            samples = reader.orphans,
            "samples in the WAL refer to labels that were lost with a damaged frame"
        );
    }
    Ok((head, report))
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
