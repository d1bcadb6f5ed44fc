//! `absent` and `absent_over_time`: 1 where there is nothing.

use base::{Error, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Result};

use super::rollup;
use crate::Function;
use crate::eval::column::{ABSENT, Column, Frame, is_present};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::{Kind, Node};

/// `absent(v)`.
pub(crate) fn absent(ev: &mut Evaluator<'_>, node: &Node<'_>, arg: &Node<'_>) -> Result<Frame> {
    let mut values = vec![1.0; node.steps.count];
    ev.stream(arg, &mut |_, column| {
        mask(&mut values, &column);
        Ok(())
    })?;
    Ok(vec![Column::floats(labels_of(arg), false, values)])
}

/// `absent_over_time(r)`.
pub(crate) fn absent_over_time(ev: &mut Evaluator<'_>, node: &Node<'_>, args: &[Node<'_>]) -> Result<Frame> {
    let arg = args.first().ok_or_else(|| Error::internal("cannot evaluate absent_over_time() of nothing"))?;
    let mut values = vec![1.0; node.steps.count];
    rollup::stream(ev, node, Function::AbsentOverTime, args, &mut |_, column| {
        mask(&mut values, &column);
        Ok(())
    })?;
    Ok(vec![Column::floats(labels_of(arg), true, values)])
}

fn mask(values: &mut [f64], column: &Column) {
    for (out, v) in values.iter_mut().zip(&column.values) {
        if is_present(*v) {
            *out = ABSENT;
        }
    }
    for (out, _) in values.iter_mut().zip(&column.histograms).filter(|(_, h)| h.is_some()) {
        *out = ABSENT;
    }
}

/// The labels that the missing series would surely have had.
fn labels_of(arg: &Node<'_>) -> Labels {
    match &arg.kind {
        Kind::Selector(s) | Kind::Range(s) => certain_labels(&s.ast.matchers),
        _ => Labels::empty(),
    }
}

/// The labels that the matchers fix. As upstream, a later matcher on a label that was fixed frees it again.
fn certain_labels(matchers: &[Matcher]) -> Labels {
    let mut labels = LabelsBuilder::default();
    let mut fixed: Vec<&str> = Vec::new();
    for m in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        if m.op() == MatchOp::Equal && !fixed.contains(&m.name()) {
            labels.set(m.name(), m.value());
            fixed.push(m.name());
        } else {
            labels.remove(m.name());
        }
    }
    labels.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_fixed_once_are_certain() {
        let matchers = [
            Matcher::equal("__name__", "x"),
            Matcher::equal("a", "1"),
            Matcher::equal("b", "1"),
            Matcher::equal("b", "2"),
            Matcher::new("c", MatchOp::Regex, "1").unwrap(),
        ];
        assert_eq!(certain_labels(&matchers), Labels::from_pairs([("a", "1")]));
    }
}
