//! Leaves: the parts of a query that are computed of stored series, each series by itself, and then of groups of them.
//!
//! A leaf is plain data ([`Leaf::to_bytes`]), so that whoever has the series may carry it out: a thread, or another machine. Its
//! series are computed in blocks whose borders depend on the data alone, and blocks are taken in in order, so that neither results
//! nor annotations depend on who computed them. Owns what a leaf is and carries it out; where and by how many, the source decides.

mod block;
mod codec;
mod filter;
mod group;
mod told;

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use base::{Clock, Labels, Result};
use serde::{Deserialize, Serialize};

pub use self::block::{Block, Partial};
pub(crate) use self::codec::Numbers;
pub(crate) use self::filter::Filter;
pub(crate) use self::group::Grouping;
pub use self::told::Told;
use crate::aggregate::accumulate::Groups;
use crate::ast::Span;
use crate::eval::column::Column;
use crate::eval::plan::{Selector, Window};
use crate::eval::select::{self, Notes, Picked, Want};
use crate::eval::steps::Steps;
use crate::eval::tally::Tally;
use crate::functions::extended::Mode;
use crate::functions::rollup::Roller;
use crate::functions::windows::SameTimes;
pub use crate::limits::BLOCK_BYTES;
use crate::limits::{BLOCK_CELLS, BLOCK_SERIES, MIN_BLOCK_SERIES, SAMPLE_BYTES};
use crate::{Columns, Function, Interrupt, Selection, SeriesSet};

/// A part of a query that is computed of stored series.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub(crate) selection: Selection,
    pub(crate) window: Window,
    pub(crate) steps: Steps,
    /// Where annotations about a series point to.
    pub(crate) span: Span,
    pub(crate) operation: Operation,
    /// Whether of native histograms count and sum are enough.
    pub(crate) statistics_only: bool,
    pub(crate) settings: Settings,
    /// What is kept of the values, one after the other.
    pub(crate) filters: Vec<Filter>,
    pub(crate) grouping: Option<Grouping>,
}

/// What is computed of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// The newest sample at each step.
    Newest { want: Want, smoothed: bool },
    /// A range function, with its numbers per step.
    Range { function: Function, numbers: Vec<Numbers>, mode: Mode },
}

/// The options of an evaluation that a leaf looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) delayed_name_removal: bool,
    pub(crate) use_start_timestamps: bool,
    pub(crate) type_and_unit_labels: bool,
    /// Whether samples are counted for each step, too.
    pub(crate) counts_steps: bool,
}

/// What carrying out a leaf has around it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Asked between series.
    pub interrupt: &'a dyn Interrupt,
    /// By which reading and computing are measured, if somebody wants to know.
    pub clock: Option<&'a dyn Clock>,
}

impl Around<'_> {
    fn now(&self) -> Duration {
        self.clock.map_or(Duration::ZERO, Clock::monotonic)
    }
}

impl Leaf {
    /// The newest sample of a selector, or what is known of it, at each step.
    pub(crate) fn newest(
        selector: &Selector<'_>,
        selection: Selection,
        (span, steps): (Span, Steps),
        want: Want,
        settings: Settings,
    ) -> Self {
        let operation = Operation::Newest { want, smoothed: selector.ast.smoothed && want == Want::Value };
        let (window, statistics_only) = (selector.window, selector.statistics_only);
        let (filters, grouping) = (Vec::new(), None);
        Self { selection, window, steps, span, operation, statistics_only, settings, filters, grouping }
    }

    /// What it needs of the store.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Number of values of a row of its blocks.
    pub fn steps(&self) -> usize {
        self.steps.count
    }

    /// Whether series are brought together in groups.
    pub fn is_grouped(&self) -> bool {
        self.grouping.is_some()
    }

    /// The leaf without its grouping.
    #[must_use]
    pub fn ungrouped(&self) -> Self {
        Self { grouping: None, ..self.clone() }
    }

    /// The blocks that its series are computed in. They do not depend on who computes them.
    pub fn blocks(&self, set: &dyn SeriesSet) -> Blocks {
        let (series, samples, steps) = (set.count(), set.samples(), self.steps.count.max(1));
        let each = (samples as usize / series.max(1)).max(steps);
        let size = (BLOCK_CELLS / each).clamp(MIN_BLOCK_SERIES, BLOCK_SERIES);
        // However few series those are, their rows have to fit, too. What takes more than a float could are native histograms.
        let bytes_each = set.size_bytes() / samples.max(1);
        let weight = if bytes_each > SAMPLE_BYTES { bytes_each as usize } else { 1 };
        let rows = (BLOCK_CELLS / steps.saturating_mul(weight)).max(1);
        Blocks { series, size: size.min(rows) }
    }

