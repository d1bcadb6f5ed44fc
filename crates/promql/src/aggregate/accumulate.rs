//! Aggregations that take one series after the other: `sum`, `avg`, `count`, `min`, `max`, `group`, `stddev`, `stdvar`;
//! and `quantile`, which has to keep the values of its groups.

use std::sync::Arc;

use base::{Histogram, Labels, Result};

use super::Grouping;
use super::histograms::Totals;
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::eval::annotation::AnnotationSet;
use crate::eval::column::{ABSENT, Column, Frame, Histograms, is_present};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;
use crate::number::{self, kahan_add};

/// Evaluates an aggregation without holding its input.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
) -> Result<Frame> {
    let mut grouping = Grouping::new(ast);
    let mut groups: Vec<Group> = Vec::new();
    let steps = node.steps.count;
    ev.stream(input, &mut |ev, column| {
        let (at, new) = grouping.assign(&column.labels);
        if let Some(labels) = new {
            let group = Group::new(ast.op, labels, steps);
            ev.hold_samples(steps as u64)?;
            groups.push(group);
        }
        groups[at].drop_name |= column.drop_name;
        groups[at].add_column(ev, ast.op, &column, input.span);
        Ok(())
    })?;
    ev.release_samples((steps * groups.len()) as u64);
    Ok(groups.into_iter().map(|g| g.finish(ast.op, &mut ev.annotations, input.span)).collect())
}

/// A group's running state: one cell per step in each vector that the operator needs.
struct Group {
    labels: Labels,
    drop_name: bool,
    /// The sum, extreme or count; absent until the group has a value.
    value: Vec<f64>,
    /// What the sum lost to rounding; of `stddev` the mean.
    extra: Vec<f64>,
    /// Number of values.
    count: Vec<f64>,
    /// Of `avg`, the mean at steps whose sum would overflow, absent elsewhere; empty while there are none.
    mean: Vec<f64>,
    /// Native histograms, once there are any.
    histograms: Option<Box<Totals>>,
}

impl Group {
    fn new(op: AggregateOp, labels: Labels, steps: usize) -> Self {
        let if_needed = |needed: bool| if needed { vec![0.0; steps] } else { Vec::new() };
        let spread = matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar);
        let mean = op == AggregateOp::Avg;
        Self {
            labels,
            drop_name: false,
            value: vec![ABSENT; steps],
            extra: if_needed(spread || mean || op == AggregateOp::Sum),
            count: if_needed(spread || mean),
            mean: Vec::new(),
            histograms: None,
        }
    }

    /// Takes in a column that may have native histograms.
    fn add_column(&mut self, ev: &mut Evaluator<'_>, op: AggregateOp, column: &Column, span: Span) {
        let countable = self.histograms.as_ref().and_then(|h| h.countable(&column.values));
        self.add(op, countable.as_ref().unwrap_or(&column.values));
        if !column.has_histograms() {
            return;
        }
        match op {
            AggregateOp::Sum | AggregateOp::Avg => {
                let steps = self.value.len();
                let totals = self.histograms.get_or_insert_with(|| Box::new(Totals::new(steps)));
                totals.add(op, column, &self.value, &mut ev.annotations, span);
            }
            AggregateOp::Count | AggregateOp::Group => {
                let present = |h: &Option<Arc<Histogram>>| if h.is_some() { 1.0 } else { ABSENT };
                let ones: Vec<f64> = column.histograms.iter().map(present).collect();
                self.add(op, &ones);
            }
            _ if column.histograms.iter().any(Option::is_some) => {
                ev.annotations.ignored_in_aggregation(op.as_str(), span);
            }
            _ => {}
        }
    }

    fn add(&mut self, op: AggregateOp, column: &[f64]) {
        match op {
            AggregateOp::Sum => self.add_sum(column),
            AggregateOp::Avg => self.add_average(column),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.add_spread(column),
            AggregateOp::Count => self.fold(column, |_| 1.0, |n, _| n + 1.0),
            AggregateOp::Max => {
                self.fold(column, |v| v, |best, v| if best < v || best.is_nan() { v } else { best });
            }
            AggregateOp::Min => {
                self.fold(column, |v| v, |best, v| if best > v || best.is_nan() { v } else { best });
            }
            // Of the operators that come here this leaves `group`.
            _ => self.fold(column, |_| 1.0, |one, _| one),
        }
    }

    #[inline]
    fn fold(&mut self, column: &[f64], first: impl Fn(f64) -> f64, next: impl Fn(f64, f64) -> f64) {
        for (acc, v) in self.value.iter_mut().zip(column) {
            if is_present(*v) {
                *acc = if is_present(*acc) { next(*acc, *v) } else { first(*v) };
            }
        }
    }

    fn add_sum(&mut self, column: &[f64]) {
        for ((sum, lost), v) in self.value.iter_mut().zip(&mut self.extra).zip(column) {
            if is_present(*v) {
                if is_present(*sum) {
                    (*sum, *lost) = kahan_add(*v, *sum, *lost);
                } else {
                    *sum = *v;
                }
            }
        }
    }

    /// Adds up as long as the sum does not overflow, and goes on with the mean from there.
    fn add_average(&mut self, column: &[f64]) {
        for (step, v) in column.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            self.count[step] += 1.0;
            if !is_present(self.value[step]) {
                self.value[step] = *v;
                continue;
            }
            let n = self.count[step];
            if self.mean.is_empty() || !is_present(self.mean[step]) {
                let (sum, lost) = kahan_add(*v, self.value[step], self.extra[step]);
                if !sum.is_infinite() {
                    (self.value[step], self.extra[step]) = (sum, lost);
                    continue;
                }
                if self.mean.is_empty() {
                    self.mean = vec![ABSENT; column.len()];
                }
                self.mean[step] = self.value[step] / (n - 1.0);
                self.extra[step] /= n - 1.0;
            }
            let share = (n - 1.0) / n;
            (self.mean[step], self.extra[step]) =
                kahan_add(v / n, share * self.mean[step], share * self.extra[step]);
        }
    }

    /// Welford's method: the mean, and the sum of the squared distances from it.
    fn add_spread(&mut self, column: &[f64]) {
        for (step, v) in column.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            self.count[step] += 1.0;
            if !is_present(self.value[step]) {
                self.extra[step] = *v;
                self.value[step] = if v.is_finite() { 0.0 } else { f64::NAN };
                continue;
            }
            let delta = v - self.extra[step];
            self.extra[step] += delta / self.count[step];
            self.value[step] += delta * (v - self.extra[step]);
        }
    }

    fn finish(mut self, op: AggregateOp, annotations: &mut AnnotationSet, span: Span) -> Column {
        for (step, value) in self.value.iter_mut().enumerate().filter(|(_, v)| is_present(**v)) {
            match op {
                AggregateOp::Sum => *value += self.extra[step],
                AggregateOp::Avg => {
                    let mean = self.mean.get(step).copied().filter(|m| is_present(*m));
                    let n = self.count[step];
                    *value = match mean {
                        Some(mean) => mean + self.extra[step],
                        None => *value / n + self.extra[step] / n,
                    };
                }
                AggregateOp::Stdvar => *value /= self.count[step],
                AggregateOp::Stddev => *value = (*value / self.count[step]).sqrt(),
                _ => {}
            }
        }
        let mut values = self.value;
        let histograms = match self.histograms {
            Some(totals) => totals.finish(&mut values, annotations, span),
            None => Histograms::new(),
        };
        Column { labels: self.labels, drop_name: self.drop_name, values, histograms }
    }
}

