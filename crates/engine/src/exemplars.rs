//! Exemplars of the series that a query selects.

use std::sync::Arc;

use base::{Matcher, Result, TimeRange};
use promql::ast::{Expr, ExprKind};
use tsdb::{ExemplarStore, SelectedExemplars};

use crate::query::QueryFailure;
use crate::{AppendOutcome, Engine};

impl Engine {
    /// Keeps the exemplars of what is appended in a store of their own; without one they are left out.
    #[must_use]
    pub fn with_exemplars(mut self, store: Arc<ExemplarStore>) -> Self {
        self.exemplars = Some(store);
        self
    }

    /// The exemplars in a range of the series that any selector of a query selects; `None` if it has no selector.
    pub async fn query_exemplars(
        &self,
        query: &str,
        range: TimeRange,
    ) -> Result<Option<SelectedExemplars>, QueryFailure> {
        let expr = self.parse_query(query)?;
        let mut sets = Vec::new();
        selectors(&expr, &mut sets);
        if sets.is_empty() {
            return Ok(None);
        }
        match &self.exemplars {
            Some(store) => Ok(Some(store.select(&sets, range).await?)),
            None => Ok(Some(SelectedExemplars::default())),
        }
    }

    /// Writes samples and exemplars; durable when it resolves.
    pub(crate) async fn append_all(&self, mut batch: base::WriteBatch) -> Result<AppendOutcome> {
        let exemplars = batch.take_exemplars();
        let mut outcome = match batch.is_empty() {
            true => AppendOutcome::default(),
            false => self.store.append(batch).await?,
        };
        if let Some(store) = self.exemplars.as_ref().filter(|_| !exemplars.is_empty()) {
            outcome.exemplars = Box::pin(store.append(exemplars)).await?;
        } else {
            outcome.exemplars.disabled = exemplars.len() as u64;
        }
        Ok(outcome)
    }
}

/// The matchers of every selector in an expression.
fn selectors(expr: &Expr, out: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => selectors(e, out),
        ExprKind::Binary(b) => {
            selectors(&b.lhs, out);
            selectors(&b.rhs, out);
        }
        ExprKind::Aggregate(a) => {
            if let Some(param) = &a.param {
                selectors(param, out);
            }
            selectors(&a.expr, out);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|a| selectors(a, out)),
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => out.push(selector.matchers.clone()),
        ExprKind::Subquery(s) => selectors(&s.expr, out),
    }
}

#[cfg(test)]
mod tests {
    use promql::ParseOptions;

    use super::*;
    use crate::query::parse;

    #[test]
    fn every_selector_of_a_query_counts() {
        let check = |query: &str, want: &[&str]| {
            let mut sets = Vec::new();
            selectors(&parse(query, &ParseOptions::default()).unwrap(), &mut sets);
            let got: Vec<String> = sets
                .iter()
                .map(|set| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
                .collect();
            assert_eq!(got, want, "{query}");
        };
        check("1 + 2", &[]);
        check(
            r#"histogram_quantile(0.9, sum by (le) (rate(a_bucket{x="1"}[5m]))) > -(max_over_time(b[1h:5m]))"#,
            &[r#"x="1",__name__="a_bucket""#, r#"__name__="b""#],
        );
        check("topk(scalar(a), b)", &[r#"__name__="a""#, r#"__name__="b""#]);
    }
}
