//! The functions, a family per file. Owns the choice of the family; knows neither operators nor aggregations.

pub(crate) mod absent;
pub(crate) mod buckets;
pub(crate) mod elementwise;
pub(crate) mod extended;
pub(crate) mod histogram;
pub(crate) mod histogram_value;
pub(crate) mod info;
pub(crate) mod label;
pub(crate) mod mixed;
pub(crate) mod over_time;
pub(crate) mod prefix;
pub(crate) mod rate;
pub(crate) mod regression;
pub(crate) mod rollup;
pub(crate) mod sort;
pub(crate) mod starts;
pub(crate) mod time;
pub(crate) mod windows;

use base::{Error, Labels, Result};

use crate::Function;
use crate::eval::column::{ABSENT, Column, Frame, is_present};
use crate::eval::evaluator::{Evaluator, Sink};
use crate::eval::plan::{InfoSource, Kind, Node};
use crate::eval::select::Want;
use crate::leaf::Leaf;
use crate::number::{max_nan, min_nan};

/// Whether a function yields each of its columns from one input series.
pub(crate) fn streams(function: Function) -> bool {
    rollup::is_rollup(function)
        || elementwise::unary(function).is_some()
        || elementwise::is_bounding(function)
        || matches!(function, Function::Timestamp | Function::StartTimestamp)
        || histogram_value::statistic(function).is_some()
}

/// Whether the result of a function is no longer of the metric that went in.
pub(crate) fn drops_name(function: Function) -> bool {
    // Type and unit stay with the numbers of a histogram, as upstream.
    streams(function)
        && histogram_value::statistic(function).is_none()
        && !matches!(function, Function::FirstOverTime | Function::LastOverTime)
}

/// Evaluates a function that streams.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
    sink: &mut Sink<'_>,
) -> Result<()> {
    if rollup::is_rollup(function) {
        return rollup::stream(ev, node, function, args, sink);
    }
    match function {
        Function::Timestamp => return timestamp(ev, node, &args[0], Want::Time, sink),
        Function::StartTimestamp if ev.options.use_start_timestamps => {
            return timestamp(ev, node, &args[0], Want::Start, sink);
        }
        // Nothing is known of when counting began.
        Function::StartTimestamp => return ev.stream(&args[0], &mut |_, _| Ok(())),
        _ => {}
    }
    if let Some(statistic) = histogram_value::statistic(function) {
        return histogram_value::stream(ev, &args[0], statistic, sink);
    }
    if let Some(f) = elementwise::unary(function) {
        return elementwise::stream(ev, &args[0], sink, &mut |_, c| {
            c.map(f);
            Ok(())
        });
    }
    elementwise::bound(ev, function, args, sink)
}

/// Evaluates a function that needs its whole input.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
    info: Option<&InfoSource>,
) -> Result<Frame> {
    match function {
        Function::Absent => absent::absent(ev, node, &args[0]),
        Function::AbsentOverTime => absent::absent_over_time(ev, node, args),
        Function::LabelReplace => label::replace(ev, args),
        Function::LabelJoin => label::join(ev, args),
        Function::Sort | Function::SortDesc => sort::by_value(ev, node, function, &args[0]),
        Function::SortByLabel | Function::SortByLabelDesc => sort::by_label(ev, node, function, args),
        Function::Vector => {
            let values = ev.scalar(&args[0])?;
            Ok(vec![Column::floats(Labels::empty(), false, values)])
        }
        Function::HistogramQuantile => histogram::quantile(ev, node, args),
        Function::HistogramQuantiles => histogram::quantiles(ev, node, args),
        Function::HistogramFraction => histogram::fraction(ev, node, args),
        Function::Info => match info {
            Some(source) => info::enrich(ev, node, &args[0], source),
            None => Err(Error::internal("cannot evaluate info(): it was planned without a source")),
        },
        _ => time::evaluate(ev, node, function, args),
    }
}

/// Evaluates a function that yields a number per step.
pub(crate) fn scalar(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
) -> Result<Vec<f64>> {
    Ok(match function {
        Function::Pi => vec![std::f64::consts::PI; node.steps.count],
        Function::Time => node.steps.times().map(|t| t as f64 / 1000.0).collect(),
        Function::MaxOf | Function::MinOf => {
            let (a, b) = (ev.scalar(&args[0])?, ev.scalar(&args[1])?);
            let choose = if function == Function::MaxOf { max_nan } else { min_nan };
            a.into_iter().zip(b).map(|(x, y)| choose(x, y)).collect()
        }
        Function::Scalar => {
            let mut values = vec![ABSENT; node.steps.count];
            ev.stream(&args[0], &mut |_, column| {
                for (out, v) in values.iter_mut().zip(&column.values) {
                    if is_present(*v) {
                        // A second element makes it NaN, as does none.
                        *out = if is_present(*out) { f64::NAN } else { *v };
                    }
                }
                Ok(())
            })?;
            values.into_iter().map(|v| if is_present(v) { v } else { f64::NAN }).collect()
        }
        other => return Err(Error::internal(format!("cannot evaluate {}() as a number", other.name()))),
    })
}

/// `timestamp(v)`: of a selector the times of its samples, of anything else the times of the steps. `start_timestamp(v)` likewise,
/// of anything else nothing.
fn timestamp(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    arg: &Node<'_>,
    want: Want,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let Kind::Selector(selector) = &arg.kind else {
        return elementwise::stream(ev, arg, sink, &mut |_, c| {
            let histograms = std::mem::take(&mut c.histograms);
            for (step, t) in node.steps.times().enumerate() {
                let is_there =
                    is_present(c.values[step]) || histograms.get(step).is_some_and(Option::is_some);
                let is_wanted = is_there && want == Want::Time;
                c.values[step] = if is_wanted { t as f64 / 1000.0 } else { ABSENT };
            }
            Ok(())
        });
    };
    let mut columns = Frame::new();
    if let Some(selection) = ev.selection(selector.selection) {
        let at = (node.span, node.steps);
        let mut leaf = Leaf::newest(selector, selection, at, want, ev.settings());
        if leaf.window.at_ms.is_some() {
            // Prometheus forgets the offset of a selector that also has `@` here, and nothing else looks at it.
            leaf.window.offset_ms = 0;
        }
        ev.run_leaf(arg, &leaf, &mut |ev, mut block| {
            for row in 0..block.rows() {
                let column = block.column(row);
                ev.hold(&column)?;
                columns.push(column);
            }
            Ok(())
        })?;
    }
    ev.release_all(&columns);
    elementwise::finish(ev, columns, sink)
}