    /// Computes a block: each series by itself, and then groups of them. Where groups would hardly be fewer than series, or there are
    /// native histograms, of which it matters what came before, the rows stay series.
    pub fn compute(&self, set: &dyn SeriesSet, block: Range<usize>, around: Around<'_>) -> Result<Block> {
        if let Some(grouping) = &self.grouping
            && grouping.makes_fewer(block.clone().map(|at| set.labels(at)))
            && let Some(groups) = self.groups(grouping, set, block.clone(), around)?
        {
            return Ok(groups);
        }
        let mut out = Block::with_capacity(block.len(), self.steps.count);
        let (told, _) = self.each(set, block, around, &mut |column, _| {
            out.push(column);
            ControlFlow::Continue(())
        })?;
        Ok(Block { told, ..out })
    }

    /// Groups of a block, unless there are native histograms.
    fn groups(
        &self,
        grouping: &Grouping,
        set: &dyn SeriesSet,
        block: Range<usize>,
        around: Around<'_>,
    ) -> Result<Option<Block>> {
        let mut groups = Groups::new(grouping.op, grouping.groups(), self.steps.count);
        let (told, flow) = self.each(set, block, around, &mut |column, told| {
            if column.has_histograms() {
                return ControlFlow::Break(());
            }
            let begin = around.now();
            groups.add_floats(&column);
            told.group_time += around.now().saturating_sub(begin);
            ControlFlow::Continue(())
        })?;
        Ok(flow.is_continue().then(|| Block { told, ..groups.into_block() }))
    }

    /// Hands what is computed of each series of a block to `give`, until that has enough.
    fn each(
        &self,
        set: &dyn SeriesSet,
        block: Range<usize>,
        around: Around<'_>,
        give: &mut dyn FnMut(Column, &mut Told) -> ControlFlow<()>,
    ) -> Result<(Told, ControlFlow<()>)> {
        let mut told = Told::counting(self.settings.counts_steps, self.steps);
        let (mut columns, mut same) = (Columns::default(), SameTimes::default());
        let roller = match &self.operation {
            Operation::Newest { .. } => None,
            Operation::Range { function, numbers, .. } => Some(Roller {
                function: *function,
                steps: self.steps,
                numbers,
                span: self.span,
                settings: self.settings,
            }),
        };
        for at in block {
            around.interrupt.check()?;
            let begin = around.now();
            let labels = set.read(at, &mut columns)?;
            let read = around.now();
            told.read(&columns, read.saturating_sub(begin));
            let found = match (&roller, &self.operation) {
                (Some(roller), Operation::Range { mode, .. }) => {
                    if self.statistics_only {
                        columns.histograms.keep_statistics();
                    }
                    select::drop_stale(&mut columns);
                    let column = roller.column(
                        labels,
                        false,
                        &columns,
                        &self.window,
                        *mode,
                        (&mut told, &mut same),
                    )?;
                    column.map(|column| (column.count_present() as u64, column))
                }
                (_, Operation::Newest { want, smoothed }) => {
                    self.pick(labels, &mut columns, (*want, *smoothed), (&mut told, &mut same))
                }
                (None, Operation::Range { .. }) => None,
            };
            let kept =
                found.map(|(points, column)| self.filter(points, column, &mut told)).transpose()?.flatten();
            told.compute_time += around.now().saturating_sub(read);
            if let Some(column) = kept
                && give(column, &mut told).is_break()
            {
                return Ok((told, ControlFlow::Break(())));
            }
        }
        Ok((told, ControlFlow::Continue(())))
    }

    /// What the filters leave of a series with so many points, if they do.
    fn filter(&self, points: u64, mut column: Column, told: &mut Told) -> Result<Option<Column>> {
        told.gave(points);
        if self.filters.is_empty() {
            return Ok(Some(column));
        }
        for filter in &self.filters {
            filter.apply(&mut column, told)?;
        }
        let points = column.count_present() as u64;
        if points == 0 {
            return Ok(None);
        }
        told.kept(points);
        Ok(Some(column))
    }

    /// The newest samples of a series, and at how many steps there are any.
    fn pick(
        &self,
        labels: Labels,
        columns: &mut Columns,
        (want, smoothed): (Want, bool),
        (told, same): (&mut Told, &mut SameTimes),
    ) -> Option<(u64, Column)> {
        if self.statistics_only {
            columns.histograms.keep_statistics();
        }
        let Picked { mut values, histograms } = if smoothed {
            select::drop_stale(columns);
            let mut notes =
                Notes { annotations: &mut told.annotations, metric: labels.metric(), span: self.span };
            select::smooth(columns, &self.window, self.steps, &mut notes)
        } else {
            select::pick(columns, &self.window, self.steps, want, same)
        };
        if want != Want::Value {
            values.iter_mut().filter(|v| crate::eval::column::is_present(**v)).for_each(|v| *v /= 1000.0);
        }
        let column = Column { labels, drop_name: want != Want::Value, values, histograms };
        let points = column.count_present() as u64;
        if points == 0 {
            return None;
        }
        told.tally.add(&Tally::of_column(&column, points, self.settings.counts_steps));
        Some((points, column))
    }

