//! The syntax tree. Every node carries the byte range of the query that it was read from.

use std::sync::Arc;
use std::time::Duration;

use base::Matcher;

use crate::{Function, ValueType};

/// A range of bytes of the query text, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A node: what it is, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A number; `is_duration` if it was written as `5m`, which printing keeps.
    Number {
        /// The value; seconds, if it was written as a duration.
        value: f64,
        /// Whether it was written as a duration.
        is_duration: bool,
    },
    /// A string literal, unquoted.
    String(Arc<str>),
    /// An expression in parentheses.
    Paren(Box<Expr>),
    /// `+e` or `-e`.
    Unary {
        /// Whether the sign is a minus.
        negative: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `lhs op rhs`.
    Binary(Box<Binary>),
    /// `sum by (…) (…)` and its kind.
    Aggregate(Box<Aggregate>),
    /// `function(…)`.
    Call {
        /// The function.
        function: Function,
        /// Its arguments, already checked for number and type.
        args: Vec<Expr>,
    },
    /// `name{…}`, an instant vector.
    Vector(Box<VectorSelector>),
    /// `name{…}[5m]`, a range vector.
    Matrix {
        /// The series. The offset and the `@` written after the brackets belong to it.
        selector: Box<VectorSelector>,
        /// Byte range of the selector without the brackets.
        selector_span: Span,
        /// The range.
        range: DurationValue,
    },
    /// `expr[1h:5m]`.
    Subquery(Box<Subquery>),
}

impl Expr {
    /// The type that the expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => e.value_type(),
            ExprKind::Binary(b) => match (b.lhs.value_type(), b.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Aggregate(_) | ExprKind::Vector(_) => ValueType::Vector,
            ExprKind::Call { function, .. } => function.return_type(),
            ExprKind::Matrix { .. } | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The expression inside any parentheses.
    pub fn unwrap_parens(&self) -> &Expr {
        let mut e = self;
        while let ExprKind::Paren(inner) = &e.kind {
            e = inner;
        }
        e
    }
}

/// A duration in a query: fixed, or computed when the query's range and step are known.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationValue {
    /// Milliseconds; an offset may be negative.
    Millis(i64),
    /// A duration expression.
    Expr(Box<DurationExpr>),
}

/// Arithmetic on durations, in seconds: `[5m*2]`, `offset -(1h+step())`.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// Seconds; printed as a duration if it was written as one.
    Number {
        /// Seconds.
        value: f64,
        /// Whether it was written as a duration.
        is_duration: bool,
        /// Where it stands.
        span: Span,
    },
    /// The query's step.
    Step {
        /// Where it stands.
        span: Span,
    },
    /// The query's range, end minus start.
    Range {
        /// Where it stands.
        span: Span,
    },
    /// `+d` or `-d`.
    Unary {
        /// Whether the sign is a minus.
        negative: bool,
        /// The operand.
        expr: Box<DurationExpr>,
        /// Where it stands.
        span: Span,
    },
    /// `d op d`.
    Binary {
        /// `+ - * / % ^`
        op: BinaryOp,
        /// Left operand.
        lhs: Box<DurationExpr>,
        /// Right operand.
        rhs: Box<DurationExpr>,
    },
    /// `min_of(a, b)` (`max` false) or `max_of(a, b)`.
    Extreme {
        /// Whether it is `max_of`.
        max: bool,
        /// First argument.
        lhs: Box<DurationExpr>,
        /// Second argument.
        rhs: Box<DurationExpr>,
        /// Where it stands.
        span: Span,
    },
    /// In parentheses.
    Paren {
        /// The inner expression.
        expr: Box<DurationExpr>,
        /// Where it stands.
        span: Span,
    },
}

/// What `@` fixes the evaluation time to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtModifier {
    /// A time, in milliseconds since the epoch.
    At(i64),
    /// `start()`: the first step of the query.
    Start,
    /// `end()`: the last step of the query.
    End,
}

/// Which series, at which time.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric's name where it was written before the braces.
    pub name: Option<Arc<str>>,
    /// All matchers, that of the metric's name included.
    pub matchers: Vec<Matcher>,
    /// `offset`, if given.
    pub offset: Option<DurationValue>,
    /// `@`, if given.
    pub at: Option<AtModifier>,
    /// `anchored`
    pub anchored: bool,
    /// `smoothed`
    pub smoothed: bool,
}

/// A subquery.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How far back.
    pub range: DurationValue,
    /// The step; `None` for the default one.
    pub step: Option<DurationValue>,
    /// `offset`, if given.
    pub offset: Option<DurationValue>,
    /// `@`, if given.
    pub at: Option<AtModifier>,
}

/// Binary operators, set operators included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
    /// `</`, which trims a native histogram's upper buckets.
    TrimUpper,
    /// `>/`, which trims a native histogram's lower buckets.
    TrimLower,
}

impl BinaryOp {
    /// The operator as PromQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    /// `== != < <= > >=`
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// `and or unless`
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// `lhs op rhs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// Whether `bool` follows a comparison.
    pub return_bool: bool,
    /// How vectors are matched; `None` unless both sides are vectors.
    pub matching: Option<VectorMatching>,
}

/// How many elements of each side belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Neither `group_left` nor `group_right`.
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How the elements of two vectors are matched.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorMatching {
    /// How many elements of each side belong together.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<Arc<str>>,
    /// Whether they are those of `on`.
    pub on: bool,
    /// Labels that `group_left` or `group_right` copies from the one side.
    pub include: Vec<Arc<str>>,
    /// Value for elements missing on the left.
    pub fill_left: Option<f64>,
    /// Value for elements missing on the right.
    pub fill_right: Option<f64>,
}

/// Aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `count`
    Count,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `count_values`
    CountValues,
    /// `quantile`
    Quantile,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
}

impl AggregateOp {
    /// Whether it takes a parameter before the vector.
    pub fn takes_parameter(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile | Self::Limitk | Self::LimitRatio
        )
    }

    /// Whether it stands behind the `promql-experimental-functions` feature.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }

    /// The operator as PromQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// The operator's parameter, for those that take one.
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<Arc<str>>,
    /// Whether they are those of `without`.
    pub without: bool,
}

impl DurationExpr {
    /// Where it stands, as Prometheus counts it: from the first operand to the last.
    pub fn span(&self) -> Span {
        match self {
            Self::Number { span, .. }
            | Self::Step { span }
            | Self::Range { span }
            | Self::Unary { span, .. }
            | Self::Extreme { span, .. }
            | Self::Paren { span, .. } => *span,
            Self::Binary { lhs, rhs, .. } => Span { start: lhs.span().start, end: rhs.span().end },
        }
    }
}

impl DurationValue {
    /// The duration if it is fixed and not negative.
    pub fn fixed(&self) -> Option<Duration> {
        match self {
            Self::Millis(ms) => u64::try_from(*ms).ok().map(Duration::from_millis),
            Self::Expr(_) => None,
        }
    }
}
