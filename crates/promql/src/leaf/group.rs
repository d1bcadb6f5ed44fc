//! Brings the series of a block together, as far as that can be done without the other blocks.

use super::{Block, Grouping};
use crate::aggregate;
use crate::aggregate::accumulate::Groups;

/// A block whose rows are groups of those of another, unless that would make hardly fewer of them, or there are native histograms:
/// what becomes of these depends on what came before.
pub(super) fn group(grouping: &Grouping, mut block: Block) -> Block {
    if !block.histograms.is_empty() {
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
