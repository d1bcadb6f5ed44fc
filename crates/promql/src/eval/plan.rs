//! The plan: the syntax tree with every time resolved.
//!
//! Each node knows the steps that it is evaluated at, each selector the samples that it needs; durations, `@`,
//! `start()` and the like are numbers; parentheses are gone; and parts whose value does not depend on the step stand
//! under [`Kind::Invariant`], to be evaluated once. Owns no evaluation.

use std::rc::Rc;

use base::{Matcher, Result, TimeRange};
use serde::{Deserialize, Serialize};

use super::duration::QueryTimes;
use super::share::share;
use super::steps::Steps;
use super::{EvalOptions, Grid};
use crate::ast::{Aggregate, AtModifier, Binary, BinaryOp, Expr, ExprKind, Span, Subquery, VectorSelector};
use crate::usage::{Need, Usage};
use crate::{Function, Selection, ValueType};

/// A node of the plan.
#[derive(Debug)]
pub(crate) struct Node<'e> {
    pub(crate) kind: Kind<'e>,
    /// Type of the result.
    pub(crate) ty: ValueType,
    /// Where annotations about the node point to.
    pub(crate) span: Span,
    /// When the node is evaluated.
    pub(crate) steps: Steps,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind<'e> {
    Number(f64),
    Text(&'e str),
    Unary {
        negative: bool,
        inner: Box<Node<'e>>,
    },
    Binary {
        ast: &'e Binary,
        lhs: Box<Node<'e>>,
        rhs: Box<Node<'e>>,
    },
    Aggregate {
        ast: &'e Aggregate,
        input: Box<Node<'e>>,
        param: Option<Box<Node<'e>>>,
    },
    Call {
        function: Function,
        args: Vec<Node<'e>>,
        info: Option<InfoSource>,
    },
    /// An instant vector.
    Selector(Selector<'e>),
    /// A range vector of a series' own samples.
    Range(Selector<'e>),
    /// A range vector of computed samples.
    Subquery {
        inner: Box<Node<'e>>,
        window: Window,
    },
    /// Evaluated at the first step and repeated for all.
    Invariant(Box<Node<'e>>),
    /// One of several parts of a query that are the same, evaluated when the first of them is needed.
    Shared {
        /// Which of the parts that are shared.
        part: usize,
        /// How many nodes it stands for.
        uses: usize,
        /// How much later in the query this node stands than the one that is evaluated.
        shift: isize,
        inner: Rc<Node<'e>>,
    },
}

/// Which samples a step sees: those in `(end - range - before, end + after]`, where `end` is the time of the step or
/// the fixed time, less the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    /// How much further back `anchored` and `smoothed` look.
    pub(crate) before_ms: i64,
    /// How much further ahead `smoothed` looks.
    pub(crate) after_ms: i64,
}

impl Window {
    /// The end of the range at a step.
    #[inline]
    pub(crate) fn end_ms(&self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }

    /// What a step sees begins after this time.
    #[inline]
    pub(crate) fn open_ms(&self, t_ms: i64) -> i64 {
        self.end_ms(t_ms).saturating_sub(self.range_ms).saturating_sub(self.before_ms)
    }

    /// What a step sees is after the first of these times, and not after the second.
    #[inline]
    pub(crate) fn bounds(&self, t_ms: i64) -> (i64, i64) {
        (self.open_ms(t_ms), self.end_ms(t_ms).saturating_add(self.after_ms))
    }

    fn time_range(&self, steps: Steps) -> TimeRange {
        TimeRange::new(
            self.open_ms(steps.start_ms).saturating_add(1),
            self.end_ms(steps.last_ms()).saturating_add(self.after_ms),
        )
    }
}

/// A selector with its times.
#[derive(Debug)]
pub(crate) struct Selector<'e> {
    pub(crate) ast: &'e VectorSelector,
    /// For an instant vector, the range is the lookback.
    pub(crate) window: Window,
    /// Index into [`Plan::selections`]; `None` if there is no step to evaluate.
    pub(crate) selection: Option<usize>,
    /// Whether of native histograms count and sum are enough.
    pub(crate) statistics_only: bool,
}

/// Where `info()` finds its info series.
#[derive(Debug)]
pub(crate) struct InfoSource {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) window: Window,
    pub(crate) selection: Option<usize>,
}

