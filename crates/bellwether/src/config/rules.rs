//! Rule files: their keys, and the way from YAML to checked groups. What a rule may say is checked in `alerting`.

use std::collections::HashSet;
use std::path::Path;

use alerting::GroupConfig;
use alerting::rule_file::{self, CheckOptions, GroupSource, Place, Placed, RuleSource};
use base::{Error, Result};
use collect::config::NameValidation;
use engine::ParseOptions;

use super::checked::{Checked, matching_files, read_file};
use super::grammar::{self, Key, Map, Section, Shape, no_rules};
use super::raw::{self, Node, Outcome, Problem};
use super::{limits, scalar};

/// The top level of a rule file.
static FILE: Section = Section {
    name: "",
    keys: &[&[Key::new("groups", Shape::Sections(&GROUP, Some("empty or null rule group")))]],
    check: no_rules,
};

static GROUP: Section = Section {
    name: "groups",
    keys: &[&[
        Key::new("name", Shape::Text),
        Key::new("interval", Shape::Duration),
        Key::new("query_offset", Shape::Duration),
        Key::new("limit", Shape::Integer),
        Key::new("labels", Shape::Labels),
        Key::new("rules", Shape::Sections(&RULE, Some("empty or null rule"))),
    ]],
    check: no_rules,
};

static RULE: Section = Section {
    name: "rules",
    keys: &[&[
        Key::new("record", Shape::Text),
        Key::new("alert", Shape::Text),
        Key::new("expr", Shape::Text),
        Key::new("for", Shape::Duration),
        Key::new("keep_firing_for", Shape::Duration),
        Key::new("labels", Shape::Labels),
        Key::new("annotations", Shape::TextMap),
    ]],
    check: no_rules,
};

/// What a rule file holds.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<GroupConfig>,
    /// Where a second document begins, which is not read.
    pub second_document: Option<usize>,
}

/// Reads and checks the rule files of a configuration: every group, or the first file's errors. `parse` says what expressions may
/// hold.
pub fn load_rules(checked: &Checked, parse: ParseOptions) -> Result<Vec<GroupConfig>> {
    let options = CheckOptions {
        legacy_names: checked.global.name_validation == NameValidation::Legacy,
        parse,
        ..CheckOptions::default()
    };
    let (mut groups, mut seen) = (Vec::new(), HashSet::new());
    for path in matching_files(&checked.rule_files, "rule files", limits::MAX_RULE_FILES)? {
        // Two patterns may match the same file.
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = read_rule_file(&path, &options)
            .map_err(|problems| Error::invalid(format!("cannot load rules: {}", problems.join("\n  "))))?;
        if let Some(line) = file.second_document {
            let path = path.display();
            tracing::warn!(%path, line, "a second YAML document starts here, which is not read");
        }
        groups.extend(file.groups);
    }
    Ok(groups)
}

/// Reads and checks one rule file. Each problem names the file.
pub fn read_rule_file(path: &Path, options: &CheckOptions) -> Result<RuleFile, Vec<String>> {
    let name = path.display().to_string();
    let text = read_file(path).map_err(|e| vec![format!("{name}: {e}")])?;
    let named = |problems: Vec<String>| problems.into_iter().map(|p| format!("{name}: {p}")).collect();
    parse_rule_file(&name, &text, options).map_err(named)
}

/// Checks the text of a rule file. The problems do not name it.
pub fn parse_rule_file(name: &str, text: &str, options: &CheckOptions) -> Result<RuleFile, Vec<String>> {
    let in_line = |p: Problem| vec![p.into_error().message().to_owned()];
    let (document, second_document) = raw::parse_first(text).map_err(in_line)?;
    if !options.ignore_unknown_fields {
        // The tables have no key without effect, so that there is nothing to notice.
        grammar::check(&FILE, &document, &mut Vec::new()).map_err(in_line)?;
    }
    let groups = Map::of(&document).nodes("groups").map_err(in_line)?;
    let groups: Vec<_> = groups.iter().map(group).collect::<Outcome<_>>().map_err(in_line)?;
    Ok(RuleFile { groups: rule_file::check(name, &groups, options)?, second_document })
}

fn group(node: &Node) -> Outcome<GroupSource> {
    let map = Map::of(node);
    Ok(GroupSource {
        place: place(node),
        name: map.text("name")?.to_owned(),
        interval: map.duration("interval")?,
        query_offset: if map.has("query_offset") { Some(map.duration("query_offset")?) } else { None },
        limit: map.integer("limit", 0)?,
        labels: pairs(&map, "labels")?,
        rules: map.nodes("rules")?.iter().map(rule).collect::<Outcome<_>>()?,
    })
}

fn rule(node: &Node) -> Outcome<RuleSource> {
    let map = Map::of(node);
    let placed = |key| {
        let place = map.get(key).map_or(Place::default(), place);
        Ok(Placed { text: map.text(key)?.to_owned(), place })
    };
    Ok(RuleSource {
        record: placed("record")?,
        alert: placed("alert")?,
        expr: placed("expr")?,
        hold: map.duration("for")?,
        keep_firing_for: map.duration("keep_firing_for")?,
        labels: pairs(&map, "labels")?,
        annotations: pairs(&map, "annotations")?,
    })
}

fn place(node: &Node) -> Place {
    Place { line: node.line, column: node.column }
}

fn pairs(map: &Map<'_>, key: &str) -> Outcome<Vec<(String, String)>> {
    let entries = map.map(key).entries.iter();
    entries.map(|e| Ok((e.key.text.clone(), scalar::text(&e.key.text, &e.value)?.to_owned()))).collect()
}
