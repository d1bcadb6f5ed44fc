//! Rules about the crates: ARCHITECTURE.md tells the truth about them, and they stay few, shallow and alike.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{ARCHITECTURE_LINES_MAX, CRATES_MAX, IMPORT_DEPTH_MAX, LOCAL_IMPORTS_MAX};
use super::{Complaint, File};

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Crates whose task is to put others together; they may import as many as that takes.
const ASSEMBLERS: [&str; 3] = ["engine", "server", "bellwether"];

/// The workspace's own crates that each crate imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Checks every manifest, and ARCHITECTURE.md against them.
pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut manifests = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with("/Cargo.toml")) {
        match file.text.parse::<toml::Table>() {
            Ok(table) => manifests.push((file.path.as_str(), table)),
            Err(e) => {
                complaints.push(Complaint::new(&file.path, 0, format!("cannot read it: {}", e.message())));
            }
        }
    }
    let names: BTreeSet<String> = manifests
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml").map(str::to_owned))
        .collect();
    let mut imports = Imports::new();
    for (path, table) in &manifests {
        complaints.extend(check_manifest(path, table));
        if let Some(name) = path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml")) {
            let of = dependencies(table, &["dependencies", "build-dependencies"]);
            imports.insert(name.into(), of.into_iter().filter(|d| names.contains(d)).collect());
        }
    }
    complaints.extend(check_shape(&imports));
    match files.iter().find(|f| f.path == ARCHITECTURE) {
        Some(file) => complaints.extend(check_architecture(&file.text, &imports)),
        None => complaints.push(Complaint::new(ARCHITECTURE, 0, "it is missing")),
    }
    complaints
}

fn dependencies(table: &toml::Table, sections: &[&str]) -> Vec<String> {
    let sections = sections.iter().filter_map(|s| table.get(*s)?.as_table());
    sections.flat_map(|t| t.keys().cloned()).collect()
}

fn check_manifest(path: &str, table: &toml::Table) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let inherits = |v: Option<&toml::Value>| {
        v.and_then(|v| v.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    if !inherits(table.get("lints")) {
        complaints.push(Complaint::new(path, 0, "does not inherit the workspace's lints"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(deps) = table.get(section).and_then(toml::Value::as_table) else { continue };
        // A crate that tests itself with a feature on names itself by its folder.
        let is_itself = |spec: &toml::Value| spec.get("path").and_then(toml::Value::as_str) == Some(".");
        for (name, _) in deps.iter().filter(|(_, spec)| !inherits(Some(spec)) && !is_itself(spec)) {
            let text =
                format!("{name} has a version of its own: versions stand in the workspace's Cargo.toml");
            complaints.push(Complaint::new(path, 0, text));
        }
    }
    complaints
}

fn check_shape(imports: &Imports) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if imports.len() > CRATES_MAX {
        complaints.push(Complaint::new(
            "crates",
            0,
            format!("{} crates: more than {CRATES_MAX}", imports.len()),
        ));
    }
    for (name, of) in imports {
        let path = format!("crates/{name}/Cargo.toml");
        if of.len() > LOCAL_IMPORTS_MAX && !ASSEMBLERS.contains(&name.as_str()) {
            let text = format!("imports {} crates of ours: more than {LOCAL_IMPORTS_MAX}", of.len());
            complaints.push(Complaint::new(&path, 0, text));
        }
        let depth = depth(name, imports);
        if depth > IMPORT_DEPTH_MAX {
            let text = format!("stands {depth} crates high: more than {IMPORT_DEPTH_MAX}");
            complaints.push(Complaint::new(&path, 0, text));
        }
    }
    complaints
}

/// Crates on the longest chain of imports. Cargo refuses circles, so this ends.
fn depth(name: &str, imports: &Imports) -> usize {
    let below = imports.get(name).into_iter().flatten().map(|i| depth(i, imports));
    1 + below.max().unwrap_or(0)
}

fn check_architecture(text: &str, imports: &Imports) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |line, text: String| complaints.push(Complaint::new(ARCHITECTURE, line, text));
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        complain(0, format!("{lines} lines: more than {ARCHITECTURE_LINES_MAX}"));
    }
    let table = crate_table(text);
    for (name, of) in imports {
        let Some((line, said)) = table.get(name) else {
            complain(0, format!("the crate table has no row for `{name}`"));
            continue;
        };
        for missing in of.difference(said) {
            complain(
                *line,
                format!("`{name}` imports `{missing}`, which its row does not say: a new edge is an event"),
            );
        }
        for gone in said.difference(of) {
            complain(*line, format!("`{name}` does not import `{gone}`, as its row says"));
        }
    }
    for (name, (line, _)) in table.iter().filter(|(name, _)| !imports.contains_key(*name)) {
        complain(*line, format!("there is no crate `{name}`"));
    }
    let invariants = invariants(text);
    for name in imports.keys() {
        match invariants.get(name) {
            None => complain(0, format!("there is no section \"### `{name}`\"")),
            Some(1) => {}
            Some(n) => complain(0, format!("the section of `{name}` has {n} bold **Invariant:**, not one")),
        }
    }
    complaints
}

