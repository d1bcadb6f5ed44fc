//! Which rules of a group may be evaluated at the same time: those that do not read what another one writes.

use std::collections::HashMap;

use base::{METRIC_NAME, MatchOp, Matcher};
use promql::ast::{Expr, ExprKind, VectorSelector};

use crate::rule::RuleConfig;
use crate::state::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE};

/// Positions of rules in the order of evaluation; those of one list at the same time.
///
/// A rule that reads what an earlier one writes comes after it. A selector without a metric's name may read anything, so
/// that a group with one is evaluated rule by rule.
pub fn batches<R: AsRef<RuleConfig>>(rules: &[R]) -> Vec<Vec<usize>> {
    let Some(dependencies) = dependencies(rules) else {
        return (0..rules.len()).map(|i| vec![i]).collect();
    };
    let mut is_read = vec![false; rules.len()];
    for read in dependencies.iter().flatten() {
        is_read[*read] = true;
    }
    let (mut free, mut chained, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for (i, reads) in dependencies.iter().enumerate() {
        match (reads.is_empty(), is_read[i]) {
            (true, _) => free.push(i),
            (false, true) => chained.push(vec![i]),
            (false, false) => last.push(i),
        }
    }
    let mut out = vec![free];
    out.append(&mut chained);
    out.push(last);
    out.retain(|b| !b.is_empty());
    out
}

/// The earlier rules that each rule reads; `None` if that cannot be told.
fn dependencies<R: AsRef<RuleConfig>>(rules: &[R]) -> Option<Vec<Vec<usize>>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut alerts_before: Vec<usize> = Vec::new();
    let mut out = Vec::with_capacity(rules.len());
    for (i, rule) in rules.iter().enumerate() {
        let rule = rule.as_ref();
        let mut reads = Vec::new();
        let mut wildcard = false;
        visit(&rule.expr, &mut |selector| {
            let name = selector.matchers.iter().find(|m| m.name() == METRIC_NAME);
            let Some(name) = name else {
                wildcard = true;
                return;
            };
            match name.op() {
                MatchOp::Equal => reads.extend(by_name.get(name.value()).into_iter().flatten()),
                _ => {
                    let matching = by_name.iter().filter(|(n, _)| name.matches(n));
                    reads.extend(matching.flat_map(|(_, at)| at));
                }
            }
            if name.matches(ALERTS) || name.matches(ALERTS_FOR_STATE) {
                let alert = selector.matchers.iter().find(|m| m.name() == ALERT_NAME);
                let is_meant =
                    |at: &&usize| alert.is_none_or(|m: &Matcher| m.matches(&rules[**at].as_ref().name));
                reads.extend(alerts_before.iter().filter(is_meant));
            }
        });
        if wildcard && rules.len() > 1 {
            return None;
        }
        reads.sort_unstable();
        reads.dedup();
        out.push(reads);
        by_name.entry(&rule.name).or_default().push(i);
        if rule.alert().is_some() {
            alerts_before.push(i);
        }
    }
    Some(out)
}

/// Calls `found` for every selector of an expression.
fn visit(expr: &Expr, found: &mut impl FnMut(&VectorSelector)) {
    // An explicit stack: the parser bounds how deep expressions nest, and this asks for less.
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => todo.push(inner),
            ExprKind::Binary(b) => todo.extend([&b.lhs, &b.rhs]),
            ExprKind::Aggregate(a) => todo.extend(a.param.iter().chain([&a.expr])),
            ExprKind::Call { args, .. } => todo.extend(args),
            ExprKind::Vector(selector) => found(selector),
            ExprKind::Matrix { selector, .. } => found(selector),
            ExprKind::Subquery(s) => todo.push(&s.expr),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rule::{AlertTerms, RuleKind};

    fn check(rules: &[(&str, &str)], want: &[&[usize]]) {
        let rules: Vec<Arc<RuleConfig>> = rules
            .iter()
            .map(|(name, expr)| {
                let expr = promql::parse(expr, &Default::default()).unwrap();
                let kind = match name.starts_with(char::is_uppercase) {
                    false => RuleKind::Recording,
                    true => RuleKind::Alerting(Box::new(AlertTerms {
                        hold: Default::default(),
                        keep_firing_for: Default::default(),
                        annotations: Arc::from([]),
                        label_templates: vec![],
                        annotation_templates: vec![],
                    })),
                };
                let (name, query) = ((*name).to_owned(), expr.to_string());
                Arc::new(RuleConfig { name, query, expr, labels: Arc::from([]), kind })
            })
            .collect();
        assert_eq!(batches(&rules), want);
    }

    #[test]
    fn independent_rules_are_evaluated_together_and_chains_in_order() {
        check(&[("a", "x"), ("b", "y"), ("c", "rate(z[5m])")], &[&[0, 1, 2]]);
        check(
            &[("a", "x"), ("b", "sum(a)"), ("c", "b / a"), ("d", "max_over_time(b[5m:1m])")],
            &[&[0], &[1], &[2, 3]],
        );
        check(&[("a", "x"), ("b", "{__name__=~\"a|q\"}")], &[&[0], &[1]]);
        check(&[("a", "x"), ("b", "{job=\"a\"}"), ("c", "x")], &[&[0], &[1], &[2]]);
        // What a later rule writes, an earlier one reads from the evaluation before.
        check(&[("a", "b"), ("b", "x")], &[&[0, 1]]);
        check(
            &[("A", "x"), ("B", "x"), ("c", "ALERTS{alertname=\"B\"}"), ("d", "ALERTS")],
            &[&[0, 1], &[2, 3]],
        );
        check(&[("a", "{job=\"a\"}")], &[&[0]]);
    }
}
