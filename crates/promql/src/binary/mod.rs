//! Binary operators between vectors: which series belong together, and what comes of them.
//!
//! Series are matched once, by hashing the labels that have to agree; the steps then work on pairs of columns.

pub(crate) mod scalar;
mod set;
mod value;

use std::sync::Arc;

use base::{Error, Labels, METRIC_NAME, Result};
use rustc_hash::FxHashMap;

use self::scalar::{Operation, changes_schema, operation};
use self::value::Operand;
use crate::ast::{Binary, BinaryOp, Cardinality, Span, VectorMatching};
use crate::eval::annotation::AnnotationSet;
use crate::eval::column::{
    ABSENT, Column, Frame, is_metadata_label, is_present, merge_same_labels, show_labels,
};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;

/// Evaluates an operator between two vectors.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Binary,
    lhs: &Node<'_>,
    rhs: &Node<'_>,
) -> Result<Frame> {
    let matching = ast
        .matching
        .as_ref()
        .ok_or_else(|| Error::internal("cannot match vectors: the query says not how"))?;
    let lhs = ev.frame(lhs)?;
    let rhs = ev.frame(rhs)?;
    let groups = group(&lhs, &rhs, matching);
    let frame = if ast.op.is_set() {
        set::evaluate(ast.op, &lhs, &rhs, &groups)
    } else {
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (&rhs, &lhs) } else { (&lhs, &rhs) };
        let mut join = Join {
            op: ast.op,
            return_bool: ast.return_bool,
            operation: operation(ast.op)?,
            drops_metadata: changes_schema(ast.op) || (ast.return_bool && !ev.options.delayed_name_removal),
            matching,
            swapped,
            many,
            one,
            steps: node.steps.count,
            out: Frame::new(),
        };
        for (left, right) in &groups {
            ev.check_interrupt()?;
            let (many, one) = if swapped { (right, left) } else { (left, right) };
            join.group(many, one, &mut ev.annotations, node.span)?;
        }
        join.out
    };
    ev.release_all(&lhs);
    ev.release_all(&rhs);
    merge_same_labels(frame)
}

/// Left and right columns whose matched labels agree.
type Groups = Vec<(Vec<usize>, Vec<usize>)>;

fn group(lhs: &Frame, rhs: &Frame, matching: &VectorMatching) -> Groups {
    let mut by_signature: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut groups = Groups::new();
    for (side, frame) in [lhs, rhs].into_iter().enumerate() {
        for (i, column) in frame.iter().enumerate() {
            let signature = matched_labels(&column.labels, matching);
            let at = *by_signature.entry(signature).or_insert_with(|| {
                groups.push((Vec::new(), Vec::new()));
                groups.len() - 1
            });
            if side == 0 { groups[at].0.push(i) } else { groups[at].1.push(i) }
        }
    }
    groups
}

/// The labels that have to agree.
fn matched_labels(labels: &Labels, matching: &VectorMatching) -> Labels {
    if matching.on {
        labels.filtered(|n| contains(&matching.labels, n))
    } else {
        labels.filtered(|n| n != METRIC_NAME && !contains(&matching.labels, n))
    }
}

fn contains(names: &[Arc<str>], name: &str) -> bool {
    names.iter().any(|n| **n == *name)
}

/// An operator at work. The "one" side may have one series of a group at each step.
struct Join<'f> {
    op: BinaryOp,
    return_bool: bool,
    operation: Operation,
    drops_metadata: bool,
    matching: &'f VectorMatching,
    /// Whether the many side is the right one.
    swapped: bool,
    many: &'f Frame,
    one: &'f Frame,
    steps: usize,
    out: Frame,
}

/// An element of a pair: a series' column, or the value that stands in where the group has none.
#[derive(Clone, Copy)]
enum Element<'g> {
    Series(usize),
    Fill { value: f64, instead_of: &'g [usize] },
}

