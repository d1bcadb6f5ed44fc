//! Queries from text to result.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Error, Result};
use promql::{EvalOptions, Expr, Grid, Interrupt, ParseOptions, PlanNode, QueryOutput, ValueType};
use tsdb::Pool;

use crate::active::QueryOrigin;
use crate::cancel::{Deadline, Guard, timed_out};
use crate::fetch::{Gathered, Notes, RollupUse};
use crate::plan::Surroundings;
use crate::source::Fetched;
use crate::{Engine, limits};

/// What a request may ask of its query.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// A shorter deadline than the process' own.
    pub timeout: Option<Duration>,
    /// Another lookback than the process' own.
    pub lookback: Option<Duration>,
    /// Whether to say what each part of the query took.
    pub explain: bool,
    /// Whether to count samples for each step, if the process lets queries ask for that.
    pub step_stats: bool,
    /// Who asks, for the list of active queries and the log.
    pub origin: Option<QueryOrigin>,
}

/// Why a query has no result.
#[derive(Debug)]
pub enum QueryFailure {
    /// The text is not a query, or not one of the kind asked for.
    Rejected(Error),
    /// It could not be carried out.
    Execute(Error),
}

impl From<Error> for QueryFailure {
    fn from(e: Error) -> Self {
        Self::Execute(e)
    }
}

/// How long the parts of a query took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Waiting for a place.
    pub queue: Duration,
    /// Finding and fetching the series.
    pub prepare: Duration,
    /// Evaluating.
    pub evaluate: Duration,
    /// All but the waiting.
    pub total: Duration,
}

/// The result of a query, and how long it took.
#[derive(Debug)]
pub struct QueryReply {
    /// Result, annotations, statistics.
    pub output: QueryOutput,
    /// How long it took.
    pub timings: Timings,
    /// The rollups that took the place of samples, if any did.
    pub rollups: Vec<RollupUse>,
    /// What each part of the query took, if that was asked for.
    pub explained: Option<Explained>,
}

/// What each part of a query took.
#[derive(Debug)]
pub struct Explained {
    /// The query's tree.
    pub plan: PlanNode,
    /// What was gathered before, by selection; [`promql::Read`] refers to it.
    pub gathered: Vec<Gathered>,
    /// The physical plans of its leaves, as they were executed.
    pub leaves: Vec<String>,
}

