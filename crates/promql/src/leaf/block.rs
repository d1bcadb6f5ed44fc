//! The rows that a leaf gives for some of its series, column by column.

use base::{Error, Labels, Result};

use super::Told;
use crate::eval::column::{Column, Histograms};

/// Rows of a leaf: series, or groups of them, and their values.
#[derive(Debug, Default)]
pub struct Block {
    /// Number of values of a row.
    pub steps: usize,
    /// Series, or groups.
    pub labels: Vec<Labels>,
    /// By row, whether the metric's name goes when the query ends.
    pub drop_names: Vec<bool>,
    /// One value per row and step; that of a staleness marker where there is none.
    pub values: Vec<f64>,
    /// Native histograms by row and step; empty if no row has any, and so is a row that has none.
    pub histograms: Vec<Histograms>,
    /// What groups need besides a value to be brought together with others; `None` if the rows are series.
    pub partial: Option<Partial>,
    /// What there is to tell.
    pub told: Told,
}

/// Columns beside the values of groups, with one number per row and step each, or none if the operator does not need them.
#[derive(Debug, Default)]
pub struct Partial {
    /// What sums lost to rounding; of `stddev` the mean.
    pub extra: Vec<f64>,
    /// Numbers of values.
    pub count: Vec<f64>,
    /// Of `avg`, the mean where the sum would overflow.
    pub mean: Vec<f64>,
}

impl Block {
    pub(crate) fn with_capacity(rows: usize, steps: usize) -> Self {
        Self {
            steps,
            labels: Vec::with_capacity(rows),
            drop_names: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows * steps),
            ..Self::default()
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn push(&mut self, column: Column) {
        self.values.extend_from_slice(&column.values);
        if column.has_histograms() && self.histograms.is_empty() {
            self.histograms.resize(self.labels.len(), Histograms::new());
        }
        if column.has_histograms() || !self.histograms.is_empty() {
            self.histograms.push(column.histograms);
        }
        self.labels.push(column.labels);
        self.drop_names.push(column.drop_name);
    }

    /// The values of a row.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.steps..(row + 1) * self.steps]
    }

    /// A row that is a series.
    pub(crate) fn column(&mut self, row: usize) -> Column {
        Column {
            labels: self.labels[row].clone(),
            drop_name: self.drop_names[row],
            values: self.row(row).to_vec(),
            histograms: self.histograms.get_mut(row).map(std::mem::take).unwrap_or_default(),
        }
    }

    /// Checks that what came from elsewhere fits together.
    pub fn check(&self, steps: usize) -> Result<()> {
        let rows = self.rows();
        let cells = rows.saturating_mul(steps);
        let is_cells = |column: &[f64]| column.is_empty() || column.len() == cells;
        let partial = self.partial.as_ref().is_none_or(|p| {
            is_cells(&p.extra) && is_cells(&p.count) && is_cells(&p.mean) && self.histograms.is_empty()
        });
        let histograms = (self.histograms.is_empty() || self.histograms.len() == rows)
            && self.histograms.iter().all(|h| h.is_empty() || h.len() == steps);
        let whole = self.steps == steps
            && self.drop_names.len() == rows
            && self.values.len() == cells
            && partial
            && histograms;
        if whole {
            Ok(())
        } else {
            Err(Error::internal("cannot read a block of a leaf: its columns do not fit"))
        }
    }
}
