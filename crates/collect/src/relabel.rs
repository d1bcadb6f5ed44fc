//! Relabelling: rules that rewrite, keep or drop label sets.
//!
//! Owns the rules, their checks and their application. Does not know what the labels stand for: targets and scraped
//! series go through the same code.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use base::{Error, LabelsBuilder, Result};
use md5::{Digest, Md5};
use regex::{Captures, Regex};

use crate::config::NameValidation;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// Writes the replacement to the target label where the expression matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops where the target label differs from the source.
    KeepEqual,
    /// Drops where the target label equals the source.
    DropEqual,
    /// Writes the source's hash modulo `modulus` to the target label.
    HashMod,
    /// Copies labels whose name matches to the name that the replacement gives.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Writes the source in lower case to the target label.
    Lowercase,
    /// Writes the source in upper case to the target label.
    Uppercase,
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// The name in a configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

impl FromStr for Action {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.to_lowercase();
        Self::ALL
            .into_iter()
            .find(|a| a.as_str() == lower)
            .ok_or_else(|| Error::invalid(format!("unknown relabel action {text:?}")))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fields of a rule as a configuration states them; `default()` gives Prometheus' defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFields {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between the joined values.
    pub separator: String,
    /// Expression that has to match the whole of the joined values, or of a label's name.
    pub regex: String,
    /// Divisor of `hashmod`.
    pub modulus: u64,
    /// Label to write; `replace` expands `$1` and `${name}` in it.
    pub target_label: String,
    /// Value to write, with `$1` and `${name}` expanded.
    pub replacement: String,
    /// What to do.
    pub action: Action,
}

impl Default for RuleFields {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".into(),
            regex: "(.*)".into(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".into(),
            action: Action::Replace,
        }
    }
}

/// A checked rule, compiled.
#[derive(Clone)]
pub struct Rule {
    fields: RuleFields,
    validation: NameValidation,
    regex: Regex,
    target: Template,
    replacement: Template,
}

impl Rule {
    /// Checks and compiles a rule. The messages are Prometheus'.
    pub fn new(fields: RuleFields, validation: NameValidation) -> Result<Self> {
        check(&fields, validation)?;
        let regex = base::compile_anchored(&fields.regex)?;
        let target = Template::new(&fields.target_label, &regex);
        let replacement = Template::new(&fields.replacement, &regex);
        Ok(Self { fields, validation, regex, target, replacement })
    }

    /// The fields that the rule was made from.
    pub fn fields(&self) -> &RuleFields {
        &self.fields
    }

    /// Applies the rule; `false` means that the label set is dropped.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let f = &self.fields;
        let target = f.target_label.as_str();
        match f.action {
            Action::LabelMap | Action::LabelDrop | Action::LabelKeep => {
                self.apply_to_names(labels);
                return true;
            }
            _ => {}
        }
        let source = self.source(labels);
        match f.action {
            Action::Keep => return self.regex.is_match(&source),
            Action::Drop => return !self.regex.is_match(&source),
            Action::KeepEqual => return labels.get(target) == source,
            Action::DropEqual => return labels.get(target) != source,
            Action::Replace => self.replace(&source, labels),
            Action::HashMod => {
                let digest: [u8; 16] = Md5::digest(source.as_bytes()).into();
                let [.., a, b, c, d, e, f2, g, h] = digest;
                let hash = u64::from_be_bytes([a, b, c, d, e, f2, g, h]);
                labels.set(target, &(hash % f.modulus).to_string());
            }
            Action::Lowercase => {
                labels.set(target, &map_chars(&source, |c| one(c, c.to_lowercase())));
            }
            Action::Uppercase => {
                labels.set(target, &map_chars(&source, |c| one(c, c.to_uppercase())));
            }
            Action::LabelMap | Action::LabelDrop | Action::LabelKeep => {}
        }
        true
    }

    fn apply_to_names(&self, labels: &mut LabelsBuilder) {
        match self.fields.action {
            Action::LabelDrop => {
                labels.retain(|name, _| !self.regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name, _| self.regex.is_match(name));
            }
            _ => {
                let mut mapped = Vec::new();
                labels.retain(|name, value| {
                    if let Some(captures) = self.regex.captures(name) {
                        mapped.push((name.to_owned(), self.replacement.expand(&captures), value.to_owned()));
                    }
                    true
                });
                // Two labels may map to one name: in order of the names the last wins, whatever order they came in.
                mapped.sort_unstable();
                for (_, name, value) in mapped {
                    if !name.is_empty() {
                        labels.set(&name, &value);
                    }
                }
            }
        }
    }

    fn source(&self, labels: &LabelsBuilder) -> String {
        let mut joined = String::new();
        for (i, name) in self.fields.source_labels.iter().enumerate() {
            if i > 0 {
                joined.push_str(&self.fields.separator);
            }
            joined.push_str(labels.get(name));
        }
        joined
    }

    fn replace(&self, source: &str, labels: &mut LabelsBuilder) {
        let Some(captures) = self.regex.captures(source) else { return };
        let target = self.target.expand(&captures);
        if is_label_name(&target, self.validation) {
            labels.set(&target, &self.replacement.expand(&captures));
        }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && self.validation == other.validation
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.fields, f)
    }
}

