//! What is computed of each series of a selection by itself: by one thread, or by several where there is much to do.
//!
//! Owns the reading of selections and the order in which results are taken in, which is that of the series whoever computed them,
//! so that neither results nor annotations depend on the number of threads.

use std::ops::Range;
use std::sync::Arc;

use base::{Labels, Result};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::annotation::AnnotationSet;
use super::evaluator::Evaluator;
use super::tally::Tally;
use crate::limits::{BLOCK_CELLS, BLOCK_SERIES, SAMPLES_FOR_THREADS};
use crate::{Columns, SeriesSet};

/// What computing with a series has to tell besides its result.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) annotations: AnnotationSet,
    /// Samples that steps used.
    pub(crate) tally: Tally,
    /// The most samples that a step used.
    pub(crate) widest: u64,
}

/// What is computed of a series, by itself.
pub(crate) type Work<'w, T> = dyn Fn(Labels, &mut Columns, &mut Told) -> Result<T> + Sync + 'w;

/// Takes what was computed, in order of the series.
pub(crate) type Absorb<'s, T> = dyn FnMut(&mut Evaluator<'_>, T) -> Result<()> + 's;

/// Series that several selectors use, decoded.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Vec<(Labels, Columns)>>);

impl Kept {
    fn samples_held(&self) -> u64 {
        self.0.iter().map(|(_, columns)| columns.size_in_samples()).sum()
    }
}

impl SeriesSet for Kept {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn samples(&self) -> u64 {
        self.samples_held()
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        let (labels, kept) = &self.0[at];
        columns.clone_from(kept);
        Ok(labels.clone())
    }
}

/// The series of a selection, as an evaluation has them.
struct Opened<'a> {
    set: Box<dyn SeriesSet + 'a>,
    /// The selection, if these are read for the first time.
    fresh: Option<usize>,
    /// Samples that are held for the last time.
    last: u64,
}

impl<'a> Evaluator<'a> {
    /// Hands each series of a selection to `f`, which may change the columns.
    pub(crate) fn read(
        &mut self,
        selection: Option<usize>,
        f: &mut dyn FnMut(&mut Self, Labels, &mut Columns) -> Result<()>,
    ) -> Result<()> {
        let Some(opened) = self.open(selection)? else { return Ok(()) };
        let mut columns = Columns::default();
        for at in 0..opened.set.count() {
            let labels = self.read_one(&opened, at, &mut columns)?;
            f(self, labels, &mut columns)?;
        }
        self.release_samples(opened.last);
        Ok(())
    }

    /// Computes something of each series of a selection, about as large as a column of so many steps, and takes it in.
    pub(crate) fn map<T: Send>(
        &mut self,
        selection: Option<usize>,
        steps: usize,
        work: &Work<'_, T>,
        absorb: &mut Absorb<'_, T>,
    ) -> Result<()> {
        let Some(opened) = self.open(selection)? else { return Ok(()) };
        self.compute(&opened, steps, work, absorb)?;
        self.release_samples(opened.last);
        Ok(())
    }

