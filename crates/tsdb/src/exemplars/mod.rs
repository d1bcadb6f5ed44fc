//! Exemplars: durable in the table `exemplars`, and the newest of them in memory.
//!
//! Owns which exemplars are taken, the memory of the newest ones, by which repeated ones are recognised, and reading both. Does not
//! own how rows get to the disk: that is `lake::RowStore`.

mod load;
mod metrics;
mod ring;
mod rows;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Exemplar, Labels, Matcher, Result, SeriesExemplar, TimeRange};
use lake::{Lake, RowOptions, RowStore};
use parking_lot::RwLock;
use prometheus::Registry;

use crate::limits::{
    EXEMPLAR_BATCH_BYTES, EXEMPLAR_BURST_BYTES, EXEMPLAR_HEAD_BYTES, EXEMPLAR_SEAL_AGE, EXEMPLAR_SEAL_BYTES,
    EXEMPLARS_PER_SELECT, MAX_AHEAD,
};
use crate::store::millis;
use metrics::ExemplarMetrics;
use ring::{Ring, Verdict};
pub use tail::ExemplarTail;

/// How exemplars are kept.
#[derive(Debug, Clone)]
pub struct ExemplarOptions {
    /// How many are kept in memory; with zero none are taken.
    pub in_memory: usize,
    /// How much earlier than the newest exemplar of its series one may be.
    pub out_of_order: Duration,
    /// How long they are kept on the disk.
    pub retention: Duration,
    /// Whose exemplars these are.
    pub tenant: String,
}

/// What became of the exemplars of an append.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExemplarOutcome {
    /// Stored.
    pub accepted: u64,
    /// Stored before: nothing to do.
    pub repeated: u64,
    /// Refused: a later exemplar of the series is stored.
    pub out_of_order: u64,
    /// Refused: their labels have too many characters, or their time cannot be stored or lies too far ahead.
    pub invalid: u64,
    /// Refused: they came with as many others as one append may store.
    pub beyond_burst: u64,
    /// Not taken, because none are.
    pub disabled: u64,
}

/// The exemplars of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// Its exemplars in order of time.
    pub exemplars: Vec<Exemplar>,
}

/// What a selection of exemplars found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SelectedExemplars {
    /// In order of labels.
    pub series: Vec<ExemplarSeries>,
    /// Whether there were more, older than these.
    pub truncated: bool,
}

/// By which times exemplars are taken.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// How much earlier than the newest one of its series an exemplar may be.
    out_of_order_ms: i64,
    /// The latest that it may be.
    latest_ms: i64,
}

/// What of an append is to be stored so far.
struct Fresh {
    /// What is refused is not stored: those of one append come one after the other, too.
    ring: Ring,
    bytes: usize,
}

/// The exemplars of one tenant: durable once appended.
pub struct ExemplarStore {
    rows: RowStore,
    ring: RwLock<Ring>,
    clock: Arc<dyn Clock>,
    out_of_order_ms: RwLock<i64>,
    tenant: String,
    metrics: ExemplarMetrics,
}

impl ExemplarStore {
    /// Opens the store and reads the newest exemplars into memory.
    pub async fn open(lake: Arc<Lake>, options: ExemplarOptions, registry: &Registry) -> Result<Self> {
        let metrics = ExemplarMetrics::register(registry)?;
        let row_options = RowOptions {
            seal_bytes: EXEMPLAR_SEAL_BYTES,
            seal_age: EXEMPLAR_SEAL_AGE,
            head_bytes: EXEMPLAR_HEAD_BYTES,
            retention: Some(options.retention),
        };
        let clock = Arc::clone(lake.clock());
        let opening = RowStore::open(lake, lake::catalog::EXEMPLARS.spec(), row_options, registry);
        let rows = Box::pin(opening).await?;
        let ring = Box::pin(load::newest(&rows, &options.tenant, options.in_memory)).await?;
        let store = Self {
            rows,
            ring: RwLock::new(ring),
            clock,
            out_of_order_ms: RwLock::new(millis(options.out_of_order)),
            tenant: options.tenant,
            metrics,
        };
        store.metrics.show(&store.ring.read());
        Ok(store)
    }

    /// Changes how many are kept in memory, and how late they may come.
    pub fn tune(&self, in_memory: usize, out_of_order: Duration) {
        *self.out_of_order_ms.write() = millis(out_of_order);
        let mut ring = self.ring.write();
        ring.resize(in_memory);
        self.metrics.show(&ring);
    }

