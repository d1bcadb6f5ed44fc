//! The pages in a headless Chromium, driven by the scripts in `ui/e2e`.

use std::path::Path;
use std::process::Command;

use crate::harness::{Bellwether, eventually, find_program, skip};

/// What runs without a configuration, rules, and an endpoint of remote write that nobody answers at.
const CONFIGURATION: &str = "global: {scrape_interval: 15s, evaluation_interval: 1s}\n\
    exporters: {node: {enabled: true}, bellwether: {enabled: true}}\nrule_files: [rules.yml]\n\
    remote_write: [{name: far, url: 'http://127.0.0.1:9/api/v1/write', queue_config: {batch_send_deadline: 1s}}]\n";

const RULES: &str = "groups:\n- name: example\n  rules:\n\
    \x20 - {record: 'job:up:sum', expr: sum by (job) (up)}\n\
    \x20 - {alert: SomethingIsUp, expr: up == 1, labels: {severity: page},\n\
    \x20    annotations: {summary: '{{ $labels.job }} is up', runbook: 'https://example.org/up'}}\n\
    \x20 - {alert: NothingIsWrong, expr: up == 7, for: 5m}\n\
    \x20 - {record: Broken, expr: 'label_replace(up, \"job\", \"x\", \"\", \"\") * 0 + 1', labels: {instance: y}}\n";

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
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("the rules are written");
    let b = Bellwether::start_in(folder, Some(CONFIGURATION));
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
