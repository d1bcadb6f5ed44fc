//! Aggregations: series of a group become one, or a group's best series remain.
//!
//! Owns the grouping, whose keys are computed once per series. What can be accumulated one series at a time streams
//! (`accumulate`), the rest sees its input whole.

pub(crate) mod accumulate;
mod count_values;
mod histograms;
mod select;

use std::sync::Arc;

use base::{Labels, METRIC_NAME, Result};
use rustc_hash::FxHashMap;

use crate::ast::{Aggregate, AggregateOp};
use crate::eval::column::Frame;
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;

/// Evaluates an aggregation.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
    param: Option<&Node<'_>>,
) -> Result<Frame> {
    match (ast.op, param) {
        (AggregateOp::CountValues, Some(label)) => count_values::evaluate(ev, node, ast, input, label),
        (
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio,
            Some(k),
        ) => select::evaluate(ev, node, ast, input, k),
        (AggregateOp::Quantile, Some(q)) => accumulate::quantile(ev, node, ast, input, q),
        _ => accumulate::evaluate(ev, node, ast, input),
    }
}

/// Assigns series to groups.
pub(crate) struct Grouping<'g> {
    names: &'g [Arc<str>],
    without: bool,
    by_labels: FxHashMap<Labels, usize>,
}

impl<'g> Grouping<'g> {
    fn new(ast: &'g Aggregate) -> Self {
        Self::over(&ast.grouping, ast.without)
    }

    /// Groups by these labels, or by all but these.
    pub(crate) fn over(names: &'g [Arc<str>], without: bool) -> Self {
        Self { names, without, by_labels: FxHashMap::default() }
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> usize {
        self.by_labels.len()
    }

    /// The labels of a series' group.
    fn labels(&self, series: &Labels) -> Labels {
        if self.without {
            series.filtered(|n| n != METRIC_NAME && !self.names.iter().any(|l| **l == *n))
        } else if self.names.is_empty() {
            Labels::empty()
        } else {
            series.filtered(|n| self.names.iter().any(|l| **l == *n))
        }
    }

    /// The group of a series, and the group's labels if it is new.
    pub(crate) fn assign(&mut self, series: &Labels) -> (usize, Option<Labels>) {
        let labels = self.labels(series);
        let next = self.by_labels.len();
        match self.by_labels.entry(labels) {
            std::collections::hash_map::Entry::Occupied(e) => (*e.get(), None),
            std::collections::hash_map::Entry::Vacant(e) => {
                let labels = e.key().clone();
                e.insert(next);
                (next, Some(labels))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_group_share_their_index() {
        let names = [Arc::from("job")];
        let series = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job), ("instance", "i")]);
        let mut by = Grouping::over(&names, false);
        assert_eq!(by.assign(&series("a")), (0, Some(Labels::from_pairs([("job", "a")]))));
        assert_eq!(by.assign(&series("b")).0, 1);
        assert_eq!(by.assign(&series("a")), (0, None));
        let without = Grouping::over(&names, true);
        assert_eq!(without.labels(&series("a")), Labels::from_pairs([("instance", "i")]));
    }
}
