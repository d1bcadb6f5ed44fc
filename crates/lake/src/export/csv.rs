//! CSV as RFC 4180 has it, with line feeds.

use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base::Result;

use super::{cannot_write, json};

pub(super) struct CsvWriter<W: Write> {
    out: W,
    text: String,
}

impl<W: Write> CsvWriter<W> {
    pub(super) fn new(schema: &Schema, mut out: W) -> Result<Self> {
        let mut text = String::new();
        for (i, field) in schema.fields().iter().enumerate() {
            begin_field(&mut text, i);
            put_text(&mut text, field.name());
        }
        text.push('\n');
        out.write_all(text.as_bytes()).map_err(cannot_write)?;
        Ok(Self { out, text })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = rows.columns().iter().map(|c| Column::of(c.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..rows.num_rows() {
            self.text.clear();
            for (i, column) in columns.iter().enumerate() {
                begin_field(&mut self.text, i);
                column.put(row, &mut self.text)?;
            }
            self.text.push('\n');
            self.out.write_all(self.text.as_bytes()).map_err(cannot_write)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> W {
        self.out
    }
}

/// A column, and how its values are written.
enum Column<'a> {
    Text(&'a dyn Array),
    Double(&'a dyn Array),
    Nested(&'a dyn Array),
    /// Numbers, times and truth values: nothing that needs quotes.
    Plain(&'a dyn Array, ArrayFormatter<'a>),
}

impl<'a> Column<'a> {
    fn of(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array),
            DataType::Float64 => Self::Double(array),
            t if t.is_nested() => Self::Nested(array),
            _ => {
                let options = FormatOptions::default();
                Self::Plain(array, ArrayFormatter::try_new(array, &options).map_err(cannot_write)?)
            }
        })
    }

    fn put(&self, row: usize, out: &mut String) -> Result<()> {
        let (Self::Text(array) | Self::Double(array) | Self::Nested(array) | Self::Plain(array, _)) = self;
        if array.is_null(row) {
            return Ok(());
        }
        match self {
            Self::Text(array) => put_text(out, array.as_string::<i32>().value(row)),
            Self::Double(array) => put_double(out, array.as_primitive::<Float64Type>().value(row)),
            Self::Nested(array) => put_text(out, &json::value(*array, row)?.to_string()),
            Self::Plain(_, formatter) => formatter.value(row).write(out).map_err(cannot_write)?,
        }
        Ok(())
    }
}

fn begin_field(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// Text, quoted where it has to be: to be told from what is absent, too.
fn put_text(out: &mut String, text: &str) {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim().len() == text.len();
    if plain {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// The shortest decimal that reads back as the same number; what is no number as most programs read it.
fn put_double(out: &mut String, value: f64) {
    use std::fmt::Write as _;
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        write!(out, "{value}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };

    use crate::catalog::attributes_builder;
    use crate::export::{FileFormat, RowWriter};

    use super::*;

    #[test]
    fn writes_what_readers_of_csv_expect() {
        let mut attributes = attributes_builder();
        for (name, value) in [("a", Some("x,\"y\"")), ("b", None)] {
            attributes.keys().append_value(name);
            attributes.values().append_option(value);
        }
        attributes.append(true).unwrap();
        attributes.append(true).unwrap();
        attributes.append(true).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec![Some("plain"), Some(""), None]))),
            ("more, text", Arc::new(StringArray::from(vec!["a \"b\"\n", " padded", "ü"]))),
            ("long", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7)]))),
            ("double", Arc::new(Float64Array::from(vec![-0.0, f64::NAN, f64::NEG_INFINITY]))),
            ("truth", Arc::new(BooleanArray::from(vec![true, false, true]))),
            (
                "decimal",
                Arc::new(
                    Decimal128Array::from(vec![Some(1_500_000_000_000_000_000), None, Some(-1)])
                        .with_precision_and_scale(38, 18)
                        .unwrap(),
                ),
            ),
            ("time", Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 1_500_000]).with_timezone("UTC"))),
            ("attributes", Arc::new(attributes.finish())),
        ];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let mut writer = RowWriter::new(FileFormat::Csv, rows.schema(), Vec::new()).unwrap();
        writer.write(&rows).unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let want = "text,\"more, text\",long,double,truth,decimal,time,attributes\n\
            plain,\"a \"\"b\"\"\n\",-9223372036854775808,-0,true,1.500000000000000000,1970-01-01T00:00:00Z,\
            \"{\"\"a\"\":\"\"x,\\\"\"y\\\"\"\"\",\"\"b\"\":null}\"\n\
            \"\",\" padded\",,NaN,false,,1970-01-01T00:00:00.000001Z,{}\n\
            ,ü,7,-Infinity,true,-0.000000000000000001,1970-01-01T00:00:01.500Z,{}\n";
        assert_eq!(text, want);
    }
}
