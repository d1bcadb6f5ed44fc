//! Parts of a query that occur more than once, to be evaluated once.
//!
//! Owns finding them in a plan. Two parts are one if they are written alike: same operators, same samples, same steps, and the same
//! distances between their positions in the query, so that what one tells can be told for the other.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};

use super::plan::{InfoSource, Kind, Node, Selector};
use crate::ValueType;
use crate::ast::Span;

/// Makes parts that occur more than once [`Kind::Shared`].
pub(crate) fn share(root: &mut Node<'_>) {
    let mut found = Finder::default();
    found.visit(root, false);
    found.choices.retain(|_, choice| found.members[choice.part] > 1);
    if found.choices.is_empty() {
        return;
    }
    let Finder { choices, members, .. } = found;
    let firsts = members.iter().map(|_| None).collect();
    Rewriter { choices, members, firsts, next: 0 }.visit(root);
}

/// What a node is to become.
#[derive(Debug, Clone, Copy)]
struct Choice {
    part: usize,
    /// How much later in the query it stands than the first one like it; 0 for that one.
    shift: isize,
    is_first: bool,
}

/// Walks over a plan and leaves out what is below a part that was there before.
#[derive(Default)]
struct Finder<'n, 'e> {
    /// Number of the next node.
    next: usize,
    by_hash: FxHashMap<u64, Vec<(usize, &'n Node<'e>)>>,
    /// By number of the node.
    choices: FxHashMap<usize, Choice>,
    /// How many nodes each part stands for.
    members: Vec<usize>,
}

impl<'n, 'e> Finder<'n, 'e> {
    fn visit(&mut self, node: &'n Node<'e>, below_call: bool) {
        let number = self.next;
        self.next += 1;
        if is_worthwhile(node, below_call) {
            let alike = self.by_hash.entry(hash_of(node)).or_default();
            let first = alike.iter().find_map(|(part, first)| {
                let shift = shift(first.span, node.span)?;
                is_same(first, node, shift).then_some((*part, shift))
            });
            if let Some((part, shift)) = first {
                self.members[part] += 1;
                self.choices.insert(number, Choice { part, shift, is_first: false });
                return;
            }
            let part = self.members.len();
            alike.push((part, node));
            self.members.push(1);
            self.choices.insert(number, Choice { part, shift: 0, is_first: true });
        }
        let is_call = matches!(node.kind, Kind::Call { .. });
        inputs(node).into_iter().for_each(|input| self.visit(input, is_call));
    }
}

/// Walks over the same nodes in the same order.
struct Rewriter<'e> {
    choices: FxHashMap<usize, Choice>,
    members: Vec<usize>,
    firsts: Vec<Option<Rc<Node<'e>>>>,
    next: usize,
}

impl<'e> Rewriter<'e> {
    fn visit(&mut self, node: &mut Node<'e>) {
        let number = self.next;
        self.next += 1;
        let choice = self.choices.get(&number).copied();
        if let Some(Choice { part, shift, is_first: false }) = choice
            && let Some(inner) = self.firsts[part].clone()
        {
            node.kind = Kind::Shared { part, uses: self.members[part], shift, inner };
            return;
        }
        inputs_mut(node).into_iter().for_each(|input| self.visit(input));
        if let Some(Choice { part, .. }) = choice {
            let (ty, span, steps) = (node.ty, node.span, node.steps);
            let kind = std::mem::replace(&mut node.kind, Kind::Number(0.0));
            let inner = Rc::new(Node { kind, ty, span, steps });
            self.firsts[part] = Some(inner.clone());
            node.kind = Kind::Shared { part, uses: self.members[part], shift: 0, inner };
        }
    }
}

/// Whether evaluating a node twice would cost something. Functions look at selectors that are their arguments, which so have to stay.
fn is_worthwhile(node: &Node<'_>, below_call: bool) -> bool {
    let is_operator = match &node.kind {
        Kind::Selector(_) => !below_call,
        Kind::Unary { .. } | Kind::Binary { .. } | Kind::Aggregate { .. } | Kind::Call { .. } => true,
        _ => false,
    };
    is_operator && node.ty == ValueType::Vector && node.steps.count > 0 && reads(node)
}

fn reads(node: &Node<'_>) -> bool {
    selection(node).is_some() || inputs(node).into_iter().any(reads)
}

fn selection(node: &Node<'_>) -> Option<usize> {
    match &node.kind {
        Kind::Selector(s) | Kind::Range(s) => s.selection,
        Kind::Call { info: Some(info), .. } => info.selection,
        _ => None,
    }
}

