//! The tokens of the language, and how error messages name them.

use crate::ast::{AggregateOp, BinaryOp, Span};
use crate::quote::quote;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The end of the input.
    Eof,
    /// Stands in for what the lexer could not read; its error has been noted.
    Error,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    String,
    Number,
    Duration,
    LeftBrace,
    RightBrace,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    RegexEqual,
    /// `!~`
    RegexNotEqual,
    At,
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    Preprocessor(Preprocessor),
}

/// Words that modify an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Bool,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Offset,
    Anchored,
    Smoothed,
}

/// Words for values that are known when the query's range and step are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preprocessor {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl TokenKind {
    /// What a word means; `None` for an ordinary identifier. Case does not matter.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        use {AggregateOp as A, BinaryOp as B, Keyword as K, Preprocessor as P};
        const LONGEST: usize = "count_values".len();
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"and" => Self::Op(B::And),
            b"or" => Self::Op(B::Or),
            b"unless" => Self::Op(B::Unless),
            b"atan2" => Self::Op(B::Atan2),
            b"sum" => Self::Aggregate(A::Sum),
            b"avg" => Self::Aggregate(A::Avg),
            b"count" => Self::Aggregate(A::Count),
            b"min" => Self::Aggregate(A::Min),
            b"max" => Self::Aggregate(A::Max),
            b"group" => Self::Aggregate(A::Group),
            b"stddev" => Self::Aggregate(A::Stddev),
            b"stdvar" => Self::Aggregate(A::Stdvar),
            b"topk" => Self::Aggregate(A::Topk),
            b"bottomk" => Self::Aggregate(A::Bottomk),
            b"count_values" => Self::Aggregate(A::CountValues),
            b"quantile" => Self::Aggregate(A::Quantile),
            b"limitk" => Self::Aggregate(A::Limitk),
            b"limit_ratio" => Self::Aggregate(A::LimitRatio),
            b"offset" => Self::Keyword(K::Offset),
            b"smoothed" => Self::Keyword(K::Smoothed),
            b"anchored" => Self::Keyword(K::Anchored),
            b"by" => Self::Keyword(K::By),
            b"without" => Self::Keyword(K::Without),
            b"on" => Self::Keyword(K::On),
            b"ignoring" => Self::Keyword(K::Ignoring),
            b"group_left" => Self::Keyword(K::GroupLeft),
            b"group_right" => Self::Keyword(K::GroupRight),
            b"fill" => Self::Keyword(K::Fill),
            b"fill_left" => Self::Keyword(K::FillLeft),
            b"fill_right" => Self::Keyword(K::FillRight),
            b"bool" => Self::Keyword(K::Bool),
            b"start" => Self::Preprocessor(P::Start),
            b"end" => Self::Preprocessor(P::End),
            b"step" => Self::Preprocessor(P::Step),
            b"range" => Self::Preprocessor(P::Range),
            b"max_of" => Self::Preprocessor(P::MaxOf),
            b"min_of" => Self::Preprocessor(P::MinOf),
            b"inf" | b"nan" => Self::Number,
            _ => return None,
        })
    }

    /// Whether a metric may have the token as its name without quotes.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Preprocessor(_) => true,
            Self::Op(op) => op.is_set(),
            Self::Keyword(k) => !matches!(
                k,
                Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight
            ),
            _ => false,
        }
    }

    /// Whether a label may have the token as its name without quotes, in `by (…)` and its kind.
    pub(crate) fn is_label_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Preprocessor(_) => true,
            Self::Op(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(k) => k != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression may begin with the token.
    pub(crate) fn starts_operand(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Self::Number
                    | Self::Duration
                    | Self::String
                    | Self::LeftParen
                    | Self::LeftBrace
                    | Self::Op(BinaryOp::Add | BinaryOp::Sub)
            )
    }
}

/// A token and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    /// Its first byte.
    pub(crate) start: usize,
    /// As it was written.
    pub(crate) text: &'a str,
}

impl Token<'_> {
    /// Where it stands.
    pub(crate) fn span(&self) -> Span {
        Span { start: self.start, end: self.start + self.text.len() }
    }

    /// The token as Prometheus' messages name it.
    pub(crate) fn describe(&self) -> String {
        let prefix = match self.kind {
            TokenKind::Eof => return "end of input".into(),
            TokenKind::Keyword(_) => return format!("<{}>", self.text),
            TokenKind::Aggregate(_) => return format!("<aggr:{}>", self.text),
            TokenKind::Op(_) | TokenKind::At | TokenKind::RegexEqual | TokenKind::RegexNotEqual => {
                return format!("<op:{}>", self.text);
            }
            TokenKind::Identifier => return format!("identifier {}", quote(self.text)),
            TokenKind::MetricIdentifier => return format!("metric identifier {}", quote(self.text)),
            TokenKind::String => "string ",
            TokenKind::Number => "number ",
            TokenKind::Duration => "duration ",
            _ => "",
        };
        /// Longer texts are cut to so many characters.
        const SHOWN: usize = 10;
        if self.text.len() <= SHOWN {
            return format!("{prefix}{}", quote(self.text));
        }
        let cut: String = self.text.chars().take(SHOWN).collect();
        format!("{prefix}{}...", quote(&cut))
    }
}
