//! Functions of one value at a time: mathematics, trigonometry, rounding, clamping, parts of dates.

use base::Result;

use crate::ast::AggregateOp;
use crate::eval::column::{
    ABSENT, Column, Frame, is_metadata_label, is_present, merge_same_labels, without_metadata,
};
use crate::eval::evaluator::{Evaluator, Sink};
use crate::eval::plan::{Kind, Node};
use crate::number::{max_nan, min_nan};
use crate::{Function, functions};

/// The function of a single value, if the function is one.
pub(crate) fn unary(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Acos => f64::acos,
        Function::Acosh => f64::acosh,
        Function::Asin => f64::asin,
        Function::Asinh => f64::asinh,
        Function::Atan => f64::atan,
        Function::Atanh => f64::atanh,
        Function::Ceil => f64::ceil,
        Function::Cos => f64::cos,
        Function::Cosh => f64::cosh,
        Function::Deg => |v| v * 180.0 / std::f64::consts::PI,
        Function::Exp => f64::exp,
        Function::Floor => f64::floor,
        Function::Ln => f64::ln,
        Function::Log10 => f64::log10,
        Function::Log2 => f64::log2,
        Function::Rad => |v| v * std::f64::consts::PI / 180.0,
        Function::Sgn => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        Function::Sin => f64::sin,
        Function::Sinh => f64::sinh,
        Function::Sqrt => f64::sqrt,
        Function::Tan => f64::tan,
        Function::Tanh => f64::tanh,
        _ => return None,
    })
}

/// Whether the function bounds or rounds values by a number per step.
pub(crate) fn is_bounding(function: Function) -> bool {
    matches!(function, Function::Clamp | Function::ClampMax | Function::ClampMin | Function::Round)
}

/// Evaluates `clamp`, `clamp_max`, `clamp_min` and `round`.
pub(crate) fn bound(
    ev: &mut Evaluator<'_>,
    function: Function,
    args: &[Node<'_>],
    sink: &mut Sink<'_>,
) -> Result<()> {
    let first = args.get(1).map(|a| ev.scalar(a)).transpose()?;
    let second = args.get(2).map(|a| ev.scalar(a)).transpose()?;
    let at =
        |numbers: &Option<Vec<f64>>, step: usize, default: f64| numbers.as_ref().map_or(default, |n| n[step]);
    stream(ev, &args[0], sink, &mut |_, column| {
        column.histograms.clear();
        for (step, v) in column.values.iter_mut().enumerate().filter(|(_, v)| is_present(**v)) {
            *v = match function {
                Function::Clamp => clamp(*v, at(&first, step, 0.0), at(&second, step, 0.0)),
                Function::ClampMax => clamp(*v, f64::NEG_INFINITY, at(&first, step, 0.0)),
                Function::ClampMin => clamp(*v, at(&first, step, 0.0), f64::INFINITY),
                _ => {
                    // Inverted, as upstream, for fewer rounding errors with steps like 0.1.
                    let inverse = 1.0 / at(&first, step, 1.0);
                    (*v * inverse + 0.5).floor() / inverse
                }
            };
        }
        Ok(())
    })
}

fn clamp(v: f64, min: f64, max: f64) -> f64 {
    if max < min { ABSENT } else { max_nan(min, min_nan(max, v)) }
}

/// Applies `f` to each column of `input`, whose metric names then go.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    input: &Node<'_>,
    sink: &mut Sink<'_>,
    f: &mut dyn FnMut(&mut Evaluator<'_>, &mut Column) -> Result<()>,
) -> Result<()> {
    if ev.options.delayed_name_removal || names_are_gone(input) {
        return ev.stream(input, &mut |ev, mut column| {
            f(ev, &mut column)?;
            column.drop_name = true;
            if column.is_empty() { Ok(()) } else { sink(ev, column) }
        });
    }
    // Series that differ in the dropped labels only fall together, and where they overlap is known at the end.
    let mut frame = Frame::new();
    ev.stream(input, &mut |ev, mut column| {
        f(ev, &mut column)?;
        if !column.is_empty() {
            ev.hold(&column)?;
            frame.push(column);
        }
        Ok(())
    })?;
    ev.release_all(&frame);
    finish(ev, frame, sink)
}

/// Hands out columns whose metric names are to be dropped.
pub(crate) fn finish(ev: &mut Evaluator<'_>, mut frame: Frame, sink: &mut Sink<'_>) -> Result<()> {
    for column in &mut frame {
        column.drop_name = true;
        if !ev.options.delayed_name_removal {
            column.labels = without_metadata(&column.labels);
        }
    }
    if !ev.options.delayed_name_removal {
        frame = merge_same_labels(frame)?;
    }
    for column in frame {
        sink(ev, column)?;
    }
    Ok(())
}

/// Whether no column of a node can still have a metric name.
fn names_are_gone(node: &Node<'_>) -> bool {
    match &node.kind {
        Kind::Call { function, .. } => functions::drops_name(*function),
        Kind::Aggregate { ast, .. } => {
            use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Topk};
            // These keep series as they are, or name a label themselves.
            let may_name = matches!(ast.op, Topk | Bottomk | Limitk | LimitRatio | CountValues);
            !may_name && !ast.without && !ast.grouping.iter().any(|l| is_metadata_label(l))
        }
        Kind::Unary { negative, inner } => *negative || names_are_gone(inner),
        Kind::Invariant(inner) => names_are_gone(inner),
        Kind::Shared { inner, .. } => names_are_gone(inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamping_keeps_nan_and_drops_an_empty_interval() {
        assert_eq!(clamp(5.0, 1.0, 3.0), 3.0);
        assert!(clamp(f64::NAN, 1.0, 3.0).is_nan());
        assert!(is_present(clamp(f64::NAN, 1.0, 3.0)));
        assert!(!is_present(clamp(2.0, 3.0, 1.0)));
    }

    #[test]
    fn sign_keeps_zero_and_nan() {
        let sgn = unary(Function::Sgn).unwrap();
        assert_eq!((sgn(-2.0), sgn(0.0), sgn(7.0)), (-1.0, 0.0, 1.0));
        assert!(sgn(f64::NAN).is_nan());
    }
}
