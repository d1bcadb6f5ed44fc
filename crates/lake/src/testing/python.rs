//! Python with the packages of other projects that tests run beside.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A Python that has these modules, divided by commas: the one that `BELLWETHER_PYTHON` names, or one in `PATH`. If there is none the
/// test is skipped, and says so; with `CI` set that is a failure.
pub fn python_with(test: &str, modules: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BELLWETHER_PYTHON").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("python3")).filter(|p| p.is_file());
    let has = |python: &PathBuf| {
        let import = format!("import {modules}");
        let run = Command::new(python).args(["-c", &import]).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let found = named.into_iter().chain(in_path).find(has);
    if found.is_none() {
        skip(test, &format!("no Python has {modules}"));
    }
    found
}

/// Counts a test as skipped and says why; with `CI` set that is a failure.
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} cannot run in CI: {why}");
    skip_anywhere(test, why);
}

/// The same for what CI need not have either: other projects' data.
pub fn skip_anywhere(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}
