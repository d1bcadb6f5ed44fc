//! The state of one evaluation, and the dispatch over the nodes of its plan.
//!
//! A node is evaluated either whole ([`Evaluator::frame`]) or one column at a time ([`Evaluator::stream`]), so that an
//! aggregation right above a selector or a range function never holds more than one input series. Operators live in
//! `functions`, `aggregate` and `binary`.

use std::time::Duration;

use base::{Error, Labels, Result};
use rustc_hash::FxHashMap;

use super::annotation::AnnotationSet;
use super::column::{ABSENT, Column, Frame, is_present};
use super::plan::{Kind, Node, Plan};
use super::select::Want;
use super::steps::Steps;
use super::tally::Tally;
use super::trace::{Measured, Read, Trace};
use super::{EvalOptions, Interrupt};
use crate::binary::scalar;
use crate::functions::rollup;
use crate::histogram::multiply;
use crate::leaf::{Around, Block, Filter, Leaf, Numbers, Settings, Told};
use crate::limits::{CELL_BYTES, CELLS_PER_SAMPLE, MAX_LEAF_FILTERS, SAMPLE_BYTES, TELL_BYTES};
use crate::{Columns, QueryStats, Selection, SeriesSource, ValueType};

/// Takes columns as they come.
pub(crate) type Sink<'s> = dyn FnMut(&mut Evaluator<'_>, Column) -> Result<()> + 's;

/// One evaluation.
pub(crate) struct Evaluator<'a> {
    pub(crate) options: &'a EvalOptions,
    pub(crate) annotations: AnnotationSet,
    source: &'a dyn SeriesSource,
    interrupt: &'a dyn Interrupt,
    selections: Vec<Selection>,
    /// What was used and read by the steps that are being evaluated.
    pub(crate) tally: Tally,
    series: u64,
    peak_samples: u64,
    held_samples: u64,
    held_cells: u64,
    /// What the interrupt was last told of them, in bytes.
    told_bytes: u64,
    /// Parts of the query that were evaluated and are needed again.
    parts: FxHashMap<usize, Part>,
    /// Measures the nodes, if somebody wants to know.
    trace: Option<Trace<'a>>,
}

