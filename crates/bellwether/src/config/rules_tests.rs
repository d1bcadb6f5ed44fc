//! Rule files of Prometheus and of the field.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alerting::rule_file::CheckOptions;

use super::conformance::conformance;
use super::{RuleFile, parse_rule_file, read_rule_file};

fn check(text: &str) -> Result<RuleFile, Vec<String>> {
    parse_rule_file("r.yml", text, &CheckOptions::default())
}

fn refused(text: &str, want: &[&str]) {
    let problems = check(text).expect_err("it is refused");
    assert_eq!(problems, want, "{text}");
}

/// The files below a folder with one of these endings.
fn files_below(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files_below(&path, endings));
        } else if endings.iter().any(|e| path.to_string_lossy().ends_with(e)) {
            out.push(path);
        }
    }
    out.sort();
    out
}

#[test]
fn a_file_is_read_with_its_defaults() {
    let file = check(
        "groups:\n- name: a\n  interval: 30s\n  limit: 5\n  query_offset: 0s\n  labels: {team: x, zone: y}\n  rules:\n\
         \x20 - record: job:up:sum\n    expr: sum by(job)(up)\n    labels: {team: z}\n\
         \x20 - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    annotations: {summary: '{{ $value }}'}\n\
         - name: b\n---\nignored\n",
    )
    .unwrap();
    assert_eq!(file.second_document, Some(17));
    let [a, b] = file.groups.as_slice() else { panic!("{:?}", file.groups) };
    assert_eq!((a.name.as_str(), a.file.as_str(), a.limit), ("a", "r.yml", 5));
    assert_eq!((a.interval, a.query_offset), (Some(Duration::from_secs(30)), Some(Duration::ZERO)));
    assert_eq!((b.interval, b.query_offset, b.rules.len()), (None, None, 0));
    assert_eq!(a.rules[0].query, "sum by (job) (up)");
    assert_eq!(alerting::pair(&a.rules[0].labels, "team"), Some("z"));
    assert_eq!(alerting::pair(&a.rules[1].labels, "zone"), Some("y"));
    let terms = a.rules[1].alert().unwrap();
    assert_eq!((terms.hold, terms.keep_firing_for), (Duration::from_secs(300), Duration::from_secs(60)));
}

