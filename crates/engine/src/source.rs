//! The store as the language sees it: selections fetched beforehand, decoded one series at a time.

use base::{Error, Labels, Result};
use promql::{Columns, Selection, SeriesCursor, SeriesSource};
use tsdb::{SelectedSeries, SeriesReader};

/// What the query's selections found, still encoded.
pub(crate) struct Fetched {
    selections: Vec<(Selection, SelectedSeries)>,
}

impl Fetched {
    pub(crate) fn new(selections: Vec<(Selection, SelectedSeries)>) -> Self {
        Self { selections }
    }
}

impl SeriesSource for Fetched {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesCursor + '_>> {
        let (_, found) = self
            .selections
            .iter()
            .find(|(s, _)| s == selection)
            .ok_or_else(|| Error::internal("cannot read a selection that was not announced"))?;
        Ok(Box::new(Cursor(found.reader())))
    }
}

struct Cursor<'a>(SeriesReader<'a>);

impl SeriesCursor for Cursor<'_> {
    fn next(&mut self, columns: &mut Columns) -> Result<Option<Labels>> {
        self.0.next(&mut columns.timestamps_ms, &mut columns.values)
    }
}
