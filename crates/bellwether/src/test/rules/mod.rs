//! `bellwether test rules`: promtool's unit tests of rules.
//!
//! Owns the order of things and what is printed. Rules are evaluated by `alerting`, expressions by `promql`, on series
//! that are held in memory.

mod compare;
mod group;
mod junit;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alerting::GroupConfig;
use alerting::rule_file::CheckOptions;
use base::{Error, Result};
use regex::Regex;
use serde_json::{Value, json};

use super::args::{Format, Rules};
use crate::config::{UnitTests, load_unit_tests, read_rule_file};
use crate::features::Features;
use crate::report::{FAILURE, Report};
use group::Runner;
use junit::{Case, Suite};

/// Runs the tests of all files.
pub(super) fn run(options: &Rules, features: &Features) -> Result<Report> {
    let pattern = match options.run.is_empty() {
        true => None,
        false => Some(
            Regex::new(&options.run.join("|"))
                .map_err(|e| Error::invalid(format!("cannot read the expression of --run: {e}")))?,
        ),
    };
    let mut report = Report::default();
    let mut suites = Vec::new();
    for file in &options.files {
        let name = file.display().to_string();
        let text = options.format == Format::Text;
        if text {
            report.out(format_args!("Unit Testing:  {name}"));
        }
        let suite = test_file(file, (options, features), pattern.as_ref(), &mut report);
        let failures: Vec<&String> = suite.failures().collect();
        if !failures.is_empty() {
            report.code = FAILURE;
        }
        if text {
            match failures.is_empty() {
                true => report.out("  SUCCESS"),
                false => {
                    report.err("  FAILED:");
                    for failure in failures {
                        report.err(failure);
                        report.out("");
                    }
                }
            }
            report.out("");
        }
        suites.push(suite);
    }
    if options.format == Format::Json {
        report.out(format_args!("{:#}", as_json(&suites, report.code != FAILURE)));
    }
    if let Some(path) = &options.junit {
        std::fs::write(path, junit::xml(&suites))
            .map_err(|e| Error::unavailable(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(report)
}

fn as_json(suites: &[Suite], passed: bool) -> Value {
    let files = suites.iter().map(|suite| {
        let groups = suite.cases.iter().map(|c| json!({ "name": c.name, "failures": c.failures }));
        json!({ "file": suite.name, "error": suite.error, "groups": groups.collect::<Vec<_>>() })
    });
    json!({ "passed": passed, "files": files.collect::<Vec<_>>() })
}

fn test_file(
    file: &Path,
    (options, features): (&Rules, &Features),
    pattern: Option<&Regex>,
    report: &mut Report,
) -> Suite {
    let check = CheckOptions {
        ignore_unknown_fields: options.ignore_unknown_fields,
        parse: features.language(),
        ..CheckOptions::default()
    };
    let mut suite = Suite { name: file.display().to_string(), ..Suite::default() };
    match load_unit_tests(file).and_then(|tests| prepared(tests, report)) {
        Err(e) => suite.error = Some(e.to_string()),
        Ok((tests, rule_files)) => {
            for (i, group) in tests.groups.iter().enumerate() {
                if pattern.is_some_and(|p| !p.is_match(&group.name)) {
                    continue;
                }
                let name = if group.name.is_empty() { format!("unnamed#{i}") } else { group.name.clone() };
                if options.debug {
                    report.err(format_args!("DEBUG: Starting test {name}"));
                }
                let failures = match rules(&tests, &rule_files, &check) {
                    Ok(groups) => Runner::new(&tests, group, groups, options, features).run(report),
                    Err(problems) => problems,
                };
                if options.debug {
                    report.err(format_args!("DEBUG: Test {name} finished"));
                }
                suite.cases.push(Case { name, failures });
            }
        }
    }
    suite
}

/// The tests, and the rule files that its patterns name.
fn prepared(tests: UnitTests, report: &mut Report) -> Result<(UnitTests, Vec<PathBuf>)> {
    let mut files = Vec::new();
    for pattern in &tests.rule_files {
        let shown = pattern.display().to_string();
        let found = glob::glob(&shown)
            .map_err(|e| Error::invalid(format!("cannot read the pattern {shown}: {e}")))?
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| Error::unavailable(format!("cannot look for {shown}: {e}")))?;
        if found.is_empty() {
            report.err(format_args!("  WARNING: no file match pattern {shown}"));
        }
        files.extend(found);
    }
    let order = &tests.group_eval_order;
    if let Some((_, name)) = order.iter().enumerate().find(|(i, name)| order[..*i].contains(name)) {
        return Err(Error::invalid(format!("group name repeated in evaluation order: {name}")));
    }
    Ok((tests, files))
}

/// The groups of rules, in the order of their evaluation, or everything that is wrong with the first bad file.
fn rules(
    tests: &UnitTests,
    files: &[PathBuf],
    options: &CheckOptions,
) -> Result<Vec<GroupConfig>, Vec<String>> {
    let mut groups = Vec::new();
    for file in files {
        groups.extend(read_rule_file(file, options)?.groups);
    }
    // Groups that the order does not name count as the first.
    groups.sort_by_key(|g| tests.group_eval_order.iter().position(|name| *name == g.name).unwrap_or(0));
    Ok(groups)
}

/// A duration as Prometheus writes it.
fn duration(d: Duration) -> String {
    base::format_duration(d)
}
