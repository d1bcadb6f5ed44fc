//! Lengths, elements and parts of lists, maps and texts.

use crate::value::Value;

/// How many elements or bytes there are.
pub(super) fn len(value: &Value) -> Result<i64, String> {
    let length = match value {
        Value::Nil => return Err("len of nil pointer".into()),
        Value::String(s) | Value::Html(s) => s.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.iter().len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

/// `item[i][j]…`; a key that a map does not have is the zero of its elements.
pub(super) fn index(item: &Value, indexes: &[Value]) -> Result<Value, String> {
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    let mut value = item.clone();
    for index in indexes {
        value = match &value {
            Value::Map(map) => match index {
                Value::String(key) => map.get(key).cloned().unwrap_or_else(|| map.zero()),
                Value::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name())),
            },
            Value::List(list) => list.items()[position(index, list.items().len(), false)?].clone(),
            Value::String(s) => Value::Uint(u64::from(s.as_bytes()[position(index, s.len(), false)?])),
            Value::Nil => return Err("index of nil pointer".into()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

/// A position within `length` elements, or just after them where a part may end.
fn position(index: &Value, length: usize, may_be_end: bool) -> Result<usize, String> {
    let at = match index {
        Value::Int(i) => i128::from(*i),
        Value::Uint(u) => i128::from(*u),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    match usize::try_from(at) {
        Ok(i) if i < length || (may_be_end && i == length) => Ok(i),
        _ => Err(format!("index out of range: {at}")),
    }
}

/// `item[from:to]`.
pub(super) fn slice(item: &Value, indexes: &[Value]) -> Result<Value, String> {
    let length = match item {
        Value::Nil => return Err("slice of untyped nil".into()),
        Value::String(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(s) => s.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length, true)?;
    }
    let [from, to, _] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match item {
        Value::String(s) => Ok(Value::string(String::from_utf8_lossy(&s.as_bytes()[from..to]).into_owned())),
        Value::List(list) => Ok(Value::list(list.type_name(), list.items()[from..to].to_vec())),
        _ => Ok(Value::Nil),
    }
}
