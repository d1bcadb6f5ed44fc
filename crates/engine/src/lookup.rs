//! Which series, label names and label values there are.

use base::{Labels, Matcher, Result, TimeRange};

use crate::Engine;

impl Engine {
    /// The series that satisfy any of the sets of matchers, in order of their labels.
    pub async fn series(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<Vec<Labels>> {
        self.store.series(sets, range, limit).await
    }

    /// The label names of the series that satisfy any of the sets, or of all series if there is no set; sorted.
    pub async fn label_names(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<String>> {
        self.store.label_names(sets, range).await
    }

    /// The values of one label, likewise.
    pub async fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        self.store.label_values(name, sets, range).await
    }
}
