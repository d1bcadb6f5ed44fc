//! What the functions do, apart from those that need the state of the execution (`and`, `or`, `tmpl`).

mod collection;
mod compare;
mod humanize;
mod text;

use base::Labels;

use crate::format::{sprint, sprintf, sprintln};
use crate::value::{QUERY_RESULT, SAMPLE, Value};
use crate::{Functions, net};

/// One element of what `query` returns.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The labels.
    pub labels: Labels,
    /// The value: a float, or a native histogram as [`Value::opaque`].
    pub value: Value,
}

/// Calls a function with arguments of its parameters' types.
pub(crate) fn call(name: &str, args: &[Value], functions: &dyn Functions) -> Result<Value, String> {
    match (name, args) {
        ("eq", [first, rest @ ..]) => compare::eq(first, rest).map(Value::Bool),
        ("ne", [a, b]) => compare::eq(a, std::slice::from_ref(b)).map(|equal| Value::Bool(!equal)),
        ("lt", [a, b]) => compare::lt(a, b).map(Value::Bool),
        ("le", [a, b]) => compare::le(a, b).map(Value::Bool),
        ("gt", [a, b]) => compare::le(a, b).map(|v| Value::Bool(!v)),
        ("ge", [a, b]) => compare::lt(a, b).map(|v| Value::Bool(!v)),
        ("not", [a]) => Ok(Value::Bool(!a.is_true())),
        ("len", [a]) => collection::len(a).map(Value::Int),
        ("index", [item, indexes @ ..]) => collection::index(item, indexes),
        ("slice", [item, indexes @ ..]) => collection::slice(item, indexes),
        ("call", [Value::Nil, ..]) => Err("call of nil".into()),
        ("call", [f, ..]) => {
            Err(format!("non-function {} of type {}", sprint(std::slice::from_ref(f))?, f.type_name()))
        }
        ("print", args) => sprint(args).map(Value::string),
        ("println", args) => sprintln(args).map(Value::string),
        ("printf", [Value::String(format), rest @ ..]) => sprintf(format, rest).map(Value::string),
        ("html", args) => Ok(Value::string(text::escape_html(&text::printed(args)?))),
        ("js", args) => Ok(Value::string(text::escape_js(&text::printed(args)?))),
        ("urlquery", args) => Ok(Value::string(net::query_escape(&text::printed(args)?))),
        ("args", args) => arguments(args),
        ("query", [Value::String(expression)]) => functions.query(expression).map(query_result),
        ("now", []) => Ok(Value::Float(functions.now_ms() as f64 / 1000.0)),
        ("externalURL", []) => Ok(Value::string(functions.external_url())),
        ("pathPrefix", []) => Ok(Value::string(net::path_of(functions.external_url()))),
        ("first", [Value::List(list)]) if !list.items().is_empty() => Ok(list.items()[0].clone()),
        ("first", _) => Err("first() called on vector with no elements".into()),
        ("sortByLabel", [Value::String(label), result]) => Ok(sort_by_label(label, result)),
        ("label", [Value::String(label), sample]) => Ok(label_of(sample_field(sample, "Labels")?, label)),
        ("strvalue", [sample]) => Ok(label_of(sample_field(sample, "Labels")?, "__value__")),
        ("value", [sample]) => sample_field(sample, "Value").cloned(),
        ("humanize", [v]) => humanize::decimal(humanize::to_float(v)?).map(Value::string),
        ("humanize1024", [v]) => humanize::binary(humanize::to_float(v)?).map(Value::string),
        ("humanizeDuration", [v]) => humanize::duration(humanize::to_float(v)?).map(Value::string),
        ("humanizePercentage", [v]) => humanize::percentage(humanize::to_float(v)?).map(Value::string),
        ("humanizeTimestamp", [v]) => humanize::timestamp(humanize::to_float(v)?).map(Value::string),
        ("toTime", [v]) => humanize::to_time(humanize::to_float(v)?).map(Value::Time),
        ("toDuration", [v]) => Ok(Value::Duration(humanize::to_duration(humanize::to_float(v)?))),
        ("parseDuration", [Value::String(t)]) => humanize::parse_duration(t).map(Value::Float),
        (_, args) => text::call(name, args),
    }
}

/// `arg0`, `arg1` and so on: several values in the place of one.
fn arguments(args: &[Value]) -> Result<Value, String> {
    let map = Value::map(args.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone())));
    if map.is_too_deep() {
        return Err(format!("values exceed MAX_VALUE_DEPTH ({})", crate::limits::MAX_VALUE_DEPTH));
    }
    Ok(map)
}

fn query_result(samples: Vec<Sample>) -> Value {
    let items = samples
        .into_iter()
        .map(|sample| {
            let labels = Value::string_map(sample.labels.iter());
            Value::record(SAMPLE, vec![("Labels", labels), ("Value", sample.value)])
        })
        .collect();
    Value::list(QUERY_RESULT, items)
}

fn sample_field<'a>(sample: &'a Value, field: &str) -> Result<&'a Value, String> {
    match sample {
        Value::Struct(s) => s.get(field).ok_or_else(|| format!("a sample has no field {field}")),
        _ => Err("runtime error: invalid memory address or nil pointer dereference".into()),
    }
}

fn label_of(labels: &Value, name: &str) -> Value {
    match labels {
        Value::Map(map) => map.get(name).cloned().unwrap_or_else(|| Value::string("")),
        _ => Value::string(""),
    }
}

fn sort_by_label(label: &str, result: &Value) -> Value {
    let Value::List(list) = result else { return Value::Nil };
    let key = |v: &Value| match sample_field(v, "Labels").map(|labels| label_of(labels, label)) {
        Ok(Value::String(text)) => text,
        _ => "".into(),
    };
    let mut items = list.items().to_vec();
    items.sort_by_cached_key(key);
    Value::list(QUERY_RESULT, items)
}
