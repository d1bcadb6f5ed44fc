//! The section `exporters`: collectors built into this program. Prometheus has no such section.

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;

/// The section.
pub(super) static SECTION: Section = Section {
    name: "exporters",
    keys: &[&[Key::new("node", Shape::Section(&NODE)), Key::new("bellwether", Shape::Section(&BELLWETHER))]],
    check: no_rules,
};

static BELLWETHER: Section =
    Section { name: "exporters.bellwether", keys: &[&[Key::new("enabled", Shape::Bool)]], check: no_rules };

static NODE: Section =
    Section { name: "exporters.node", keys: &[&[Key::new("enabled", Shape::Bool)]], check: no_rules };

/// Which built-in collectors run. With a configuration file each runs only if the file asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exporters {
    /// The collector of the host's own metrics.
    pub node: bool,
    /// The program's metrics about itself.
    pub bellwether: bool,
}

/// Reads the section. A collector's section without `enabled` asks for the collector.
pub(super) fn read(map: &Map<'_>) -> Outcome<Exporters> {
    let wants = |name| Ok(map.get(name).is_some() && map.map(name).flag("enabled", true)?);
    Ok(Exporters { node: wants("node")?, bellwether: wants("bellwether")? })
}
