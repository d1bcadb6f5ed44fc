//! Brings the series of a block together, as far as that can be done without the other blocks.

use super::{Block, Grouping};
use crate::aggregate;
use crate::aggregate::accumulate::Groups;

/// A block whose rows are groups of those of another, unless that would make hardly fewer of them, or there are native histograms:
/// what becomes of these depends on what came before. One whose rows are groups already stays as it is.
pub(super) fn group(grouping: &Grouping, mut block: Block) -> Block {
    if !block.histograms.is_empty() || block.partial.is_some() {
        return block;
    }
    let over = || aggregate::Grouping::over(&grouping.names, grouping.without);
    let mut found = over();
    block.labels.iter().for_each(|labels| {
        found.assign(labels);
    });
    if found.count() * 2 > block.rows() {
        return block;
    }
    let mut groups = Groups::new(grouping.op, over(), block.steps);
    for row in 0..block.rows() {
        groups.add_floats(&block.labels[row], block.drop_names[row], block.row(row));
    }
    Block { told: std::mem::take(&mut block.told), ..groups.into_block() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{Histogram, Labels};
    use proptest::prelude::*;

    use super::super::codec::GROUPING;
    use super::*;
    use crate::ast::{AggregateOp, Span};
    use crate::eval::annotation::AnnotationSet;
    use crate::eval::column::{ABSENT, Column, Frame, Item, is_present};

    const STEPS: usize = 3;

    /// What a step of a series holds: nothing, any sort of number, or a histogram with exponential or custom buckets.
    fn item(kind: u8) -> Item {
        let histogram = |schema: i32, bounds: &[f64]| {
            let spans = vec![base::Span { offset: 0, length: 1 }];
            let (positive, custom_bounds) = (vec![f64::from(kind)], bounds.into());
            let (count, sum) = (f64::from(kind), f64::from(kind) * 2.0);
            let h = Histogram { schema, count, sum, positive, custom_bounds, ..Histogram::default() };
            Item::Histogram(Arc::new(Histogram { positive_spans: spans, is_float: true, ..h }))
        };
        match kind {
            0..3 => Item::Float(ABSENT),
            3 => Item::Float(f64::NAN),
            4 => Item::Float(f64::INFINITY),
            5 => Item::Float(f64::NEG_INFINITY),
            6 => Item::Float(-0.0),
            7..20 => Item::Float(f64::from(kind) - 12.0),
            20..23 => histogram(0, &[]),
            _ => histogram(-53, &[1.0]),
        }
    }

    fn column((at, (group, kinds)): (usize, &(u8, [u8; STEPS]))) -> Column {
        let (group, instance) = (group.to_string(), at.to_string());
        let labels = [("__name__", "m"), ("g", group.as_str()), ("i", instance.as_str())];
        let mut column = Column::absent(Labels::from_pairs(labels), at % 5 == 3, STEPS);
        kinds.iter().enumerate().for_each(|(step, kind)| column.set(step, item(*kind)));
        column
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
            let mut rows = rows;
            if !with_histograms {
                rows.iter_mut().flat_map(|(_, kinds)| kinds).for_each(|kind| *kind %= 20);
            }
            let columns: Vec<Column> = rows.iter().enumerate().map(column).filter(|c| !c.is_empty()).collect();
            let names = vec![Arc::from(if without { "i" } else { "g" })];
            for op in GROUPING {
                let grouping = Grouping { op, names: names.clone(), without };
                let new = || Groups::new(op, aggregate::Grouping::over(&names, without), STEPS);
                let span = Span { start: 1, end: 2 };
                let (mut want, mut want_told) = (new(), AnnotationSet::default());
                columns.iter().for_each(|c| want.add(c, &mut want_told, span));
                let (mut got, mut told) = (new(), AnnotationSet::default());
                for part in columns.chunks(size) {
                    let mut block = Block::with_capacity(part.len(), STEPS);
                    part.iter().for_each(|c| block.push(c.clone()));
                    let block = group(&grouping, group(&grouping, block));
                    block.check(STEPS).unwrap();
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
            let mut groups = Groups::new(op, over(), STEPS);
            groups.add_floats(&Labels::empty(), false, &[1.0; STEPS]);
            let mut block = groups.into_block();
            block.partial = Some(crate::leaf::Partial::default());
            block.check(STEPS).unwrap();
            let merged =
                Groups::new(op, over(), STEPS).merge(block, &mut AnnotationSet::default(), Span::default());
            assert!(merged.unwrap_err().message().contains("lack a column"));
        }
    }
}
