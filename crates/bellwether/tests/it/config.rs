//! `bellwether check config`, and the help.

use crate::harness::bellwether;

fn check(configuration: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, configuration).expect("written");
    let output = bellwether().args(["check", "config"]).arg(&file).output().expect("it runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn a_good_file_passes_and_a_bad_one_names_line_and_key() {
    let (ok, said) = check("global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: a\n");
    assert!(ok, "{said}");
    let (ok, said) =
        check("global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: a\n    metric_path: /x\n");
    assert!(!ok);
    assert!(
        said.contains("line 5") && said.contains("metric_path") && said.contains("metrics_path"),
        "{said}"
    );
}

#[test]
fn what_is_not_supported_yet_is_said() {
    let (ok, said) = check("remote_read: [{url: http://a}]\n");
    assert!(ok, "{said}");
    assert!(said.contains("WARNING") && said.contains("remote_read"), "{said}");
}

#[test]
fn help_suggests_the_next_step() {
    let output = bellwether().output().expect("it runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("bellwether serve"), "{said}");
    let version = bellwether().arg("--version").output().expect("it runs");
    assert!(version.status.success());
}
