//! Set operators: `and`, `or`, `unless`.

use rustc_hash::FxHashMap;

use super::Groups;
use crate::ast::BinaryOp;
use crate::eval::column::{ABSENT, Frame, is_present};

/// Evaluates a set operator: which elements remain depends on what the other side has of their group at the step.
pub(super) fn evaluate(op: BinaryOp, lhs: &Frame, rhs: &Frame, groups: &Groups) -> Frame {
    let mut left_group = vec![0; lhs.len()];
    let mut right_group = vec![0; rhs.len()];
    for (at, (left, right)) in groups.iter().enumerate() {
        left.iter().for_each(|i| left_group[*i] = at);
        right.iter().for_each(|i| right_group[*i] = at);
    }
    match op {
        BinaryOp::And => masked(lhs, rhs, &left_group, |at| &groups[at].1, true),
        BinaryOp::Unless => masked(lhs, rhs, &left_group, |at| &groups[at].1, false),
        _ => {
            let mut out = lhs.clone();
            out.extend(masked(rhs, lhs, &right_group, |at| &groups[at].0, false));
            out
        }
    }
}

/// The columns of `frame`, without the steps at which the other side's presence in the group is not as wanted.
fn masked<'g>(
    frame: &Frame,
    other: &Frame,
    group_of: &[usize],
    others_in: impl Fn(usize) -> &'g Vec<usize>,
    wanted: bool,
) -> Frame {
    let mut out = frame.clone();
    // When a group's other side has anything, computed once per group.
    let mut presence: FxHashMap<usize, Vec<bool>> = FxHashMap::default();
    for (column, at) in out.iter_mut().zip(group_of) {
        let there = presence.entry(*at).or_insert_with(|| {
            let mut there = vec![false; column.values.len()];
            for o in others_in(*at) {
                for (there, v) in there.iter_mut().zip(&other[*o].values) {
                    *there |= is_present(*v);
                }
                for (there, h) in there.iter_mut().zip(&other[*o].histograms) {
                    *there |= h.is_some();
                }
            }
            there
        });
        for (value, there) in column.values.iter_mut().zip(there.iter()) {
            if *there != wanted {
                *value = ABSENT;
            }
        }
        for (histogram, there) in column.histograms.iter_mut().zip(there.iter()) {
            if *there != wanted {
                *histogram = None;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base::Labels;

    use super::*;
    use crate::eval::column::Column;

    #[test]
    fn presence_decides_step_by_step() {
        let column = |values: &[f64]| Column::floats(Labels::empty(), false, values.to_vec());
        let (lhs, rhs) = (vec![column(&[1.0, 2.0, ABSENT])], vec![column(&[9.0, ABSENT, 9.0])]);
        let groups = vec![(vec![0], vec![0])];
        let steps =
            |frame: &Frame, i: usize| frame[i].values.iter().map(|v| is_present(*v)).collect::<Vec<_>>();
        assert_eq!(steps(&evaluate(BinaryOp::And, &lhs, &rhs, &groups), 0), [true, false, false]);
        assert_eq!(steps(&evaluate(BinaryOp::Unless, &lhs, &rhs, &groups), 0), [false, true, false]);
        let or = evaluate(BinaryOp::Or, &lhs, &rhs, &groups);
        assert_eq!((steps(&or, 0), steps(&or, 1)), (vec![true, true, false], vec![false, false, true]));
    }
}
