//! `file_sd_configs`: targets that files name. Reading those files is the discovery's task.

use std::path::Path;

use collect::config::FileSdConfig;

use super::super::global::or_default;
use super::super::grammar::{Key, Map, Section, Shape};
use super::super::pattern::only_last_part_has_star;
use super::super::raw::Outcome;

/// One list of files.
pub(super) static SECTION: Section = Section {
    name: "file_sd_configs",
    keys: &[&[Key::new("files", Shape::Texts), Key::new("refresh_interval", Shape::Duration)]],
    check: check_rules,
};

fn check_rules(map: &Map<'_>) -> Outcome<()> {
    let files = map.texts("files")?;
    map.require(
        !files.is_empty(),
        "files",
        "file service discovery config must contain at least one path name",
    )?;
    let ends = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    for name in files {
        let ok = ends.iter().any(|e| name.ends_with(e)) && only_last_part_has_star(name);
        map.require(ok, "files", &format!("path name {name:?} is not valid for file discovery"))?;
    }
    Ok(())
}

/// Reads the lists. File names are relative to `dir`.
pub(in super::super) fn read(map: &Map<'_>, dir: &Path) -> Outcome<Vec<FileSdConfig>> {
    let one = |map: &Map<'_>| {
        Ok(FileSdConfig {
            files: map.texts("files")?.into_iter().map(|f| dir.join(f)).collect(),
            refresh_interval: or_default(map.duration("refresh_interval")?, FileSdConfig::DEFAULT_REFRESH),
        })
    };
    map.maps("file_sd_configs")?.iter().map(one).collect()
}