/// What a node works on.
pub(crate) fn inputs<'n, 'e>(node: &'n Node<'e>) -> Vec<&'n Node<'e>> {
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(_) => Vec::new(),
        Kind::Unary { inner, .. } | Kind::Subquery { inner, .. } | Kind::Invariant(inner) => vec![inner],
        Kind::Shared { inner, .. } => vec![inner],
        Kind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        Kind::Aggregate { input, param, .. } => param.as_deref().into_iter().chain([&**input]).collect(),
        Kind::Call { args, .. } => args.iter().collect(),
    }
}

/// The same, to be changed. What is shared stays.
fn inputs_mut<'n, 'e>(node: &'n mut Node<'e>) -> Vec<&'n mut Node<'e>> {
    match &mut node.kind {
        Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(_) | Kind::Shared { .. } => {
            Vec::new()
        }
        Kind::Unary { inner, .. } | Kind::Subquery { inner, .. } | Kind::Invariant(inner) => vec![inner],
        Kind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        Kind::Aggregate { input, param, .. } => {
            param.as_deref_mut().into_iter().chain([&mut **input]).collect()
        }
        Kind::Call { args, .. } => args.iter_mut().collect(),
    }
}

/// Equal for parts that are the same.
fn hash_of(node: &Node<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    hash(node, &mut hasher);
    hasher.finish()
}

fn hash(node: &Node<'_>, hasher: &mut FxHasher) {
    std::mem::discriminant(&node.kind).hash(hasher);
    node.steps.count.hash(hasher);
    match &node.kind {
        Kind::Number(v) => v.to_bits().hash(hasher),
        Kind::Binary { ast, .. } => ast.op.as_str().hash(hasher),
        Kind::Aggregate { ast, .. } => ast.op.as_str().hash(hasher),
        Kind::Call { function, .. } => function.name().hash(hasher),
        _ => selection(node).hash(hasher),
    }
    inputs(node).into_iter().for_each(|input| hash(input, hasher));
}

/// How much later `b` stands than `a`.
fn shift(a: Span, b: Span) -> Option<isize> {
    let shift = isize::try_from(b.start).ok()?.checked_sub(isize::try_from(a.start).ok()?)?;
    (b.end.wrapping_sub(b.start) == a.end.wrapping_sub(a.start)).then_some(shift)
}

/// Whether two nodes give the same, and what `a` tells is true of `b` at positions that are `by` later.
fn is_same(a: &Node<'_>, b: &Node<'_>, by: isize) -> bool {
    let nowhere = Span::default();
    let is_there = (a.span == nowhere && b.span == nowhere) || shift(a.span, b.span) == Some(by);
    if !is_there || a.ty != b.ty || a.steps != b.steps {
        return false;
    }
    let is_alike = match (&a.kind, &b.kind) {
        (Kind::Number(a), Kind::Number(b)) => a.to_bits() == b.to_bits(),
        (Kind::Text(a), Kind::Text(b)) => a == b,
        (Kind::Unary { negative: a, .. }, Kind::Unary { negative: b, .. }) => a == b,
        (Kind::Binary { ast: a, .. }, Kind::Binary { ast: b, .. }) => {
            a.op == b.op
                && a.return_bool == b.return_bool
                && a.matching == b.matching
                && shift(a.op_span, b.op_span) == Some(by)
        }
        (Kind::Aggregate { ast: a, .. }, Kind::Aggregate { ast: b, .. }) => {
            a.op == b.op && a.grouping == b.grouping && a.without == b.without
        }
        (Kind::Call { function: f, info: i, .. }, Kind::Call { function: g, info: j, .. }) => {
            f == g && is_same_info(i.as_ref(), j.as_ref())
        }
        (Kind::Selector(a), Kind::Selector(b)) | (Kind::Range(a), Kind::Range(b)) => is_same_selector(a, b),
        (Kind::Subquery { window: a, .. }, Kind::Subquery { window: b, .. }) => a == b,
        (Kind::Invariant(_), Kind::Invariant(_)) => true,
        _ => false,
    };
    let (of_a, of_b) = (inputs(a), inputs(b));
    is_alike && of_a.len() == of_b.len() && of_a.into_iter().zip(of_b).all(|(a, b)| is_same(a, b, by))
}

fn is_same_selector(a: &Selector<'_>, b: &Selector<'_>) -> bool {
    a.selection == b.selection
        && a.window == b.window
        && a.statistics_only == b.statistics_only
        && (a.ast.anchored, a.ast.smoothed) == (b.ast.anchored, b.ast.smoothed)
}

fn is_same_info(a: Option<&InfoSource>, b: Option<&InfoSource>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.selection == b.selection && a.window == b.window && a.matchers == b.matchers,
        (None, None) => true,
        _ => false,
    }
}
