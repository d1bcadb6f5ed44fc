//! `count_values("label", v)`: how many series of a group have each value.

use base::{Error, Labels, Result, format_float};
use rustc_hash::FxHashMap;

use super::Grouping;
use crate::ast::Aggregate;
use crate::eval::column::{Column, Frame, is_present};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::{Kind, Node};
use crate::functions::label::is_label_name;
use crate::histogram::describe;
use crate::quote::quote;

/// Evaluates `count_values`.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
    label: &Node<'_>,
) -> Result<Frame> {
    let Kind::Text(name) = label.kind else {
        return Err(Error::internal("cannot count values without a label"));
    };
    if !is_label_name(name) {
        return Err(Error::invalid(format!("invalid label name {}", quote(name))));
    }
    let grouping = Grouping::new(ast);
    let mut by_labels: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut out = Frame::new();
    ev.stream(input, &mut |ev, column| {
        // The label set of a value is built once per series, however many steps have it.
        let mut by_value: FxHashMap<u64, usize> = FxHashMap::default();
        let mut at_value = |out: &mut Frame, text: &str| {
            let labels = labels_of(&grouping, ast, &column.labels, name, text);
            *by_labels.entry(labels).or_insert_with_key(|labels| {
                out.push(Column::absent(labels.clone(), false, node.steps.count));
                out.len() - 1
            })
        };
        for (step, v) in column.values.iter().enumerate() {
            let at = if let Some(h) = column.histogram(step) {
                at_value(&mut out, &describe(h))
            } else if !is_present(*v) {
                continue;
            } else if let Some(at) = by_value.get(&v.to_bits()) {
                *at
            } else {
                let mut text = String::new();
                format_float(*v, &mut text);
                let at = at_value(&mut out, &text);
                by_value.insert(v.to_bits(), at);
                at
            };
            let count = &mut out[at].values[step];
            *count = if is_present(*count) { *count + 1.0 } else { 1.0 };
        }
        ev.hold_samples(by_value.len() as u64)?;
        ev.release_samples(by_value.len() as u64);
        Ok(())
    })?;
    Ok(out)
}

fn labels_of(grouping: &Grouping<'_>, ast: &Aggregate, series: &Labels, name: &str, value: &str) -> Labels {
    let mut labels = series.to_builder();
    labels.set(name, value);
    let labelled = labels.build();
    if ast.without {
        return grouping.labels(&labelled);
    }
    labelled.filtered(|n| n == name || ast.grouping.iter().any(|l| **l == *n))
}
