//! `Sprintf`: verbs, flags, widths, and what Go prints where they do not fit.

use std::fmt::{self, Write as _};

use super::{Bounded, format_float, is_printable, quote, quote_with, too_long};
use crate::limits::MAX_WIDTH;
use crate::value::Value;

/// A verb with its flags.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    verb: char,
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

const PLAIN: Spec = Spec {
    verb: 'v',
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    width: None,
    precision: None,
};

/// The form of `%v`.
pub(super) fn write_plain(value: &Value, out: &mut Bounded) -> fmt::Result {
    write_value(value, PLAIN, out)
}

/// The format with the values in it.
pub(crate) fn sprintf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut printer = Printer {
        chars: format.chars().collect(),
        at: 0,
        values,
        next: 0,
        reordered: false,
        good_index: true,
    };
    let mut out = Bounded::default();
    printer.print(&mut out).map_err(|_| too_long())?;
    Ok(out.into_text())
}

struct Printer<'a> {
    chars: Vec<char>,
    at: usize,
    values: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
}

impl Printer<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn print(&mut self, out: &mut Bounded) -> fmt::Result {
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == '%' {
                self.verb(out)?;
            } else {
                out.write_char(c)?;
            }
        }
        if !self.reordered && self.next < self.values.len() {
            out.write_str("%!(EXTRA ")?;
            for (i, value) in self.values[self.next..].iter().enumerate() {
                if i > 0 {
                    out.write_str(", ")?;
                }
                out.write_str(value.type_name())?;
                if !matches!(value, Value::Nil) {
                    out.write_char('=')?;
                    write_plain(value, out)?;
                }
            }
            out.write_char(')')?;
        }
        Ok(())
    }

    fn verb(&mut self, out: &mut Bounded) -> fmt::Result {
        let mut spec = Spec::default();
        self.good_index = true;
        while let Some(c) = self.peek() {
            match c {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                ' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.argument_index();
        if self.peek() == Some('*') {
            self.at += 1;
            match self.number_argument() {
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = Some(width.unsigned_abs() as usize);
                }
                None => out.write_str("%!(BADWIDTH)")?,
            }
            after_index = false;
        } else {
            spec.width = self.number();
            if after_index && spec.width.is_some() {
                self.good_index = false;
            }
        }
        if self.peek() == Some('.') {
            self.at += 1;
            if after_index {
                self.good_index = false;
            }
            after_index = self.argument_index();
            if self.peek() == Some('*') {
                self.at += 1;
                match self.number_argument() {
                    Some(precision) => spec.precision = usize::try_from(precision).ok(),
                    None => out.write_str("%!(BADPREC)")?,
                }
                after_index = false;
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.argument_index();
        }
        let Some(verb) = self.peek() else { return out.write_str("%!(NOVERB)") };
        self.at += 1;
        spec.verb = verb;
        self.operand(spec, out)
    }

    fn operand(&mut self, spec: Spec, out: &mut Bounded) -> fmt::Result {
        let verb = spec.verb;
        if verb == '%' {
            return out.write_char('%');
        }
        if !self.good_index {
            return write!(out, "%!{verb}(BADINDEX)");
        }
        let Some(value) = self.values.get(self.next) else { return write!(out, "%!{verb}(MISSING)") };
        self.next += 1;
        write_value(value, spec, out)
    }

    fn number(&mut self) -> Option<usize> {
        let mut value: Option<usize> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            value = Some((value.unwrap_or(0) * 10 + digit as usize).min(MAX_WIDTH));
        }
        value
    }

    fn number_argument(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += 1;
        match value {
            Some(Value::Int(i)) if i.unsigned_abs() <= MAX_WIDTH as u64 => Some(*i),
            Some(Value::Uint(u)) if *u <= MAX_WIDTH as u64 => Some(*u as i64),
            _ => None,
        }
    }

    /// Reads `[3]`: the argument that comes next.
    fn argument_index(&mut self) -> bool {
        if self.peek() != Some('[') {
            return false;
        }
        self.reordered = true;
        let Some(length) = self.chars[self.at..].iter().position(|c| *c == ']') else {
            self.good_index = false;
            self.at += 1;
            return false;
        };
        let digits: String = self.chars[self.at + 1..self.at + length].iter().collect();
        self.at += length + 1;
        match digits.parse::<usize>() {
            Ok(n) if (1..=self.values.len()).contains(&n) => {
                self.next = n - 1;
                true
            }
            _ => {
                self.good_index = false;
                true
            }
        }
    }
}

