//! The checks that need the whole tree: types of operands and arguments, and selectors that select everything.

use base::METRIC_NAME;

use crate::ast::{Aggregate, AggregateOp, Binary, Cardinality, Expr, ExprKind, Span, VectorSelector};
use crate::parse_error::ParseError;
use crate::parser::Checking;
use crate::quote::quote;
use crate::{Function, ValueType};

/// Checks a tree, noting every error, and settles the matching of its binary operators: none unless both sides are
/// vectors, many to many for set operators.
pub(crate) fn check(expr: &mut Expr, checking: &mut Checking<'_>) {
    checking.expr(expr);
}

impl Checking<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(ParseError { span, message: message.into() });
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let (span, value_type) = (expr.span, expr.value_type());
        match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Paren(inner) => {
                self.expr(inner);
            }
            ExprKind::Unary { expr, .. } => {
                let t = self.expr(expr);
                if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                    let allowed =
                        "unary expression only allowed on expressions of type scalar or instant vector";
                    self.error(span, format!("{allowed}, got \"{t}\""));
                }
            }
            ExprKind::Binary(binary) => self.binary(binary, span),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Call { function, args } => self.call(*function, args, span),
            ExprKind::Vector(selector) => self.selector(selector, span, false),
            ExprKind::Matrix { selector, selector_span, .. } => {
                self.selector(selector, *selector_span, false);
            }
            ExprKind::Subquery(subquery) => {
                let short_name = match self.expr(&mut subquery.expr) {
                    ValueType::Vector => return value_type,
                    ValueType::Matrix => "matrix",
                    other => other.as_str(),
                };
                let allowed = "subquery is only allowed on instant vector";
                self.error(span, format!("{allowed}, got {short_name} instead"));
            }
        }
        value_type
    }

    fn expect_type(&mut self, expr: &mut Expr, wanted: ValueType, context: &str) {
        let t = self.expr(expr);
        if t != wanted {
            self.error(expr.span, format!("expected type {wanted} in {context}, got {t}"));
        }
    }

    fn aggregate(&mut self, aggregate: &mut Aggregate) {
        self.expect_type(&mut aggregate.expr, ValueType::Vector, "aggregation expression");
        let wanted = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        if let Some(param) = &mut aggregate.param {
            self.expect_type(param, wanted, "aggregation parameter");
        }
    }

    fn call(&mut self, function: Function, args: &mut [Expr], span: Span) {
        let (name, types) = (function.name(), function.arg_types());
        let wrong_count = match usize::try_from(function.variadic()) {
            Ok(0) if args.len() != types.len() => Some(("", types.len())),
            Ok(0) => None,
            _ if args.len() < types.len() - 1 => Some(("at least ", types.len() - 1)),
            Ok(more) if args.len() > types.len() - 1 + more => Some(("at most ", types.len() - 1 + more)),
            _ => None,
        };
        if let Some((bound, count)) = wrong_count {
            let got = args.len();
            self.error(
                span,
                format!("expected {bound}{count} argument(s) in call to {}, got {got}", quote(name)),
            );
        }
        let mut only_labels = false;
        if let (Function::Info, Some(labels)) = (function, args.get(1)) {
            let t = labels.value_type();
            if t != ValueType::Vector {
                let wanted = ValueType::Vector;
                self.error(span, format!("expected type {wanted} in call to function \"info\", got {t}"));
            }
            match &labels.kind {
                ExprKind::Vector(s) if s.name.is_none() => only_labels = true,
                ExprKind::Vector(_) => {
                    self.error(labels.span, "expected label selectors only, got vector selector instead");
                    only_labels = true;
                }
                _ => self.error(labels.span, "expected label selectors only"),
            }
        }
        let variadic = function.variadic() != 0;
        for (i, arg) in args.iter_mut().enumerate() {
            let Some(wanted) = types.get(i).or_else(|| types.last().filter(|_| variadic)) else { break };
            match &arg.kind {
                ExprKind::Vector(selector) if i == 1 && only_labels => {
                    self.selector(selector, arg.span, true);
                }
                _ => {
                    let context = format!("call to function {}", quote(name));
                    self.expect_type(arg, *wanted, &context);
                }
            }
        }
    }

    fn selector(&mut self, selector: &VectorSelector, span: Span, may_select_all: bool) {
        if let Some(name) = &selector.name {
            // The matcher that the name made is the last one.
            for other in selector.matchers.iter().rev().skip(1).rev().filter(|m| m.name() == METRIC_NAME) {
                let (a, b) = (quote(name), quote(other.value()));
                self.error(span, format!("metric name must not be set twice: {a} or {b}"));
            }
        } else if !may_select_all && selector.matchers.iter().all(base::Matcher::matches_empty) {
            self.error(span, "vector selector must contain at least one non-empty matcher");
        }
    }

    fn binary(&mut self, binary: &mut Binary, span: Span) {
        let (lhs, rhs) = (self.expr(&mut binary.lhs), self.expr(&mut binary.rhs));
        let op = binary.op;
        let operator = self.between(binary.lhs.span.end, binary.rhs.span.start);
        if binary.return_bool && !op.is_comparison() {
            self.error(operator, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && lhs == ValueType::Scalar && rhs == ValueType::Scalar {
            self.error(operator, "comparisons between scalars must use BOOL modifier");
        }
        let Some(mut matching) = binary.matching.take() else { return };
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        for label in matching.labels.iter().filter(|_| matching.on) {
            for _ in matching.include.iter().filter(|l| *l == label) {
                let label = quote(label);
                self.error(operator, format!("label {label} must not occur in ON and GROUP clause at once"));
            }
        }
        for (t, side) in [(lhs, &binary.lhs), (rhs, &binary.rhs)] {
            if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                self.error(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        let vectors = lhs == ValueType::Vector && rhs == ValueType::Vector;
        if !vectors {
            if !matching.labels.is_empty() {
                self.error(span, "vector matching only allowed between instant vectors");
            }
            if fills {
                self.error(span, "filling in missing series only allowed between instant vectors");
            }
        } else if op.is_set() {
            if matching.cardinality != Cardinality::ManyToMany {
                self.error(span, format!("no grouping allowed for \"{}\" operation", op.as_str()));
                self.error(span, "set operations must always be many-to-many");
            }
            if fills {
                self.error(span, "filling in missing series not allowed for set operators");
            }
        }
        if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
            let op = op.as_str();
            self.error(span, format!("set operator \"{op}\" not allowed in binary scalar expression"));
        }
        binary.matching = vectors.then_some(matching);
    }

    /// Where an operator with its modifiers stands: between its operands, without the white space around it, and, as
    /// Prometheus has it, without its last byte.
    fn between(&self, start: usize, end: usize) -> Span {
        let is_space = |at: &usize| matches!(self.input.get(*at), Some(b' ' | b'\t' | b'\n' | b'\r'));
        let start = (start..).find(|at| !is_space(at)).unwrap_or(start);
        let end = (0..end).rev().find(|at| !is_space(at)).unwrap_or(end);
        Span { start, end }
    }
}
