//! Evaluation on columnar step grids: what a caller passes, and the way from an expression to a result.
//!
//! Owns the order of an evaluation (plan, evaluate, name the result). Knows no operator: those are in `functions`,
//! `aggregate` and `binary`.

pub(crate) mod annotation;
pub(crate) mod coarse;
pub(crate) mod column;
pub(crate) mod duration;
pub(crate) mod evaluator;
pub(crate) mod plan;
pub(crate) mod select;
pub(crate) mod share;
pub(crate) mod steps;
pub(crate) mod tally;
pub(crate) mod trace;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Result, Sample};

use self::column::{Column, Frame, is_present, merge_same_labels, without_metadata};
use self::evaluator::Evaluator;
use self::plan::{Kind, Node, Plan};
pub use self::steps::Grid;
use self::steps::Steps;
use self::trace::Trace;
pub use self::trace::{PlanNode, Read};
use crate::limits::{DEFAULT_LOOKBACK, DEFAULT_MAX_SAMPLES, DEFAULT_SUBQUERY_STEP};
use crate::{
    Expr, HistogramSample, QueryOutput, Selection, Series, SeriesSource, Value, ValueType, VectorSample,
};

/// Settings of the engine that change results or bound an evaluation.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// A sample of this age no longer counts as its series' present value.
    pub lookback: Duration,
    /// The step of subqueries that give none.
    pub default_subquery_step: Duration,
    /// Samples that the query may hold at a time.
    pub max_samples: u64,
    /// Whether metric names are dropped at the end of the query only, so that its parts may still use them.
    pub delayed_name_removal: bool,
    /// Whether start timestamps tell of counter resets, and where counting began (feature `use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// Whether labels tell type and unit of metrics (feature `type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// Whether samples are counted for each step, too.
    pub step_stats: bool,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            lookback: DEFAULT_LOOKBACK,
            default_subquery_step: DEFAULT_SUBQUERY_STEP,
            max_samples: DEFAULT_MAX_SAMPLES,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            step_stats: false,
        }
    }
}

/// Tells an evaluation that it may not go on: nobody waits for it any more, or there is no memory for it.
pub trait Interrupt: Send + Sync {
    /// Called often, between series and between chunks of work; an error ends the evaluation with that error.
    fn check(&self) -> Result<()>;

    /// Called with the bytes of samples and columns that the evaluation holds, whenever they have become a MiB more or less; an
    /// error ends the evaluation with that error.
    fn holds(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }
}

/// The distinct selections of a query, each with the exact range of samples that it needs. An evaluation with the same
/// arguments asks its source for these and no others.
pub fn selections(expr: &Expr, grid: &Grid, options: &EvalOptions) -> Result<Vec<Selection>> {
    let plan = plan::plan(expr, grid, query_step_ms(grid), options)?;
    Ok(plan.selections)
}

/// Evaluates a query at one time. `query` is the text that `expr` was read from, for positions in annotations.
pub fn evaluate_instant(
    expr: &Expr,
    query: &str,
    t_ms: i64,
    options: &EvalOptions,
    source: &dyn SeriesSource,
    interrupt: &dyn Interrupt,
) -> Result<QueryOutput> {
    instant(expr, query, t_ms, options, Surroundings { source, interrupt, clock: None }).map(|(o, _)| o)
}

/// The same, and what each part of the query took.
pub fn explain_instant(
    expr: &Expr,
    query: &str,
    t_ms: i64,
    options: &EvalOptions,
    source: &dyn SeriesSource,
    interrupt: &dyn Interrupt,
    clock: &dyn Clock,
) -> Result<(QueryOutput, PlanNode)> {
    explained(instant(expr, query, t_ms, options, Surroundings { source, interrupt, clock: Some(clock) }))
}

/// Evaluates a query at each step of a grid. `query` is the text that `expr` was read from.
pub fn evaluate_range(
    expr: &Expr,
    query: &str,
    grid: &Grid,
    options: &EvalOptions,
    source: &dyn SeriesSource,
    interrupt: &dyn Interrupt,
) -> Result<QueryOutput> {
    range(expr, query, grid, options, Surroundings { source, interrupt, clock: None }).map(|(o, _)| o)
}

/// The same, and what each part of the query took.
pub fn explain_range(
    expr: &Expr,
    query: &str,
    grid: &Grid,
    options: &EvalOptions,
    source: &dyn SeriesSource,
    interrupt: &dyn Interrupt,
    clock: &dyn Clock,
) -> Result<(QueryOutput, PlanNode)> {
    explained(range(expr, query, grid, options, Surroundings { source, interrupt, clock: Some(clock) }))
}

/// What an evaluation has around it.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    source: &'a dyn SeriesSource,
    interrupt: &'a dyn Interrupt,
    /// By which its parts are measured.
    clock: Option<&'a dyn Clock>,
}

impl<'a> Surroundings<'a> {
    fn evaluator(&self, plan: &Plan<'_>, options: &'a EvalOptions) -> Evaluator<'a> {
        let trace = self.clock.map(|clock| Trace::new(clock, &plan.selections));
        Evaluator::new(options, self.source, self.interrupt, plan).traced_by(trace)
    }
}

fn explained(result: Result<(QueryOutput, Option<PlanNode>)>) -> Result<(QueryOutput, PlanNode)> {
    let (output, plan) = result?;
    Ok((output, plan.ok_or_else(|| Error::internal("cannot explain an evaluation that was not measured"))?))
}