#[test]
fn mistakes_are_told_in_prometheus_words_with_their_place() {
    let rule = |text: &str| format!("groups:\n- name: g\n  rules:\n  - {}\n", text.replace('\n', "\n    "));
    refused(
        &rule("expr: 1"),
        &[r#"0:0: 0:0: group "g", rule 1, "": one of 'record' or 'alert' must be set"#],
    );
    refused(
        &rule("record: a\nalert: B\nexpr: 1"),
        &[r#"4:13: 5:12: group "g", rule 1, "B": only one of 'record' and 'alert' must be set"#],
    );
    refused(&rule("record: a"), &[r#"0:0: group "g", rule 1, "a": field 'expr' must be set in rule"#]);
    refused(
        &rule("record: a\nexpr: rate(hi)"),
        &[
            r#"5:11: group "g", rule 1, "a": could not parse expression: 1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
        ],
    );
    refused(
        &rule("record: a\nexpr: 1\nfor: 1m\nkeep_firing_for: 1m\nannotations: {a: b}"),
        &[
            r#"4:13: group "g", rule 1, "a": invalid field 'annotations' in recording rule"#,
            r#"4:13: group "g", rule 1, "a": invalid field 'for' in recording rule"#,
            r#"4:13: group "g", rule 1, "a": invalid field 'keep_firing_for' in recording rule"#,
        ],
    );
    refused(
        &rule("alert: A\nexpr: 1\nlabels: {__name__: x}"),
        &[r#"group "g", rule 1, "A": invalid label name: __name__"#],
    );
    let template =
        check(&rule("alert: A\nexpr: 1\nlabels: {a: '{{$wrong}}'}\nannotations: {b: '{{ $labels.x * 2 }}'}"))
            .unwrap_err();
    assert!(
        template[0].contains(r#"label "a": template: __alert_A:1: undefined variable "$wrong""#),
        "{template:?}"
    );
    assert!(template[1].contains(r#"annotation "b": template: __alert_A:1"#), "{template:?}");
    refused(
        "groups:\n- name: a\n- name: a\n- rules: []\n",
        &["3:3: groupname: \"a\" is repeated in the same file", "4:3: Groupname must not be empty"],
    );
    refused(
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    annotation: {}\n",
        &[r#"line 6: unknown key "annotation" in rules, did you mean "annotations"?"#],
    );
}

#[test]
fn prometheus_own_bad_files_are_refused_in_its_words() {
    let Some(dir) = conformance("prometheus/model/rulefmt/testdata") else { return };
    let expected = [
        ("bad_expr", "parse error"),
        // Unknown keys name what is near.
        ("bad_field", r#"unknown key "annotation""#),
        ("duplicate_grp", "groupname: \"yolo\" is repeated in the same file"),
        ("invalid_label_name", "invalid label name"),
        (
            "invalid_record_name",
            "braces present in the recording rule name; should it be in expr?: strawberry{flavor=\"sweet\"}",
        ),
        ("legacy_validation_annotation", "invalid annotation name: ins-tance"),
        ("no_rec_alert", "one of 'record' or 'alert' must be set"),
        ("noexpr", "field 'expr' must be set in rule"),
        ("record_and_alert", "only one of 'record' and 'alert' must be set"),
        ("record_and_for", "invalid field 'for' in recording rule"),
        ("record_and_keep_firing_for", "invalid field 'keep_firing_for' in recording rule"),
    ];
    assert_eq!(files_below(&dir, &[".bad.yaml"]).len(), expected.len());
    for (name, words) in expected {
        let options = CheckOptions { legacy_names: name.starts_with("legacy"), ..CheckOptions::default() };
        let problems = read_rule_file(&dir.join(format!("{name}.bad.yaml")), &options).unwrap_err();
        assert!(problems[0].contains(words), "{name}: {problems:?}");
    }
}

#[test]
fn every_good_file_of_prometheus_loads() {
    let (Some(formats), Some(fixtures)) =
        (conformance("prometheus/model/rulefmt/testdata"), conformance("prometheus/rules/fixtures"))
    else {
        return;
    };
    let mut files = files_below(&formats, &[".yaml"]);
    files.extend(files_below(&fixtures, &[".yaml"]));
    files.retain(|f| !f.to_string_lossy().contains(".bad.") && !f.ends_with("invalid_rules.yaml"));
    assert_eq!(files.len(), 19);
    for file in files {
        if let Err(problems) = read_rule_file(&file, &CheckOptions::default()) {
            panic!("{problems:?}");
        }
    }
    let invalid = read_rule_file(&fixtures.join("invalid_rules.yaml"), &CheckOptions::default()).unwrap_err();
    assert!(invalid[0].contains("unexpected_field"), "{invalid:?}");
    let many = read_rule_file(&fixtures.join("rules_multi_doc.yaml"), &CheckOptions::default()).unwrap();
    assert!(many.second_document.is_some());
}

/// Rule files of the field: how many there are, and how many rules they hold.
fn load_all(texts: impl Iterator<Item = (PathBuf, String)>) -> (usize, usize) {
    let (mut files, mut rules) = (0, 0);
    for (path, text) in texts {
        let name = path.display().to_string();
        let file = parse_rule_file(&name, &text, &CheckOptions::default())
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        files += 1;
        rules += file.groups.iter().map(|g| g.rules.len()).sum::<usize>();
    }
    (files, rules)
}

fn read_all(files: Vec<PathBuf>) -> impl Iterator<Item = (PathBuf, String)> {
    files.into_iter().map(|f| (f.clone(), std::fs::read_to_string(f).unwrap()))
}

#[test]
fn rule_files_of_the_field_load() {
    if let Some(dir) = conformance("monitoring-mixins/assets") {
        let files = files_below(&dir, &["alerts.yaml", "rules.yaml"]);
        let (files, rules) = load_all(read_all(files));
        assert!(files == 212 && rules > 1000, "{files} files, {rules} rules");
    }
    if let Some(dir) = conformance("awesome-prometheus-alerts/dist") {
        let (files, rules) = load_all(read_all(files_below(&dir, &[".yml"])));
        assert!(files == 112 && rules > 500, "{files} files, {rules} rules");
    }
    if let Some(dir) = conformance("kube-prometheus/manifests") {
        // The groups are the `spec` of a Kubernetes resource.
        let spec = |(path, text): (PathBuf, String)| {
            let (_, spec) = text.split_once("\nspec:\n").expect("it is a resource");
            (path, spec.lines().map(|l| l.strip_prefix("  ").unwrap_or(l).to_owned() + "\n").collect())
        };
        let (files, rules) = load_all(read_all(files_below(&dir, &["Rule.yaml"])).map(spec));
        assert!(files == 8 && rules > 150, "{files} files, {rules} rules");
    }
}

#[test]
fn ten_thousand_rules_load() {
    let Some(path) = conformance("prometheus/cmd/promtool/testdata/rules_large.yml") else { return };
    let file = read_rule_file(&path, &CheckOptions::default()).unwrap();
    assert_eq!(file.groups.iter().map(|g| g.rules.len()).sum::<usize>(), 10_002);
    assert_eq!(alerting::rule_file::duplicates(&file.groups).len(), 2);
}