/// Applies rules in order; `false` means that one of them drops the label set.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

fn check(f: &RuleFields, validation: NameValidation) -> Result<()> {
    use Action as A;
    let (action, default) = (f.action, RuleFields::default());
    let fail = |message: String| Err(Error::invalid(message));
    if action == A::HashMod && f.modulus == 0 {
        return fail("relabel configuration for hashmod requires non-zero modulus".into());
    }
    let writes =
        matches!(action, A::Replace | A::HashMod | A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual);
    if writes && f.target_label.is_empty() {
        return fail(format!("relabel configuration for {action} action requires 'target_label' value"));
    }
    let name_ok = if action == A::Replace && f.target_label.contains('$') {
        is_label_template(&f.target_label, validation)
    } else {
        !writes || is_label_name(&f.target_label, validation)
    };
    if !name_ok {
        return fail(format!("{:?} is invalid 'target_label' for {action} action", f.target_label));
    }
    let fixed = matches!(action, A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual);
    if fixed && f.replacement != default.replacement {
        return fail(format!("'replacement' can not be set for {action} action"));
    }
    if action == A::LabelMap && !is_label_template(&f.replacement, validation) {
        return fail(format!("{:?} is invalid 'replacement' for {action} action", f.replacement));
    }
    let same = f.modulus == default.modulus
        && f.separator == default.separator
        && f.replacement == default.replacement;
    if matches!(action, A::DropEqual | A::KeepEqual) && !(same && f.regex == default.regex) {
        return fail(format!(
            "{action} action requires only 'source_labels' and `target_label`, and no other fields"
        ));
    }
    if matches!(action, A::LabelDrop | A::LabelKeep)
        && !(same && f.source_labels.is_empty() && f.target_label.is_empty())
    {
        return fail(format!("{action} action requires only 'regex', and no other fields"));
    }
    Ok(())
}

fn is_label_name(name: &str, validation: NameValidation) -> bool {
    match validation {
        NameValidation::Utf8 => !name.is_empty(),
        NameValidation::Legacy => base::is_legacy_label_name(name),
    }
}

/// Whether a template can give a label name: letters, digits, underscores and `$1`, `${1}`.
fn is_label_template(text: &str, validation: NameValidation) -> bool {
    if validation == NameValidation::Utf8 {
        return !text.is_empty();
    }
    let (mut rest, mut first) = (text, true);
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '$' => match take_variable(&rest[1..]) {
                Some((name, tail)) if name.is_ascii() => tail,
                _ => return false,
            },
            c if c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && !first) => &rest[1..],
            _ => return false,
        };
        first = false;
    }
    !text.is_empty()
}

/// Text with references to groups, compiled once.
#[derive(Clone)]
struct Template {
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Literal(String),
    Group(usize),
}

impl Template {
    /// `$name` takes as many letters, digits and underscores as follow; `$$` is a dollar sign; a dollar sign before
    /// anything else stands for itself; a group that the expression lacks is empty.
    fn new(text: &str, regex: &Regex) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(tail) = rest.strip_prefix('$') {
                literal.push('$');
                rest = tail;
            } else if let Some((name, tail)) = take_variable(rest) {
                rest = tail;
                if let Some(group) = group_index(name, regex) {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Group(group));
                }
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        Self { parts }
    }

    fn expand(&self, captures: &Captures<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Group(i) => out.push_str(captures.get(*i).map_or("", |m| m.as_str())),
            }
        }
        out
    }
}

/// Splits a variable's name off the text after a dollar sign.
fn take_variable(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = text.strip_prefix('{').map_or((false, text), |t| (true, t));
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced { rest.strip_prefix('}').map(|rest| (name, rest)) } else { Some((name, rest)) }
}

fn group_index(name: &str, regex: &Regex) -> Option<usize> {
    let numeric = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if numeric {
        return name.parse().ok().filter(|i| *i < regex.captures_len());
    }
    regex.capture_names().position(|n| n == Some(name))
}

fn map_chars(text: &str, map: impl Fn(char) -> char) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        out.write_char(map(c)).expect("writing to a string cannot fail");
    }
    out
}

/// One character stays one character, as in Go: `ß` has no single upper-case form and is left as it is.
fn one(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

#[cfg(test)]
#[path = "relabel_tests.rs"]
mod tests;