impl Engine {
    /// Evaluates a query at one time.
    pub async fn query_instant(
        &self,
        query: &str,
        t_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryReply, QueryFailure> {
        let grid = Grid { start_ms: t_ms, end_ms: t_ms, step_ms: 1 };
        self.watched(query, grid, true, options).await
    }

    /// Evaluates a query at every step of a range.
    pub async fn query_range(
        &self,
        query: &str,
        grid: Grid,
        options: &QueryOptions,
    ) -> Result<QueryReply, QueryFailure> {
        self.watched(query, grid, false, options).await
    }

    /// The tree of a query.
    pub fn parse_query(&self, query: &str) -> Result<Expr, QueryFailure> {
        parse(query, &self.options.language)
    }

    /// The query in Prometheus' canonical layout.
    pub fn format_query(&self, query: &str) -> Result<String, QueryFailure> {
        let expr = parse(query, &self.options.language)?;
        Ok(promql::pretty(&expr))
    }

    pub(crate) async fn run(
        &self,
        query: &str,
        grid: Grid,
        instant: bool,
        options: &QueryOptions,
    ) -> Result<QueryReply, QueryFailure> {
        let expr = parse(query, &self.options.language)?;
        if !instant && matches!(expr.value_type(), ValueType::Matrix | ValueType::String) {
            let got = expr.value_type().as_str();
            return Err(QueryFailure::Rejected(Error::invalid(format!(
                "invalid expression type {got:?} for range query, must be Scalar or instant Vector"
            ))));
        }
        let timeout = options.timeout.unwrap_or(self.options.query_timeout).min(self.options.query_timeout);
        let (deadline, _present) = Deadline::after(timeout, &self.clock);
        let asked = self.clock.monotonic();
        let _counted = self.metrics.count_query();
        let waiting =
            self.metrics.current.get() - i64::try_from(self.options.query_max_concurrency).unwrap_or(0);
        if waiting > limits::QUERY_MAX_WAITING as i64 {
            self.metrics.shed.inc();
            return Err(Error::unavailable(format!(
                "cannot run query: {} others wait already (limit query_max_waiting); try again later",
                limits::QUERY_MAX_WAITING
            ))
            .into());
        }
        let place = tokio::time::timeout(deadline.remaining(), Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| Error::new(base::ErrorKind::Timeout, "query timed out in query queue"))?
            .map_err(|_| Error::unavailable("cannot run query: the engine is stopping"))?;
        let started = self.clock.monotonic();
        let eval = EvalOptions {
            lookback: options.lookback.unwrap_or(self.options.lookback),
            max_samples: self.options.query_max_samples,
            delayed_name_removal: self.options.delayed_name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            step_stats: self.options.step_stats && options.step_stats,
            use_start_timestamps: self.options.use_start_timestamps,
            ..EvalOptions::default()
        };
        let mut notes = Notes::default();
        let fetching = Box::pin(self.fetch(&expr, &grid, &eval, &mut notes));
        let fetched =
            tokio::time::timeout(deadline.remaining(), fetching).await.map_err(|_| timed_out())??;
        let prepared = self.clock.monotonic();
        let text = query.to_string();
        let guard = Arc::new(Guard::new(deadline, self.store.memory().reservation(Pool::Queries)));
        let clock = options.explain.then(|| Arc::clone(&self.clock));
        let around = Surroundings { interrupt: Arc::clone(&guard) as _, clock: clock.clone() };
        let source = Fetched::new(fetched, around, Arc::clone(&self.threads));
        let evaluation = tokio::task::spawn_blocking(move || {
            let _place = place;
            let evaluated =
                evaluate((&expr, &text), &grid, instant, &eval, &source, &*guard, clock.as_deref());
            evaluated.map(|(output, plan)| (output, plan, source.into_plans()))
        });
        let (mut output, plan, leaves) =
            evaluation.await.map_err(|e| Error::internal(format!("cannot evaluate query: {e}")))??;
        let ended = self.clock.monotonic();
        let timings = Timings {
            queue: started.saturating_sub(asked),
            prepare: prepared.saturating_sub(started),
            evaluate: ended.saturating_sub(prepared),
            total: ended.saturating_sub(started),
        };
        self.metrics.observe(&timings, &output.stats);
        output.annotations.infos.extend(notes.infos());
        let explained = plan.map(|plan| Explained { plan, gathered: notes.gathered, leaves });
        Ok(QueryReply { output, timings, rollups: notes.rollups, explained })
    }
}

/// Evaluates what was fetched, and measures its parts with a clock.
fn evaluate(
    query: (&Expr, &str),
    grid: &Grid,
    instant: bool,
    options: &EvalOptions,
    source: &Fetched,
    guard: &dyn Interrupt,
    clock: Option<&dyn Clock>,
) -> Result<(QueryOutput, Option<PlanNode>)> {
    let (expr, text) = query;
    let t_ms = grid.start_ms;
    match (clock, instant) {
        (None, true) => promql::evaluate_instant(expr, text, t_ms, options, source, guard).map(|o| (o, None)),
        (None, false) => promql::evaluate_range(expr, text, grid, options, source, guard).map(|o| (o, None)),
        (Some(clock), true) => promql::explain_instant(expr, text, t_ms, options, source, guard, clock)
            .map(|(o, plan)| (o, Some(plan))),
        (Some(clock), false) => promql::explain_range(expr, text, grid, options, source, guard, clock)
            .map(|(o, plan)| (o, Some(plan))),
    }
}

pub(crate) fn parse(query: &str, language: &ParseOptions) -> Result<Expr, QueryFailure> {
    promql::parse(query, language).map_err(|e| QueryFailure::Rejected(e.into()))
}