fn write_value(value: &Value, spec: Spec, out: &mut Bounded) -> fmt::Result {
    match (spec.verb, value) {
        ('T', _) => return pad(value.type_name(), spec, out),
        ('v', Value::Nil) => return pad("<nil>", spec, out),
        (verb, Value::Nil) => return write!(out, "%!{verb}(<nil>)"),
        _ => {}
    }
    match value {
        Value::Bool(b) if matches!(spec.verb, 'v' | 't') => pad(if *b { "true" } else { "false" }, spec, out),
        Value::Int(i) => write_integer(value, *i < 0, i.unsigned_abs(), spec, out),
        Value::Uint(u) => write_integer(value, false, *u, spec, out),
        Value::Float(f) => write_float(value, *f, spec, out),
        Value::String(s) | Value::Html(s) => write_text(value, s, spec, out),
        Value::Duration(d) if matches!(spec.verb, 'v' | 's' | 'q' | 'x' | 'X') => {
            write_text(value, &d.to_string(), spec, out)
        }
        Value::Duration(d) => write_integer(value, d.0 < 0, d.0.unsigned_abs(), spec, out),
        Value::Time(t) => write_text(value, &t.to_string(), spec, out),
        Value::Struct(s) => match &s.text {
            Some(text) => write_text(value, text, spec, out),
            None => {
                // A pointer within another value prints as an address, which says nothing to anyone.
                out.write_str(if s.type_name.starts_with('*') { "&{" } else { "{" })?;
                for (i, (name, field)) in s.fields.iter().enumerate() {
                    if i > 0 {
                        out.write_char(' ')?;
                    }
                    if spec.plus && spec.verb == 'v' {
                        write!(out, "{name}:")?;
                    }
                    write_value(field, spec, out)?;
                }
                out.write_char('}')
            }
        },
        Value::List(list) => {
            out.write_char('[')?;
            for (i, item) in list.items().iter().enumerate() {
                if i > 0 {
                    out.write_char(' ')?;
                }
                write_value(item, spec, out)?;
            }
            out.write_char(']')
        }
        Value::Map(map) => {
            out.write_str("map[")?;
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.write_char(' ')?;
                }
                write_text(value, key, spec, out)?;
                out.write_char(':')?;
                write_value(item, spec, out)?;
            }
            out.write_char(']')
        }
        Value::Bool(_) | Value::Nil => bad_verb(value, spec, out),
    }
}

/// `%!d(string=text)`.
fn bad_verb(value: &Value, spec: Spec, out: &mut Bounded) -> fmt::Result {
    write!(out, "%!{}({}=", spec.verb, value.type_name())?;
    write_plain(value, out)?;
    out.write_char(')')
}

/// Writes a text in its width.
fn pad(text: &str, spec: Spec, out: &mut Bounded) -> fmt::Result {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        out.write_str(text)?;
        return fill(' ', missing, out);
    }
    fill(if spec.zero { '0' } else { ' ' }, missing, out)?;
    out.write_str(text)
}

fn fill(c: char, count: usize, out: &mut Bounded) -> fmt::Result {
    (0..count).try_for_each(|_| out.write_char(c))
}

/// Writes a number in its width; zeros go between the sign and the digits.
fn pad_number(sign: &str, digits: &str, spec: Spec, out: &mut Bounded) -> fmt::Result {
    if !spec.zero || spec.minus {
        return pad(&format!("{sign}{digits}"), Spec { zero: false, ..spec }, out);
    }
    out.write_str(sign)?;
    let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
    pad(digits, Spec { width: Some(width), ..spec }, out)
}

