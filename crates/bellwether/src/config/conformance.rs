//! Runs Prometheus' own configuration files through the loader.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Checked, load, load_str};

/// Files whose refusal means the same in other words: unknown keys, keys given twice and wrong kinds name line, key and
/// what is near, where Prometheus names Go types.
const OWN_WORDS: [(&str, &str); 5] = [
    (
        "unknown_attr.bad.yml",
        r#"unknown key "consult_sd_configs" in scrape_configs, did you mean "consul_sd_configs"?"#,
    ),
    ("unknown_global_attr.bad.yml", r#"unknown key "nonexistent_field" in global"#),
    ("kubernetes_namespace_discovery.bad.yml", r#"unknown key "foo" in namespaces"#),
    ("section_key_dup.bad.yml", r#"key "scrape_configs" is already set in line 1"#),
    (
        "scrape_config_files_fallback_scrape_protocol2.bad.yml",
        "fallback_scrape_protocol must be a single value, not a list",
    ),
];

/// Files of the examples that are other things than configurations of a server.
const OTHER_EXAMPLES: [&str; 3] = ["promtool-http-config-file.yml", "rbac-setup.yml", "web-config.yml"];

pub(super) fn conformance(part: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    #[allow(clippy::disallowed_methods, reason = "a test finds its data through the environment")]
    let root = std::env::var("BELLWETHER_CONFORMANCE").map_or_else(|_| default(), PathBuf::from);
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    #[allow(clippy::disallowed_macros, reason = "a suite that cannot run has to say so")]
    {
        println!("SKIPPED config {part}: no conformance data");
    }
    None
}

fn names(dir: &Path, accept: impl Fn(&str) -> bool) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| accept(n))
        .collect();
    names.sort();
    names
}

fn good_files(dir: &Path) -> Vec<PathBuf> {
    let in_dir = |dir: PathBuf| {
        let names = names(&dir, |n| n.ends_with(".good.yml"));
        names.into_iter().map(move |n| dir.join(n))
    };
    in_dir(dir.into()).chain(in_dir(dir.join("scrape_configs"))).collect()
}

fn load_plain(path: &Path) -> base::Result<Checked> {
    load(path, &|_| None)
}

#[test]
fn accepts_every_good_file() {
    let Some(dir) = conformance("prometheus/config/testdata") else { return };
    let files = good_files(&dir);
    assert_eq!(files.len(), 56);
    for file in files {
        if let Err(e) = load_plain(&file) {
            panic!("{e}");
        }
    }
}

#[test]
fn accepts_every_example() {
    let Some(dir) = conformance("prometheus/documentation/examples") else { return };
    let files = names(&dir, |n| n.ends_with(".yml") && !OTHER_EXAMPLES.contains(&n));
    assert_eq!(files.len(), 20);
    for name in files {
        if let Err(e) = load_plain(&dir.join(&name)) {
            panic!("{name}: {e}");
        }
    }
}

#[test]
fn refuses_every_bad_file_in_prometheus_words() {
    let Some(dir) = conformance("prometheus/config/testdata") else { return };
    let Some(expected) = conformance("extracted/prometheus_config_errors.json") else { return };
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let expected: BTreeMap<&str, &str> = expected["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["file"].as_str().unwrap(), c["error_contains"].as_str().unwrap()))
        .collect();
    assert_eq!(expected.len(), 136);
    let files = names(&dir, |n| n.contains(".bad."));
    assert_eq!(files.len(), 147);
    let (mut same, mut own, mut unstated, mut wrong) = (0, 0, 0, Vec::new());
    for name in &files {
        let message = match load_plain(&dir.join(name)) {
            Ok(_) => {
                wrong.push(format!("{name}: accepted"));
                continue;
            }
            Err(e) => e.message().to_owned(),
        };
        if let Some((_, words)) = OWN_WORDS.iter().find(|(n, _)| n == name) {
            own += 1;
            if !message.contains(words) || !message.contains("line ") {
                wrong.push(format!("{name}: {message}"));
            }
            continue;
        }
        let Some(words) = expected.get(name.as_str()) else {
            unstated += 1;
            continue;
        };
        // The file's name stands before the cause in other words too.
        let prefix = format!("parsing YAML file testdata/{name}: ");
        match message.contains(words.strip_prefix(&prefix).unwrap_or(words)) {
            true => same += 1,
            false => wrong.push(format!("{name}: {message}\n    wanted {words}")),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((same, own, unstated), (131, 5, 11));
}

#[test]
fn a_shown_configuration_has_no_secrets_and_loads_again() {
    let Some(dir) = conformance("prometheus/config/testdata") else { return };
    for file in good_files(&dir) {
        let checked = load_plain(&file).unwrap();
        let (shown, name) = (&checked.original_text_without_secrets, file.display());
        for secret in
            ["mysecret", "multiline", "testAppSecret", "testConsumerKey", "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"]
        {
            assert!(!shown.contains(secret), "{name} shows {secret}:\n{shown}");
        }
        let again = load_str(shown, file.parent().unwrap(), &|_| None)
            .unwrap_or_else(|e| panic!("{name}: {e}\n{shown}"));
        assert_eq!(&again.original_text_without_secrets, shown, "{name}");
        assert_eq!(again.scrape_configs.len(), checked.scrape_configs.len(), "{name}");
        assert_eq!(again.external_labels, checked.external_labels, "{name}");
    }
}
