//! Nested values as JSON: maps as objects, lists as arrays. As deep as the columns of a table are.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use arrow::util::display::array_value_to_string;
use base::Result;
use serde_json::{Map, Value, json};

use super::cannot_write;

/// The value of a row.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(row) {
            number if number.is_finite() => json!(number),
            other => json!(other.to_string()),
        },
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (names, values) = (entries.column(0), entries.column(1));
            let mut object = Map::new();
            for i in 0..entries.len() {
                object.insert(array_value_to_string(names, i).map_err(cannot_write)?, value(values, i)?);
            }
            Value::Object(object)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|i| value(&items, i)).collect::<Result<_>>()?)
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct().columns();
            let mut object = Map::new();
            for (field, part) in fields.iter().zip(parts) {
                object.insert(field.name().clone(), value(part, row)?);
            }
            Value::Object(object)
        }
        // Decimals and times, of which JSON has no exact form but text.
        _ => json!(array_value_to_string(array, row).map_err(cannot_write)?),
    })
}
