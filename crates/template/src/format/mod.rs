//! Go's text forms of values: `Sprint`, `Sprintln`, `Sprintf`, quoted texts, and numbers as `strconv` reads and writes
//! them. Owns no template.

mod float;
mod verbs;

use std::fmt::{self, Write as _};

use crate::limits::MAX_OUTPUT_BYTES;
use crate::value::Value;

pub(crate) use float::{float_error, format_float, parse_float};
pub(crate) use verbs::sprintf;

/// A text that grows to [`MAX_OUTPUT_BYTES`] and no further.
#[derive(Debug, Default)]
pub(crate) struct Bounded {
    text: String,
}

impl Bounded {
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > MAX_OUTPUT_BYTES {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}

/// What exceeding [`MAX_OUTPUT_BYTES`] says.
pub(crate) fn too_long() -> String {
    format!("output exceeds MAX_OUTPUT_BYTES ({MAX_OUTPUT_BYTES})")
}

/// The operands one after the other, with spaces between those that are no texts.
pub(crate) fn sprint(values: &[Value]) -> Result<String, String> {
    let mut out = Bounded::default();
    write_all(values, &mut out).map_err(|_| too_long())?;
    Ok(out.into_text())
}

fn write_all(values: &[Value], out: &mut Bounded) -> fmt::Result {
    let mut after_text = true;
    for (i, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::String(_));
        if i > 0 && !is_text && !after_text {
            out.write_char(' ')?;
        }
        verbs::write_plain(value, out)?;
        after_text = is_text;
    }
    Ok(())
}

/// The operands with spaces between them and a line end after them.
pub(crate) fn sprintln(values: &[Value]) -> Result<String, String> {
    let mut out = Bounded::default();
    let mut write = || {
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                out.write_char(' ')?;
            }
            verbs::write_plain(value, &mut out)?;
        }
        out.write_char('\n')
    };
    write().map_err(|_| too_long())?;
    Ok(out.into_text())
}

/// The form of one value as an action prints it.
pub(crate) fn print_value(value: &Value, out: &mut Bounded) -> fmt::Result {
    match value {
        Value::Nil => out.write_str("<no value>"),
        value => verbs::write_plain(value, out),
    }
}

/// Whether Go prints the character as it is.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        _ if c.is_control() || c.is_whitespace() => false,
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => false,
        '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}' | '\u{f0000}'.. => false,
        _ => true,
    }
}

/// A text in double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_with(text, '"', &mut out);
    out
}

fn quote_with(text: &str, mark: char, out: &mut String) {
    out.push(mark);
    for c in text.chars() {
        let escaped = match c {
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            '\\' => "\\\\",
            c if c == mark => {
                out.push('\\');
                out.push(c);
                continue;
            }
            c if is_printable(c) => {
                out.push(c);
                continue;
            }
            c => {
                let code = u32::from(c);
                // Writing to a String cannot fail.
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x10000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                continue;
            }
        };
        out.push_str(escaped);
    }
    out.push(mark);
}

/// `U+00A0`, with the character itself where it can be printed.
pub(crate) fn rune_form(c: char) -> String {
    let code = u32::from(c);
    if is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}
