//! Texts: case, patterns, escapes, links.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

use crate::format::sprint;
use crate::limits::{MAX_OUTPUT_BYTES, MAX_PATTERN_BYTES};
use crate::net;
use crate::value::Value;

/// The functions from texts to texts.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let mut texts = [""; 3];
    for (text, arg) in texts.iter_mut().zip(args) {
        if let Value::String(s) = arg {
            *text = s;
        }
    }
    let [a, b, c] = texts;
    Ok(Value::string(match name {
        "safeHtml" => return Ok(Value::Html(a.into())),
        "match" => return Ok(Value::Bool(pattern(a, a)?.is_match(b))),
        "reReplaceAll" => replace_all(a, b, c)?,
        "title" => title(a),
        "toUpper" => a.to_uppercase(),
        "toLower" => a.to_lowercase(),
        "stripPort" => net::strip_port(a).to_owned(),
        "stripDomain" => net::strip_domain(a),
        "graphLink" => format!("/graph?g0.expr={}&g0.tab=0", net::query_escape(a)),
        "tableLink" => format!("/graph?g0.expr={}&g0.tab=1", net::query_escape(a)),
        "urlQueryEscape" => net::query_escape(a),
        _ => return Err(format!("function {name} does not take these arguments")),
    }))
}

fn pattern(text: &str, shown: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build().map_err(|e| {
        let cause = e.to_string();
        let cause = cause.lines().last().unwrap_or("").trim_start_matches("error: ");
        format!("error parsing regexp: {cause}: `{shown}`")
    })
}

fn replace_all(expression: &str, replacement: &str, text: &str) -> Result<String, String> {
    let regex =
        pattern(expression, expression).map_err(|e| format!("regexp: Compile(`{expression}`): {e}"))?;
    let matches = regex.find_iter(text).count();
    // Each match can put in the whole text for every reference.
    let references = replacement.matches('$').count();
    let worst =
        text.len().saturating_add(matches.saturating_mul(replacement.len() + references * text.len()));
    if worst > MAX_OUTPUT_BYTES {
        return Err(crate::format::too_long());
    }
    Ok(regex.replace_all(text, replacement).into_owned())
}

/// Every word with a capital, the rest as it is.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        let is_letter = c.is_alphanumeric() || matches!(c, '_' | '\'' | '\u{2019}');
        if is_letter && !in_word {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        // An apostrophe belongs to the word that it stands in and begins none.
        in_word = if matches!(c, '\'' | '\u{2019}') { in_word } else { is_letter };
    }
    out
}

/// The arguments as one text, nil as an action prints it.
pub(super) fn printed(args: &[Value]) -> Result<String, String> {
    let args: Vec<Value> =
        args.iter().map(|v| if matches!(v, Value::Nil) { "<no value>".into() } else { v.clone() }).collect();
    sprint(&args)
}

pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' | '\u{7f}'..'\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