/// A resolved query.
#[derive(Debug)]
pub(crate) struct Plan<'e> {
    pub(crate) root: Node<'e>,
    /// The distinct selections.
    pub(crate) selections: Vec<Selection>,
}

/// Resolves a query for a grid; `step_ms` is 0 for an instant query.
pub(crate) fn plan<'e>(expr: &'e Expr, grid: &Grid, step_ms: i64, options: &EvalOptions) -> Result<Plan<'e>> {
    let times = QueryTimes { start_ms: grid.start_ms, end_ms: grid.end_ms, step_ms };
    let mut planner = Planner {
        times,
        options,
        need: Need::Samples,
        buckets: Buckets::Needed,
        starts: false,
        selections: Vec::new(),
    };
    let mut root = planner.node(expr, grid.steps()?)?;
    share(&mut root);
    Ok(Plan { root, selections: planner.selections })
}

struct Planner<'o> {
    times: QueryTimes,
    options: &'o EvalOptions,
    /// What the range that is planned next is needed for.
    need: Need,
    buckets: Buckets,
    /// What is planned next is asked when its counting began, if that is in use.
    starts: bool,
    selections: Vec<Selection>,
}

/// Whether what is planned next needs the buckets of native histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Buckets {
    Needed,
    /// Only count and sum are used.
    Useless,
    /// They are, by something further out that cannot do without.
    Demanded,
}

impl Buckets {
    /// Within a call.
    fn within(self, function: Function) -> Self {
        match function {
            _ if self == Self::Demanded => self,
            Function::HistogramCount | Function::HistogramSum | Function::HistogramAvg => Self::Useless,
            Function::HistogramQuantile | Function::HistogramQuantiles | Function::HistogramFraction => {
                Self::Demanded
            }
            _ => self,
        }
    }
}

