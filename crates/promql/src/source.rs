//! Where samples come from.

use base::{Labels, Matcher, Result, TimeRange};

/// What one selector of a query needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The conditions; a series has to satisfy all of them.
    pub matchers: Vec<Matcher>,
    /// The samples that may be needed, both ends included.
    pub range: TimeRange,
}

/// Samples of one series, in order of time; two columns of the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Milliseconds since the epoch, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The values; staleness markers are among them.
    pub values: Vec<f64>,
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
