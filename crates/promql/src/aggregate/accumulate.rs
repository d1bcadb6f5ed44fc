//! Aggregations that take one series after the other: `sum`, `avg`, `count`, `min`, `max`, `group`, `stddev`, `stdvar`;
//! and `quantile`, which has to keep the values of its groups.

use std::sync::Arc;

use base::{Error, Histogram, Labels, Result};

use super::Grouping;
use super::histograms::Totals;
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::eval::annotation::AnnotationSet;
use crate::eval::column::{ABSENT, Column, Frame, Histograms, is_present};
use crate::eval::evaluator::Evaluator;
use crate::eval::plan::Node;
use crate::leaf::{self, Block, Partial};
use crate::number::{self, kahan_add};

/// Evaluates an aggregation without holding its input.
pub(crate) fn evaluate(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    ast: &Aggregate,
    input: &Node<'_>,
) -> Result<Frame> {
    let steps = node.steps.count;
    let mut groups = Groups::new(ast.op, Grouping::new(ast), steps);
    let mut held = 0;
    let mut hold = |ev: &mut Evaluator<'_>, samples: u64| {
        let more = samples - std::mem::replace(&mut held, samples);
        if more > 0 { ev.hold_samples(more) } else { Ok(()) }
    };
    let leaf = if ev.stays_apart(input) { ev.leaf(input)? } else { None };
    match leaf {
        Some(mut leaf) => {
            let (names, without) = (ast.grouping.clone(), ast.without);
            leaf.grouping = Some(leaf::Grouping { op: ast.op, names, without });
            ev.run_leaf(input, &leaf, &mut |ev, block| {
                groups.merge(block, &mut ev.annotations, input.span)?;
                hold(ev, groups.size_in_samples())
            })?;
        }
        None => ev.stream(input, &mut |ev, column| {
            groups.add(&column, &mut ev.annotations, input.span);
            hold(ev, groups.size_in_samples())
        })?,
    }
    ev.release_samples(groups.size_in_samples());
    Ok(groups.finish(&mut ev.annotations, input.span))
}

/// The groups of an aggregation, as series or parts of groups come in.
pub(crate) struct Groups<'g> {
    op: AggregateOp,
    steps: usize,
    grouping: Grouping<'g>,
    groups: Vec<Group>,
    /// What their histograms count as.
    histogram_samples: u64,
}

impl<'g> Groups<'g> {
    pub(crate) fn new(op: AggregateOp, grouping: Grouping<'g>, steps: usize) -> Self {
        Self { op, steps, grouping, groups: Vec::new(), histogram_samples: 0 }
    }

    /// How many samples they count as.
    pub(crate) fn size_in_samples(&self) -> u64 {
        (self.groups.len() * self.steps) as u64 + self.histogram_samples
    }

    /// The group of a series, or of a group's part.
    fn of(&mut self, labels: &Labels, drop_name: bool) -> &mut Group {
        let (at, new) = self.grouping.assign(labels);
        if let Some(labels) = new {
            self.groups.push(Group::new(self.op, labels, self.steps));
        }
        let group = &mut self.groups[at];
        group.drop_name |= drop_name;
        group
    }

    /// Takes a series in.
    pub(crate) fn add(&mut self, column: &Column, annotations: &mut AnnotationSet, span: Span) {
        let op = self.op;
        let group = self.of(&column.labels, column.drop_name);
        self.histogram_samples += group.add_column(annotations, op, column, span);
    }

    /// Takes a series in that has no native histograms.
    pub(crate) fn add_floats(&mut self, column: &Column) {
        let op = self.op;
        self.of(&column.labels, column.drop_name).add(op, &column.values);
    }