    /// Stores exemplars; those accepted are durable when it resolves.
    pub async fn append(&self, exemplars: Vec<SeriesExemplar>) -> Result<ExemplarOutcome> {
        let mut outcome = ExemplarOutcome::default();
        let out_of_order_ms = *self.out_of_order_ms.read();
        let terms = Terms {
            out_of_order_ms,
            // One that is far ahead would make all that come later ones that come too late.
            latest_ms: self.clock.now_ms().saturating_add(millis(MAX_AHEAD)),
        };
        let new: Vec<SeriesExemplar> = {
            let ring = self.ring.read();
            let mut fresh = Fresh { ring: Ring::new(usize::MAX, i64::MIN), bytes: 0 };
            exemplars.into_iter().filter(|e| self.admit(&ring, &mut fresh, e, terms, &mut outcome)).collect()
        };
        let mut rest = new.into_iter().peekable();
        while rest.peek().is_some() {
            self.append_admitted(rows::take_batch(&mut rest, EXEMPLAR_BATCH_BYTES), terms, &mut outcome)
                .await?;
        }
        Ok(outcome)
    }

    /// Stores exemplars that are to be stored, and puts them into memory.
    async fn append_admitted(
        &self,
        exemplars: Vec<SeriesExemplar>,
        terms: Terms,
        outcome: &mut ExemplarOutcome,
    ) -> Result<()> {
        let batch = rows::encode(&exemplars)?;
        let appending = Box::pin(self.rows.append(&self.tenant, &batch));
        appending.await.map_err(|e| e.context("cannot store exemplars"))?;
        let mut ring = self.ring.write();
        let before = outcome.accepted;
        for e in exemplars {
            // What another append brought meanwhile is known by now.
            match ring.judge(&e.labels, &e.exemplar, terms.out_of_order_ms) {
                Verdict::New => {
                    ring.insert(e.labels, e.exemplar);
                    outcome.accepted += 1;
                }
                Verdict::Repeated => outcome.repeated += 1,
                Verdict::OutOfOrder => {
                    outcome.out_of_order += 1;
                    self.metrics.out_of_order.inc();
                }
            }
        }
        self.metrics.appended.inc_by(outcome.accepted - before);
        self.metrics.show(&ring);
        Ok(())
    }

    /// Whether an exemplar is to be stored; if not it is counted. `fresh` has those before it of the same append.
    fn admit(
        &self,
        ring: &Ring,
        fresh: &mut Fresh,
        e: &SeriesExemplar,
        terms: Terms,
        outcome: &mut ExemplarOutcome,
    ) -> bool {
        let t_ms = e.exemplar.t_ms;
        if ring.capacity() == 0 {
            outcome.disabled += 1;
            return false;
        }
        if !e.exemplar.fits() || !rows::can_hold(t_ms) || t_ms > terms.latest_ms {
            outcome.invalid += 1;
            self.metrics.invalid.inc();
            return false;
        }
        let judge = |ring: &Ring| ring.judge(&e.labels, &e.exemplar, terms.out_of_order_ms);
        match Some(judge(ring)).filter(|known| *known != Verdict::New).unwrap_or_else(|| judge(&fresh.ring)) {
            Verdict::New if fresh.bytes + rows::size_bytes(e) > EXEMPLAR_BURST_BYTES => {
                outcome.beyond_burst += 1;
                self.metrics.beyond_burst.inc();
            }
            Verdict::New => {
                fresh.bytes += rows::size_bytes(e);
                fresh.ring.insert(e.labels.clone(), e.exemplar.clone());
                return true;
            }
            Verdict::Repeated => outcome.repeated += 1,
            Verdict::OutOfOrder => {
                outcome.out_of_order += 1;
                self.metrics.out_of_order.inc();
            }
        }
        false
    }

    /// The exemplars in a range of the series that satisfy any of the sets of matchers; the newest if there are very many.
    pub async fn select(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<SelectedExemplars> {
        {
            let ring = self.ring.read();
            if ring.has_all_of(range) {
                return Ok(SelectedExemplars { series: ring.select(sets, range), truncated: false });
            }
        }
        Box::pin(load::select(&self.rows, &self.tenant, sets, range, EXEMPLARS_PER_SELECT)).await
    }

    /// Seals what is due and removes what is too old. To be called every few seconds to minutes, and when
    /// [`ExemplarStore::wait_until_large`] resolves.
    pub async fn maintain(&self) -> Result<()> {
        Box::pin(self.rows.maintain()).await.map(drop)
    }

    /// Copies all exemplars into a snapshot; `skip_head` leaves out those that are not sealed.
    pub(crate) async fn copy_to(&self, snapshot: &str, skip_head: bool) -> Result<()> {
        self.rows.copy_to(snapshot, skip_head).await.map_err(|e| e.context("cannot copy exemplars"))
    }

    /// Looks at the log of the table again, for what others have changed.
    pub async fn refresh(&self) -> Result<()> {
        self.rows.refresh().await
    }

    /// Resolves when there is enough to seal.
    pub async fn wait_until_large(&self) {
        self.rows.wait_until_large().await;
    }

    /// Finishes appends under way and refuses later ones.
    pub async fn close(&self) -> Result<()> {
        self.rows.close().await
    }
}

/// The error of rows that are not as the table says.
fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("cannot read exemplars: {why}"))
}
