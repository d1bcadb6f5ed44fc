//! Range functions: a window of samples slides along each series.
//!
//! Owns what a function sees of a series and the labels of the result; where windows begin and end, and the functions, are in the files
//! beside.

use std::sync::Arc;

use base::{CounterResetHint, Error, Histogram, Labels, MatchOp, Matcher, Result};
use rustc_hash::FxHashSet;

use super::windows::{SameTimes, Windows};
use super::{buckets, extended, mixed, over_time, rate, regression, starts};
use crate::ast::Span;
use crate::eval::column::{Column, Histograms, is_present, same_labelset_error, without_metadata};
use crate::eval::evaluator::{Evaluator, Sink};
use crate::eval::plan::{Kind, Node, Window};
use crate::eval::select::Notes;
use crate::eval::steps::Steps;
use crate::eval::tally::{StepTally, Tally};
use crate::leaf::{Leaf, Numbers, Operation, Settings, Told};
use crate::usage::parts;
use crate::{Coarse, Columns, Function, ValueType};

/// Whether a function takes a range vector and yields a column per series.
pub(crate) fn is_rollup(function: Function) -> bool {
    function != Function::AbsentOverTime && function.arg_types().contains(&ValueType::Matrix)
}

/// What a range function sees of a series.
pub(crate) struct Series<'c> {
    pub(crate) times: &'c [i64],
    pub(crate) values: &'c [f64],
    /// Start timestamps, if there are any and the function looks at them.
    pub(crate) starts: &'c [i64],
    /// Whether it does.
    pub(crate) uses_starts: bool,
    pub(crate) window: &'c Window,
    pub(crate) steps: Steps,
    /// Whether samples are counted for each step, too.
    pub(crate) counts_steps: bool,
    /// Its windows, if they are known.
    pub(crate) windows: Option<&'c Windows>,
}

/// A range function's column, and what it cost.
pub(crate) struct Rolled {
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Histograms,
    /// The lengths of all windows.
    pub(crate) tally: Tally,
    /// Length of the longest window.
    pub(crate) widest: u64,
}

impl Rolled {
    /// Counts samples that a step used and those of them that it read, and the length of its window.
    pub(crate) fn count(&mut self, at: usize, step: StepTally, length: u64) {
        self.tally.used += step.used;
        self.tally.read += step.read;
        if let Some(to) = self.tally.steps.get_mut(at) {
            to.used += step.used;
            to.read += step.read;
        }
        self.widest = self.widest.max(length);
    }

    fn append(&mut self, later: Self) {
        self.values.extend(later.values);
        self.tally.append(later.tally);
        self.widest = self.widest.max(later.widest);
    }

    /// Multiplies each value that is there.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.values.iter_mut().filter(|v| is_present(**v)).for_each(|v| *v *= factor);
    }
}

impl<'c> Series<'c> {
    /// A series without start timestamps.
    pub(crate) fn new(times: &'c [i64], values: &'c [f64], window: &'c Window, steps: Steps) -> Self {
        Self {
            times,
            values,
            starts: &[],
            uses_starts: false,
            window,
            steps,
            counts_steps: false,
            windows: None,
        }
    }

    /// Counts samples for each step, if that is wanted.
    pub(crate) fn counting(self, counts_steps: bool) -> Self {
        Self { counts_steps, ..self }
    }

    /// What a step sees is after the first of these times, and not after the second.
    #[inline]
    pub(crate) fn bounds(&self, step: usize) -> (i64, i64) {
        self.window.bounds(self.steps.at(step))
    }

    /// Hands its windows to `f`.
    pub(crate) fn with_windows<T>(&self, f: impl FnOnce(&Windows) -> T) -> T {
        match self.windows {
            Some(windows) => f(windows),
            None => f(&Windows::of(self.times, self.window, self.steps, self.counts_steps)),
        }
    }

    /// Calls `f` for each step whose window has samples, with first, end (excluded) and step.
    #[inline]
    pub(crate) fn slide(&self, f: impl FnMut(usize, usize, usize) -> f64) -> Rolled {
        self.with_windows(|windows| windows.map(f))
    }

    /// Beginning and end of the range at a step.
    #[inline]
    pub(crate) fn range(&self, step: usize) -> (i64, i64) {
        let end = self.window.end_ms(self.steps.at(step));
        (end.saturating_sub(self.window.range_ms), end)
    }
}