    /// Takes in what a leaf gave: series, or parts of groups.
    pub(crate) fn merge(
        &mut self,
        mut block: Block,
        annotations: &mut AnnotationSet,
        span: Span,
    ) -> Result<()> {
        let op = self.op;
        let partial = block.partial.take();
        let (extra, count) = Parts::needs(op);
        let lacks = |p: &Partial| (extra && p.extra.is_empty()) || (count && p.count.is_empty());
        if !block.values.is_empty() && partial.as_ref().is_some_and(lacks) {
            return Err(Error::internal("cannot read a block of a leaf: its groups lack a column"));
        }
        for row in 0..block.rows() {
            let Some(partial) = &partial else {
                let column = block.column(row);
                self.add(&column, annotations, span);
                continue;
            };
            let cells = row * self.steps..(row + 1) * self.steps;
            let of = |column: &'_ [f64]| column.get(cells.clone()).map(<[f64]>::to_vec).unwrap_or_default();
            let (extra, count, mean) = (of(&partial.extra), of(&partial.count), of(&partial.mean));
            let value = block.row(row).to_vec();
            let part = Parts { value, extra, count, mean };
            self.of(&block.labels[row], block.drop_names[row]).merge(op, part);
        }
        Ok(())
    }

    /// The groups as parts, to be brought together with others.
    pub(crate) fn into_block(self) -> Block {
        let mut block = Block::with_capacity(self.groups.len(), self.steps);
        let mut partial = Partial::default();
        let has_mean = self.groups.iter().any(|g| !g.parts.mean.is_empty());
        for Group { labels, drop_name, parts, .. } in self.groups {
            block.labels.push(labels);
            block.drop_names.push(drop_name);
            block.values.extend(parts.value);
            partial.extra.extend(parts.extra);
            partial.count.extend(parts.count);
            if has_mean {
                let rows = block.labels.len() * self.steps;
                partial.mean.extend(parts.mean);
                partial.mean.resize(rows, ABSENT);
            }
        }
        block.partial = Some(partial);
        block
    }

    pub(crate) fn finish(self, annotations: &mut AnnotationSet, span: Span) -> Frame {
        self.groups.into_iter().map(|g| g.finish(self.op, annotations, span)).collect()
    }
}

/// A group's running state.
struct Group {
    labels: Labels,
    drop_name: bool,
    parts: Parts,
    /// Native histograms, once there are any.
    histograms: Option<Box<Totals>>,
}

/// One cell per step in each vector that the operator needs.
struct Parts {
    /// The sum, extreme or count; absent until the group has a value.
    value: Vec<f64>,
    /// What the sum lost to rounding; of `stddev` the mean.
    extra: Vec<f64>,
    /// Number of values.
    count: Vec<f64>,
    /// Of `avg`, the mean at steps whose sum would overflow, absent elsewhere; empty while there are none.
    mean: Vec<f64>,
}

impl Group {
    fn new(op: AggregateOp, labels: Labels, steps: usize) -> Self {
        Self { labels, drop_name: false, parts: Parts::new(op, steps), histograms: None }
    }

    /// Takes in a column that may have native histograms. Returns how many samples those count as that are kept of it.
    fn add_column(
        &mut self,
        annotations: &mut AnnotationSet,
        op: AggregateOp,
        column: &Column,
        span: Span,
    ) -> u64 {
        self.add(op, &column.values);
        if !column.has_histograms() {
            return 0;
        }
        match op {
            AggregateOp::Sum | AggregateOp::Avg => {
                let steps = self.parts.value.len();
                let totals = self.histograms.get_or_insert_with(|| Box::new(Totals::new(steps)));
                return totals.add(op, column, &self.parts.value, annotations, span);
            }
            AggregateOp::Count | AggregateOp::Group => {
                let present = |h: &Option<Arc<Histogram>>| if h.is_some() { 1.0 } else { ABSENT };
                let ones: Vec<f64> = column.histograms.iter().map(present).collect();
                self.add(op, &ones);
            }
            _ if column.histograms.iter().any(Option::is_some) => {
                annotations.ignored_in_aggregation(op.as_str(), span);
            }
            _ => {}
        }
        0
    }

    /// Takes in floats, where these still count.
    fn add(&mut self, op: AggregateOp, values: &[f64]) {
        let countable = self.histograms.as_ref().and_then(|h| h.countable(values));
        self.parts.add(op, countable.as_deref().unwrap_or(values));
    }