    /// Carries out the leaf here, and hands over its blocks in order.
    pub fn run(
        &self,
        set: &dyn SeriesSet,
        around: Around<'_>,
        absorb: &mut dyn FnMut(Block) -> Result<()>,
    ) -> Result<()> {
        self.blocks(set).try_for_each(|block| absorb(self.compute(set, block, around)?))
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Operation::Newest { want: Want::Value, smoothed: false } => f.write_str("newest")?,
            Operation::Newest { want: Want::Value, smoothed: true } => f.write_str("smoothed")?,
            Operation::Newest { want: Want::Time, .. } => f.write_str("timestamp")?,
            Operation::Newest { want: Want::Start, .. } => f.write_str("start_timestamp")?,
            Operation::Range { function, .. } => f.write_str(function.name())?,
        }
        let range = Duration::from_millis(u64::try_from(self.window.range_ms).unwrap_or(0));
        write!(f, " of [{}]", base::format_duration(range))?;
        self.filters.iter().try_for_each(|filter| write!(f, ", {filter}"))?;
        self.grouping.iter().try_for_each(|grouping| write!(f, ", {grouping}"))
    }
}

/// The blocks of a leaf's series, in order.
#[derive(Debug, Clone)]
pub struct Blocks {
    series: usize,
    size: usize,
}

impl Blocks {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.series.div_ceil(self.size)
    }

    /// The series of one of them.
    pub fn at(&self, block: usize) -> Range<usize> {
        block * self.size..self.series.min((block + 1) * self.size)
    }

    fn try_for_each(&self, f: impl FnMut(Range<usize>) -> Result<()>) -> Result<()> {
        (0..self.count()).map(|block| self.at(block)).try_for_each(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Series, samples and bytes.
    struct Sized(usize, u64, u64);

    impl SeriesSet for Sized {
        fn count(&self) -> usize {
            self.0
        }

        fn samples(&self) -> u64 {
            self.1
        }

        fn size_bytes(&self) -> u64 {
            self.2
        }

        fn labels(&self, _: usize) -> Labels {
            Labels::empty()
        }

        fn read(&self, _: usize, _: &mut Columns) -> Result<Labels> {
            Err(base::Error::internal("nothing is read"))
        }
    }

    #[test]
    fn rows_of_a_block_fit_into_memory() {
        let size = |steps: usize, set: &Sized| {
            let bytes = format!(
                "{}{steps}{}",
                r#"{"matchers":[],"range":[0,1],"usages":[],"window":{"range_ms":1,"offset_ms":0,"at_ms":null,"before_ms":0,"after_ms":0},
                "steps":{"start_ms":0,"step_ms":1,"count":"#,
                r#"},"span":{"start":0,"end":0},"operation":{"Newest":{"want":"Value","smoothed":false}},"statistics_only":false,"settings":
                {"delayed_name_removal":false,"use_start_timestamps":false,"type_and_unit_labels":false,"counts_steps":false},"filters":[],"grouping":null}"#
            );
            let blocks = Leaf::from_bytes(bytes.as_bytes()).unwrap().blocks(set);
            assert_eq!((0..blocks.count()).map(|b| blocks.at(b).len()).sum::<usize>(), set.0);
            blocks.at(0).len()
        };
        let floats = |each: u64| Sized(10_000, 10_000 * each, 20_000 * each);
        assert_eq!(size(1, &floats(20)), BLOCK_SERIES);
        assert_eq!(size(1000, &floats(100)), BLOCK_CELLS / 1000);
        assert_eq!(size(11_000, &floats(100)), BLOCK_CELLS / 11_000);
        // Decoding takes a series at a time, rows all of them.
        assert_eq!(size(100, &floats(1_000_000)), MIN_BLOCK_SERIES);
        assert_eq!(size(100_000, &floats(100)), BLOCK_CELLS / 100_000);
        assert_eq!(size(1_000_000, &floats(100)), 1);
        let histograms = Sized(10_000, 1_000_000, 200_000_000);
        assert_eq!(size(100, &histograms), BLOCK_CELLS / 100 / 200);
        assert_eq!(size(11_000, &histograms), 1);
        assert_eq!(size(1, &Sized(3, 0, 0)), 3);
    }
}