/// Evaluates a range function and hands out its columns.
pub(crate) fn stream(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut given = Given::default();
    let range = range(args)?;
    match &range.kind {
        Kind::Range(_) => {
            let Some(leaf) = leaf(ev, node, function, args)? else { return Ok(()) };
            ev.run_leaf(node, &leaf, &mut |ev, mut block| {
                (0..block.rows()).try_for_each(|row| given.give(ev, block.column(row), sink))
            })
        }
        Kind::Subquery { inner, window } => {
            let (numbers, settings) = (numbers(ev, args)?, ev.settings());
            let (steps, span) = (node.steps, args[0].span);
            let roller = Roller { function, steps, numbers: &numbers, span, settings };
            // What it reads is told apart by its steps only if some of them may be in no window.
            let has_gaps =
                node.steps.count > 1 && (settings.counts_steps || node.steps.step_ms > window.range_ms);
            let outside = ev.count_apart(has_gaps.then_some(inner))?;
            let frame = ev.frame(inner)?;
            let within = ev.count_on(outside);
            ev.tally.add_subquery(&within, inner.steps, node.steps, window);
            let (mut columns, mut same) = (Columns::default(), SameTimes::default());
            for column in frame {
                ev.check_interrupt()?;
                columns.clear();
                for (t, v) in inner.steps.times().zip(&column.values).filter(|(_, v)| is_present(**v)) {
                    columns.timestamps_ms.push(t);
                    columns.values.push(*v);
                }
                for (t, h) in inner.steps.times().zip(&column.histograms) {
                    if let Some(h) = h {
                        columns.histograms.timestamps_ms.push(t);
                        columns.histograms.values.push(without_reset(h));
                    }
                }
                let mode = extended::Mode::Plain;
                let (labels, mut told) =
                    (column.labels.clone(), Told::counting(settings.counts_steps, steps));
                let rolled = roller.column(
                    labels,
                    column.drop_name,
                    &columns,
                    window,
                    mode,
                    (&mut told, &mut same),
                )?;
                told.tally.read = 0;
                told.tally.steps.iter_mut().for_each(|step| step.read = 0);
                ev.take_in(told)?;
                if let Some(rolled) = rolled {
                    given.give(ev, rolled, sink)?;
                }
                ev.release(&column);
            }
            Ok(())
        }
        _ => Err(Error::internal(format!("cannot slide over a {}", range.ty))),
    }
}

/// The range among the arguments.
fn range<'n, 'e>(args: &'n [Node<'e>]) -> Result<&'n Node<'e>> {
    let range = args.iter().rev().find(|arg| arg.ty == ValueType::Matrix);
    range.ok_or_else(|| Error::internal("cannot evaluate a range function without a range"))
}

/// The numbers among the arguments, per step.
fn numbers(ev: &mut Evaluator<'_>, args: &[Node<'_>]) -> Result<Vec<Numbers>> {
    let numbers = args.iter().filter(|arg| arg.ty != ValueType::Matrix);
    numbers.map(|arg| ev.scalar(arg).map(Numbers)).collect()
}

/// The leaf that a range function of stored samples is; `None` over anything else, and if there is no step to evaluate.
pub(crate) fn leaf(
    ev: &mut Evaluator<'_>,
    node: &Node<'_>,
    function: Function,
    args: &[Node<'_>],
) -> Result<Option<Leaf>> {
    let Kind::Range(selector) = &range(args)?.kind else { return Ok(None) };
    let numbers = numbers(ev, args)?;
    let mode = extended::mode(function, selector.ast)?;
    let Some(selection) = ev.selection(selector.selection) else { return Ok(None) };
    Ok(Some(Leaf {
        selection,
        window: selector.window,
        steps: node.steps,
        span: args[0].span,
        operation: Operation::Range { function, numbers, mode },
        statistics_only: selector.statistics_only,
        settings: ev.settings(),
        filters: Vec::new(),
        grouping: None,
    }))
}

/// Whether a range function of stored samples cannot make two series the same.
pub(crate) fn stays_apart(ev: &Evaluator<'_>, function: Function, args: &[Node<'_>]) -> bool {
    if !is_rollup(function) {
        return false;
    }
    let selector = match range(args).map(|range| &range.kind) {
        Ok(Kind::Range(selector)) => selector,
        _ => return false,
    };
    let is_name = |m: &Matcher| m.name() == base::METRIC_NAME && m.op() == MatchOp::Equal;
    let has_one_name = || ev.selection(selector.selection).is_some_and(|s| s.matchers.iter().any(is_name));
    ev.options.delayed_name_removal
        || !super::drops_name(function)
        || (!ev.options.type_and_unit_labels && has_one_name())
}