    /// Takes in the group's part of other series, likewise.
    fn merge(&mut self, op: AggregateOp, mut part: Parts) {
        if let Some(countable) = self.histograms.as_ref().and_then(|h| h.countable(&part.value)) {
            part.value = countable;
        }
        self.parts.merge(op, part);
    }

    fn finish(self, op: AggregateOp, annotations: &mut AnnotationSet, span: Span) -> Column {
        let mut values = self.parts.finish(op);
        let histograms = match self.histograms {
            Some(totals) => totals.finish(&mut values, annotations, span),
            None => Histograms::new(),
        };
        Column { labels: self.labels, drop_name: self.drop_name, values, histograms }
    }
}

impl Parts {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let if_needed = |needed: bool| if needed { vec![0.0; steps] } else { Vec::new() };
        let (extra, count) = Self::needs(op);
        let (extra, count) = (if_needed(extra), if_needed(count));
        Self { value: vec![ABSENT; steps], extra, count, mean: Vec::new() }
    }

    /// Whether an operator needs `extra` and `count`.
    fn needs(op: AggregateOp) -> (bool, bool) {
        let count = matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar | AggregateOp::Avg);
        (count || op == AggregateOp::Sum, count)
    }

    fn add(&mut self, op: AggregateOp, column: &[f64]) {
        match op {
            AggregateOp::Sum => self.add_sum(column),
            AggregateOp::Avg => self.add_average(column),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.add_spread(column),
            AggregateOp::Count => self.fold(column, |_| 1.0, |n, _| n + 1.0),
            AggregateOp::Max => self.fold(column, |v| v, greater),
            AggregateOp::Min => self.fold(column, |v| v, less),
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

    /// Brings together what two sets of series gave.
    fn merge(&mut self, op: AggregateOp, part: Self) {
        if !self.value.iter().any(|v| is_present(*v)) {
            *self = part;
            return;
        }
        match op {
            AggregateOp::Sum => self.merge_sums(&part),
            AggregateOp::Avg => self.merge_averages(&part),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.merge_spreads(&part),
            AggregateOp::Count => self.fold(&part.value, |n| n, |a, b| a + b),
            AggregateOp::Max => self.fold(&part.value, |v| v, greater),
            AggregateOp::Min => self.fold(&part.value, |v| v, less),
            _ => self.fold(&part.value, |one| one, |one, _| one),
        }
    }

    fn merge_sums(&mut self, part: &Self) {
        for (step, v) in part.value.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            let lost = part.extra[step];
            if is_present(self.value[step]) {
                (self.value[step], self.extra[step]) =
                    kahan_add(*v, self.value[step], self.extra[step] + lost);
            } else {
                (self.value[step], self.extra[step]) = (*v, lost);
            }
        }
    }

    fn merge_averages(&mut self, part: &Self) {
        for (step, v) in part.value.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            let (before, more) = (self.count[step], part.count[step]);
            self.count[step] = before + more;
            let own_mean = self.mean.get(step).copied().filter(|m| is_present(*m));
            let its_mean = part.mean.get(step).copied().filter(|m| is_present(*m));
            if !is_present(self.value[step]) {
                (self.value[step], self.extra[step]) = (*v, part.extra[step]);
                if let Some(mean) = its_mean {
                    self.means()[step] = mean;
                }
                continue;
            }
            if own_mean.is_none() && its_mean.is_none() {
                let (sum, lost) = kahan_add(*v, self.value[step], self.extra[step] + part.extra[step]);
                if !sum.is_infinite() {
                    (self.value[step], self.extra[step]) = (sum, lost);
                    continue;
                }
            }
            let as_mean = |mean: Option<f64>, sum: f64, lost: f64, n: f64| match mean {
                Some(mean) => (mean, lost),
                None => (sum / n, lost / n),
            };
            let (a, lost_a) = as_mean(own_mean, self.value[step], self.extra[step], before);
            let (b, lost_b) = as_mean(its_mean, *v, part.extra[step], more);
            let n = before + more;
            let (mean, lost) =
                kahan_add(b * (more / n), a * (before / n), (lost_a * before + lost_b * more) / n);
            self.means()[step] = mean;
            self.extra[step] = lost;
        }
    }

    fn means(&mut self) -> &mut [f64] {
        if self.mean.is_empty() {
            self.mean = vec![ABSENT; self.value.len()];
        }
        &mut self.mean
    }

    /// Chan's method, for two sets of values.
    fn merge_spreads(&mut self, part: &Self) {
        for (step, v) in part.value.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            let (before, more) = (self.count[step], part.count[step]);
            self.count[step] = before + more;
            if !is_present(self.value[step]) {
                (self.value[step], self.extra[step]) = (*v, part.extra[step]);
                continue;
            }
            let n = before + more;
            let delta = part.extra[step] - self.extra[step];
            self.extra[step] += delta * (more / n);
            self.value[step] += v + delta * delta * (before * more / n);
        }
    }

    fn finish(self, op: AggregateOp) -> Vec<f64> {
        let Self { mut value, extra, count, mean } = self;
        for (step, value) in value.iter_mut().enumerate().filter(|(_, v)| is_present(**v)) {
            match op {
                AggregateOp::Sum => *value += extra[step],
                AggregateOp::Avg => {
                    let mean = mean.get(step).copied().filter(|m| is_present(*m));
                    let n = count[step];
                    *value = match mean {
                        Some(mean) => mean + extra[step],
                        None => *value / n + extra[step] / n,
                    };
                }
                AggregateOp::Stdvar => *value /= count[step],
                AggregateOp::Stddev => *value = (*value / count[step]).sqrt(),
                _ => {}
            }
        }
        value
    }
}

