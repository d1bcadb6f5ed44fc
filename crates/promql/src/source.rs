//! Where samples come from.

use std::sync::Arc;

use base::{Buckets, CounterResetHint, Histogram, Labels, Matcher, Result, TimeRange};

use crate::histogram::{is_reset, size_in_samples};
use crate::leaf::{Around, Block, Leaf};
use crate::usage::Usage;

/// What the selectors of a query that need the same samples need.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The conditions; a series has to satisfy all of them.
    pub matchers: Vec<Matcher>,
    /// The samples that may be needed, both ends included.
    pub range: TimeRange,
    /// What they are needed for, by which a source may tell whether buckets of samples would do. At least one.
    pub usages: Vec<Usage>,
}

/// Samples of one series, in order of time. Floats are two columns of the same length, native histograms are apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Milliseconds since the epoch, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The values; staleness markers are among them.
    pub values: Vec<f64>,
    /// When the counting of each value began, in milliseconds since the epoch, 0 where that is not known. Empty if it is known of
    /// none.
    pub starts_ms: Vec<i64>,
    /// Native histograms, at other times than floats.
    pub histograms: HistogramColumns,
    /// What there is instead of samples for a part of the range.
    pub coarse: Option<Coarse>,
}

/// Native histograms of one series, in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramColumns {
    /// Milliseconds since the epoch, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The histograms; staleness markers are among them.
    pub values: Vec<Arc<Histogram>>,
    /// As [`Columns::starts_ms`].
    pub starts_ms: Vec<i64>,
}

impl HistogramColumns {
    /// Removes the histograms, and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps_ms.clear();
        self.values.clear();
        self.starts_ms.clear();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many samples it counts as.
    pub(crate) fn size_in_samples(&self) -> u64 {
        self.values.iter().map(|h| size_in_samples(h)).sum()
    }

    /// Removes the buckets, once they have told of counter resets.
    pub(crate) fn keep_statistics(&mut self) {
        let mut before: Option<Arc<Histogram>> = None;
        for h in &mut self.values {
            let mut counter_reset_hint = h.counter_reset_hint;
            if let (CounterResetHint::Unknown, Some(before)) = (counter_reset_hint, &before)
                && !h.is_stale()
            {
                let reset = is_reset(h, before);
                counter_reset_hint = if reset { CounterResetHint::Reset } else { CounterResetHint::NotReset };
            }
            let (is_float, schema, count, sum) = (h.is_float, h.schema, h.count, h.sum);
            let bare = Histogram { counter_reset_hint, is_float, schema, count, sum, ..Histogram::default() };
            let whole = std::mem::replace(h, Arc::new(bare));
            if !whole.is_stale() {
                before = Some(whole);
            }
        }
    }
}

/// A series where its samples are not read, or not there any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coarse {
    /// The length of a bucket in milliseconds.
    pub bucket_ms: i64,
    /// The time from which on there are samples: steps that need earlier ones are answered from buckets, and only those.
    pub samples_from_ms: i64,
    /// The buckets, with the columns that the usages of the selection need.
    pub buckets: Buckets,
}

impl Columns {
    /// Removes the samples and what is instead of them, and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps_ms.clear();
        self.values.clear();
        self.starts_ms.clear();
        self.histograms.clear();
        self.coarse = None;
    }

    /// How many samples it counts as, buckets included.
    pub(crate) fn size_in_samples(&self) -> u64 {
        let floats = self.values.len() + self.coarse.as_ref().map_or(0, |c| c.buckets.len());
        floats as u64 + self.histograms.size_in_samples()
    }
}

/// A store, as the language sees it.
///
/// An evaluation asks for selections that [`crate::selections`] announced and no others, so that an asynchronous caller can fetch them
/// beforehand.
pub trait SeriesSource: Send + Sync {
    /// The series that satisfy the selection, each once, in order of their labels.
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet + '_>>;

    /// Carries out a leaf over the series of its selection, and hands over its blocks in order.
    fn run(
        &self,
        leaf: &Leaf,
        around: Around<'_>,
        absorb: &mut dyn FnMut(Block) -> Result<()>,
    ) -> Result<()> {
        leaf.run(&*self.select(leaf.selection())?, around, absorb)
    }
}

/// The series of a selection. Each is decoded when it is asked for, so that memory follows the result and not the input, and
/// several threads may ask at a time.
pub trait SeriesSet: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// About how many samples they have, by which it is decided how many series are computed at a time, and by how many threads.
    fn samples(&self) -> u64;

    /// About how many bytes these take as they are stored; 0 if that is not known. Of native histograms fewer series are computed at a time.
    fn size_bytes(&self) -> u64 {
        0
    }

    /// The labels of the series at a position.
    fn labels(&self, at: usize) -> Labels;

    /// Replaces the content of `columns` by the samples in the range of the series at a position, which may be none.
    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels>;
}

impl<T: SeriesSet + ?Sized> SeriesSet for &T {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn samples(&self) -> u64 {
        (**self).samples()
    }

    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn labels(&self, at: usize) -> Labels {
        (**self).labels(at)
    }

    fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
        (**self).read(at, columns)
    }
}