/// The label sets given out, by their hashes, to find those that fall together without their name.
#[derive(Default)]
struct Given(FxHashSet<u64>);

impl Given {
    fn give(&mut self, ev: &mut Evaluator<'_>, column: Column, sink: &mut Sink<'_>) -> Result<()> {
        if !ev.options.delayed_name_removal && !self.0.insert(column.labels.stable_hash()) {
            return Err(same_labelset_error());
        }
        sink(ev, column)
    }
}

/// A range function, to be computed of one series after the other.
pub(crate) struct Roller<'a> {
    pub(crate) function: Function,
    pub(crate) steps: Steps,
    /// The function's numbers, per step.
    pub(crate) numbers: &'a [Numbers],
    /// Of the first argument, whichever that is.
    pub(crate) span: Span,
    pub(crate) settings: Settings,
}

impl Roller<'_> {
    /// The function's column of a series, if it has any value.
    pub(crate) fn column(
        &self,
        labels: Labels,
        drop_name: bool,
        columns: &Columns,
        window: &Window,
        mode: extended::Mode,
        (told, same): (&mut Told, &mut SameTimes),
    ) -> Result<Option<Column>> {
        if columns.size_in_samples() == 0 {
            return Ok(None);
        }
        let rolled = self.roll_series(&labels, columns, window, mode, (told, same))?;
        let Rolled { values, histograms, tally, widest } = rolled;
        told.tally.add(&tally);
        told.widest = told.widest.max(widest);
        let mut column = Column { labels, drop_name, values, histograms };
        if column.is_empty() {
            return Ok(None);
        }
        let has_floats = column.values.iter().any(|v| is_present(*v));
        if matches!(self.function, Function::Rate | Function::Increase) && has_floats {
            self.note_non_counter(&column.labels, told);
        }
        column.drop_name |= super::drops_name(self.function);
        if column.drop_name && !self.settings.delayed_name_removal {
            column.labels = without_metadata(&column.labels);
        }
        Ok(Some(column))
    }

    /// Tells if a metric does not look like a counter.
    fn note_non_counter(&self, labels: &Labels, told: &mut Told) {
        let metric = labels.metric();
        if metric.is_empty() {
            return;
        }
        if self.settings.type_and_unit_labels {
            let kind = labels.get_or_empty("__type__");
            if !matches!(kind, "counter" | "histogram") {
                told.annotations.no_counter_type(metric, kind, self.span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix)) {
            told.annotations.possible_non_counter(metric, self.span);
        }
    }

    /// The function over all of a series.
    fn roll_series(
        &self,
        labels: &Labels,
        columns: &Columns,
        window: &Window,
        mode: extended::Mode,
        (told, same): (&mut Told, &mut SameTimes),
    ) -> Result<Rolled> {
        let metric = labels.metric();
        let uses_starts = self.settings.use_start_timestamps && looks_at_starts(self.function);
        let starts = if uses_starts { &columns.starts_ms[..] } else { &[] };
        let (times, values) = (&columns.timestamps_ms[..], &columns.values[..]);
        let counts_steps = self.settings.counts_steps;
        let series =
            |steps| Series { times, values, starts, uses_starts, window, steps, counts_steps, windows: None };
        let mut rolled = match &columns.coarse {
            None => {
                let windows = Some(same.windows(times, window, self.steps, counts_steps));
                self.roll(&Series { windows, ..series(self.steps) }, mode, 0, told)?
            }
            Some(coarse) => {
                let (before, after) = self.steps.split(coarse.steps(window, self.steps));
                let mut rolled = self.roll_buckets(coarse, window, before, mode, told)?;
                rolled.append(self.roll(&series(after), mode, before.count, told)?);
                rolled
            }
        };
        let extrapolates = matches!(self.function, Function::Rate | Function::Increase);
        if !starts.is_empty() && extrapolates && mode == extended::Mode::Plain {
            let overlaps = starts::count_overlaps(&series(self.steps));
            if overlaps > 0 {
                told.annotations.start_overlap(metric, overlaps, self.span);
            }
        }
        if !columns.histograms.is_empty() {
            let mut notes = Notes { annotations: &mut told.annotations, metric, span: self.span };
            let series = series(self.steps);
            mixed::overlay(self.function, &series, &columns.histograms, mode, &mut rolled, &mut notes)?;
        }
        Ok(rolled)
    }

    /// The function over buckets instead of samples, from the first step on.
    fn roll_buckets(
        &self,
        coarse: &Coarse,
        window: &Window,
        steps: Steps,
        mode: extended::Mode,
        told: &mut Told,
    ) -> Result<Rolled> {
        if mode == extended::Mode::Plain
            && let Some(rolled) =
                buckets::roll(self.function, coarse, window, steps, self.settings.counts_steps)
        {
            return Ok(rolled);
        }
        let stand_in = coarse.stand_in(parts(self.function));
        let (times, values) = (&stand_in.timestamps_ms[..], &stand_in.values[..]);
        // Two buckets at least, or there would be no two samples.
        let range_ms = window.range_ms.max(2 * coarse.bucket_ms);
        let wide = Window { range_ms, ..*window };
        let series = Series::new(times, values, &wide, steps).counting(self.settings.counts_steps);
        let mut rolled = self.roll(&series, mode, 0, told)?;
        let counts = matches!(
            self.function,
            Function::Increase | Function::Delta | Function::Resets | Function::Changes
        );
        if counts && range_ms != window.range_ms {
            rolled.scale(window.range_ms as f64 / range_ms as f64);
        }
        Ok(rolled)
    }

    /// The function over samples, at steps that begin with the one at a position among all.
    fn roll(
        &self,
        series: &Series<'_>,
        mode: extended::Mode,
        first: usize,
        told: &mut Told,
    ) -> Result<Rolled> {
        let numbers = |at: usize| &self.numbers[at][first..];
        if mode != extended::Mode::Plain {
            return Ok(extended::roll(self.function, series, mode));
        }
        Ok(match self.function {
            Function::Rate => rate::extrapolated(series, true, true),
            Function::Increase => rate::extrapolated(series, true, false),
            Function::Delta => rate::extrapolated(series, false, false),
            Function::Irate => rate::last_two(series, true),
            Function::Idelta => rate::last_two(series, false),
            Function::Resets => rate::resets(series),
            Function::Changes => rate::changes(series),
            Function::Deriv => regression::deriv(series),
            Function::PredictLinear => regression::predict_linear(series, numbers(0)),
            Function::DoubleExponentialSmoothing => {
                regression::double_exponential_smoothing(series, numbers(0), numbers(1))?
            }
            Function::QuantileOverTime => {
                let (rolled, invalid) = over_time::quantile(series, numbers(0));
                invalid.into_iter().for_each(|q| told.annotations.invalid_quantile(q, self.span));
                rolled
            }
            other => over_time::roll(other, series)?,
        })
    }
}

