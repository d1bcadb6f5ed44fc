//! Rule files, from what they say to checked groups. The messages are Prometheus'.
//!
//! Reading YAML is left to the caller, who knows the configuration's dialect and positions; it fills in [`GroupSource`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use promql::{Expr, ParseOptions};

use crate::expand::alert_template;
use crate::rule::{AlertTerms, GroupConfig, Pairs, RuleConfig, RuleKind};

/// A place in a file, both counted from 1; zeros for what is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A text and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// The text; empty where absent.
    pub text: String,
    /// Its place.
    pub place: Place,
}

/// A group as it is written.
#[derive(Debug, Clone, Default)]
pub struct GroupSource {
    /// Where it begins.
    pub place: Place,
    /// `name`
    pub name: String,
    /// `interval`; zero where absent.
    pub interval: Duration,
    /// `query_offset`
    pub query_offset: Option<Duration>,
    /// `limit`; zero where absent.
    pub limit: i64,
    /// `labels`
    pub labels: Vec<(String, String)>,
    /// `rules`
    pub rules: Vec<RuleSource>,
}

/// A rule as it is written.
#[derive(Debug, Clone, Default)]
pub struct RuleSource {
    /// `record`
    pub record: Placed,
    /// `alert`
    pub alert: Placed,
    /// `expr`
    pub expr: Placed,
    /// `for`; zero where absent.
    pub hold: Duration,
    /// `keep_firing_for`; zero where absent.
    pub keep_firing_for: Duration,
    /// `labels`
    pub labels: Vec<(String, String)>,
    /// `annotations`
    pub annotations: Vec<(String, String)>,
}

/// How files are checked.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Whether names have to be of Prometheus' old kind, rather than any UTF-8.
    pub legacy_names: bool,
    /// Whether keys that no rule has are passed over; asked of who reads the file.
    pub ignore_unknown_fields: bool,
    /// How expressions are parsed.
    pub parse: ParseOptions,
}

/// Checks the groups of one file, and returns them or everything that is wrong with them.
pub fn check(
    file: &str,
    groups: &[GroupSource],
    options: &CheckOptions,
) -> Result<Vec<GroupConfig>, Vec<String>> {
    let mut checker = Checker { options, problems: Vec::new() };
    let mut names = BTreeSet::new();
    let mut out = Vec::with_capacity(groups.len());
    for group in groups {
        let Place { line, column } = group.place;
        if group.name.is_empty() {
            checker.problems.push(format!("{line}:{column}: Groupname must not be empty"));
        }
        if !names.insert(group.name.as_str()) {
            let name = &group.name;
            let text = format!("{line}:{column}: groupname: \"{name}\" is repeated in the same file");
            checker.problems.push(text);
        }
        for (name, _) in &group.labels {
            if !checker.is_label_name(name) || name == METRIC_NAME {
                checker.problems.push(format!("invalid label name: {name}"));
            }
        }
        let rules: Vec<_> =
            group.rules.iter().enumerate().filter_map(|(i, rule)| checker.rule(group, i + 1, rule)).collect();
        out.push(GroupConfig {
            name: group.name.clone(),
            file: file.to_owned(),
            interval: Some(group.interval).filter(|i| !i.is_zero()),
            query_offset: group.query_offset,
            limit: usize::try_from(group.limit).unwrap_or(0),
            labels: merged(&[&group.labels]),
            rules,
        });
    }
    if checker.problems.is_empty() { Ok(out) } else { Err(checker.problems) }
}

/// Rules of one file that write the same series: each name with its labels, and how often it comes. Prometheus accepts
/// them, and they are hardly ever meant.
pub fn duplicates(groups: &[GroupConfig]) -> Vec<(String, Pairs, usize)> {
    let mut seen: BTreeMap<(&str, &Pairs), usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|g| &g.rules) {
        *seen.entry((&rule.name, &rule.labels)).or_default() += 1;
    }
    let repeated = seen.into_iter().filter(|(_, n)| *n > 1);
    repeated.map(|((name, labels), n)| (name.to_owned(), labels.clone(), n)).collect()
}

struct Checker<'a> {
    options: &'a CheckOptions,
    problems: Vec<String>,
}

