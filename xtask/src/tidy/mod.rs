//! `cargo xtask tidy`: rules about the repository's structure that neither the compiler nor clippy knows.
//!
//! Each rule is a pure function from texts to complaints; only this file reads the repository.

mod crates;
mod limits;
mod machine;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Something that a rule does not allow.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    path: String,
    /// Counted from 1; 0 where the complaint is about the whole file.
    line: usize,
    text: String,
}

impl Complaint {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.into(), line, text: text.into() }
    }
}

/// A text file of the repository.
struct File {
    path: String,
    text: String,
}

/// Checks the repository and prints what it finds; `true` if that is nothing.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let files = files(root)?;
    let machine = machine::Machine::this();
    let complaints = check(&files, &machine);
    for c in &complaints {
        let line = if c.line == 0 { String::new() } else { format!(":{}", c.line) };
        println!("{}{line}: {}", c.path, c.text);
    }
    println!("tidy: {} files, {} complaints", files.len(), complaints.len());
    Ok(complaints.is_empty())
}

fn check(files: &[File], machine: &machine::Machine) -> Vec<Complaint> {
    let mut complaints = crates::check(files);
    complaints.extend(files.iter().flat_map(source::check_file));
    complaints.extend(source::check_share_of_long_functions(files));
    complaints.extend(files.iter().flat_map(|f| machine::check(f, machine)));
    complaints
}

/// What git tracks or would track, as far as it is text.
fn files(root: &Path) -> Result<Vec<File>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "cannot list files: {}", String::from_utf8_lossy(&output.stderr));
    let mut files = Vec::new();
    for name in output.stdout.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let path = PathBuf::from(String::from_utf8_lossy(name).into_owned());
        // A file may be gone from the folder and still be in the index; pictures and archives are not UTF-8.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        files.push(File { path: path.to_string_lossy().into_owned(), text });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