/// Evaluates `quantile(q, v)`.
pub(crate) fn quantile(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
    param: &Node<'_>,
) -> Result<Frame> {
    let quantiles = ev.scalar(param)?;
    note_invalid(ev, &quantiles, param);
    let frame = ev.frame(input)?;
    let mut grouping = Grouping::new(ast);
    let mut groups: Vec<(Column, Vec<&Column>)> = Vec::new();
    for column in &frame {
        let (at, new) = grouping.assign(&column.labels);
        if let Some(labels) = new {
            groups.push((Column::absent(labels, false, node.steps.count), Vec::new()));
        }
        if column.histograms.iter().any(Option::is_some) {
            ev.annotations.ignored_in_aggregation(ast.op.as_str(), input.span);
        }
        groups[at].0.drop_name |= column.drop_name;
        groups[at].1.push(column);
    }
    let mut scratch = Vec::new();
    let mut out = Frame::with_capacity(groups.len());
    for (mut result, members) in groups {
        ev.check_interrupt()?;
        for (step, value) in result.values.iter_mut().enumerate() {
            scratch.clear();
            scratch.extend(members.iter().map(|c| c.values[step]).filter(|v| is_present(*v)));
            if !scratch.is_empty() {
                *value = number::quantile(quantiles[step], &mut scratch);
            }
        }
        out.push(result);
    }
    ev.release_all(&frame);
    Ok(out)
}

/// Tells about quantiles that are not between 0 and 1: NaN, the largest and the smallest.
fn note_invalid(ev: &mut Evaluator<'_>, quantiles: &[f64], param: &Node<'_>) {
    if quantiles.iter().any(|q| q.is_nan()) {
        ev.annotations.invalid_quantile(f64::NAN, param.span);
    }
    let largest = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
    if largest > 1.0 {
        ev.annotations.invalid_quantile(largest, param.span);
    }
    if smallest < 0.0 {
        ev.annotations.invalid_quantile(smallest, param.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: AggregateOp, columns: &[&[f64]]) -> Vec<f64> {
        let mut group = Group::new(op, Labels::empty(), columns[0].len());
        columns.iter().for_each(|c| group.add(op, c));
        group.finish(op, &mut AnnotationSet::default(), Span::default()).values
    }

    #[test]
    fn absent_values_do_not_count() {
        let columns: [&[f64]; 2] = [&[1.0, ABSENT, ABSENT], &[3.0, 5.0, ABSENT]];
        for (op, want) in [
            (AggregateOp::Sum, [4.0, 5.0]),
            (AggregateOp::Avg, [2.0, 5.0]),
            (AggregateOp::Count, [2.0, 1.0]),
            (AggregateOp::Min, [1.0, 5.0]),
            (AggregateOp::Max, [3.0, 5.0]),
            (AggregateOp::Group, [1.0, 1.0]),
            (AggregateOp::Stdvar, [1.0, 0.0]),
            (AggregateOp::Stddev, [1.0, 0.0]),
        ] {
            let got = of(op, &columns);
            assert_eq!(got[..2], want, "{op:?}");
            assert!(!is_present(got[2]), "{op:?}");
        }
    }

    #[test]
    fn extremes_skip_nan_and_means_do_not_overflow() {
        assert_eq!(of(AggregateOp::Max, &[&[f64::NAN], &[1.0], &[f64::NAN]]), [1.0]);
        assert_eq!(of(AggregateOp::Avg, &[&[f64::MAX], &[f64::MAX]]), [f64::MAX]);
        assert!(of(AggregateOp::Stddev, &[&[f64::INFINITY], &[1.0]])[0].is_nan());
    }
}
