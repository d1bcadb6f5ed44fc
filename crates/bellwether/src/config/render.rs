//! Writes a checked document back as YAML without its secrets, for people to see what is loaded.
//!
//! Comments are left out, since a line that was commented out may hold a password; aliases are written in full.

use super::grammar::{Section, Shape};
use super::raw::{Entry, Node, Scalar, Value};
use super::url;

const HIDDEN: &str = "<secret>";

/// The document as YAML.
pub(super) fn without_secrets(section: &'static Section, root: &Node) -> String {
    let mut out = String::new();
    if !root.is_null() {
        node(&mut out, root, Shape::Section(section), 0);
    }
    out
}

fn node(out: &mut String, value: &Node, shape: Shape, indent: usize) {
    match &value.value {
        Value::Null => out.push_str("null\n"),
        Value::Scalar(s) => {
            scalar(out, s, shape);
            out.push('\n');
        }
        Value::List(items) if items.is_empty() => out.push_str("[]\n"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}\n"),
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                start(out, indent, i);
                out.push_str("- ");
                node(out, item, item_shape(shape), indent + 1);
            }
        }
        Value::Map(entries) => {
            for (i, entry) in entries.iter().enumerate() {
                start(out, indent, i);
                text(out, &entry.key);
                out.push(':');
                let nested = match &entry.value.value {
                    Value::List(items) => !items.is_empty(),
                    Value::Map(entries) => !entries.is_empty(),
                    _ => false,
                };
                out.push(if nested { '\n' } else { ' ' });
                if nested {
                    pad(out, indent + 1);
                }
                node(out, &entry.value, entry_shape(shape, entry), indent + 1);
            }
        }
    }
}

/// The first line of a nested value is where its key or dash already is.
fn start(out: &mut String, indent: usize, position: usize) {
    if position > 0 {
        pad(out, indent);
    }
}

fn pad(out: &mut String, indent: usize) {
    for _ in 0..indent {
        out.push_str("  ");
    }
}

fn item_shape(list: Shape) -> Shape {
    match list {
        Shape::Sections(section, _) => Shape::Section(section),
        Shape::Secrets => Shape::Secret,
        other => other,
    }
}

fn entry_shape(map: Shape, entry: &Entry) -> Shape {
    match map {
        // A checked document has no unknown key; hiding is the side to err on.
        Shape::Section(section) => section.key(&entry.key.text).map_or(Shape::Secret, |k| k.shape),
        Shape::NamedSections(section) => Shape::Section(section),
        Shape::SecretMap => Shape::Secret,
        Shape::SecretsMap => Shape::Secrets,
        other => other,
    }
}

fn scalar(out: &mut String, s: &Scalar, shape: Shape) {
    match shape {
        Shape::Secret if s.text.is_empty() => out.push_str("\"\""),
        Shape::Secret | Shape::Secrets | Shape::SecretMap | Shape::SecretsMap => out.push_str(HIDDEN),
        Shape::Url => text(out, &Scalar { text: url::without_password(&s.text), ..s.clone() }),
        _ => text(out, s),
    }
}

fn text(out: &mut String, s: &Scalar) {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-');
    let starts_well = s.text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    // Words that YAML 1.1 reads as a boolean or nothing need quotes if they had some.
    let word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .iter()
        .any(|w| s.text.eq_ignore_ascii_case(w));
    if !s.text.is_empty() && s.text.bytes().all(safe) && (s.plain || (starts_well && !word)) {
        out.push_str(&s.text);
        return;
    }
    out.push('"');
    for c in s.text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
