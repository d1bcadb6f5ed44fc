//! `cargo xtask ci`: every check there is, in order of how soon it fails.
//!
//! Owns which steps there are and the final count. A step that fails does not stop the others, except that nothing can
//! be tested that was not built.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::count::{self, Count};
use crate::tidy;

/// Runs every step; `true` if all is well. The last line printed is the count of tests.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut broken = Vec::new();
    let mut count = Count::default();
    let mut step = |name: &'static str, ok: bool| {
        if !ok {
            println!("FAILED {name}");
            broken.push(name);
        }
    };
    step("formatting (mend it with `cargo fmt`)", passes(root, &["cargo", "fmt", "--all", "--", "--check"])?);
    heading("tidy");
    step("tidy", tidy::run(root)?);
    // The binary embeds the built pages, so they come before anything that compiles it.
    let ui_built = passes(root, &["make", "--no-print-directory", "ui"])?;
    step("building the web UI", ui_built);
    if ui_built {
        let ui = root.join("ui");
        step("linting the web UI", passes(&ui, &["npm", "run", "--silent", "lint"])?);
        let tests = ui_tests(&ui)?;
        step("unit tests of the web UI", tests.is_some_and(|c| c.failed == 0));
        count.add(tests.unwrap_or_default());
    }
    step(
        "clippy",
        passes(root, &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?,
    );
    let (tests_ok, tests) = cargo_tests(root)?;
    step("cargo test", tests_ok);
    count.add(tests);

    heading("result");
    for name in &broken {
        println!("FAILED {name}");
    }
    let ok = broken.is_empty() && count.failed == 0;
    // A step that failed without a failed test, such as a lint, must not leave a count that looks like success.
    if !ok && count.failed == 0 {
        count.failed = broken.len();
    }
    println!("{}", count.summary());
    Ok(ok)
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn command(dir: &Path, words: &[&str]) -> Command {
    heading(&words.join(" "));
    let (program, args) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

fn passes(dir: &Path, words: &[&str]) -> Result<bool> {
    let status = command(dir, words).status().with_context(|| format!("cannot run {}", words.join(" ")))?;
    Ok(status.success())
}

/// Runs the web UI's unit tests; `None` if they did not get as far as a report.
fn ui_tests(ui: &Path) -> Result<Option<Count>> {
    let report = ui.join("node_modules/.vitest-report.json");
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last report of vitest")?;
    }
    let output = format!("--outputFile.json={}", report.display());
    let words = ["npm", "run", "--silent", "test", "--", "--reporter=default", "--reporter=json", &output];
    let ok = passes(ui, &words)?;
    let count = std::fs::read_to_string(&report).ok().and_then(|text| count::vitest(&text));
    Ok(count.map(|c| if ok || c.failed > 0 { c } else { Count { failed: 1, ..c } }))
}

/// Runs every Rust test, the end-to-end tests among them, and shows their output as it comes.
fn cargo_tests(root: &Path) -> Result<(bool, Count)> {
    let mut child = command(root, &["cargo", "test", "--workspace", "--no-fail-fast", "--", "--show-output"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let stdout = child.stdout.take().context("cannot read what cargo test prints")?;
    let mut output = String::new();
    let mut shown = std::io::stdout().lock();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read what cargo test prints")?).into_owned();
        writeln!(shown, "{line}")?;
        output.push_str(&line);
        output.push('\n');
    }
    drop(shown);
    let ok = child.wait().context("cannot wait for cargo test")?.success();
    heading("tests that did not run");
    for line in output.lines().filter(|l| count::is_skip(l)) {
        println!("{line}");
    }
    Ok((ok, count::cargo(&output)))
}
