//! Aggregations that keep series as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::sync::Arc;

use base::{Error, Labels, Result};

use super::Grouping;
use crate::ast::{Aggregate, AggregateOp};
use crate::eval::column::{Column, Frame, Item};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;
use crate::number::{format_g, max_nan, min_nan};

/// Evaluates the aggregation.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
    param: &Node<'_>,
) -> Result<Frame> {
    let params = ev.scalar(param)?;
    let mut frame = ev.frame(input)?;
    ev.release_all(&frame);
    if !check(ev, ast.op, &params, param)? {
        return Ok(Frame::new());
    }
    if matches!(ast.op, AggregateOp::Topk | AggregateOp::Bottomk) {
        for column in frame.iter_mut().filter(|c| c.has_histograms()) {
            // At the other steps nothing is looked at.
            let is_looked_at = |step: usize| params[step] >= 1.0;
            if (0..params.len()).any(|step| is_looked_at(step) && column.histogram(step).is_some()) {
                ev.annotations.ignored_in_aggregation(ast.op.as_str(), node.span);
            }
            column.histograms.clear();
        }
    }
    let mut grouping = Grouping::new(ast);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, column) in frame.iter().enumerate() {
        let (at, new) = grouping.assign(&column.labels);
        if new.is_some() {
            groups.push(Vec::new());
        }
        groups[at].push(i);
    }
    let offsets: Vec<f64> = match ast.op {
        AggregateOp::LimitRatio => frame.iter().map(|c| ratio_offset(&c.labels)).collect(),
        _ => Vec::new(),
    };
    let mut keep = Keep { columns: vec![None; frame.len()], order: Vec::new() };
    let mut chosen = Vec::new();
    for group in &groups {
        for (step, param) in params.iter().enumerate() {
            if step % 1024 == 0 {
                ev.check_interrupt()?;
            }
            chosen.clear();
            let present = group.iter().copied().filter(|i| frame[*i].has(step));
            match ast.op {
                AggregateOp::LimitRatio => {
                    let ratio = param.clamp(-1.0, 1.0);
                    chosen.extend(present.filter(|i| ratio != 0.0 && in_ratio(ratio, offsets[*i])));
                }
                AggregateOp::Limitk => chosen.extend(present.take(as_count(*param))),
                op => best(&frame, step, op == AggregateOp::Topk, as_count(*param), present, &mut chosen),
            }
            for i in &chosen {
                keep.add(*i, step, &frame[*i]);
            }
        }
    }
    Ok(keep.finish())
}

/// What remains: the values of the series that were chosen, in the order in which they first were.
struct Keep {
    columns: Vec<Option<Column>>,
    order: Vec<usize>,
}

impl Keep {
    fn add(&mut self, series: usize, step: usize, from: &Column) {
        let order = &mut self.order;
        let kept = self.columns[series].get_or_insert_with(|| {
            order.push(series);
            Column::absent(from.labels.clone(), from.drop_name, from.values.len())
        });
        match from.histogram(step) {
            None => kept.values[step] = from.values[step],
            Some(h) => kept.set(step, Item::Histogram(Arc::clone(h))),
        }
    }

    fn finish(mut self) -> Frame {
        self.order.iter().filter_map(|i| self.columns[*i].take()).collect()
    }
}

/// Whether there is anything to choose; fails on parameters that are no numbers of series.
fn check(ev: &mut Evaluator<'_>, op: AggregateOp, params: &[f64], param: &Node<'_>) -> Result<bool> {
    let max = params.iter().copied().fold(f64::MIN, max_nan);
    let min = params.iter().copied().fold(f64::MAX, min_nan);
    let nan = params.iter().any(|p| p.is_nan());
    if op == AggregateOp::LimitRatio {
        if max == 0.0 && min == 0.0 {
            return Ok(false);
        }
        if nan {
            return Err(Error::invalid("Ratio value is NaN"));
        }
        if max > 1.0 {
            ev.annotations.invalid_ratio(max, 1.0, param.span);
        }
        if min < -1.0 {
            ev.annotations.invalid_ratio(min, -1.0, param.span);
        }
        return Ok(true);
    }
    if max < 1.0 {
        return Ok(false);
    }
    if nan {
        return Err(Error::invalid("Parameter value is NaN"));
    }
    // 2^63, the first number that a count of 64 bits cannot hold.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if min <= -TOO_LARGE {
        return Err(Error::invalid(format!("Scalar value {} underflows int64", format_g(min))));
    }
    if max >= TOO_LARGE {
        return Err(Error::invalid(format!("Scalar value {} overflows int64", format_g(max))));
    }
    Ok(true)
}

fn as_count(param: f64) -> usize {
    // A negative number of series is none.
    param as usize
}

/// The `k` largest or smallest values, best first; of equal ones those that come first. NaN is chosen only for want of
/// anything else.
fn best(
    frame: &Frame,
    step: usize,
    largest: bool,
    k: usize,
    present: impl Iterator<Item = usize>,
    chosen: &mut Vec<usize>,
) {
    let better = |a: f64, b: f64| if largest { a > b } else { a < b };
    let rank = |a: &usize, b: &usize| {
        let (x, y) = (frame[*a].values[step], frame[*b].values[step]);
        match (x.is_nan(), y.is_nan()) {
            (false, false) if better(x, y) => std::cmp::Ordering::Less,
            (false, false) if better(y, x) => std::cmp::Ordering::Greater,
            (false, false) => a.cmp(b),
            (p, q) => p.cmp(&q).then(a.cmp(b)),
        }
    };
    chosen.extend(present);
    if k == 0 {
        chosen.clear();
    } else if k < chosen.len() {
        chosen.select_nth_unstable_by(k - 1, rank);
        chosen.truncate(k);
    }
    chosen.sort_unstable_by(rank);
}

/// Where a series stands between 0 and 1, for `limit_ratio`: Prometheus' hash of its labels, so that both choose the
/// same series.
fn ratio_offset(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.size_bytes() + 8);
    for (name, value) in labels {
        for text in [name, value] {
            // One byte of length, or 255 and three bytes.
            match u8::try_from(text.len()) {
                Ok(len) if len < 255 => bytes.push(len),
                _ => {
                    bytes.push(255);
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64
}

fn in_ratio(ratio: f64, offset: f64) -> bool {
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(values: &[f64]) -> Frame {
        let column = |v: &f64| Column::floats(Labels::empty(), false, vec![*v]);
        values.iter().map(column).collect()
    }

    #[test]
    fn the_best_come_first_and_nan_last() {
        let f = frame(&[2.0, f64::NAN, 5.0, 5.0, 1.0]);
        let pick = |largest, k| {
            let mut chosen = Vec::new();
            best(&f, 0, largest, k, 0..5, &mut chosen);
            chosen
        };
        assert_eq!(pick(true, 2), [2, 3]);
        assert_eq!(pick(true, 1), [2]);
        assert_eq!(pick(false, 2), [4, 0]);
        assert_eq!(pick(true, 9), [2, 3, 0, 4, 1]);
        assert!(pick(true, 0).is_empty());
    }

    #[test]
    fn a_ratio_and_its_complement_share_out_the_series() {
        for offset in [0.0, 0.3, 0.7, 0.99] {
            assert_ne!(in_ratio(0.4, offset), in_ratio(-0.6, offset));
        }
    }
}
