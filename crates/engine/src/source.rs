//! The store as the language sees it: selections fetched beforehand, decoded one series at a time.

use base::{Error, Labels, Result};
use promql::{Columns, Selection, SeriesCursor, SeriesSource};
use tsdb::SelectedSeries;

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
        Ok(Box::new(Cursor { found, at: 0 }))
    }
}

struct Cursor<'a> {
    found: &'a SelectedSeries,
    at: usize,
}

impl SeriesCursor for Cursor<'_> {
    fn next(&mut self, columns: &mut Columns) -> Result<Option<Labels>> {
        if self.at == self.found.len() {
            return Ok(None);
        }
        self.found.decode(self.at, &mut columns.timestamps_ms, &mut columns.values)?;
        self.at += 1;
        Ok(Some(self.found.labels(self.at - 1).clone()))
    }
}
