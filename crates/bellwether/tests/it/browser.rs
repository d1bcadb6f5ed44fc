//! The pages in a headless Chromium, driven by the scripts in `ui/e2e`.

use std::path::Path;
use std::process::Command;

use crate::harness::{Bellwether, eventually, find_program, skip};

#[test]
fn every_page_works_in_a_browser() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
    let name = "every_page_works_in_a_browser";
    let Some(npm) = find_program("npm") else { return skip(name, "npm is not installed") };
    if find_program("chromium").is_none() {
        return skip(name, "chromium is not installed");
    }
    if !ui.join("node_modules").is_dir() || !ui.join("dist/index.html").is_file() {
        return skip(name, "the web UI is not built");
    }
    let b = Bellwether::start(None);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    let output = Command::new(npm)
        .args(["run", "--silent", "e2e"])
        .current_dir(&ui)
        .env("BELLWETHER_URL", &b.url)
        .output()
        .expect("npm runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
