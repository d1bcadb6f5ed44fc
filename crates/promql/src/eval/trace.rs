//! What each node of a plan gave and how long it took: for people who want to know where the time of a query goes.
//!
//! Owns the measuring and the tree that is shown. An evaluation that nobody asks about measures nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base::Clock;

use super::plan::{Kind, Node, Plan};
use super::share::inputs;
use crate::ast::Span;
use crate::binary::scalar;
use crate::leaf::{Leaf, Told};
use crate::{Selection, print};

/// A node of an evaluated plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanNode {
    /// The operator, as it is written: `sum by (mode)`, `rate`, `node_cpu_seconds_total{mode="idle"}[5m]`.
    pub operator: String,
    /// Where it stands in the query; empty where it stands nowhere.
    pub span: Span,
    /// Steps that it was evaluated at.
    pub steps: usize,
    /// Series that it gave.
    pub series: u64,
    /// Values of them.
    pub points: u64,
    /// Time that it took with its inputs.
    pub total: Duration,
    /// Time that it took by itself; for a selector that of reading.
    pub own: Duration,
    /// What was read for it.
    pub read: Option<Read>,
    /// What it works on.
    pub inputs: Vec<PlanNode>,
}

/// What was read of a selection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Position of the selection among those that were announced.
    pub selection: usize,
    /// Series.
    pub series: u64,
    /// Samples of them, or buckets in their place.
    pub samples: u64,
    /// Time that the source took to hand them out.
    pub time: Duration,
}

/// Measures an evaluation.
pub(crate) struct Trace<'a> {
    clock: &'a dyn Clock,
    /// By the address of the node, which stays where it is as long as its plan is evaluated.
    nodes: HashMap<usize, Measured>,
    reads: HashMap<usize, Read>,
    selections: Vec<Selection>,
}

/// What was measured of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    pub(crate) series: u64,
    pub(crate) points: u64,
    pub(crate) time: Duration,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(clock: &'a dyn Clock, selections: &[Selection]) -> Self {
        Self { clock, nodes: HashMap::new(), reads: HashMap::new(), selections: selections.to_vec() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Adds to what is known of a node.
    pub(crate) fn note(&mut self, node: &Node<'_>, measured: Measured) {
        let of = self.nodes.entry(address(node)).or_default();
        of.series += measured.series;
        of.points += measured.points;
        of.time += measured.time;
    }

    /// Adds to what is known of the selection that a node reads, or one of its arguments.
    pub(crate) fn note_read(&mut self, node: &Node<'_>, read: Read) {
        let range = match &node.kind {
            Kind::Call { args, .. } => args.iter().find(|arg| matches!(arg.kind, Kind::Range(_))),
            _ => None,
        };
        let of = self.reads.entry(address(range.unwrap_or(node))).or_default();
        of.selection = read.selection;
        of.series += read.series;
        of.samples += read.samples;
        of.time += read.time;
    }

    /// Adds what a leaf told to what is known of its node and of its selection.
    pub(crate) fn note_leaf(&mut self, node: &Node<'_>, leaf: &Leaf, told: &Told) {
        let Some(selection) = self.selections.iter().position(|s| s == leaf.selection()) else { return };
        let time = told.read_time + told.compute_time;
        let mut below = node;
        while let Kind::Binary { lhs, rhs, .. } = &below.kind {
            // What is not grouped is noted where it streams.
            if leaf.is_grouped() || !std::ptr::eq(below, node) {
                self.note(below, Measured { series: told.kept_rows, points: told.kept_points, time });
            }
            below = scalar::sides(lhs, rhs).map_or(lhs, |(vector, _)| vector);
        }
        let (series, samples) = (told.series, told.samples);
        self.note_read(below, Read { selection, series, samples, time: told.read_time });
        if leaf.is_grouped() || !std::ptr::eq(below, node) {
            self.note(below, Measured { series: told.rows, points: told.points, time });
        }
    }

    /// The clock that it measures by.
    pub(crate) fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// The tree of what was measured.
    pub(crate) fn finish(&self, plan: &Plan<'_>) -> PlanNode {
        self.node(&plan.root, &mut HashSet::new())
    }

    /// The tree below a node; `shown` has the shared parts that it shows already.
    fn node(&self, node: &Node<'_>, shown: &mut HashSet<usize>) -> PlanNode {
        if let Kind::Shared { part, inner, .. } = &node.kind {
            if shown.insert(*part) {
                return PlanNode { span: node.span, ..self.node(inner, shown) };
            }
            let Measured { series, points, .. } =
                self.nodes.get(&address(inner)).copied().unwrap_or_default();
            let (operator, span, steps) = (operator(node), node.span, node.steps.count);
            let (total, own) = (Duration::ZERO, Duration::ZERO);
            return PlanNode {
                operator,
                span,
                steps,
                series,
                points,
                total,
                own,
                read: None,
                inputs: Vec::new(),
            };
        }
        let measured = self.nodes.get(&address(node)).copied().unwrap_or_default();
        let mut inputs: Vec<PlanNode> = inputs(node).into_iter().map(|n| self.node(n, shown)).collect();
        let read = self.reads.get(&address(node)).copied();
        // What is read for a function is read by the function.
        if let (Kind::Range(_), Some(read)) = (&node.kind, read) {
            let (operator, span, steps) = (operator(node), node.span, node.steps.count);
            let (series, points) = (read.series, read.samples);
            let (total, own) = (read.time, read.time);
            inputs.clear();
            return PlanNode { operator, span, steps, series, points, total, own, read: Some(read), inputs };
        }
        let below: Duration = inputs.iter().map(|i| i.total).sum();
        PlanNode {
            operator: operator(node),
            span: node.span,
            steps: node.steps.count,
            series: measured.series,
            points: measured.points,
            total: measured.time.max(below),
            own: measured.time.saturating_sub(below),
            read,
            inputs,
        }
    }
}

fn address(node: &Node<'_>) -> usize {
    std::ptr::from_ref(node).addr()
}

fn operator(node: &Node<'_>) -> String {
    match &node.kind {
        Kind::Number(v) => print::number(*v, false),
        Kind::Text(text) => crate::quote::quote(text),
        Kind::Unary { negative, .. } => print::sign(*negative).to_string(),
        Kind::Binary { ast, .. } => print::operator(ast),
        Kind::Aggregate { ast, .. } => print::aggregate_head(ast).trim_end().to_owned(),
        Kind::Call { function, .. } => function.name().to_owned(),
        Kind::Selector(s) => print::selector(s.ast),
        Kind::Range(s) => {
            format!("{}[{}]", print::selector(s.ast), base::format_duration(millis(s.window.range_ms)))
        }
        Kind::Subquery { window, .. } => {
            format!("subquery over {}", base::format_duration(millis(window.range_ms)))
        }
        Kind::Invariant(_) => "once for all steps".to_owned(),
        Kind::Shared { inner, .. } => format!("again {}", operator(inner)),
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
