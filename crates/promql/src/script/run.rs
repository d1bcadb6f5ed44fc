//! Runs scripts: each case as it stands, again with `@` on all of its selectors at other times, and each instant query
//! again as the middle step of a range query, as Prometheus' own runner does.

use base::{Error, Result, Sample};

use super::check::{self, Checked, describe};
use super::data::MemorySource;
use super::parse::{Command, Eval, Script, When};
use crate::ast::{AtModifier, ExprKind, VectorSelector};
use crate::eval::plan::depends_on_time;
use crate::limits::SCRIPT_MAX_SAMPLES;
use crate::{
    EvalOptions, Expr, Function, Grid, Interrupt, ParseOptions, QueryOutput, Value, VectorSample,
    evaluate_instant, evaluate_range, parse,
};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected in all forms.
    Passed,
    /// Not as expected: what is wrong.
    Failed(String),
}

/// An `eval` of a script.
#[derive(Debug, Clone)]
pub struct Case {
    /// Line of the script.
    pub line: usize,
    /// The query.
    pub query: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a script.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its cases in order.
    pub cases: Vec<Case>,
}

impl Report {
    /// Number of cases that passed.
    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|c| c.outcome == Outcome::Passed).count()
    }

    /// The failures, one text each.
    pub fn failures(&self) -> Vec<String> {
        let text = |c: &Case| match &c.outcome {
            Outcome::Failed(why) => Some(format!("line {}: {}: {why}", c.line, c.query)),
            _ => None,
        };
        self.cases.iter().filter_map(text).collect()
    }
}

/// The options that Prometheus runs its scripts with.
pub fn options() -> EvalOptions {
    EvalOptions {
        delayed_name_removal: true,
        use_start_timestamps: true,
        max_samples: SCRIPT_MAX_SAMPLES,
        ..EvalOptions::default()
    }
}

/// Runs a script; fails if the script itself cannot be read.
pub fn run(text: &str, options: &EvalOptions) -> Result<Report> {
    let script = Script::parse(text)?;
    let mut data = MemorySource::default();
    let mut report = Report::default();
    for command in &script.commands {
        match command {
            Command::Clear => data.clear(),
            Command::Load(load) => data.load(load)?,
            Command::Eval(eval) => {
                let outcome = Runner { eval, options, data: &data }.outcome();
                report.cases.push(Case { line: eval.line, query: eval.query.clone(), outcome });
            }
        }
    }
    Ok(report)
}

/// Nobody gives up a script's queries.
struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

struct Runner<'r> {
    eval: &'r Eval,
    options: &'r EvalOptions,
    data: &'r MemorySource,
}

impl Runner<'_> {
    fn outcome(&self) -> Outcome {
        let expr = match parse(&self.eval.query, &ParseOptions::all()) {
            Ok(expr) => expr,
            Err(e) => {
                return match &self.eval.fail {
                    Some(expected) if expected.matches(&e.to_string()) => Outcome::Passed,
                    _ => Outcome::Failed(format!("cannot parse the query: {e}")),
                };
            }
        };
        match self.check(&expr) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        }
    }

    fn check(&self, expr: &Expr) -> Checked {
        let t_ms = match self.eval.when {
            When::Range(grid) => return self.check_output(self.range(expr, &grid)).map(|_| ()),
            When::Instant(t_ms) => t_ms,
        };
        let t_ms = self.eval.range_vector.map_or(t_ms, |grid| grid.end_ms);
        self.check_instant(expr, t_ms)?;
        let Some(fixed) = with_fixed_times(expr, t_ms) else { return Ok(()) };
        let others =
            if t_ms == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms] };
        for other in others {
            self.check_instant(&fixed, other)
                .map_err(|why| format!("with @ {t_ms}ms on its selectors, at {other}ms: {why}"))?;
        }
        Ok(())
    }

    fn check_instant(&self, expr: &Expr, t_ms: i64) -> Checked {
        let output = evaluate_instant(expr, &self.eval.query, t_ms, self.options, self.data, &Never);
        let Some(output) = self.check_output(output)? else { return Ok(()) };
        let query = &self.eval.query;
        let of_query = ["start()", "end()", "range()", "step()"].iter().any(|f| query.contains(f));
        if self.eval.range_vector.is_some() || self.eval.string.is_some() || of_query {
            return Ok(());
        }
        let grid = Grid { start_ms: t_ms - 60_000, end_ms: t_ms + 60_000, step_ms: 60_000 };
        let ranged = self.range(expr, &grid).map_err(|e| format!("as a range query: {e}"))?;
        if self.eval.ordered {
            return Ok(());
        }
        let Value::Matrix(matrix) = ranged.value else {
            return Err("a range query yielded no matrix".into());
        };
        if let Some(pair) = matrix.windows(2).find(|p| p[0].labels > p[1].labels) {
            return Err(format!("as a range query: {} comes before {}", pair[0].labels, pair[1].labels));
        }
        let mut middle = matrix.into_iter().filter_map(|s| {
            let histogram = s.histograms.into_iter().find(|p| p.t_ms == t_ms).map(|p| p.histogram);
            let float = s.samples.iter().find(|p| p.t_ms == t_ms).copied();
            let sample = float.or(histogram.as_ref().map(|_| Sample { t_ms, value: 0.0 }))?;
            let histogram = histogram.filter(|_| float.is_none());
            Some(VectorSample { labels: s.labels, sample, histogram })
        });
        let value = match output.value {
            Value::Scalar(_) => match middle.next() {
                Some(v) => Value::Scalar(v.sample),
                None => return Err("as a range query: no number".into()),
            },
            _ => Value::Vector(middle.collect()),
        };
        check::value(self.eval, &value).map_err(|why| format!("as a range query: {why}"))
    }

    fn range(&self, expr: &Expr, grid: &Grid) -> Result<QueryOutput, Error> {
        evaluate_range(expr, &self.eval.query, grid, self.options, self.data, &Never)
    }

    /// Checks failure, annotations and result; gives the output if the query was to succeed.
    fn check_output(&self, output: Result<QueryOutput>) -> Result<Option<QueryOutput>, String> {
        match (output, &self.eval.fail) {
            (Err(e), Some(expected)) if expected.matches(e.message()) => Ok(None),
            (Err(e), Some(expected)) => Err(format!("expected failure {}, but got {e}", describe(expected))),
            (Err(e), None) => Err(format!("unexpected failure: {e}")),
            (Ok(_), Some(expected)) => {
                Err(format!("expected failure {}, but got a result", describe(expected)))
            }
            (Ok(output), None) => {
                check::annotations(self.eval, &output.annotations)?;
                check::value(self.eval, &output.value)?;
                Ok(Some(output))
            }
        }
    }
}

