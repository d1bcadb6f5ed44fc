//! Relabelling rules, wherever they stand.

use collect::config::NameValidation;
use collect::relabel::{Action, Rule, RuleFields};

use super::grammar::{Key, Map, Section, Shape};
use super::raw::{Outcome, Problem};

/// One rule.
pub(super) static SECTION: Section = Section {
    name: "a relabelling rule",
    keys: &[&[
        Key::new("source_labels", Shape::Texts),
        Key::new("separator", Shape::Text),
        Key::new("regex", Shape::Text),
        Key::new("modulus", Shape::Count),
        Key::new("target_label", Shape::Text),
        Key::new("replacement", Shape::Text),
        Key::new("action", Shape::Text),
    ]],
    check: |map| fields(map).map(drop),
};

fn fields(map: &Map<'_>) -> Outcome<RuleFields> {
    let default = RuleFields::default();
    let or_default = |key, default: String| match map.get(key) {
        None => Ok(default),
        Some(_) => map.text(key).map(str::to_owned),
    };
    let action = match map.get("action") {
        None => Action::Replace,
        Some(node) if node.is_null() => return map.problem("action", "relabel action cannot be empty"),
        Some(_) => {
            map.text("action")?.parse().or_else(|e: base::Error| map.problem("action", e.message()))?
        }
    };
    let source_labels: Vec<String> = map.texts("source_labels")?.into_iter().map(str::to_owned).collect();
    if source_labels.iter().any(String::is_empty) {
        return map.problem("source_labels", "\"\" is not a valid label name");
    }
    let fields = RuleFields {
        source_labels,
        separator: or_default("separator", default.separator)?,
        regex: or_default("regex", default.regex)?,
        modulus: map.count("modulus")?,
        target_label: map.text("target_label")?.to_owned(),
        replacement: or_default("replacement", default.replacement)?,
        action,
    };
    if let Err(cause) = base::compile_anchored(&fields.regex) {
        return map.problem("regex", format!("error parsing regexp: {cause}"));
    }
    Ok(fields)
}

/// Reads and compiles the rules of a list.
pub(super) fn read(map: &Map<'_>, key: &str, validation: NameValidation) -> Outcome<Vec<Rule>> {
    map.maps(key)?
        .iter()
        .map(|m| Rule::new(fields(m)?, validation).map_err(|e| Problem::new(m.line, e.message())))
        .collect()
}
