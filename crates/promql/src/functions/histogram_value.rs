//! Functions of single native histograms that yield a number: `histogram_count`, `histogram_sum`, `histogram_avg`,
//! `histogram_stddev`, `histogram_stdvar`. They skip floats.

use base::{Histogram, METRIC_NAME, Result};

use crate::Function;
use crate::eval::column::{ABSENT, Column, Frame, merge_same_labels};
use crate::eval::evaluator::{Evaluator, Sink};
use crate::eval::plan::Node;
use crate::histogram::variance;

/// A number made of a histogram.
pub(crate) type Statistic = fn(&Histogram) -> f64;

/// The function of a single histogram, if the function is one.
pub(crate) fn statistic(function: Function) -> Option<Statistic> {
    Some(match function {
        Function::HistogramAvg => |h| h.sum / h.count,
        Function::HistogramCount => |h| h.count,
        Function::HistogramStddev => |h| variance(h).sqrt(),
        Function::HistogramStdvar => variance,
        Function::HistogramSum => |h| h.sum,
        _ => return None,
    })
}

/// Hands out a number for each histogram.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    input: &Node<'_>,
    statistic: Statistic,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let delayed = ev.options.delayed_name_removal;
    let mut frame = Frame::new();
    ev.stream(input, &mut |ev, column| {
        if !column.has_histograms() {
            return Ok(());
        }
        let number = |h: &Option<_>| h.as_deref().map_or(ABSENT, statistic);
        let values = column.histograms.iter().map(number).collect();
        // Type and unit stay until the end of the query, as upstream.
        let labels = if delayed { column.labels } else { column.labels.filtered(|n| n != METRIC_NAME) };
        let column = Column::floats(labels, true, values);
        if column.is_empty() {
            return Ok(());
        }
        if delayed {
            return sink(ev, column);
        }
        ev.hold(&column)?;
        frame.push(column);
        Ok(())
    })?;
    ev.release_all(&frame);
    for column in merge_same_labels(frame)? {
        sink(ev, column)?;
    }
    Ok(())
}