/// What a part of the query gave.
struct Part {
    frame: Frame,
    /// What it told.
    told: AnnotationSet,
    /// Samples that its steps used.
    tally: Tally,
    uses_left: usize,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        options: &'a EvalOptions,
        source: &'a dyn SeriesSource,
        interrupt: &'a dyn Interrupt,
        plan: &Plan<'_>,
    ) -> Self {
        // More steps than that will be refused.
        let counted = options.step_stats && plan.root.steps.count as u64 <= options.max_samples;
        let tally = Tally::of_steps(if counted { plan.root.steps.count } else { 0 });
        Self {
            options,
            annotations: AnnotationSet::default(),
            source,
            interrupt,
            selections: plan.selections.clone(),
            tally,
            series: 0,
            peak_samples: 0,
            held_samples: 0,
            held_cells: 0,
            told_bytes: 0,
            parts: FxHashMap::default(),
            trace: None,
        }
    }

    /// Measures what nodes take from here on.
    pub(crate) fn traced_by(mut self, trace: Option<Trace<'a>>) -> Self {
        self.trace = trace;
        self
    }

    /// What the evaluation cost and what it has to tell.
    pub(crate) fn finish(self, steps: Steps) -> (AnnotationSet, QueryStats, Option<Trace<'a>>) {
        let stats = QueryStats {
            series: self.series,
            samples: self.tally.used,
            samples_read: self.tally.read,
            peak_samples: self.peak_samples,
            steps: self.tally.into_stats(steps),
        };
        (self.annotations, stats, self.trace)
    }

    /// Ends the evaluation if it has been given up.
    pub(crate) fn check_interrupt(&self) -> Result<()> {
        self.interrupt.check()
    }

    /// The columns of a node, those without any value left out.
    pub(crate) fn frame(&mut self, node: &Node<'_>) -> Result<Frame> {
        if let Some(frame) = self.whole(node)? {
            return Ok(frame);
        }
        let mut frame = Frame::new();
        self.stream(node, &mut |ev, column| {
            ev.hold(&column)?;
            frame.push(column);
            Ok(())
        })?;
        Ok(frame)
    }

    /// Hands the columns of a node to `sink` as they come, those without any value left out.
    pub(crate) fn stream(&mut self, node: &Node<'_>, sink: &mut Sink<'_>) -> Result<()> {
        let Some(begin) = self.trace_now() else { return self.stream_untraced(node, sink) };
        let mut measured = Measured::default();
        let mut outside = Duration::ZERO;
        self.stream_untraced(node, &mut |ev, column| {
            measured.series += 1;
            measured.points += column.count_present() as u64;
            let left = ev.trace_now().unwrap_or_default();
            sink(ev, column)?;
            outside += ev.trace_now().unwrap_or_default().saturating_sub(left);
            Ok(())
        })?;
        self.trace_node(node, begin, outside, measured);
        Ok(())
    }

    fn stream_untraced(&mut self, node: &Node<'_>, sink: &mut Sink<'_>) -> Result<()> {
        if node.steps.count == 0 {
            return Ok(());
        }
        self.check_steps(node)?;
        match &node.kind {
            Kind::Selector(_) => {
                let Some(leaf) = self.leaf(node)? else { return Ok(()) };
                self.run_leaf(node, &leaf, &mut |ev, mut block| {
                    (0..block.rows()).try_for_each(|row| sink(ev, block.column(row)))
                })
            }
            Kind::Unary { negative: false, inner } => self.stream(inner, sink),
            Kind::Unary { negative: true, inner } if node.ty == ValueType::Vector => {
                crate::functions::elementwise::stream(self, inner, sink, &mut |_, c| {
                    c.values.iter_mut().filter(|v| is_present(**v)).for_each(|v| *v = -*v);
                    c.map_histograms(|h| multiply(h, -1.0));
                    Ok(())
                })
            }
            Kind::Call { function, args, .. } if crate::functions::streams(*function) => {
                crate::functions::stream(self, node, *function, args, sink)
            }
            Kind::Binary { ast, lhs, rhs } if node.ty == ValueType::Vector && lhs.ty != rhs.ty => {
                let Some(leaf) = self.leaf(node)? else {
                    return scalar::stream(self, node, ast, (lhs, rhs), sink);
                };
                self.run_leaf(node, &leaf, &mut |ev, mut block| {
                    (0..block.rows()).try_for_each(|row| sink(ev, block.column(row)))
                })
            }
            Kind::Invariant(inner) if node.ty == ValueType::Vector => {
                let outside = self.count_apart(None)?;
                self.stream(inner, &mut |ev, mut column| {
                    column.repeat(node.steps.count);
                    sink(ev, column)
                })?;
                let once = self.count_on(outside);
                self.tally.add_repeated(&once, node.steps.count);
                Ok(())
            }
            _ => {
                for column in self.whole_untraced(node)?.unwrap_or_default() {
                    self.release(&column);
                    sink(self, column)?;
                }
                Ok(())
            }
        }
    }

    /// A selection, if there is any step that needs it.
    pub(crate) fn selection(&self, at: Option<usize>) -> Option<Selection> {
        at.and_then(|at| self.selections.get(at)).cloned()
    }

    /// What leaves look at of how this evaluation is done.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            delayed_name_removal: self.options.delayed_name_removal,
            use_start_timestamps: self.options.use_start_timestamps,
            type_and_unit_labels: self.options.type_and_unit_labels,
            counts_steps: self.tally.counts_steps(),
        }
    }

    /// Whether the series of a node stay apart: it is a leaf, and no two of its series can become the same by losing the metric's name,
    /// which would be an error. Such a leaf may be filtered and grouped before all of its series are known.
    pub(crate) fn stays_apart(&self, node: &Node<'_>) -> bool {
        self.filters(node).is_some_and(|filters| filters <= MAX_LEAF_FILTERS)
    }

    /// The number of filters that a leaf has whose series stay apart; `None` if they may not, or it is none.
    fn filters(&self, node: &Node<'_>) -> Option<usize> {
        match &node.kind {
            Kind::Selector(_) => Some(0),
            Kind::Call { function, args, .. } => rollup::stays_apart(self, *function, args).then_some(0),
            Kind::Binary { ast, lhs, rhs } if scalar::is_filter(ast) => {
                scalar::sides(lhs, rhs).and_then(|(vector, _)| self.filters(vector)).map(|below| below + 1)
            }
            _ => None,
        }
    }

    /// The leaf that a node is, if it is one.
    pub(crate) fn leaf(&mut self, node: &Node<'_>) -> Result<Option<Leaf>> {
        match &node.kind {
            Kind::Selector(selector) => Ok(self.selection(selector.selection).map(|selection| {
                Leaf::newest(selector, selection, (node.span, node.steps), Want::Value, self.settings())
            })),
            Kind::Call { function, args, .. } if rollup::is_rollup(*function) => {
                self.check_steps(node)?;
                rollup::leaf(self, node, *function, args)
            }
            Kind::Binary { ast, lhs, rhs } if self.stays_apart(node) => {
                let Some((vector, number)) = scalar::sides(lhs, rhs) else { return Ok(None) };
                let Some(mut leaf) = self.leaf(vector)? else { return Ok(None) };
                let numbers = Numbers(self.scalar(number)?);
                let vector_left = lhs.ty == ValueType::Vector;
                leaf.filters.push(Filter { op: ast.op, numbers, vector_left, span: node.span });
                Ok(Some(leaf))
            }
            _ => Ok(None),
        }
    }

    /// Carries out the leaf that a node is, and takes in its blocks.
    pub(crate) fn run_leaf(
        &mut self,
        node: &Node<'_>,
        leaf: &Leaf,
        absorb: &mut dyn FnMut(&mut Self, Block) -> Result<()>,
    ) -> Result<()> {
        let around = Around { interrupt: self.interrupt, clock: self.trace.as_ref().map(Trace::clock) };
        self.source.run(leaf, around, &mut |mut block| {
            self.check_interrupt()?;
            let told = std::mem::take(&mut block.told);
            if let Some(trace) = &mut self.trace {
                trace.note_leaf(node, leaf, &told);
            }
            self.take_in(told)?;
            absorb(self, block)
        })
    }

    /// Takes in what a leaf has to tell.
    pub(crate) fn take_in(&mut self, told: Told) -> Result<()> {
        self.series += told.series;
        self.annotations.extend(told.annotations);
        self.tally.add(&told.tally);
        self.hold_samples(told.widest)?;
        self.release_samples(told.widest);
        Ok(())
    }

    /// Hands each series of a selection of a node to `f`.
    pub(crate) fn read(
        &mut self,
        node: &Node<'_>,
        selection: Option<usize>,
        f: &mut dyn FnMut(&mut Self, Labels, &mut Columns) -> Result<()>,
    ) -> Result<()> {
        let Some((selection, wanted)) = selection.zip(self.selection(selection)) else { return Ok(()) };
        let set = self.source.select(&wanted)?;
        let mut columns = Columns::default();
        for series in 0..set.count() {
            self.check_interrupt()?;
            let begin = self.trace_now();
            let labels = set.read(series, &mut columns)?;
            self.series += 1;
            if let (Some(begin), Some(trace)) = (begin, &mut self.trace) {
                let (samples, time) = (columns.size_in_samples(), trace.now().saturating_sub(begin));
                trace.note_read(node, Read { selection, series: 1, samples, time });
            }
            f(self, labels, &mut columns)?;
        }
        Ok(())
    }

    /// The time, if nodes are measured.
    pub(super) fn trace_now(&self) -> Option<Duration> {
        self.trace.as_ref().map(Trace::now)
    }

    /// Notes what a node gave, and the time since `begin` that was not spent on what became of it.
    fn trace_node(&mut self, node: &Node<'_>, begin: Duration, outside: Duration, mut measured: Measured) {
        if let Some(trace) = &mut self.trace {
            measured.time = trace.now().saturating_sub(begin).saturating_sub(outside);
            trace.note(node, measured);
        }
    }

    /// Evaluates the nodes that need all of their input at once; `None` for those that stream.
    fn whole(&mut self, node: &Node<'_>) -> Result<Option<Frame>> {
        let begin = self.trace_now();
        let frame = self.whole_untraced(node)?;
        if let (Some(begin), Some(frame)) = (begin, &frame) {
            let points = frame.iter().map(|c| c.count_present() as u64).sum();
            let measured = Measured { series: frame.len() as u64, points, time: Duration::ZERO };
            self.trace_node(node, begin, Duration::ZERO, measured);
        }
        Ok(frame)
    }

    fn whole_untraced(&mut self, node: &Node<'_>) -> Result<Option<Frame>> {
        if node.steps.count == 0 {
            return Ok(Some(Frame::new()));
        }
        self.check_steps(node)?;
        if node.ty == ValueType::Scalar {
            let values = self.scalar(node)?;
            let column = Column::floats(Labels::empty(), false, values);
            self.hold(&column)?;
            return Ok(Some(vec![column]));
        }
        let mut frame = match &node.kind {
            Kind::Shared { part, uses, shift, inner } => {
                return self.part(*part, *uses, *shift, inner).map(Some);
            }
            Kind::Aggregate { ast, input, param } => {
                crate::aggregate::evaluate(self, node, ast, input, param.as_deref())?
            }
            Kind::Binary { ast, lhs, rhs } if lhs.ty == rhs.ty => {
                crate::binary::evaluate(self, node, ast, lhs, rhs)?
            }
            Kind::Call { function, args, info } if !crate::functions::streams(*function) => {
                crate::functions::evaluate(self, node, *function, args, info.as_ref())?
            }
            Kind::Text(_) | Kind::Range(_) | Kind::Subquery { .. } => {
                return Err(Error::internal(format!("cannot evaluate a {} as a vector", node.ty)));
            }
            _ => return Ok(None),
        };
        frame.retain(|c| !c.is_empty());
        for column in &frame {
            self.hold(column)?;
        }
        Ok(Some(frame))
    }

    /// The columns of a part of the query that occurs several times.
    fn part(&mut self, part: usize, uses: usize, shift: isize, inner: &Node<'_>) -> Result<Frame> {
        if let Some(mut kept) = self.parts.remove(&part) {
            self.annotations.extend_shifted(&kept.told, shift);
            self.tally.add(&kept.tally);
            kept.uses_left -= 1;
            if kept.uses_left == 0 {
                return Ok(kept.frame);
            }
            let frame = kept.frame.clone();
            self.parts.insert(part, kept);
            frame.iter().try_for_each(|column| self.hold(column))?;
            return Ok(frame);
        }
        let annotations = std::mem::take(&mut self.annotations);
        let outside = self.count_apart(self.tally.counts_steps().then_some(inner))?;
        let frame = self.frame(inner)?;
        let tally = self.count_on(outside);
        self.tally.add(&tally);
        let told = std::mem::replace(&mut self.annotations, annotations);
        self.annotations.extend_shifted(&told, shift);
        frame.iter().try_for_each(|column| self.hold(column))?;
        self.parts.insert(part, Part { frame: frame.clone(), told, tally, uses_left: uses - 1 });
        Ok(frame)
    }

    /// The values of a scalar, one per step.
    pub(crate) fn scalar(&mut self, node: &Node<'_>) -> Result<Vec<f64>> {
        let steps = node.steps;
        self.check_steps(node)?;
        Ok(match &node.kind {
            Kind::Number(v) => vec![*v; steps.count],
            Kind::Unary { negative, inner } => {
                let mut values = self.scalar(inner)?;
                if *negative {
                    values.iter_mut().for_each(|v| *v = -*v);
                }
                values
            }
            Kind::Binary { ast, lhs, rhs } => {
                let (mut a, b) = (self.scalar(lhs)?, self.scalar(rhs)?);
                for (x, y) in a.iter_mut().zip(b) {
                    *x = scalar::apply(ast.op, *x, y)?;
                }
                a
            }
            Kind::Call { function, args, .. } => crate::functions::scalar(self, node, *function, args)?,
            Kind::Invariant(inner) => {
                let outside = self.count_apart(None)?;
                let values = self.scalar(inner)?;
                let once = self.count_on(outside);
                self.tally.add_repeated(&once, steps.count);
                vec![values.first().copied().unwrap_or(ABSENT); steps.count]
            }
            _ => return Err(Error::internal(format!("cannot evaluate a {} as a number", node.ty))),
        })
    }

    /// Refuses nodes of which a single column would be too much.
    fn check_steps(&self, node: &Node<'_>) -> Result<()> {
        if node.steps.count as u64 > self.options.max_samples { Err(too_many_samples()) } else { Ok(()) }
    }

    /// Counts a column that is kept for a while.
    pub(crate) fn hold(&mut self, column: &Column) -> Result<()> {
        self.held_cells += (column.values.len() + column.histograms.len()) as u64;
        self.hold_samples(column.count_samples())?;
        if self.held_cells > self.options.max_samples.saturating_mul(CELLS_PER_SAMPLE) {
            return Err(too_many_samples());
        }
        Ok(())
    }

    /// Counts a column no longer.
    pub(crate) fn release(&mut self, column: &Column) {
        let cells = (column.values.len() + column.histograms.len()) as u64;
        self.held_cells = self.held_cells.saturating_sub(cells);
        self.release_samples(column.count_samples());
    }

    /// Counts the columns of an operand no longer.
    pub(crate) fn release_all(&mut self, frame: &Frame) {
        frame.iter().for_each(|c| self.release(c));
    }

    /// Counts samples that are kept for a while.
    pub(crate) fn hold_samples(&mut self, samples: u64) -> Result<()> {
        self.held_samples += samples;
        self.peak_samples = self.peak_samples.max(self.held_samples);
        if self.held_samples > self.options.max_samples { Err(too_many_samples()) } else { self.tell_held() }
    }

    /// Counts samples no longer.
    pub(crate) fn release_samples(&mut self, samples: u64) {
        self.held_samples = self.held_samples.saturating_sub(samples);
    }

    /// Tells how much is held, if that has changed by enough to matter. What was released is told with what is held next.
    fn tell_held(&mut self) -> Result<()> {
        let bytes = (self.held_samples * SAMPLE_BYTES).max(self.held_cells * CELL_BYTES);
        if bytes.abs_diff(self.told_bytes) >= TELL_BYTES {
            self.told_bytes = bytes;
            self.interrupt.holds(bytes)?;
        }
        Ok(())
    }

    /// Begins a tally of its own for what is evaluated next, by the steps of a node if that is given; gives the one so far.
    pub(crate) fn count_apart(&mut self, by: Option<&Node<'_>>) -> Result<Tally> {
        let steps = match by {
            Some(node) => {
                self.check_steps(node)?;
                node.steps.count
            }
            None => 0,
        };
        Ok(std::mem::replace(&mut self.tally, Tally::of_steps(steps)))
    }

    /// Goes on with the tally from before; gives the one since then.
    pub(crate) fn count_on(&mut self, outside: Tally) -> Tally {
        std::mem::replace(&mut self.tally, outside)
    }
}

/// The limit on samples in memory is reached.
pub(crate) fn too_many_samples() -> Error {
    Error::limit("query processing would load too many samples into memory in query execution")
}
