//! Expressions as text: on one line ([`Display`](fmt::Display)) and broken into lines ([`pretty`]), both as Prometheus
//! prints them. What is printed parses to what prints the same.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use base::{METRIC_NAME, MatchOp, Matcher, format_duration, is_legacy_label_name};

use crate::ast::{
    Aggregate, AtModifier, Binary, Cardinality, DurationExpr, DurationValue, Expr, ExprKind, Subquery,
    VectorMatching, VectorSelector,
};
use crate::quote::quote;

/// The expression, broken into lines where a line would take more than 100 bytes.
pub fn pretty(expr: &Expr) -> String {
    pretty_within(expr, 100)
}

/// The expression, broken into lines where a line would take more than `width` bytes.
pub fn pretty_within(expr: &Expr, width: usize) -> String {
    let mut out = String::new();
    push_pretty(&mut out, expr, width, 0);
    out
}

/// Writes an expression at a level of indentation.
fn push_pretty(out: &mut String, expr: &Expr, width: usize, level: usize) {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    let (opening, inner) = match &expr.kind {
        // A subquery on one line is not indented, and a sign is never broken from what it belongs to.
        ExprKind::Subquery(_) if line.len() <= width => return out.push_str(&line),
        ExprKind::Subquery(s) => {
            push_pretty(out, &s.expr, width, level);
            return out.push_str(&subquery_suffix(s));
        }
        ExprKind::Unary { negative, expr } => {
            let mut operand = String::new();
            push_pretty(&mut operand, expr, width, level);
            return put(out, format_args!("{indent}{}{}", sign(*negative), operand.trim()));
        }
        _ if line.len() <= width => return put(out, format_args!("{indent}{line}")),
        ExprKind::Binary(b) => {
            push_pretty(out, &b.lhs, width, level + 1);
            put(out, format_args!("\n{indent}{}\n", operator(b)));
            return push_pretty(out, &b.rhs, width, level + 1);
        }
        ExprKind::Aggregate(a) => (aggregate_head(a), a.param.iter().chain([&a.expr]).collect()),
        ExprKind::Call { function, args } => (function.name().to_string(), args.iter().collect::<Vec<_>>()),
        ExprKind::Paren(inner) => (String::new(), vec![&**inner]),
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix { .. } => {
            return put(out, format_args!("{indent}{line}"));
        }
    };
    put(out, format_args!("{indent}{opening}(\n"));
    for (i, e) in inner.into_iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ",\n" });
        push_pretty(out, e, width, level + 1);
    }
    put(out, format_args!("\n{indent})"));
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, is_duration } => f.write_str(&number(*value, *is_duration)),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", sign(*negative)),
            ExprKind::Binary(b) => write!(f, "{} {} {}", b.lhs, operator(b), b.rhs),
            ExprKind::Aggregate(a) => {
                write!(f, "{}(", aggregate_head(a))?;
                if let Some(param) = &a.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", a.expr)
            }
            ExprKind::Call { function, args } => {
                write!(f, "{}(", function.name())?;
                for (i, arg) in args.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    arg.fmt(f)?;
                }
                f.write_char(')')
            }
            ExprKind::Vector(s) => {
                let offset = offset(s.offset.as_ref());
                write!(f, "{}{}{}{offset}", selector(s), at(s.at), extension(s))
            }
            ExprKind::Matrix { selector: s, range, .. } => {
                let offset = offset(s.offset.as_ref());
                write!(f, "{}[{range}]{}{}{offset}", selector(s), extension(s), at(s.at))
            }
            ExprKind::Subquery(s) => write!(f, "{}{}", s.expr, subquery_suffix(s)),
        }
    }
}

impl fmt::Display for DurationValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(ms) => f.write_str(&milliseconds(*ms)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { value, is_duration, .. } => f.write_str(&number(*value, *is_duration)),
            Self::Step { .. } => f.write_str("step()"),
            Self::Range { .. } => f.write_str("range()"),
            Self::Unary { negative, expr, .. } => {
                write!(f, "{}{expr}", if *negative { "-" } else { "" })
            }
            Self::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            Self::Extreme { max, lhs, rhs, .. } => {
                write!(f, "{}({lhs}, {rhs})", if *max { "max_of" } else { "min_of" })
            }
            Self::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

pub(crate) fn sign(negative: bool) -> char {
    if negative { '-' } else { '+' }
}

pub(crate) fn number(value: f64, is_duration: bool) -> String {
    if is_duration {
        // Cut to nanoseconds, then to milliseconds, as Prometheus does.
        return milliseconds((value * 1e9) as i64 / 1_000_000);
    }
    let mut out = String::new();
    base::format_float(value, &mut out);
    out
}

fn milliseconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", format_duration(Duration::from_millis(ms.unsigned_abs())))
}