impl Join<'_> {
    fn group(
        &mut self,
        many: &[usize],
        one: &[usize],
        annotations: &mut AnnotationSet,
        span: Span,
    ) -> Result<()> {
        self.check_one_side(one)?;
        let mut results: Vec<(Labels, Element<'_>, Element<'_>)> = Vec::new();
        for m in many {
            let labels = &self.many[*m].labels;
            for o in one {
                let pair = (Element::Series(*m), Element::Series(*o));
                if self.meets(pair.0, pair.1) {
                    results.push((self.result_labels(labels, &self.one[*o].labels), pair.0, pair.1));
                }
            }
            if let Some(value) = self.matching.fill_right {
                let pair = (Element::Series(*m), Element::Fill { value, instead_of: one });
                if self.meets(pair.0, pair.1) {
                    let stand_in = matched_labels(labels, self.matching);
                    results.push((self.result_labels(labels, &stand_in), pair.0, pair.1));
                }
            }
        }
        if let Some(value) = self.matching.fill_left {
            for o in one {
                let pair = (Element::Fill { value, instead_of: many }, Element::Series(*o));
                if self.meets(pair.0, pair.1) {
                    let labels = &self.one[*o].labels;
                    let stand_in = matched_labels(labels, self.matching);
                    results.push((self.result_labels(&stand_in, labels), pair.0, pair.1));
                }
            }
        }
        self.check_results(&results)?;
        for (labels, m, o) in results {
            let mut column = Column::floats(labels, self.return_bool, Vec::new());
            self.compute(m, o, &mut column, annotations, span);
            self.out.push(column);
        }
        Ok(())
    }

    /// Fails if the one side has two series of a group at a step at which anything is matched.
    fn check_one_side(&self, one: &[usize]) -> Result<()> {
        if one.len() < 2 {
            return Ok(());
        }
        let fills = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();
        for step in 0..self.steps {
            let mut present = one.iter().filter(|o| self.one[**o].has(step));
            let (Some(first), Some(second)) = (present.next(), present.next()) else { continue };
            if !fills && !self.many.iter().any(|c| c.has(step)) {
                continue;
            }
            let side = if self.swapped { "left" } else { "right" };
            let group = show_labels(&matched_labels(&self.one[*second].labels, self.matching));
            let mut pair = [show_labels(&self.one[*first].labels), show_labels(&self.one[*second].labels)];
            pair.sort();
            return Err(Error::invalid(format!(
                "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
                 [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                pair[0], pair[1]
            )));
        }
        Ok(())
    }

    /// Fails if two pairs yield the same series at a step, or if a one-to-one operator has two pairs in a group.
    fn check_results(&self, results: &[(Labels, Element<'_>, Element<'_>)]) -> Result<()> {
        if results.len() < 2 {
            return Ok(());
        }
        let mut seen: FxHashMap<Option<&Labels>, Vec<bool>> = FxHashMap::default();
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        for (labels, m, o) in results {
            let key = if one_to_one { None } else { Some(labels) };
            let taken = seen.entry(key).or_insert_with(|| vec![false; self.steps]);
            for (step, taken) in taken.iter_mut().enumerate() {
                let (Some(m), Some(o)) =
                    (self.element(self.many, *m, step), self.element(self.one, *o, step))
                else {
                    continue;
                };
                let (a, b) = if self.swapped { (o, m) } else { (m, o) };
                if !value::is_defined(self.op, a, b) {
                    continue;
                }
                if std::mem::replace(taken, true) {
                    return Err(Error::invalid(if one_to_one {
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    } else {
                        "multiple matches for labels: grouping labels must ensure unique matches"
                    }));
                }
            }
        }
        Ok(())
    }

    fn element<'e>(&self, frame: &'e Frame, element: Element<'_>, step: usize) -> Option<Operand<'e>> {
        match element {
            Element::Series(i) => match frame[i].histogram(step) {
                Some(h) => Some(Operand::Histogram(h)),
                None => Some(frame[i].values[step]).filter(|v| is_present(*v)).map(Operand::Float),
            },
            Element::Fill { value, instead_of } => {
                let there = instead_of.iter().any(|i| frame[*i].has(step));
                (!there).then_some(Operand::Float(value))
            }
        }
    }

    /// Whether there is a step at which both are there.
    fn meets(&self, m: Element<'_>, o: Element<'_>) -> bool {
        (0..self.steps)
            .any(|s| self.element(self.many, m, s).is_some() && self.element(self.one, o, s).is_some())
    }

    fn compute(
        &self,
        m: Element<'_>,
        o: Element<'_>,
        out: &mut Column,
        annotations: &mut AnnotationSet,
        span: Span,
    ) {
        if let (Element::Series(m), Element::Series(o), Operation::Arithmetic(f)) = (m, o, self.operation) {
            let (m, o) = (&self.many[m], &self.one[o]);
            if !m.has_histograms() && !o.has_histograms() {
                let (a, b) = if self.swapped { (&o.values, &m.values) } else { (&m.values, &o.values) };
                let both =
                    |(a, b): (&f64, &f64)| if is_present(*a) && is_present(*b) { f(*a, *b) } else { ABSENT };
                out.values = a.iter().zip(b).map(both).collect();
                return;
            }
        }
        out.values = vec![ABSENT; self.steps];
        for step in 0..self.steps {
            let (m, o) = (self.element(self.many, m, step), self.element(self.one, o, step));
            let (Some(m), Some(o)) = (m, o) else { continue };
            let (a, b) = if self.swapped { (o, m) } else { (m, o) };
            if let (Operand::Float(a), Operand::Float(b)) = (a, b) {
                out.values[step] = self.floats(a, b, annotations, span);
            } else if !value::is_defined(self.op, a, b) {
                value::apply(self.op, a, b, annotations, span);
            } else if self.return_bool {
                let holds = value::apply(self.op, a, b, annotations, span).is_some();
                out.values[step] = f64::from(u8::from(holds));
            } else if let Some(item) = value::apply(self.op, a, b, annotations, span) {
                out.set(step, item);
            }
        }
    }

    fn floats(&self, a: f64, b: f64, annotations: &mut AnnotationSet, span: Span) -> f64 {
        match self.operation {
            Operation::Arithmetic(f) => f(a, b),
            Operation::Comparison(f) if self.return_bool => f64::from(u8::from(f(a, b))),
            Operation::Comparison(f) => {
                if f(a, b) {
                    a
                } else {
                    ABSENT
                }
            }
            Operation::Trim => {
                annotations.incompatible_types("float", self.op.as_str(), "float", span);
                ABSENT
            }
        }
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let kept = many.filtered(|n| {
            let matched = !one_to_one || contains(&self.matching.labels, n) == self.matching.on;
            matched && !(self.drops_metadata && is_metadata_label(n))
        });
        if self.matching.include.is_empty() {
            return kept;
        }
        let mut labels = kept.to_builder();
        for name in &self.matching.include {
            labels.set(name, one.get_or_empty(name));
        }
        labels.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(pairs: &[(&str, &str)], values: &[f64]) -> Column {
        let labels = Labels::from_pairs(pairs.iter().copied());
        Column::floats(labels, false, values.to_vec())
    }

    fn matching(cardinality: Cardinality, labels: &[&str]) -> VectorMatching {
        let labels = labels.iter().map(|l| Arc::from(*l)).collect();
        VectorMatching { cardinality, labels, on: true, include: vec![], fill_left: None, fill_right: None }
    }

    fn join(many: &Frame, one: &Frame, matching: &VectorMatching) -> Result<Frame> {
        let mut join = Join {
            op: BinaryOp::Add,
            return_bool: false,
            operation: operation(BinaryOp::Add)?,
            drops_metadata: true,
            matching,
            swapped: false,
            many,
            one,
            steps: many[0].values.len(),
            out: Frame::new(),
        };
        for (left, right) in &group(many, one, matching) {
            join.group(left, right, &mut AnnotationSet::default(), Span::default())?;
        }
        Ok(join.out)
    }

    #[test]
    fn pairs_have_values_where_both_sides_do() {
        let many = vec![column(&[("__name__", "x"), ("a", "1"), ("b", "1")], &[1.0, ABSENT, 3.0])];
        let one = vec![column(&[("__name__", "y"), ("a", "1")], &[10.0, 10.0, ABSENT])];
        let out = join(&many, &one, &matching(Cardinality::OneToOne, &["a"])).unwrap();
        assert_eq!(out[0].labels, Labels::from_pairs([("a", "1")]));
        assert_eq!(out[0].values[0], 11.0);
        assert_eq!(out[0].count_present(), 1);
    }

    #[test]
    fn a_second_series_on_the_one_side_is_refused_with_its_group() {
        let many = vec![column(&[("a", "1")], &[1.0])];
        let one = vec![column(&[("a", "1"), ("b", "2")], &[1.0]), column(&[("a", "1"), ("b", "1")], &[1.0])];
        let e = join(&many, &one, &matching(Cardinality::OneToOne, &["a"])).unwrap_err();
        assert!(e.message().contains(
            r#"match group {a="1"} on the right hand-side of the operation: [{a="1", b="1"}, {a="1", b="2"}];many"#
        ));
        let e = join(&one, &many, &matching(Cardinality::OneToOne, &["a"])).unwrap_err();
        assert!(e.message().contains("many-to-one matching must be explicit"));
        assert_eq!(join(&one, &many, &matching(Cardinality::ManyToOne, &["a"])).unwrap().len(), 2);
    }

    #[test]
    fn missing_elements_are_filled() {
        let many = vec![column(&[("a", "1")], &[1.0, ABSENT])];
        let one = vec![column(&[("a", "1")], &[ABSENT, 5.0])];
        let m = VectorMatching {
            fill_left: Some(100.0),
            fill_right: Some(7.0),
            ..matching(Cardinality::OneToOne, &["a"])
        };
        let out = merge_same_labels(join(&many, &one, &m).unwrap()).unwrap();
        assert_eq!(out[0].values, [8.0, 105.0]);
    }
}