impl Checker<'_> {
    fn is_label_name(&self, name: &str) -> bool {
        if self.options.legacy_names { is_legacy_label_name(name) } else { !name.is_empty() }
    }

    /// Checks a rule; `None` if something is wrong with it.
    fn rule(&mut self, group: &GroupSource, number: usize, rule: &RuleSource) -> Option<Arc<RuleConfig>> {
        let (mut found, mut parsed) = (Vec::new(), None);
        self.check_names(rule, &mut found);
        if rule.expr.text.is_empty() {
            found.push((Some(vec![rule.expr.place]), "field 'expr' must be set in rule".into()));
        } else {
            match promql::parse(&rule.expr.text, &self.options.parse) {
                Ok(expr) => parsed = Some(expr),
                Err(e) => {
                    found.push((Some(vec![rule.expr.place]), format!("could not parse expression: {e}")));
                }
            }
        }
        self.check_recording(rule, &mut found);
        for (name, _) in &rule.labels {
            if !self.is_label_name(name) || name == METRIC_NAME {
                found.push((None, format!("invalid label name: {name}")));
            }
        }
        for (name, _) in rule.annotations.iter().filter(|(n, _)| !self.is_label_name(n)) {
            found.push((None, format!("invalid annotation name: {name}")));
        }
        let labels = merged(&[&group.labels, &rule.labels]);
        let kind = match rule.alert.text.as_str() {
            "" => Some(RuleKind::Recording),
            name => alerting(name, rule, &labels, &mut found),
        };
        let name = if rule.alert.text.is_empty() { &rule.record.text } else { &rule.alert.text };
        let any = !found.is_empty();
        for (places, text) in found {
            let places: String =
                places.iter().flatten().map(|p| format!("{}:{}: ", p.line, p.column)).collect();
            let group = &group.name;
            self.problems.push(format!("{places}group {group:?}, rule {number}, {name:?}: {text}"));
        }
        let (kind, expr): (RuleKind, Expr) = (kind?, parsed?);
        if any {
            return None;
        }
        Some(Arc::new(RuleConfig { name: name.clone(), query: expr.to_string(), expr, labels, kind }))
    }

    fn check_names(&self, rule: &RuleSource, found: &mut Found) {
        let both = || Some(vec![rule.record.place, rule.alert.place]);
        match (rule.record.text.is_empty(), rule.alert.text.is_empty()) {
            (false, false) => found.push((both(), "only one of 'record' and 'alert' must be set".into())),
            (true, true) => found.push((both(), "one of 'record' or 'alert' must be set".into())),
            _ => {}
        }
    }

    fn check_recording(&self, rule: &RuleSource, found: &mut Found) {
        let name = rule.record.text.as_str();
        if name.is_empty() {
            return;
        }
        let mut complain = |wrong: bool, text: &dyn Fn() -> String| {
            if wrong {
                found.push((Some(vec![rule.record.place]), text()));
            }
        };
        let field = |field: &'static str| move || format!("invalid field '{field}' in recording rule");
        complain(!rule.annotations.is_empty(), &field("annotations"));
        complain(!rule.hold.is_zero(), &field("for"));
        complain(!rule.keep_firing_for.is_zero(), &field("keep_firing_for"));
        complain(self.options.legacy_names && !is_legacy_metric_name(name), &|| {
            format!("invalid recording rule name: {name}")
        });
        complain(name.contains(['{', '}']), &|| {
            format!("braces present in the recording rule name; should it be in expr?: {name}")
        });
    }
}

/// What is wrong, and where, if that is known.
type Found = Vec<(Option<Vec<Place>>, String)>;

/// Reads the templates of an alerting rule.
fn alerting(name: &str, rule: &RuleSource, labels: &Pairs, found: &mut Found) -> Option<RuleKind> {
    let annotations = merged(&[&rule.annotations]);
    let mut read = |what: &str, pairs: &Pairs| -> Option<Vec<_>> {
        let mut all = Vec::with_capacity(pairs.len());
        for (key, text) in pairs.iter() {
            match alert_template(name, text) {
                Ok(template) => all.push(template),
                Err(e) => found.push((None, format!("{what} {key:?}: {e}"))),
            }
        }
        (all.len() == pairs.len()).then_some(all)
    };
    let (label_templates, annotation_templates) = (read("label", labels), read("annotation", &annotations));
    Some(RuleKind::Alerting(Box::new(AlertTerms {
        hold: rule.hold,
        keep_firing_for: rule.keep_firing_for,
        label_templates: label_templates?,
        annotation_templates: annotation_templates?,
        annotations,
    })))
}

/// One set of pairs; what comes later in the list wins.
fn merged(lists: &[&[(String, String)]]) -> Pairs {
    let all: BTreeMap<_, _> = lists.iter().flat_map(|l| l.iter().cloned()).collect();
    all.into_iter().collect()
}