/// The operator with all of its modifiers.
pub(crate) fn operator(b: &Binary) -> String {
    let bool_modifier = if b.return_bool { " bool" } else { "" };
    let matching = b.matching.as_ref().map(matching).unwrap_or_default();
    format!("{}{bool_modifier}{matching}", b.op.as_str())
}

fn matching(m: &VectorMatching) -> String {
    let mut out = String::new();
    let group = match m.cardinality {
        Cardinality::ManyToOne => Some("group_left"),
        Cardinality::OneToMany => Some("group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !m.labels.is_empty() || m.on || group.is_some() {
        let kind = if m.on { "on" } else { "ignoring" };
        put(&mut out, format_args!(" {kind} ({})", labels(&m.labels)));
    }
    if let Some(group) = group {
        put(&mut out, format_args!(" {group} ({})", labels(&m.include)));
    }
    match (m.fill_left, m.fill_right) {
        (Some(l), Some(r)) if l == r => put(&mut out, format_args!(" fill ({})", short_float(l))),
        (l, r) => {
            for (side, value) in [("left", l), ("right", r)] {
                if let Some(value) = value {
                    put(&mut out, format_args!(" fill_{side} ({})", short_float(value)));
                }
            }
        }
    }
    out
}

/// A float as Go's `%v` has it: with an exponent if it is very large or very small.
fn short_float(value: f64) -> String {
    let mut out = String::new();
    let scientific = format!("{value:e}");
    let exponent = scientific.split_once('e').and_then(|(m, e)| Some((m, e.parse::<i32>().ok()?)));
    match exponent {
        Some((mantissa, e)) if !(-4..21).contains(&e) => {
            let sign = if e < 0 { '-' } else { '+' };
            put(&mut out, format_args!("{mantissa}e{sign}{:02}", e.abs()));
        }
        _ => base::format_float(value, &mut out),
    }
    out
}

pub(crate) fn aggregate_head(a: &Aggregate) -> String {
    let op = a.op.as_str();
    match () {
        () if a.without => format!("{op} without ({}) ", labels(&a.grouping)),
        () if a.grouping.is_empty() => op.to_string(),
        () => format!("{op} by ({}) ", labels(&a.grouping)),
    }
}

fn labels(names: &[Arc<str>]) -> String {
    names.iter().map(|name| label(name)).collect::<Vec<_>>().join(", ")
}

/// A label's name, in quotes if it needs them.
fn label(name: &str) -> String {
    if is_legacy_label_name(name) { name.to_string() } else { quote(name) }
}

/// The name and the matchers, without anything that modifies them.
pub(crate) fn selector(s: &VectorSelector) -> String {
    let name = s.name.as_deref().unwrap_or_default();
    let by_name = |m: &Matcher| {
        m.name() == METRIC_NAME && m.op() == MatchOp::Equal && m.value() == name && !name.is_empty()
    };
    let mut matchers: Vec<String> = s
        .matchers
        .iter()
        .filter(|m| !by_name(m))
        .map(|m| format!("{}{}{}", label(m.name()), m.op().as_str(), quote(m.value())))
        .collect();
    if matchers.is_empty() {
        return name.to_string();
    }
    matchers.sort_unstable();
    format!("{name}{{{}}}", matchers.join(","))
}

fn extension(s: &VectorSelector) -> &'static str {
    match (s.anchored, s.smoothed) {
        (true, _) => " anchored",
        (false, true) => " smoothed",
        (false, false) => "",
    }
}

fn at(modifier: Option<AtModifier>) -> String {
    match modifier {
        None => String::new(),
        Some(AtModifier::At(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
        Some(AtModifier::Start) => " @ start()".into(),
        Some(AtModifier::End) => " @ end()".into(),
    }
}

fn offset(offset: Option<&DurationValue>) -> String {
    match offset {
        None | Some(DurationValue::Millis(0)) => String::new(),
        Some(offset) => format!(" offset {offset}"),
    }
}

fn subquery_suffix(s: &Subquery) -> String {
    let step = s.step.as_ref().map(DurationValue::to_string).unwrap_or_default();
    format!("[{}:{step}]{}{}", s.range, at(s.at), offset(s.offset.as_ref()))
}
