//! `cargo xtask bench NAME`: builds Bellwether and `bench/` as they are shipped, and runs the latter.
//!
//! Owns how the two are built and found; what is measured is `bench/`'s business.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs a benchmark with the arguments after `bench`; `true` if it found nothing wrong.
pub(crate) fn run(root: &Path, args: Vec<OsString>) -> Result<bool> {
    let asks_for_help = args.is_empty() || args.iter().any(|a| a == "--help" || a == "-h");
    let names_a_binary = args.iter().any(|a| a.to_string_lossy().starts_with("--bellwether"));
    let mut crates = vec!["--package=bench"];
    if !asks_for_help && !names_a_binary {
        crates.push("--package=bellwether");
    }
    let built = Command::new("cargo")
        .args(["build", "--release", "--bins"])
        .args(&crates)
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(built.success(), "cannot build what is to be measured");
    let programs = target_folder(root)?.join("release");
    let mut command = Command::new(programs.join("bench"));
    command.args(if args.is_empty() { vec!["--help".into()] } else { args });
    if !asks_for_help {
        command.arg("--results").arg(root.join("bench/RESULTS.md"));
        if !names_a_binary {
            command.arg("--bellwether").arg(programs.join("bellwether"));
        }
    }
    Ok(command.status().context("cannot run the benchmark")?.success())
}

/// Where cargo puts what it builds, which settings may have moved.
fn target_folder(root: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo does not say where it builds")?;
    Ok(PathBuf::from(folder))
}
