//! `bellwether check rules`: whether rule files can be loaded, and which rules they have twice.

use std::path::Path;

use alerting::GroupConfig;
use alerting::rule_file::{CheckOptions, duplicates};
use serde_json::{Value, json};

use super::args::{Format, Rules};
use super::lint::Lint;
use crate::config::{RuleFile, parse_rule_file, read_rule_file};
use crate::features::Features;
use crate::report::{FAILURE, LINT, Report, SUCCESS};

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) rules: usize,
    /// Why it cannot be loaded.
    pub(super) problems: Vec<String>,
    /// What is unwise about it.
    pub(super) unwise: Option<String>,
}

/// Checks a file.
pub(super) fn file(path: &Path, lint: Lint, options: &CheckOptions) -> Checked {
    Checked::new(path.display().to_string(), read_rule_file(path, options), lint)
}

impl Checked {
    fn new(name: String, found: Result<RuleFile, Vec<String>>, lint: Lint) -> Self {
        match found {
            Err(problems) => Self { name, rules: 0, problems, unwise: None },
            Ok(file) => {
                let rules = file.groups.iter().map(|g| g.rules.len()).sum();
                let unwise = if lint.duplicate_rules { repeated(&file.groups) } else { None };
                Self { name, rules, problems: Vec::new(), unwise }
            }
        }
    }

    /// Says what became of the file, after the line that names it.
    pub(super) fn say(&self, report: &mut Report) {
        if !self.problems.is_empty() {
            report.err("  FAILED:");
            self.problems.iter().for_each(|p| report.err(p));
            return;
        }
        match &self.unwise {
            Some(text) => {
                report.err("  FAILED:");
                report.err(format_args!("lint error {text}"));
            }
            None => report.out(format_args!("  SUCCESS: {} rules found", self.rules)),
        }
        report.out("");
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "file": self.name, "valid": self.problems.is_empty(), "rules": self.rules,
            "errors": self.problems, "lint": self.unwise,
        })
    }
}

/// The exit code for all files together.
pub(super) fn code(all: &[Checked], lint_fatal: bool) -> u8 {
    if all.iter().any(|c| !c.problems.is_empty()) {
        return FAILURE;
    }
    if lint_fatal && all.iter().any(|c| c.unwise.is_some()) { LINT } else { SUCCESS }
}

/// Rules that are there several times, as promtool lists them.
fn repeated(groups: &[GroupConfig]) -> Option<String> {
    let found = duplicates(groups);
    if found.is_empty() {
        return None;
    }
    let mut out = format!("{} duplicate rule(s) found.\n", found.len());
    for (name, labels, _) in &found {
        out.push_str(&format!("Metric: {name}\nLabel(s):\n"));
        for (label, value) in labels.iter() {
            out.push_str(&format!("\t{label}: {value}\n"));
        }
    }
    out.push_str("Might cause inconsistency while recording expressions");
    Some(out)
}

/// Checks rule files, or what standard input holds.
pub(super) fn run(
    options: &Rules,
    features: &Features,
    standard_input: &dyn Fn() -> std::io::Result<String>,
) -> Report {
    let mut report = Report::default();
    let check = CheckOptions {
        ignore_unknown_fields: options.ignore_unknown_fields,
        parse: features.language(),
        ..CheckOptions::default()
    };
    let lint = Lint::read(&options.lint, None, &mut report);
    let mut all = Vec::new();
    if options.files.is_empty() {
        let found = standard_input()
            .map_err(|e| vec![format!("cannot read standard input: {e}")])
            .and_then(|text| parse_rule_file("standard input", &text, &check));
        all.push(Checked::new("standard input".into(), found, lint));
    }
    all.extend(options.files.iter().map(|path| file(path, lint, &check)));
    match options.format {
        Format::Text => {
            for checked in &all {
                report.out(format_args!("Checking {}", checked.name));
                checked.say(&mut report);
            }
        }
        Format::Json => {
            let files: Vec<Value> = all.iter().map(Checked::json).collect();
            report.out(format_args!("{:#}", Value::Array(files)));
        }
    }
    report.code = code(&all, options.lint_fatal);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lint_fatal: bool, format: Format) -> Report {
        let options =
            Rules { files: vec![], lint: "all".into(), lint_fatal, ignore_unknown_fields: false, format };
        run(&options, &Features::default(), &|| Ok(text.to_owned()))
    }

    #[test]
    fn what_is_experimental_has_to_be_asked_for() {
        let text = "groups: [{name: g, rules: [{record: a, expr: 'mad_over_time(b[5m])'}, {record: c, expr: d + fill(0) e}]}]\n";
        let options = Rules {
            files: vec![],
            lint: "none".into(),
            lint_fatal: false,
            ignore_unknown_fields: false,
            format: Format::Text,
        };
        let check =
            |features: &str| run(&options, &Features::of([features]).unwrap(), &|| Ok(text.to_owned()));
        let said = check("promql-binop-fill-modifiers").err_text();
        assert!(said.contains("mad_over_time") && !said.contains("fill"), "{said}");
        let good = check("promql-binop-fill-modifiers,promql-experimental-functions");
        assert_eq!(good.code, SUCCESS, "{good:?}");
    }

    #[test]
    fn says_how_many_rules_there_are() {
        let good = check(
            "groups: [{name: g, rules: [{record: a, expr: b}, {alert: c, expr: d}]}]\n",
            true,
            Format::Text,
        );
        assert_eq!(
            (good.code, good.out_text().as_str()),
            (SUCCESS, "Checking standard input\n  SUCCESS: 2 rules found\n\n")
        );
        let bad = check("groups: [{name: g, rules: [{record: a}]}]\n", true, Format::Text);
        assert_eq!(bad.code, FAILURE);
        assert!(bad.err_text().contains("field 'expr' must be set in rule"), "{bad:?}");
    }

    #[test]
    fn repeated_rules_are_listed() {
        let text = "groups: [{name: g, rules: [{record: a, expr: b, labels: {x: y}}, {record: a, expr: c, labels: {x: y}}]}]\n";
        let want = "  FAILED:\nlint error 1 duplicate rule(s) found.\nMetric: a\nLabel(s):\n\tx: y\n\
                    Might cause inconsistency while recording expressions\n";
        let fatal = check(text, true, Format::Text);
        assert_eq!((fatal.code, fatal.err_text().as_str()), (LINT, want));
        assert_eq!(check(text, false, Format::Text).code, SUCCESS);
        let json: Value = serde_json::from_str(&check(text, true, Format::Json).out_text()).unwrap();
        assert_eq!((&json[0]["valid"], &json[0]["rules"]), (&json!(true), &json!(2)));
    }
}