/// The rows of the table whose columns are crate, what it owns, what it imports.
fn crate_table(text: &str) -> BTreeMap<String, (usize, BTreeSet<String>)> {
    let mut rows = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, of] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|n| n.strip_suffix('`')) else { continue };
        let of = of.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.insert(name.to_owned(), (i + 1, of));
    }
    rows
}

/// How many invariants each crate's section states.
fn invariants(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if line.starts_with('#') {
            current =
                line.strip_prefix("### `").and_then(|l| l.split_once('`')).map(|(name, _)| name.to_owned());
            if let Some(name) = &current {
                counts.insert(name.clone(), 0);
            }
        }
        if let Some(count) = current.as_ref().and_then(|name| counts.get_mut(name)) {
            *count += line.matches("**Invariant:**").count();
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
| crate | owns | imports |
|---|---|---|
| `base` | words | — |
| `lake` | tables | `base` |

### `base`
**Invariant:** no I/O.

### `lake`
Text. **Invariant:** no HTTP.
";

    fn manifest(dependencies: &str) -> String {
        format!("[package]\nname = \"x\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}")
    }

    fn complaints(architecture: &str, lake: &str) -> Vec<String> {
        let file = |path: &str, text: String| File { path: path.into(), text };
        let files = [
            file(ARCHITECTURE, architecture.into()),
            file("crates/base/Cargo.toml", manifest("")),
            file("crates/lake/Cargo.toml", lake.into()),
        ];
        check(&files).into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn the_table_has_to_tell_the_truth() {
        let check = |architecture: &str, lake: &str, want: &[&str]| {
            let seen = complaints(architecture, lake);
            assert_eq!(seen.len(), want.len(), "{seen:?}");
            for (seen, want) in seen.iter().zip(want) {
                assert!(seen.contains(want), "{seen:?}");
            }
        };
        let lake = manifest("base.workspace = true\nserde = { workspace = true }\n");
        check(GOOD, &lake, &[]);
        check(GOOD, &manifest(""), &["does not import `base`"]);
        check(
            &GOOD.replace("tables | `base` |", "tables | — |"),
            &lake,
            &["imports `base`, which its row does not say"],
        );
        check(&GOOD.replace("| `lake` | tables | `base` |", ""), &lake, &["no row for `lake`"]);
        check(
            &GOOD.replace("| `base` | words", "| `bass` | words"),
            &lake,
            &["no row for `base`", "no crate `bass`"],
        );
        check(&GOOD.replace("### `lake`", "### lake"), &lake, &["no section"]);
        check(&GOOD.replace("**Invariant:** no HTTP", "no HTTP"), &lake, &["has 0 bold"]);
        check(&(GOOD.to_owned() + "**Invariant:** two.\n"), &lake, &["has 2 bold"]);
        check(&(GOOD.to_owned() + &"\n".repeat(400)), &lake, &["lines: more than 400"]);
    }

    #[test]
    fn manifests_inherit() {
        let bare = "[package]\nname = \"x\"\n[dependencies]\nbase.workspace = true\nserde = \"1\"\n";
        let seen = complaints(GOOD, bare);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[0].contains("lints") && seen[1].contains("serde has a version of its own"));
        assert!(complaints(GOOD, "[").iter().any(|c| c.contains("cannot read it")));
    }

    #[test]
    fn crates_stay_few_and_shallow() {
        let of = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let mut imports = Imports::new();
        for i in 0..7 {
            let below = (i > 0).then(|| format!("c{}", i - 1));
            imports.insert(format!("c{i}"), below.into_iter().collect());
        }
        assert_eq!(check_shape(&imports).len(), 1);
        let wide = Imports::from([
            ("wide".into(), of(&["a", "b", "c", "d"])),
            ("engine".into(), of(&["a", "b", "c", "d"])),
        ]);
        assert_eq!(check_shape(&wide).len(), 1);
        let many = (0..17).map(|i| (format!("c{i}"), BTreeSet::new())).collect();
        assert_eq!(check_shape(&many).len(), 1);
    }
}
