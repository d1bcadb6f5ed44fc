//! How the series of a leaf are brought together, as far as that can be done within a block.

use std::fmt;
use std::sync::Arc;

use base::Labels;
use serde::{Deserialize, Serialize};

use super::codec;
use crate::aggregate;
use crate::ast::AggregateOp;

/// How series are brought together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grouping {
    pub(crate) op: AggregateOp,
    #[serde(with = "codec::names")]
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) without: bool,
}

impl Grouping {
    /// No groups yet.
    pub(super) fn groups(&self) -> aggregate::Grouping<'_> {
        aggregate::Grouping::over(&self.names, self.without)
    }

    /// Whether these series have at most half as many groups.
    pub(super) fn makes_fewer(&self, series: impl ExactSizeIterator<Item = Labels>) -> bool {
        let (all, mut found) = (series.len(), self.groups());
        series.for_each(|labels| {
            found.assign(&labels);
        });
        found.count() * 2 <= all
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.without { "without" } else { "by" };
        write!(f, "{} {word} ({})", self.op.as_str(), self.names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use base::{Histogram, Result, TimeRange};
    use proptest::prelude::*;

    use super::super::codec::GROUPING;
    use super::super::{Around, Leaf, Operation, Settings};
    use super::*;
    use crate::aggregate::accumulate::Groups;
    use crate::ast::Span;
    use crate::eval::annotation::AnnotationSet;
    use crate::eval::column::{Column, Frame, is_present};
    use crate::eval::plan::Window;
    use crate::eval::select::Want;
    use crate::eval::steps::Steps;
    use crate::{Columns, Interrupt, Selection, SeriesSet};

    const STEPS: Steps = Steps { start_ms: 0, step_ms: 10, count: 3 };

    /// Series by their group, and by step what they have there: nothing, any sort of number, or a histogram with exponential or custom
    /// buckets.
    #[derive(Debug)]
    struct Rows(Vec<(u8, [u8; STEPS.count])>);

    fn float(kind: u8) -> f64 {
        match kind {
            3 => f64::NAN,
            4 => f64::INFINITY,
            5 => f64::NEG_INFINITY,
            6 => -0.0,
            _ => f64::from(kind) - 12.0,
        }
    }

    fn histogram(kind: u8) -> Histogram {
        let (schema, bounds): (_, &[f64]) = if kind < 23 { (0, &[]) } else { (-53, &[1.0]) };
        let positive_spans = vec![base::Span { offset: 0, length: 1 }];
        let (positive, custom_bounds) = (vec![f64::from(kind)], bounds.into());
        let (count, sum) = (f64::from(kind), f64::from(kind) * 2.0);
        let h = Histogram { schema, count, sum, positive, custom_bounds, ..Histogram::default() };
        Histogram { positive_spans, is_float: true, ..h }
    }

    impl SeriesSet for Rows {
        fn count(&self) -> usize {
            self.0.len()
        }

        fn samples(&self) -> u64 {
            (self.0.len() * STEPS.count) as u64
        }

        fn labels(&self, at: usize) -> Labels {
            let (group, instance) = (self.0[at].0.to_string(), at.to_string());
            Labels::from_pairs([("__name__", "m"), ("g", group.as_str()), ("i", instance.as_str())])
        }

        fn read(&self, at: usize, columns: &mut Columns) -> Result<Labels> {
            columns.clear();
            for (t, kind) in STEPS.times().zip(self.0[at].1) {
                match kind {
                    0..3 => {}
                    3..20 => {
                        columns.timestamps_ms.push(t);
                        columns.values.push(float(kind));
                    }
                    _ => {
                        columns.histograms.timestamps_ms.push(t);
                        columns.histograms.values.push(Arc::new(histogram(kind)));
                    }
                }
            }
            Ok(self.labels(at))
        }
    }

    struct Never;

    impl Interrupt for Never {
        fn check(&self) -> Result<()> {
            Ok(())
        }
    }

    fn newest(grouping: Option<Grouping>) -> Leaf {
        Leaf {
            selection: Selection { matchers: Vec::new(), range: TimeRange::new(0, 100), usages: Vec::new() },
            window: Window { range_ms: 10, offset_ms: 0, at_ms: None, before_ms: 0, after_ms: 0 },
            steps: STEPS,
            span: Span { start: 1, end: 2 },
            operation: Operation::Newest { want: Want::Value, smoothed: false },
            statistics_only: false,
            settings: Settings {
                delayed_name_removal: false,
                use_start_timestamps: false,
                type_and_unit_labels: false,
                counts_steps: true,
            },
            filters: Vec::new(),
            grouping,
        }
    }

    /// The same but for the last digits, which may depend on the order of additions.
    fn is_close(a: f64, b: f64) -> bool {
        let both_nan = a.is_nan() && b.is_nan() && is_present(a) == is_present(b);
        both_nan || a.to_bits() == b.to_bits() || (a - b).abs() <= 1e-12 * b.abs().max(1.0)
    }

    fn check(op: AggregateOp, got: &Frame, want: &Frame) -> Result<(), TestCaseError> {
        prop_assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            prop_assert_eq!((&got.labels, got.drop_name), (&want.labels, want.drop_name));
            prop_assert_eq!(format!("{:?}", got.histograms), format!("{:?}", want.histograms));
            for (a, b) in got.values.iter().zip(&want.values) {
                prop_assert!(is_close(*a, *b), "{op:?}: {a} and not {b}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn blocks_give_what_series_one_by_one_give(
            rows in prop::collection::vec((0u8..4, prop::array::uniform3(0u8..24)), 1..60),
            with_histograms in any::<bool>(),
            size in 1usize..20,
            without in any::<bool>(),
        ) {
            let mut rows = Rows(rows);
            if !with_histograms {
                rows.0.iter_mut().flat_map(|(_, kinds)| kinds).for_each(|kind| *kind %= 20);
            }
            let around = Around { interrupt: &Never, clock: None };
            let blocks = || (0..rows.count()).step_by(size).map(|at| at..rows.count().min(at + size));
            let names = vec![Arc::from(if without { "i" } else { "g" })];
            let span = Span { start: 1, end: 2 };
            for op in GROUPING {
                let grouping = Grouping { op, names: names.clone(), without };
                let new = || Groups::new(op, grouping.groups(), STEPS.count);
                let (single, grouped) = (newest(None), newest(Some(grouping.clone())));
                let (mut want, mut want_told) = (new(), AnnotationSet::default());
                let (mut got, mut told) = (new(), AnnotationSet::default());
                for range in blocks() {
                    let fewer = grouping.makes_fewer(range.clone().map(|at| rows.labels(at)));
                    let floats = rows.0[range.clone()].iter().flat_map(|(_, kinds)| kinds).all(|kind| *kind < 20);
                    let mut one_by_one = single.compute(&rows, range.clone(), around).unwrap();
                    let block = grouped.compute(&rows, range, around).unwrap();
                    block.check(STEPS.count).unwrap();
                    prop_assert_eq!(block.partial.is_some(), fewer && floats);
                    let facts = |told: &super::super::Told| (told.series, told.samples, told.rows, told.tally.clone());
                    prop_assert_eq!(facts(&block.told), facts(&one_by_one.told));
                    (0..one_by_one.rows()).for_each(|row| want.add(&one_by_one.column(row), &mut want_told, span));
                    got.merge(block, &mut told, span).unwrap();
                }
                prop_assert_eq!(got.size_in_samples(), want.size_in_samples());
                check(op, &got.finish(&mut told, span), &want.finish(&mut want_told, span))?;
                prop_assert_eq!(told.into_annotations(""), want_told.into_annotations(""));
            }
        }
    }

    #[test]
    fn groups_that_lack_what_they_need_are_refused() {
        let names = [];
        for op in [AggregateOp::Sum, AggregateOp::Avg, AggregateOp::Stddev] {
            let over = || aggregate::Grouping::over(&names, false);
            let mut groups = Groups::new(op, over(), 3);
            groups.add_floats(&Column::floats(Labels::empty(), false, vec![1.0; 3]));
            let mut block = groups.into_block();
            block.partial = Some(crate::leaf::Partial::default());
            block.check(3).unwrap();
            let merged =
                Groups::new(op, over(), 3).merge(block, &mut AnnotationSet::default(), Span::default());
            assert!(merged.unwrap_err().message().contains("lack a column"));
        }
    }
}