/// Whether a function looks at start timestamps.
pub(crate) fn looks_at_starts(function: Function) -> bool {
    matches!(function, Function::Rate | Function::Increase | Function::Irate | Function::Resets)
}

/// A histogram of a subquery: what is known of a reset was about another sample than the one before it now.
fn without_reset(h: &Arc<Histogram>) -> Arc<Histogram> {
    match h.counter_reset_hint {
        CounterResetHint::Reset | CounterResetHint::NotReset => {
            Arc::new(Histogram { counter_reset_hint: CounterResetHint::Unknown, ..(**h).clone() })
        }
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(h),
    }
}

/// A series for the tests of the functions: one sample a second from second 1 on.
#[cfg(test)]
pub(crate) fn roll_seconds(values: &[f64], range_ms: i64, f: impl Fn(&Series<'_>) -> Rolled) -> Vec<f64> {
    let times: Vec<i64> = (1..=values.len() as i64).map(|i| i * 1000).collect();
    let window = Window { range_ms, offset_ms: 0, at_ms: None, before_ms: 0, after_ms: 0 };
    let steps = Steps::between(1000, values.len() as i64 * 1000, 1000);
    f(&Series::new(&times, values, &window, steps)).values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_on_the_left_and_closed_on_the_right() {
        let count = |s: &Series<'_>| s.slide(|from, to, _| (to - from) as f64);
        assert_eq!(roll_seconds(&[1.0; 4], 2000, count), [1.0, 2.0, 2.0, 2.0]);
        let sparse = roll_seconds(&[1.0; 3], 500, count);
        assert_eq!(sparse, [1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_step_without_samples_is_absent() {
        let window = Window { range_ms: 1000, offset_ms: 5000, at_ms: None, before_ms: 0, after_ms: 0 };
        let series = Series::new(&[0], &[1.0], &window, Steps::between(4000, 7000, 1000));
        let rolled = series.slide(|_, _, _| 1.0);
        let present: Vec<bool> = rolled.values.iter().map(|v| is_present(*v)).collect();
        assert_eq!(present, [false, true, false, false]);
        assert_eq!((rolled.tally.used, rolled.tally.read, rolled.widest), (1, 1, 1));
    }
}
