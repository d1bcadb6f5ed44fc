//! `bellwether promql`: writes expressions in their usual form, and changes the matchers in them.

use base::{Error, MatchOp, Matcher, Result};
use clap::{Args, Subcommand};
use promql::ast::{Expr, ExprKind};
use promql::{ParseOptions, parse, pretty};

use crate::report::Report;

/// Options of `bellwether promql`.
#[derive(Debug, Clone, Args)]
pub struct Promql {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What can be done with an expression.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Write an expression in its usual form, over several lines if it is long.
    #[command(after_help = "Example: bellwether promql format 'sum(rate(a[5m]))by(job)'")]
    Format(Format),
    /// Change the matchers of all selectors of an expression.
    LabelMatchers(LabelMatchers),
}

/// Options of `bellwether promql format`.
#[derive(Debug, Clone, Args)]
pub struct Format {
    /// The expression.
    #[arg(value_name = "QUERY")]
    pub query: String,
}

/// Options of `bellwether promql label-matchers`.
#[derive(Debug, Clone, Args)]
pub struct LabelMatchers {
    /// What to change.
    #[command(subcommand)]
    pub change: Change,
}

/// A change of matchers.
#[derive(Debug, Clone, Subcommand)]
pub enum Change {
    /// Add a matcher, or replace that of the same label.
    #[command(after_help = "Example: bellwether promql label-matchers set -t =~ 'up == 0' job 'node|shop'")]
    Set(Set),
    /// Remove the matchers of a label.
    #[command(after_help = "Example: bellwether promql label-matchers delete 'up{job=\"node\"}' job")]
    Delete(Delete),
}

/// Options of `bellwether promql label-matchers set`.
#[derive(Debug, Clone, Args)]
pub struct Set {
    /// How the value is compared: =, !=, =~ or !~.
    #[arg(short = 't', long = "type", value_name = "OPERATOR", default_value = "=", value_parser = ["=", "!=", "=~", "!~"])]
    pub operator: String,

    /// The expression.
    #[arg(value_name = "QUERY")]
    pub query: String,

    /// The label.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The value.
    #[arg(value_name = "VALUE")]
    pub value: String,
}

/// Options of `bellwether promql label-matchers delete`.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    /// The expression.
    #[arg(value_name = "QUERY")]
    pub query: String,

    /// The label.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Does what was asked for.
pub fn run(options: &Promql) -> Result<Report> {
    let read = |query: &str| parse(query, &ParseOptions::all()).map_err(|e| Error::invalid(e.to_string()));
    let expr = match &options.what {
        What::Format(o) => read(&o.query)?,
        What::LabelMatchers(LabelMatchers { change: Change::Set(o) }) => {
            let operator = match o.operator.as_str() {
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                _ => MatchOp::Equal,
            };
            let matcher = Matcher::new(o.name.as_str(), operator, o.value.as_str())?;
            let mut expr = read(&o.query)?;
            change(&mut expr, &mut |matchers| {
                let mut found = false;
                for old in matchers.iter_mut().filter(|m| m.name() == matcher.name()) {
                    *old = matcher.clone();
                    found = true;
                }
                if !found {
                    matchers.push(matcher.clone());
                }
            });
            expr
        }
        What::LabelMatchers(LabelMatchers { change: Change::Delete(o) }) => {
            let mut expr = read(&o.query)?;
            change(&mut expr, &mut |matchers| matchers.retain(|m| m.name() != o.name));
            expr
        }
    };
    let mut report = Report::default();
    report.out(pretty(&expr));
    Ok(report)
}

/// Calls `f` with the matchers of every selector.
fn change(expr: &mut Expr, f: &mut dyn FnMut(&mut Vec<Matcher>)) {
    match &mut expr.kind {
        ExprKind::Vector(s) | ExprKind::Matrix { selector: s, .. } => f(&mut s.matchers),
        ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => change(e, f),
        ExprKind::Binary(b) => {
            change(&mut b.lhs, f);
            change(&mut b.rhs, f);
        }
        ExprKind::Aggregate(a) => {
            a.param.iter_mut().for_each(|p| change(p, f));
            change(&mut a.expr, f);
        }
        ExprKind::Call { args, .. } => args.iter_mut().for_each(|a| change(a, f)),
        ExprKind::Subquery(s) => change(&mut s.expr, f),
        ExprKind::Number { .. } | ExprKind::String(_) => {}
    }
}
