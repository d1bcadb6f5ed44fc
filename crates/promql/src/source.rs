//! Where samples come from.

use base::{Buckets, Labels, Matcher, Result, TimeRange};

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

/// Samples of one series, in order of time; two columns of the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Milliseconds since the epoch, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The values; staleness markers are among them.
    pub values: Vec<f64>,
    /// What there is instead of samples for a part of the range.
    pub coarse: Option<Coarse>,
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
        self.coarse = None;
    }

    /// Samples and buckets.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.coarse.as_ref().map_or(0, |c| c.buckets.len())
    }
}

/// A store, as the language sees it.
///
/// An evaluation calls `select` once for every distinct selection, those that
/// [`crate::selections`] announced and no others, so that an asynchronous caller can fetch them beforehand.
pub trait SeriesSource: Send + Sync {
    /// The series that satisfy the selection, each once, in order of their labels.
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesCursor + '_>>;
}

/// Walks over the series of a selection, one at a time, so that memory follows the result and not the input.
pub trait SeriesCursor {
    /// Moves to the next series and replaces the content of `columns` by its samples in the range, which may be none.
    /// `None` ends the walk.
    fn next(&mut self, columns: &mut Columns) -> Result<Option<Labels>>;
}