fn sign(negative: bool, spec: Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn write_integer(
    value: &Value,
    negative: bool,
    magnitude: u64,
    spec: Spec,
    out: &mut Bounded,
) -> fmt::Result {
    let character =
        || u32::try_from(magnitude).ok().filter(|_| !negative).and_then(char::from_u32).unwrap_or('\u{fffd}');
    let prefix = |text: &'static str| if spec.sharp { text } else { "" };
    let digits = match spec.verb {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{}{magnitude:b}", prefix("0b")),
        'o' => format!("{}{magnitude:o}", prefix("0")),
        'O' => format!("0o{magnitude:o}"),
        'x' => format!("{}{magnitude:x}", prefix("0x")),
        'X' => format!("{}{magnitude:X}", prefix("0X")),
        'c' => return pad(&character().to_string(), spec, out),
        'q' => {
            let mut quoted = String::new();
            quote_with(&character().to_string(), '\'', &mut quoted);
            return pad(&quoted, spec, out);
        }
        'U' => {
            let c = character();
            let form = format!("U+{magnitude:04X}");
            let form = if spec.sharp && is_printable(c) { format!("{form} '{c}'") } else { form };
            return pad(&form, Spec { zero: false, ..spec }, out);
        }
        _ => return bad_verb(value, spec, out),
    };
    let digits = match spec.precision {
        Some(0) if magnitude == 0 => String::new(),
        Some(p) => format!("{digits:0>p$}"),
        None => digits,
    };
    // A precision says how many digits there are; zeros to the width would contradict it.
    pad_number(
        sign(negative, spec),
        &digits,
        Spec { zero: spec.zero && spec.precision.is_none(), ..spec },
        out,
    )
}

fn write_float(value: &Value, v: f64, spec: Spec, out: &mut Bounded) -> fmt::Result {
    let text = match spec.verb {
        'v' => format_float(v, 'g', spec.precision),
        'g' | 'G' => format_float(v, spec.verb, spec.precision),
        'e' | 'E' | 'f' => format_float(v, spec.verb, Some(spec.precision.unwrap_or(6))),
        'F' => format_float(v, 'f', Some(spec.precision.unwrap_or(6))),
        _ => return bad_verb(value, spec, out),
    };
    if v.is_nan() {
        let sign = sign(false, spec);
        return pad(&format!("{sign}NaN"), Spec { zero: false, ..spec }, out);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    // An infinity has its sign always.
    let sign = if v == f64::INFINITY && !spec.space { "+" } else { sign(negative, spec) };
    let spec = Spec { zero: spec.zero && v.is_finite(), ..spec };
    pad_number(sign, digits, spec, out)
}

fn write_text(value: &Value, text: &str, spec: Spec, out: &mut Bounded) -> fmt::Result {
    let cut = |text: &str| -> String {
        match spec.precision {
            Some(p) => text.chars().take(p).collect(),
            None => text.to_owned(),
        }
    };
    match spec.verb {
        'v' if spec.sharp => pad(&quote(text), spec, out),
        'v' | 's' => match (spec.width, spec.precision) {
            (None, None) => out.write_str(text),
            _ => pad(&cut(text), spec, out),
        },
        'q' if spec.sharp && !text.contains('`') && text.chars().all(|c| c == '\t' || is_printable(c)) => {
            pad(&format!("`{}`", cut(text)), spec, out)
        }
        'q' => pad(&quote(&cut(text)), spec, out),
        'x' | 'X' => {
            let bytes = spec.precision.map_or(text.len(), |p| p.min(text.len()));
            let mut hex = String::with_capacity(2 * bytes);
            for b in &text.as_bytes()[..bytes] {
                // Writing to a String cannot fail.
                let _ = if spec.verb == 'x' { write!(hex, "{b:02x}") } else { write!(hex, "{b:02X}") };
            }
            pad(&hex, spec, out)
        }
        _ => bad_verb(value, spec, out),
    }
}
