//! Durations of a query, computed: `5m`, `step()*2`, `-(1h+range())`.

use base::{Error, Result};

use crate::ast::{BinaryOp, DurationExpr, DurationValue, Span};

/// What a duration expression may refer to: range and step of the query as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryTimes {
    /// First step.
    pub(crate) start_ms: i64,
    /// End of the range as the client gave it.
    pub(crate) end_ms: i64,
    /// Step; 0 for an instant query.
    pub(crate) step_ms: i64,
}

impl QueryTimes {
    /// The query's range in seconds.
    pub(crate) fn range_seconds(&self) -> f64 {
        (self.end_ms - self.start_ms) as f64 / 1000.0
    }

    /// The query's step in seconds.
    pub(crate) fn step_seconds(&self) -> f64 {
        self.step_ms as f64 / 1000.0
    }

    /// A duration that has to be positive, in milliseconds.
    pub(crate) fn positive(&self, d: &DurationValue) -> Result<i64> {
        self.milliseconds(d, false)
    }

    /// An offset in milliseconds, which may be negative; 0 if there is none.
    pub(crate) fn offset(&self, d: Option<&DurationValue>) -> Result<i64> {
        d.map_or(Ok(0), |d| self.milliseconds(d, true))
    }

    fn milliseconds(&self, d: &DurationValue, may_be_negative: bool) -> Result<i64> {
        let expr = match d {
            DurationValue::Millis(ms) => return Ok(*ms),
            DurationValue::Expr(expr) => expr,
        };
        let seconds = self.seconds(expr)?;
        let at = span(expr);
        let fail = |what: &str| Err(Error::invalid(format!("{}:{}: {what}", at.start, at.end)));
        /// Durations are kept in nanoseconds by Prometheus, in 64 bits.
        const MAX_SECONDS: f64 = 9_223_372_036.854_776;
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !may_be_negative {
            return fail("duration must be greater than 0");
        }
        if seconds.abs() > MAX_SECONDS {
            return fail("duration is out of range");
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64> {
        Ok(match expr {
            DurationExpr::Number { value, .. } => *value,
            DurationExpr::Step { .. } => self.step_seconds(),
            DurationExpr::Range { .. } => self.range_seconds(),
            DurationExpr::Unary { negative, expr, .. } => {
                let v = self.seconds(expr)?;
                if *negative { -v } else { v }
            }
            DurationExpr::Paren { expr, .. } => self.seconds(expr)?,
            DurationExpr::Extreme { max, lhs, rhs, .. } => {
                let (a, b) = (self.seconds(lhs)?, self.seconds(rhs)?);
                if *max { crate::number::max_nan(a, b) } else { crate::number::min_nan(a, b) }
            }
            DurationExpr::Binary { op, lhs, rhs } => {
                let (a, b) = (self.seconds(lhs)?, self.seconds(rhs)?);
                let at = span(expr);
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Pow => a.powf(b),
                    BinaryOp::Div if b == 0.0 => {
                        return Err(Error::invalid(format!("{}:{}: division by zero", at.start, at.end)));
                    }
                    BinaryOp::Mod if b == 0.0 => {
                        return Err(Error::invalid(format!("{}:{}: modulo by zero", at.start, at.end)));
                    }
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod => a % b,
                    other => {
                        return Err(Error::invalid(format!(
                            "unexpected duration expression operator {:?}",
                            other.as_str()
                        )));
                    }
                }
            }
        })
    }
}

fn span(expr: &DurationExpr) -> Span {
    match expr {
        DurationExpr::Number { span, .. }
        | DurationExpr::Step { span }
        | DurationExpr::Range { span }
        | DurationExpr::Unary { span, .. }
        | DurationExpr::Extreme { span, .. }
        | DurationExpr::Paren { span, .. } => *span,
        DurationExpr::Binary { lhs, rhs, .. } => Span { start: span(lhs).start, end: span(rhs).end },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Box<DurationExpr> {
        Box::new(DurationExpr::Number { value, is_duration: true, span: Span { start: 2, end: 4 } })
    }

    #[test]
    fn computes_with_the_querys_times() {
        let times = QueryTimes { start_ms: 0, end_ms: 60_000, step_ms: 5_000 };
        let binary = |op, rhs| {
            let lhs = Box::new(DurationExpr::Step { span: Span { start: 0, end: 1 } });
            DurationValue::Expr(Box::new(DurationExpr::Binary { op, lhs, rhs }))
        };
        assert_eq!(times.positive(&binary(BinaryOp::Mul, number(2.0))), Ok(10_000));
        assert_eq!(times.offset(Some(&binary(BinaryOp::Sub, number(9.0)))), Ok(-4_000));
        assert_eq!(
            times.positive(&binary(BinaryOp::Sub, number(5.0))).unwrap_err().message(),
            "0:4: duration must be greater than 0"
        );
        assert_eq!(
            times.positive(&binary(BinaryOp::Div, number(0.0))).unwrap_err().message(),
            "0:4: division by zero"
        );
    }
}
