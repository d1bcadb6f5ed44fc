//! The names of all functions with the types of their parameters. What they do is in `library/` and in `exec/`.

use Param::{Any, QueryResult, Sample, String};

use crate::Flavour;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    Any,
    Int,
    String,
    QueryResult,
    Sample,
    Duration,
    Time,
}

impl Param {
    /// What Go calls the type.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Int => "int",
            Self::String => "string",
            Self::QueryResult => crate::value::QUERY_RESULT,
            Self::Sample => crate::value::SAMPLE,
            Self::Duration => "time.Duration",
            Self::Time => "time.Time",
        }
    }

    /// Whether nil can be passed.
    pub(crate) fn takes_nil(self) -> bool {
        matches!(self, Self::Any | Self::QueryResult | Self::Sample)
    }
}

/// A function's name and its parameters; with `rest`, any number of further arguments of that type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    pub(crate) rest: Option<Param>,
}

const fn fixed(name: &'static str, params: &'static [Param]) -> Signature {
    Signature { name, params, rest: None }
}

const fn variadic(name: &'static str, params: &'static [Param]) -> Signature {
    Signature { name, params, rest: Some(Any) }
}

/// Go's own functions, then those of Prometheus.
static FUNCTIONS: [Signature; 49] = [
    variadic("and", &[Any]),
    variadic("call", &[Any]),
    variadic("eq", &[Any]),
    fixed("ge", &[Any, Any]),
    fixed("gt", &[Any, Any]),
    variadic("html", &[]),
    variadic("index", &[Any]),
    variadic("js", &[]),
    fixed("le", &[Any, Any]),
    fixed("len", &[Any]),
    fixed("lt", &[Any, Any]),
    fixed("ne", &[Any, Any]),
    fixed("not", &[Any]),
    variadic("or", &[Any]),
    variadic("print", &[]),
    variadic("printf", &[String]),
    variadic("println", &[]),
    variadic("slice", &[Any]),
    variadic("urlquery", &[]),
    variadic("args", &[]),
    fixed("externalURL", &[]),
    fixed("first", &[QueryResult]),
    fixed("graphLink", &[String]),
    fixed("humanize", &[Any]),
    fixed("humanize1024", &[Any]),
    fixed("humanizeDuration", &[Any]),
    fixed("humanizePercentage", &[Any]),
    fixed("humanizeTimestamp", &[Any]),
    fixed("label", &[String, Sample]),
    fixed("match", &[String, String]),
    fixed("now", &[]),
    fixed("parseDuration", &[String]),
    fixed("pathPrefix", &[]),
    fixed("query", &[String]),
    fixed("reReplaceAll", &[String, String, String]),
    fixed("safeHtml", &[String]),
    fixed("sortByLabel", &[String, QueryResult]),
    fixed("stripDomain", &[String]),
    fixed("stripPort", &[String]),
    fixed("strvalue", &[Sample]),
    fixed("tableLink", &[String]),
    fixed("title", &[String]),
    fixed("toDuration", &[Any]),
    fixed("toLower", &[String]),
    fixed("toTime", &[Any]),
    fixed("toUpper", &[String]),
    fixed("urlQueryEscape", &[String]),
    fixed("value", &[Sample]),
    fixed("tmpl", &[String, Any]),
];

/// The function of this name.
pub(crate) fn find(name: &str, flavour: Flavour) -> Option<&'static Signature> {
    // Only pages of HTML call templates by a computed name.
    if name == "tmpl" && flavour == Flavour::Text {
        return None;
    }
    FUNCTIONS.iter().find(|f| f.name == name)
}