fn instant(
    expr: &Expr,
    query: &str,
    t_ms: i64,
    options: &EvalOptions,
    around: Surroundings<'_>,
) -> Result<(QueryOutput, Option<PlanNode>)> {
    let plan = plan::plan(expr, &Grid::instant(t_ms), 0, options)?;
    let mut ev = around.evaluator(&plan, options);
    let value = match plan.root.ty {
        ValueType::Scalar => {
            let values = ev.scalar(&plan.root)?;
            Value::Scalar(Sample { t_ms, value: values[0] })
        }
        ValueType::String => match &plan.root.kind {
            Kind::Text(text) => Value::String(t_ms, (*text).into()),
            _ => return Err(Error::internal("cannot evaluate a string that is no literal")),
        },
        ValueType::Vector => {
            let frame = ev.frame(&plan.root)?;
            Value::Vector(named(frame, options)?.into_iter().map(|c| element(c, t_ms)).collect())
        }
        ValueType::Matrix => Value::Matrix(range_vector(&mut ev, &plan.root, options)?),
    };
    Ok(output(ev, value, query, &plan))
}

fn range(
    expr: &Expr,
    query: &str,
    grid: &Grid,
    options: &EvalOptions,
    around: Surroundings<'_>,
) -> Result<(QueryOutput, Option<PlanNode>)> {
    let ty = expr.value_type();
    if matches!(ty, ValueType::Matrix | ValueType::String) {
        return Err(Error::invalid(format!(
            "invalid expression type \"{ty}\" for range query, must be Scalar or instant Vector"
        )));
    }
    let plan = plan::plan(expr, grid, query_step_ms(grid), options)?;
    let mut ev = around.evaluator(&plan, options);
    let frame = ev.frame(&plan.root)?;
    let series = matrix(named(frame, options)?, plan.root.steps);
    Ok(output(ev, Value::Matrix(series), query, &plan))
}

/// The step as durations see it: a query of one time has none, so that [`selections`] need not be told which kind of
/// query it is asked about.
fn query_step_ms(grid: &Grid) -> i64 {
    if grid.start_ms == grid.end_ms { 0 } else { grid.step_ms }
}

fn output(ev: Evaluator<'_>, value: Value, query: &str, plan: &Plan<'_>) -> (QueryOutput, Option<PlanNode>) {
    let (annotations, stats, trace) = ev.finish(plan.root.steps);
    let annotations = annotations.into_annotations(query);
    (QueryOutput { value, annotations, stats }, trace.map(|trace| trace.finish(plan)))
}

/// Drops the names that were to be dropped at the end.
fn named(mut frame: Frame, options: &EvalOptions) -> Result<Frame> {
    if !options.delayed_name_removal {
        return Ok(frame);
    }
    for column in &mut frame {
        if column.drop_name {
            column.labels = without_metadata(&column.labels);
        }
    }
    merge_same_labels(frame)
}

/// The element that a column of one step is.
fn element(mut column: Column, t_ms: i64) -> VectorSample {
    let histogram = column.histograms.pop().flatten();
    let value = if histogram.is_some() { 0.0 } else { column.values[0] };
    VectorSample { labels: column.labels, sample: Sample { t_ms, value }, histogram }
}

/// The points of each column, in order of the labels.
fn matrix(frame: Frame, steps: Steps) -> Vec<Series> {
    let mut all: Vec<Series> = frame
        .into_iter()
        .map(|c| {
            let points = steps.times().zip(c.values).filter(|(_, v)| is_present(*v));
            let samples = points.map(|(t_ms, value)| Sample { t_ms, value }).collect();
            let histograms = steps.times().zip(c.histograms);
            let histograms = histograms
                .filter_map(|(t_ms, h)| h.map(|histogram| HistogramSample { t_ms, histogram }))
                .collect();
            Series { labels: c.labels, samples, histograms }
        })
        .collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

/// A range vector as the result of an instant query: the samples themselves.
fn range_vector(ev: &mut Evaluator<'_>, root: &Node<'_>, options: &EvalOptions) -> Result<Vec<Series>> {
    match &root.kind {
        Kind::Subquery { inner, .. } => {
            let outside = ev.count_apart(None)?;
            let frame = ev.frame(inner)?;
            let within = ev.count_on(outside);
            ev.tally.add_first(within.used, within.read);
            Ok(matrix(named(frame, options)?, inner.steps))
        }
        Kind::Range(selector) => {
            let end_ms = selector.window.end_ms(root.steps.start_ms);
            let mut all = Vec::new();
            ev.read(root, selector.selection, &mut |ev, labels, columns| {
                coarse::fill_in(columns, &selector.window, root.steps);
                select::drop_stale(columns);
                let (anchored, smoothed) = (selector.ast.anchored, selector.ast.smoothed);
                let samples = if anchored || smoothed {
                    if !columns.histograms.is_empty() {
                        let modifier = if anchored { "anchored" } else { "smoothed" };
                        return Err(Error::invalid(format!(
                            "{modifier} modifier is not supported with histograms"
                        )));
                    }
                    crate::functions::extended::extend(columns, &selector.window, end_ms, smoothed)
                } else {
                    let points = columns.timestamps_ms.iter().zip(&columns.values);
                    points.map(|(t, v)| Sample { t_ms: *t, value: *v }).collect()
                };
                let size = samples.len() as u64 + columns.histograms.size_in_samples();
                ev.tally.add_first(size, size);
                ev.hold_samples(size)?;
                let histograms = columns.histograms.timestamps_ms.iter().zip(&columns.histograms.values);
                let histograms: Vec<_> =
                    histograms.map(|(t, h)| HistogramSample { t_ms: *t, histogram: Arc::clone(h) }).collect();
                if !samples.is_empty() || !histograms.is_empty() {
                    all.push(Series { labels, samples, histograms });
                }
                Ok(())
            })?;
            all.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(all)
        }
        _ => Err(Error::internal("cannot evaluate a range vector that is neither a selector nor a subquery")),
    }
}
