//! Target files that appear, change, break and go.

use super::*;

fn provider(files: Vec<PathBuf>) -> (FileProvider, IntCounter) {
    let errors = IntCounter::new("errors", "errors").unwrap();
    // Long enough that only the stamps tell of a change.
    let config = FileSdConfig { files, refresh_interval: Duration::from_secs(3_600) };
    (FileProvider::new(config, errors.clone()), errors)
}

fn show(groups: &[TargetGroup]) -> Vec<String> {
    let one = |g: &TargetGroup| {
        let targets: Vec<_> = g.targets.iter().map(|t| t.get_or_empty(ADDRESS_LABEL)).collect();
        let labels = g.labels.filtered(|n| n != FILEPATH_LABEL);
        format!("{} {labels}", targets.join(","))
    };
    groups.iter().map(one).collect()
}

#[test]
fn reads_json_and_yaml() {
    let check = |name: &str, text: &str, want: &[&str]| {
        let got =
            target_groups(Path::new(name), text).map_or_else(|e| vec![e.message().to_owned()], |g| show(&g));
        assert_eq!(got, want, "{text}");
    };
    check("a.json", r#"[{"targets": ["a:1", "b:2"], "labels": {"x": "y"}}]"#, &[r#"a:1,b:2 {x="y"}"#]);
    check(
        "a.yml",
        "- targets: [a:1]\n  labels: {port: 80, on: true}\n- targets: [b:2]\n",
        &[r#"a:1 {on="true", port="80"}"#, "b:2 {}"],
    );
    check("a.yaml", "", &[]);
    check("a.txt", "", &[r#"unknown file extension "txt": use json, yml or yaml"#]);
    assert!(target_groups(Path::new("a.json"), r#"[{"targets": [], "label": {}}]"#).is_err());
    assert!(target_groups(Path::new("a.yml"), "- targets: a\n").is_err());
}

#[tokio::test]
async fn follows_files_as_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("a-1.json", r#"[{"targets": ["a:1"]}]"#);
    write("b.json", r#"[{"targets": ["never:1"]}]"#);
    let (mut p, errors) = provider(vec![path("a-*.json"), path("later.yml")]);
    assert_eq!(show(&p.next().await), ["a:1 {}"]);

    write("a-2.json", r#"[{"targets": ["a:2"]}]"#);
    assert!(p.look(false).await);
    assert_eq!(show(&p.groups()), ["a:1 {}", "a:2 {}"]);
    assert!(!p.look(false).await && !p.look(true).await);

    write("later.yml", "- targets: [c:3]\n");
    write("a-1.json", "[{\"targets\": ");
    assert!(p.look(false).await);
    assert_eq!(show(&p.groups()), ["a:1 {}", "a:2 {}", "c:3 {}"]);
    assert_eq!(errors.get(), 1);

    std::fs::remove_file(path("a-1.json")).unwrap();
    assert!(p.look(false).await);
    assert_eq!(show(&p.groups()), ["a:2 {}", "c:3 {}"]);
}

#[tokio::test]
async fn a_change_ends_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    let (mut p, _) = provider(vec![file.clone()]);
    p.config.refresh_interval = Duration::from_millis(20);
    assert!(p.next().await.is_empty());
    let waiting = tokio::spawn(async move { p.next().await });
    std::fs::write(&file, r#"[{"targets": ["a:1"]}]"#).unwrap();
    let groups = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(show(&groups), ["a:1 {}"]);
    assert_eq!(groups[0].labels.get(FILEPATH_LABEL), file.to_str());
}