impl Planner<'_> {
    fn node<'e>(&mut self, expr: &'e Expr, steps: Steps) -> Result<Node<'e>> {
        let expr = expr.unwrap_parens();
        let wrapped = !matches!(
            expr.kind,
            ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Matrix { .. } | ExprKind::Subquery(_)
        );
        if steps.count > 1 && wrapped && is_invariant(expr) {
            let inner = self.bare_node(expr, steps.first())?;
            // A number repeats itself.
            if !matches!(inner.kind, Kind::Number(_)) {
                let (ty, span) = (inner.ty, inner.span);
                return Ok(Node { kind: Kind::Invariant(Box::new(inner)), ty, span, steps });
            }
        }
        self.bare_node(expr, steps)
    }

    fn bare_node<'e>(&mut self, expr: &'e Expr, steps: Steps) -> Result<Node<'e>> {
        let mut ty = None;
        let mut span = expr.span;
        let kind = match &expr.kind {
            ExprKind::Number { value, .. } => Kind::Number(*value),
            ExprKind::String(text) => Kind::Text(text),
            ExprKind::Paren(inner) => return self.node(inner, steps),
            ExprKind::Unary { negative, expr } => {
                let inner = self.node(expr, steps)?;
                ty = Some(inner.ty);
                Kind::Unary { negative: *negative, inner: Box::new(inner) }
            }
            ExprKind::Binary(ast) => {
                let outer = self.buckets;
                if matches!(ast.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                    self.buckets = Buckets::Demanded;
                }
                let (lhs, rhs) = (self.node(&ast.lhs, steps), self.node(&ast.rhs, steps));
                self.buckets = outer;
                let (lhs, rhs) = (lhs?, rhs?);
                let scalar = lhs.ty == ValueType::Scalar && rhs.ty == ValueType::Scalar;
                ty = Some(if scalar { ValueType::Scalar } else { ValueType::Vector });
                Kind::Binary { ast, lhs: Box::new(lhs), rhs: Box::new(rhs) }
            }
            ExprKind::Aggregate(ast) => {
                let input = Box::new(self.node(&ast.expr, steps)?);
                let param = match &ast.param {
                    Some(p) => Some(Box::new(self.node(p, steps)?)),
                    None => None,
                };
                Kind::Aggregate { ast, input, param }
            }
            ExprKind::Call { function, args } => return self.call(*function, args, expr.span, steps),
            ExprKind::Vector(ast) => Kind::Selector(self.selector(ast, None, Need::Newest, steps)?),
            ExprKind::Matrix { selector, range, .. } => {
                let range_ms = self.times.positive(range)?;
                Kind::Range(self.selector(selector, Some(range_ms), self.need, steps)?)
            }
            ExprKind::Subquery(ast) => {
                // Prometheus replaces an evaluated subquery by a selector that stands nowhere.
                span = Span::default();
                self.subquery(ast, steps)?
            }
        };
        let ty = ty.unwrap_or_else(|| expr.value_type());
        Ok(Node { kind, ty, span, steps })
    }

    fn call<'e>(
        &mut self,
        function: Function,
        args: &'e [Expr],
        span: Span,
        steps: Steps,
    ) -> Result<Node<'e>> {
        let number = |value| Node { kind: Kind::Number(value), ty: ValueType::Scalar, span, steps };
        match function {
            Function::Start => return Ok(number(self.times.start_ms as f64 / 1000.0)),
            Function::End => return Ok(number(self.times.end_ms as f64 / 1000.0)),
            Function::Range => return Ok(number(self.times.range_seconds())),
            Function::Step => {
                let one_time = self.times.start_ms == self.times.end_ms;
                return Ok(number(if one_time { 0.0 } else { self.times.step_seconds() }));
            }
            _ => {}
        }
        // The second argument of `info()` is no vector but a list of matchers.
        let evaluated = if function == Function::Info { &args[..args.len().min(1)] } else { args };
        let mut args_planned = Vec::with_capacity(evaluated.len());
        for arg in evaluated {
            // A range is an argument itself or part of a subquery, which is none of its function's business.
            let is_range = matches!(arg.unwrap_parens().kind, ExprKind::Matrix { .. });
            let outer = (self.need, self.buckets, self.starts);
            self.need = if is_range { Need::Function(function) } else { Need::Samples };
            self.buckets = self.buckets.within(function);
            self.starts = is_range || function == Function::StartTimestamp;
            let planned = self.node(arg, steps);
            (self.need, self.buckets, self.starts) = outer;
            args_planned.push(planned?);
        }
        let info = match function {
            Function::Info => Some(self.info_source(args, steps)?),
            _ => None,
        };
        let kind = Kind::Call { function, args: args_planned, info };
        Ok(Node { kind, ty: function.return_type(), span, steps })
    }

    fn selector<'e>(
        &mut self,
        ast: &'e VectorSelector,
        range: Option<i64>,
        need: Need,
        steps: Steps,
    ) -> Result<Selector<'e>> {
        let lookback_ms = self.lookback_ms();
        let window = Window {
            range_ms: range.unwrap_or(lookback_ms),
            offset_ms: self.times.offset(ast.offset.as_ref())?,
            at_ms: self.fixed_time(ast.at),
            before_ms: if range.is_some() && (ast.anchored || ast.smoothed) { lookback_ms } else { 0 },
            after_ms: if ast.smoothed { lookback_ms } else { 0 },
        };
        let selection = self.select(ast.matchers.clone(), window, need, steps);
        let statistics_only = self.buckets == Buckets::Useless;
        Ok(Selector { ast, window, selection, statistics_only })
    }

    fn subquery<'e>(&mut self, ast: &'e Subquery, steps: Steps) -> Result<Kind<'e>> {
        let range_ms = self.times.positive(&ast.range)?;
        let step_ms = match &ast.step {
            Some(step) => self.times.positive(step)?,
            None => i64::try_from(self.options.default_subquery_step.as_millis()).unwrap_or(i64::MAX),
        }
        .max(1);
        let offset_ms = self.times.offset(ast.offset.as_ref())?;
        let at_ms = self.fixed_time(ast.at);
        let window = Window { range_ms, offset_ms, at_ms, before_ms: 0, after_ms: 0 };
        // Steps of a subquery are multiples of its step; the first is the first one after the window's open end.
        let open_ms = window.end_ms(steps.start_ms).saturating_sub(range_ms);
        let start_ms = open_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let mut inner_steps = Steps::between(start_ms, window.end_ms(steps.last_ms()), step_ms);
        if steps.count == 0 {
            inner_steps.count = 0;
        }
        // Its steps may leave out samples, so that resets have to be looked for in buckets.
        let outer = std::mem::replace(&mut self.buckets, Buckets::Demanded);
        let inner = self.node(&ast.expr, inner_steps);
        self.buckets = outer;
        Ok(Kind::Subquery { inner: Box::new(inner?), window })
    }

    fn info_source(&mut self, args: &[Expr], steps: Steps) -> Result<InfoSource> {
        let (at_ms, offset_ms) = self.info_reference(&args[0])?.unwrap_or((None, 0));
        let window = Window { range_ms: self.lookback_ms(), offset_ms, at_ms, before_ms: 0, after_ms: 0 };
        let matchers = crate::functions::info::selected_matchers(args.get(1));
        let selection = self.select(matchers.clone(), window, Need::Newest, steps);
        Ok(InfoSource { matchers, window, selection })
    }

    /// The time that `info()` looks up info series at: that of the first selector of its argument.
    fn info_reference(&self, expr: &Expr) -> Result<Option<(Option<i64>, i64)>> {
        let of = |e: &Expr| self.info_reference(e);
        Ok(match &expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => None,
            ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => of(e)?,
            ExprKind::Binary(b) => match of(&b.lhs)? {
                None => of(&b.rhs)?,
                found => found,
            },
            ExprKind::Aggregate(a) => of(&a.expr)?,
            ExprKind::Call { args, .. } => {
                for arg in args {
                    if let Some(found) = of(arg)? {
                        return Ok(Some(found));
                    }
                }
                None
            }
            ExprKind::Vector(s) | ExprKind::Matrix { selector: s, .. } => {
                Some((self.fixed_time(s.at), self.times.offset(s.offset.as_ref())?))
            }
            ExprKind::Subquery(s) => match of(&s.expr)? {
                Some((None, offset)) => {
                    Some((self.fixed_time(s.at), offset + self.times.offset(s.offset.as_ref())?))
                }
                found => found,
            },
        })
    }

    fn select(&mut self, matchers: Vec<Matcher>, window: Window, need: Need, steps: Steps) -> Option<usize> {
        if steps.count == 0 {
            return None;
        }
        let range = window.time_range(steps);
        let usage =
            Usage::new(need, window, steps).with_starts(self.options.use_start_timestamps && self.starts);
        let same = |s: &Selection| s.range == range && s.matchers == matchers;
        if let Some(at) = self.selections.iter().position(same) {
            let selection = &mut self.selections[at];
            if !selection.usages.contains(&usage) {
                selection.usages.push(usage);
            }
            return Some(at);
        }
        self.selections.push(Selection { matchers, range, usages: vec![usage] });
        Some(self.selections.len() - 1)
    }

    fn fixed_time(&self, at: Option<AtModifier>) -> Option<i64> {
        at.map(|at| match at {
            AtModifier::At(ms) => ms,
            AtModifier::Start => self.times.start_ms,
            AtModifier::End => self.times.end_ms,
        })
    }

    fn lookback_ms(&self) -> i64 {
        i64::try_from(self.options.lookback.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Whether the value is the same at every step.
fn is_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => is_invariant(e),
        ExprKind::Binary(b) => is_invariant(&b.lhs) && is_invariant(&b.rhs),
        ExprKind::Aggregate(a) => is_invariant(&a.expr) && a.param.as_ref().is_none_or(is_invariant),
        ExprKind::Vector(s) | ExprKind::Matrix { selector: s, .. } => s.at.is_some(),
        ExprKind::Subquery(s) => s.at.is_some(),
        ExprKind::Call { function: Function::Timestamp, args } => {
            args.iter().all(|a| matches!(&a.unwrap_parens().kind, ExprKind::Vector(s) if s.at.is_some()))
        }
        ExprKind::Call { function, args } => !depends_on_time(*function) && args.iter().all(is_invariant),
    }
}

/// Functions whose result depends on the time of the step, whatever their arguments.
pub(crate) fn depends_on_time(function: Function) -> bool {
    matches!(
        function,
        Function::DaysInMonth
            | Function::DayOfMonth
            | Function::DayOfWeek
            | Function::DayOfYear
            | Function::Hour
            | Function::Minute
            | Function::Month
            | Function::Year
            | Function::PredictLinear
            | Function::Time
            | Function::Timestamp
    )
}
