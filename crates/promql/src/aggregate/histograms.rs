//! `sum` and `avg` of native histograms: what a group has of them, step by step.

use std::sync::Arc;

use base::{CounterResetHint, Histogram};

use crate::ast::{AggregateOp, Span};
use crate::eval::annotation::{AnnotationSet, Bringing};
use crate::eval::column::{ABSENT, Column, Histograms, is_present};
use crate::histogram::{Incompatible, Mean, Noted, Sum, compact, size_in_samples};

/// The histograms of a group.
pub(super) struct Totals {
    cells: Vec<Cell>,
}

/// Those of a step.
#[derive(Clone, Default)]
struct Cell {
    /// Whether there was any.
    seen: bool,
    total: Option<Total>,
    /// Exponential and custom buckets came together: there is no result, and nothing else counts.
    incompatible: bool,
    /// Whether any was known to follow a reset, or not to.
    reset: bool,
    not_reset: bool,
}

#[derive(Clone)]
enum Total {
    Sum(Box<Sum>),
    Mean(Box<Mean>),
}

impl Totals {
    pub(super) fn new(steps: usize) -> Self {
        Self { cells: vec![Cell::default(); steps] }
    }

    /// Takes the histograms of a column in. `floats` are those of the group so far. Returns how many samples the totals that are new
    /// count as.
    pub(super) fn add(
        &mut self,
        op: AggregateOp,
        column: &Column,
        floats: &[f64],
        annotations: &mut AnnotationSet,
        span: Span,
    ) -> u64 {
        let mut more = 0;
        for (step, cell) in self.cells.iter_mut().enumerate() {
            let Some(h) = column.histogram(step).filter(|_| !cell.incompatible) else { continue };
            let first = !cell.seen;
            cell.seen = true;
            // Beside floats there will be no result.
            if first && is_present(floats[step]) {
                continue;
            }
            match h.counter_reset_hint {
                CounterResetHint::Reset if first || cell.total.is_some() => cell.reset = true,
                CounterResetHint::NotReset if first || cell.total.is_some() => cell.not_reset = true,
                _ => {}
            }
            let added = match &mut cell.total {
                None if first => {
                    more += size_in_samples(h);
                    cell.total = Some(match op {
                        AggregateOp::Avg => Total::Mean(Box::new(Mean::new(h))),
                        _ => Total::Sum(Box::new(Sum::new(h))),
                    });
                    Ok(Noted::default())
                }
                None => Ok(Noted::default()),
                Some(Total::Sum(sum)) => sum.add(h),
                Some(Total::Mean(mean)) => mean.add(h),
            };
            match added {
                Ok(noted) => {
                    // Conflicting resets are told of all histograms at once.
                    let noted = Noted { collision: false, ..noted };
                    annotations.brought_together(noted, Bringing::Aggregation, span);
                }
                Err(Incompatible) => {
                    annotations.mixed_schemas(column.labels.metric(), span);
                    cell.incompatible = true;
                }
            }
        }
        more
    }

    /// The floats of a column where they still count.
    pub(super) fn countable(&self, values: &[f64]) -> Option<Vec<f64>> {
        if !self.cells.iter().any(|c| c.incompatible) {
            return None;
        }
        let counts = |(v, cell): (&f64, &Cell)| if cell.incompatible { ABSENT } else { *v };
        Some(values.iter().zip(&self.cells).map(counts).collect())
    }

    /// The results; steps that have floats as well have none.
    pub(super) fn finish(
        self,
        floats: &mut [f64],
        annotations: &mut AnnotationSet,
        span: Span,
    ) -> Histograms {
        let result = |(cell, float): (Cell, &mut f64)| {
            if !cell.seen {
                return None;
            }
            if is_present(*float) {
                annotations.mixed_group(span);
                *float = ABSENT;
                return None;
            }
            if cell.incompatible {
                return None;
            }
            let noted = Noted { collision: cell.reset && cell.not_reset, reconciled: false };
            annotations.brought_together(noted, Bringing::Aggregation, span);
            let mut h: Histogram = match cell.total? {
                Total::Sum(sum) => sum.finish(),
                Total::Mean(mean) => mean.finish(),
            };
            compact(&mut h);
            Some(Arc::new(h))
        };
        self.cells.into_iter().zip(floats).map(result).collect()
    }
}