/// The query with `@` on each selector and subquery that has none and is in none that has it; `None` if its result
/// would depend on the time of the evaluation all the same.
fn with_fixed_times(expr: &Expr, t_ms: i64) -> Option<Expr> {
    let mut fixed = expr.clone();
    let mut depends = false;
    visit(&mut fixed, &mut |part| match part {
        Part::Call(f) => {
            depends |= depends_on_time(f)
                || matches!(f, Function::Start | Function::End | Function::Step | Function::Range);
        }
        Part::Selector(s) => {
            s.at.get_or_insert(AtModifier::At(t_ms));
        }
        Part::Subquery(at) => {
            at.get_or_insert(AtModifier::At(t_ms));
        }
    });
    (!depends).then_some(fixed)
}

enum Part<'p> {
    Selector(&'p mut VectorSelector),
    /// Its `@`. What is inside is not visited when that is set afterwards, except by [`Part::Call`].
    Subquery(&'p mut Option<AtModifier>),
    Call(Function),
}

/// Visits selectors, subqueries and calls, from the outside in.
fn visit(expr: &mut Expr, f: &mut dyn FnMut(Part<'_>)) {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => visit(e, f),
        ExprKind::Binary(b) => {
            visit(&mut b.lhs, f);
            visit(&mut b.rhs, f);
        }
        ExprKind::Aggregate(a) => {
            visit(&mut a.expr, f);
            if let Some(param) = &mut a.param {
                visit(param, f);
            }
        }
        ExprKind::Call { function, args } => {
            f(Part::Call(*function));
            args.iter_mut().for_each(|a| visit(a, f));
        }
        ExprKind::Vector(s) | ExprKind::Matrix { selector: s, .. } => f(Part::Selector(s)),
        ExprKind::Subquery(s) => {
            f(Part::Subquery(&mut s.at));
            let fixed = s.at.is_some();
            visit(&mut s.expr, &mut |part| match part {
                // A selector in a fixed subquery follows the subquery's steps.
                Part::Selector(s) if fixed => f(Part::Selector(&mut s.clone())),
                Part::Subquery(at) if fixed => f(Part::Subquery(&mut at.clone())),
                part => f(part),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(script: &str) -> Vec<Outcome> {
        run(script, &EvalOptions::default()).unwrap().cases.into_iter().map(|c| c.outcome).collect()
    }

    #[test]
    fn wrong_expectations_fail() {
        let out = outcomes(
            "load 1m\n  x 1 2 3\n  h {{schema:0 count:1 sum:1}}x2\n\neval instant at 1m x\n  x 2\n\n\
             eval instant at 1m x\n  x 3\n\neval instant at 1m h\n  h {{schema:0 count:1 sum:1}}\n\n\
             eval instant at 1m h\n  h {{schema:0 count:2 sum:1}}\n\neval instant at 1m h\n  h 1\n\n\
             eval instant at 1m x\n\neval instant at 1m nothing\n  y 1\n",
        );
        assert_eq!((&out[0], &out[2]), (&Outcome::Passed, &Outcome::Passed));
        assert!(matches!(&out[1], Outcome::Failed(why) if why.contains("but got 2")), "{out:?}");
        assert!(matches!(&out[3], Outcome::Failed(why) if why.contains("count:2")), "{out:?}");
        assert!(out[4..].iter().all(|o| matches!(o, Outcome::Failed(_))), "{out:?}");
    }
}