#[inline]
fn greater(best: f64, v: f64) -> f64 {
    if best < v || best.is_nan() { v } else { best }
}

#[inline]
fn less(best: f64, v: f64) -> f64 {
    if best > v || best.is_nan() { v } else { best }
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

    fn state(op: AggregateOp, columns: &[&[f64]]) -> Parts {
        let mut parts = Parts::new(op, columns[0].len());
        columns.iter().for_each(|c| parts.add(op, c));
        parts
    }

    fn of(op: AggregateOp, columns: &[&[f64]]) -> Vec<f64> {
        state(op, columns).finish(op)
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

    #[test]
    fn parts_brought_together_give_what_the_whole_gives() {
        let columns: [&[f64]; 6] = [
            &[1.0, ABSENT, ABSENT, f64::MAX, 1e100, f64::NAN, ABSENT],
            &[3.0, 5.0, ABSENT, f64::MAX, 1.0, 1.0, ABSENT],
            &[0.25, ABSENT, ABSENT, f64::MAX, -1e100, 2.0, ABSENT],
            &[9.0, 7.0, ABSENT, -1.0, 1.0, f64::INFINITY, 4.0],
            &[2.0, ABSENT, 6.0, f64::MAX, 0.5, 3.0, 8.0],
            &[8.5, 0.0, 1.0, 1.0, ABSENT, ABSENT, ABSENT],
        ];
        for op in [
            AggregateOp::Sum,
            AggregateOp::Avg,
            AggregateOp::Count,
            AggregateOp::Min,
            AggregateOp::Max,
            AggregateOp::Group,
            AggregateOp::Stdvar,
            AggregateOp::Stddev,
        ] {
            let whole = of(op, &columns);
            for cut in 1..columns.len() {
                let mut parts = state(op, &columns[..cut]);
                parts.merge(op, state(op, &columns[cut..]));
                for (step, (a, b)) in parts.finish(op).into_iter().zip(&whole).enumerate() {
                    let close = (a - b).abs() <= 1e-12 * b.abs();
                    assert!(
                        close || a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan() && is_present(a)),
                        "{op:?} cut at {cut}, step {step}: {a} and not {b}"
                    );
                }
            }
        }
    }
}
