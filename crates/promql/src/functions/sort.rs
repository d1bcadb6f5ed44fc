//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: the order of an instant vector.

use std::cmp::Ordering;

use base::Result;

use super::label::text;
use crate::Function;
use crate::eval::column::Frame;
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;

/// `sort` and `sort_desc`; NaN comes last either way.
pub(crate) fn by_value(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    arg: &Node<'_>,
) -> Result<Frame> {
    let mut frame = ev.frame(arg)?;
    ev.release_all(&frame);
    if !node.steps.is_instant() {
        ev.annotations.sort_in_range(node.span);
        frame.iter_mut().for_each(|c| c.histograms.clear());
        return Ok(frame);
    }
    // Native histograms have no order.
    frame.retain(|c| !c.has_histograms() || c.histogram(0).is_none());
    frame.sort_by(|a, b| {
        let (x, y) = (a.values[0], b.values[0]);
        match (x.is_nan(), y.is_nan()) {
            (false, false) if function == Function::Sort => x.total_cmp(&y),
            (false, false) => y.total_cmp(&x),
            (p, q) => p.cmp(&q),
        }
    });
    Ok(frame)
}

/// `sort_by_label` and `sort_by_label_desc`: by the values of labels, in natural order.
pub(crate) fn by_label(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
) -> Result<Frame> {
    let names = (1..args.len()).map(|i| text(args, i)).collect::<Result<Vec<_>>>()?;
    let mut frame = ev.frame(&args[0])?;
    ev.release_all(&frame);
    if !node.steps.is_instant() {
        ev.annotations.sort_in_range(node.span);
        return Ok(frame);
    }
    frame.sort_by(|a, b| {
        let by_names = names
            .iter()
            .map(|n| natural(a.labels.get_or_empty(n), b.labels.get_or_empty(n)))
            .find(|o| o.is_ne());
        let order = by_names.unwrap_or_else(|| a.labels.cmp(&b.labels));
        if function == Function::SortByLabel { order } else { order.reverse() }
    });
    Ok(frame)
}

/// Natural order: runs of digits compare as numbers, everything else as text, a prefix before what it begins.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    while !x.is_empty() && !y.is_empty() {
        let (p, q) = (take_chunk(&mut x), take_chunk(&mut y));
        let order = match (p.parse::<u64>(), q.parse::<u64>()) {
            (Ok(m), Ok(n)) => m.cmp(&n),
            _ => p.cmp(q),
        };
        if order.is_ne() {
            return order;
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

fn take_chunk<'t>(text: &mut &'t str) -> &'t str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    let (chunk, rest) = text.split_at(end);
    *text = rest;
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_count_as_numbers() {
        let mut v = ["cpu10", "cpu2", "cpu", "4m5", "4m600", "10"];
        v.sort_by(|a, b| natural(a, b));
        assert_eq!(v, ["4m5", "4m600", "10", "cpu", "cpu2", "cpu10"]);
        assert_eq!(natural("01", "1"), Ordering::Less);
        assert_eq!(natural("1", "1"), Ordering::Equal);
    }
}
