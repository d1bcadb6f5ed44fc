//! `static_configs`: targets that the configuration names.

use base::Labels;
use collect::config::TargetGroup;

use super::super::grammar::{Key, Map, Section, Shape, no_rules};
use super::super::raw::Outcome;
use super::super::scalar;

/// One group.
pub(super) static SECTION: Section = Section {
    name: "static_configs",
    keys: &[&[Key::new("targets", Shape::Texts), Key::new("labels", Shape::Labels)]],
    check: no_rules,
};

const KEY: &str = "static_configs";

/// Finds addresses that are URLs, unless relabelling may make addresses of them.
pub(in super::super) fn check_targets(map: &Map<'_>) -> Outcome<()> {
    if !map.nodes("relabel_configs")?.is_empty() {
        return Ok(());
    }
    for group in map.maps(KEY)? {
        if let Some(address) = group.texts("targets")?.into_iter().find(|t| t.contains('/')) {
            return group.problem("targets", format!("{address:?} is not a valid hostname"));
        }
    }
    Ok(())
}

/// Reads the groups.
pub(in super::super) fn read(map: &Map<'_>) -> Outcome<Vec<TargetGroup>> {
    let mut groups = Vec::new();
    for (i, group) in map.maps(KEY)?.into_iter().enumerate() {
        let mut pairs = Vec::new();
        for entry in group.map("labels").entries {
            pairs.push((entry.key.text.as_str(), scalar::text(&entry.key.text, &entry.value)?));
        }
        groups.push(TargetGroup::new(i.to_string(), group.texts("targets")?, Labels::from_pairs(pairs)));
    }
    Ok(groups)
}
