//! The values that templates work on, with the names that Go gives their types.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limits::MAX_VALUE_DEPTH;
use crate::time::{GoDuration, GoTime};

/// A value of a template. Cloning is cheap: what is large is shared.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value: a missing key, or nil.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A signed number, Go's `int`.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A `float64`.
    Float(f64),
    /// A text.
    String(Arc<str>),
    /// A text that is HTML already and is not escaped again.
    Html(Arc<str>),
    /// A sequence.
    List(Arc<List>),
    /// A map from texts.
    Map(Arc<Map>),
    /// A value with named fields.
    Struct(Arc<Struct>),
    /// A moment in UTC.
    Time(GoTime),
    /// A span of time.
    Duration(GoDuration),
}

/// A sequence of values.
#[derive(Clone, Debug)]
pub struct List {
    type_name: &'static str,
    items: Vec<Value>,
    depth: usize,
}

/// A map from texts to values, in the order of the keys.
#[derive(Clone, Debug)]
pub struct Map {
    of_strings: bool,
    entries: BTreeMap<Arc<str>, Value>,
    depth: usize,
}

/// A value with named fields, and possibly a text form of its own.
#[derive(Clone, Debug)]
pub struct Struct {
    /// What Go calls the type, as in `*template.sample`.
    pub type_name: &'static str,
    /// Names and values, in the order of declaration.
    pub fields: Vec<(&'static str, Value)>,
    /// The form that printing gives; without one the fields are printed.
    pub text: Option<String>,
}

/// The type of what `query` returns.
pub(crate) const QUERY_RESULT: &str = "template.queryResult";
/// The type of one sample of it.
pub(crate) const SAMPLE: &str = "*template.sample";

impl Value {
    /// A text.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A list whose type Go writes as `type_name`, such as `[]string`.
    pub fn list(type_name: &'static str, items: Vec<Self>) -> Self {
        let depth = 1 + items.iter().map(Self::depth).max().unwrap_or(0);
        Self::List(Arc::new(List { type_name, items, depth }))
    }

    /// A `map[string]string`; a key that it does not have reads as an empty text.
    pub fn string_map<K: Into<Arc<str>>, V: Into<Arc<str>>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (k.into(), Self::String(v.into()))).collect();
        Self::Map(Arc::new(Map { of_strings: true, entries, depth: 1 }))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries: BTreeMap<Arc<str>, Self> = entries.into_iter().map(|(k, v)| (k.into(), v)).collect();
        let depth = 1 + entries.values().map(Self::depth).max().unwrap_or(0);
        Self::Map(Arc::new(Map { of_strings: false, entries, depth }))
    }

    /// A value with fields, printed as Go prints them.
    pub fn record(type_name: &'static str, fields: Vec<(&'static str, Self)>) -> Self {
        Self::Struct(Arc::new(Struct { type_name, fields, text: None }))
    }

    /// A value with a text form of its own, such as a native histogram, and whatever fields templates may read.
    pub fn opaque(type_name: &'static str, text: String, fields: Vec<(&'static str, Self)>) -> Self {
        Self::Struct(Arc::new(Struct { type_name, fields, text: Some(text) }))
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            Self::Struct(s) => 1 + s.fields.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether another list or map may be put around this.
    pub(crate) fn is_too_deep(&self) -> bool {
        self.depth() > MAX_VALUE_DEPTH
    }

    /// What Go calls the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::List(list) => list.type_name,
            Self::Map(map) if map.of_strings => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Struct(s) => s.type_name,
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
        }
    }

    /// Whether `if` takes the first branch.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Uint(u) => *u != 0,
            Self::Float(f) => *f != 0.0,
            Self::String(s) | Self::Html(s) => !s.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Struct(_) | Self::Time(_) | Self::Duration(_) => true,
        }
    }
}

impl List {
    /// The values.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl Map {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter()
    }

    /// What a key that is not there reads as where missing keys are zero.
    pub(crate) fn zero(&self) -> Value {
        if self.of_strings { Value::string("") } else { Value::Nil }
    }
}

impl Struct {
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(v)
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