    /// The series of a selection, which are kept if further selectors will ask for them.
    fn open(&mut self, selection: Option<usize>) -> Result<Option<Opened<'a>>> {
        let Some(at) = selection else { return Ok(None) };
        let source = self.source;
        let shared = &mut self.shared[at];
        shared.uses_left = shared.uses_left.saturating_sub(1);
        let is_last = shared.uses_left == 0;
        let kept = match shared.kept.take() {
            Some(kept) => kept,
            None => {
                let set = source.select(&shared.selection)?;
                let opened = Opened { set, fresh: Some(at), last: 0 };
                if is_last {
                    return Ok(Some(opened));
                }
                self.keep(&opened)?
            }
        };
        let last = if is_last { kept.samples_held() } else { 0 };
        if !is_last {
            self.shared[at].kept = Some(kept.clone());
        }
        Ok(Some(Opened { set: Box::new(kept), fresh: None, last }))
    }

    fn keep(&mut self, opened: &Opened<'_>) -> Result<Kept> {
        let mut all = Vec::with_capacity(opened.set.count());
        let take =
            |labels: Labels, columns: &mut Columns, _: &mut Told| Ok((labels, std::mem::take(columns)));
        self.compute(opened, 1, &take, &mut |ev, (labels, columns): (Labels, Columns)| {
            ev.hold_samples(columns.size_in_samples())?;
            all.push((labels, columns));
            Ok(())
        })?;
        Ok(Kept(Arc::new(all)))
    }

    fn read_one(&mut self, opened: &Opened<'_>, at: usize, columns: &mut Columns) -> Result<Labels> {
        self.check_interrupt()?;
        let begin = self.trace_now();
        let labels = opened.set.read(at, columns)?;
        if let Some(selection) = opened.fresh {
            self.note_read(selection, columns, begin);
        }
        Ok(labels)
    }

    fn compute<T: Send>(
        &mut self,
        opened: &Opened<'_>,
        steps: usize,
        work: &Work<'_, T>,
        absorb: &mut Absorb<'_, T>,
    ) -> Result<()> {
        let samples = opened.set.samples();
        // What takes how long is measured on one thread.
        if self.is_traced() || samples < SAMPLES_FOR_THREADS || rayon::current_num_threads() < 2 {
            let mut columns = Columns::default();
            for at in 0..opened.set.count() {
                let labels = self.read_one(opened, at, &mut columns)?;
                let mut told = Told::default();
                let computed = work(labels, &mut columns, &mut told)?;
                self.take_in(told)?;
                absorb(self, computed)?;
            }
            return Ok(());
        }
        let each = (samples as usize / opened.set.count().max(1)).max(steps).max(1);
        let block = (BLOCK_CELLS / each).clamp(2 * rayon::current_num_threads(), BLOCK_SERIES);
        self.compute_blocks(opened, block, work, absorb)
    }

    /// While the pool's threads compute a block of series, this one takes in the block before.
    fn compute_blocks<T: Send>(
        &mut self,
        opened: &Opened<'_>,
        block: usize,
        work: &Work<'_, T>,
        absorb: &mut Absorb<'_, T>,
    ) -> Result<()> {
        let set = &*opened.set;
        let mut before: Vec<Computed<T>> = Vec::new();
        let mut from = 0;
        while from < set.count() || !before.is_empty() {
            let to = set.count().min(from + block);
            let (mut computed, mut taken) = (Vec::new(), Ok(()));
            rayon::in_place_scope(|scope| {
                if from < to {
                    scope.spawn(|_| computed = compute_block(set, from..to, work));
                }
                taken = self.take_block(std::mem::take(&mut before), opened.fresh.is_some(), absorb);
            });
            taken?;
            (before, from) = (computed, to);
        }
        Ok(())
    }

    fn take_block<T>(
        &mut self,
        block: Vec<Computed<T>>,
        is_fresh: bool,
        absorb: &mut Absorb<'_, T>,
    ) -> Result<()> {
        for computed in block {
            self.check_interrupt()?;
            let (computed, told) = computed?;
            if is_fresh {
                self.count_series();
            }
            self.take_in(told)?;
            absorb(self, computed)?;
        }
        Ok(())
    }

    /// Takes in what computing with a series had to tell.
    pub(crate) fn take_in(&mut self, told: Told) -> Result<()> {
        self.annotations.extend(told.annotations);
        self.tally.add(&told.tally);
        self.hold_samples(told.widest)?;
        self.release_samples(told.widest);
        Ok(())
    }
}

/// What was computed of a series.
type Computed<T> = Result<(T, Told)>;

fn compute_block<T: Send>(set: &dyn SeriesSet, block: Range<usize>, work: &Work<'_, T>) -> Vec<Computed<T>> {
    let one = |columns: &mut Columns, at: usize| {
        let labels = set.read(at, columns)?;
        let mut told = Told::default();
        work(labels, columns, &mut told).map(|computed| (computed, told))
    };
    let mut all = Vec::with_capacity(block.len());
    block.into_par_iter().map_init(Columns::default, one).collect_into_vec(&mut all);
    all
}
