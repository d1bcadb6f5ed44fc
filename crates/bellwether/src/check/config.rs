//! `bellwether check config`: configuration files, and the files that they name.

use std::path::Path;

use alerting::rule_file::CheckOptions;
use base::{Error, Labels, Result};
use collect::config::{Authorization, HttpConfig, ScrapeConfig, Source, TargetGroup};
use collect::discovery::target_groups;
use collect::target::populate;
use serde_json::{Value, json};

use super::args::{Config, Format};
use super::lint::Lint;
use super::rules;
use crate::config::{self, Checked};
use crate::features::Features;
use crate::report::{FAILURE, LINT, Report, SUCCESS};

/// Checks the files. `features` are those of the command line, `env` gives environment variables for external labels.
pub(super) fn run(options: &Config, features: &Features, env: &dyn Fn(&str) -> Option<String>) -> Report {
    let mut report = Report::default();
    let lint = Lint::read(&options.lint, Some(options.lookback), &mut report);
    let all: Vec<Found> =
        options.files.iter().map(|file| check(file, options, features, lint, env)).collect();
    match options.format {
        Format::Text => all.iter().for_each(|found| found.say(&mut report)),
        Format::Json => {
            let mut files: Vec<Value> = all.iter().map(Found::json).collect();
            let value = if files.len() == 1 { files.remove(0) } else { Value::Array(files) };
            report.out(format_args!("{value:#}"));
        }
    }
    let of_rules: Vec<rules::Checked> = all.iter().flat_map(|f| f.rules.iter().cloned()).collect();
    let unwise = all.iter().any(|f| f.too_long.is_some());
    report.code = match rules::code(&of_rules, options.lint_fatal) {
        _ if all.iter().any(|f| f.outcome.is_err()) => FAILURE,
        SUCCESS if unwise && options.lint_fatal => LINT,
        code => code,
    };
    report
}

/// What became of one file.
struct Found {
    name: String,
    outcome: Result<Valid>,
    /// What is unwise about its scrape intervals.
    too_long: Option<String>,
    rules: Vec<rules::Checked>,
}

/// A file that can be loaded.
struct Valid {
    checked: Checked,
    /// Features that it asks for in vain, and target files that are not there.
    warnings: Vec<String>,
    /// Those of the command line and of the file.
    features: Features,
}

fn check(
    file: &Path,
    options: &Config,
    features: &Features,
    lint: Lint,
    env: &dyn Fn(&str) -> Option<String>,
) -> Found {
    let mut found = Found {
        name: file.display().to_string(),
        outcome: load(file, options, features, env),
        too_long: None,
        rules: vec![],
    };
    let Ok(valid) = &mut found.outcome else { return found };
    if options.syntax_only {
        return found;
    }
    if let Some(lookback) = lint.lookback {
        let too_long = valid.checked.scrape_configs.iter().find(|c| c.scrape_interval >= lookback);
        found.too_long = too_long.map(|c| {
            format!(
                "too long scrape interval found, data point will be marked as stale - job: {}, interval: {}",
                c.job_name,
                base::format_duration(c.scrape_interval)
            )
        });
    }
    match rule_files(&valid.checked) {
        Ok(files) => {
            let options = CheckOptions {
                ignore_unknown_fields: options.ignore_unknown_fields,
                parse: valid.features.language(),
                ..CheckOptions::default()
            };
            let checks = files.iter().map(|f| rules::file(f, lint, &options));
            found.rules = checks.collect();
        }
        Err(e) => found.outcome = Err(e),
    }
    found
}

fn load(
    file: &Path,
    options: &Config,
    features: &Features,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Valid> {
    let checked = config::load(file, env)?;
    let asked = || checked.features.iter().map(String::as_str);
    let mut warnings = Features::of(asked())?.notices().to_vec();
    let features = features.clone().and(asked())?;
    for config in &checked.scrape_configs {
        if !options.syntax_only {
            check_files(&config.http)?;
            warnings.extend(check_target_files(config)?);
        }
        check_targets(config, &config.static_configs)?;
    }
    Ok(Valid { checked, warnings, features })
}

/// The rule files that a configuration names; one that is named without a pattern has to be there.
fn rule_files(checked: &Checked) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for pattern in &checked.rule_files {
        let shown = pattern.display().to_string();
        let bad = |cause: String| Error::invalid(format!("cannot look for rule files {shown:?}: {cause}"));
        let found = glob::glob(&shown)
            .map_err(|e| bad(e.to_string()))?
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| bad(e.to_string()))?;
        if found.is_empty() && !shown.contains('*') {
            return Err(Error::invalid(format!("{shown:?} does not point to an existing file")));
        }
        files.extend(found);
    }
    Ok(files)
}

/// The files with secrets and certificates have to be there.
fn check_files(http: &HttpConfig) -> Result<()> {
    let exists = |path: &Path, what: &str| {
        std::fs::metadata(path).map(|_| ()).map_err(|e| {
            Error::invalid(format!("error checking {what} {:?}: {e}", path.display().to_string()))
        })
    };
    if let Authorization::Credentials { credentials: Source::File(path), .. } = &http.authorization {
        exists(path, "authorization credentials or bearer token file")?;
    }
    if let Some(identity) = &http.tls.identity {
        if let Source::File(path) = &identity.cert {
            exists(path, "client cert file")?;
        }
        if let Source::File(path) = &identity.key {
            exists(path, "client key file")?;
        }
    }
    Ok(())
}

/// Reads the target files of a configuration, and returns the patterns that name none.
fn check_target_files(config: &ScrapeConfig) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for pattern in config.file_sd_configs.iter().flat_map(|c| &c.files) {
        let shown = pattern.display().to_string();
        let paths: Vec<_> = glob::glob(&shown)
            .map_err(|e| Error::invalid(format!("cannot look for target files {shown:?}: {e}")))?
            .filter_map(std::result::Result::ok)
            .collect();
        if paths.is_empty() {
            missing.push(format!(
                "file {shown:?} for file_sd in scrape job {:?} does not exist",
                config.job_name
            ));
        }
        for path in paths {
            check_targets(config, &read_targets(&path)?)?;
        }
    }
    Ok(missing)
}

/// The groups in a target file.
pub(super) fn read_targets(path: &Path) -> Result<Vec<TargetGroup>> {
    let failed = |e: Error| e.context(format!("checking SD file {:?}", path.display().to_string()));
    let text = std::fs::read_to_string(path).map_err(|e| failed(Error::invalid(e.to_string())))?;
    target_groups(path, &text).map_err(failed)
}

fn check_targets(config: &ScrapeConfig, groups: &[TargetGroup]) -> Result<()> {
    for group in groups {
        for (i, target) in group.targets.iter().enumerate() {
            populate(config, group, target)
                .map_err(|e| e.context(format!("instance {i} in group {}", group_name(group))))?;
        }
    }
    Ok(())
}

fn group_name(group: &TargetGroup) -> String {
    let labels: &Labels = &group.labels;
    format!("{} {labels}", group.source)
}

impl Found {
    fn say(&self, report: &mut Report) {
        report.out(format_args!("Checking {}", self.name));
        match &self.outcome {
            Err(e) => report.err(format_args!("  FAILED: {e}")),
            Ok(valid) => {
                for n in &valid.checked.unsupported {
                    report.out(format_args!("  WARNING: line {}: {}: {}", n.line, n.key, n.text));
                }
                valid.warnings.iter().for_each(|text| report.out(format_args!("  WARNING: {text}")));
                if !self.rules.is_empty() {
                    report.out(format_args!("  SUCCESS: {} rule files found", self.rules.len()));
                }
                report.out(format_args!(" SUCCESS: {} is valid prometheus config file syntax", self.name));
            }
        }
        report.out("");
        if let Some(text) = &self.too_long {
            report.err(format_args!("  FAILED: {text}"));
        }
        for checked in &self.rules {
            report.out(format_args!("Checking {}", checked.name));
            checked.say(report);
        }
    }

    fn json(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(rules::Checked::json).collect();
        match &self.outcome {
            Err(e) => json!({ "file": self.name, "valid": false, "error": e.message(), "warnings": [] }),
            Ok(Valid { checked, warnings, .. }) => {
                let notices = checked.unsupported.iter();
                let notices = notices.map(|n| json!({ "line": n.line, "key": n.key, "text": n.text }));
                let warnings = warnings.iter().map(|text| json!({ "text": text }));
                let jobs: Vec<_> = checked.scrape_configs.iter().map(|c| c.job_name.as_str()).collect();
                json!({
                    "file": self.name, "valid": true, "jobs": jobs, "rules": rules, "lint": self.too_long,
                    "warnings": notices.chain(warnings).collect::<Vec<_>>(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `prometheus.yml` beside these files.
    fn check(files: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Report {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut options = Config {
            files: vec![folder.path().join("prometheus.yml")],
            syntax_only: false,
            lint: "duplicate-rules".into(),
            lint_fatal: false,
            ignore_unknown_fields: false,
            lookback: std::time::Duration::from_secs(300),
            format: Format::Text,
        };
        change(&mut options);
        let mut report = run(&options, &Features::default(), &|_| None);
        let prefix = format!("{}/", folder.path().display());
        report.replace(&prefix, "");
        report
    }

    #[test]
    fn says_what_is_wrong_and_what_has_no_effect() {
        let bad = check(&[("prometheus.yml", "global:\n  scrape_intervall: 5s\n")], |_| {});
        assert_eq!(bad.code, FAILURE);
        assert_eq!(
            bad.err_text(),
            "  FAILED: cannot load prometheus.yml: line 2: unknown key \"scrape_intervall\" in global, did you mean \"scrape_interval\"?\n"
        );
        let good = check(&[("prometheus.yml", "remote_read: [{url: http://a}]\n")], |_| {});
        assert_eq!(
            (good.code, good.out_text().as_str()),
            (
                SUCCESS,
                "Checking prometheus.yml\n  WARNING: line 1: remote_read: other stores are not read yet\n \
                 SUCCESS: prometheus.yml is valid prometheus config file syntax\n\n"
            )
        );
    }

    #[test]
    fn features_of_the_file_count() {
        let rules = ("r.yml", "groups: [{name: g, rules: [{record: a, expr: info(b)}]}]\n");
        let text = "rule_files: [r.yml]\nenable_features: [promql-experimental-functions, st-synthesis]\n";
        let good = check(&[("prometheus.yml", text), rules], |_| {});
        assert_eq!(good.code, SUCCESS, "{good:?}");
        assert!(good.out_text().contains("  WARNING: feature st-synthesis has no effect here: "), "{good:?}");
        let without = check(&[("prometheus.yml", "rule_files: [r.yml]\n"), rules], |_| {});
        assert!(
            without.err_text().contains("info() is not enabled") || without.err_text().contains("enable"),
            "{without:?}"
        );
        let bad = check(&[("prometheus.yml", "enable_features: [st-store]\n")], |_| {});
        assert!(bad.err_text().contains("did you mean \"st-storage\"?"), "{bad:?}");
    }

    #[test]
    fn looks_at_the_files_that_a_configuration_names() {
        let rules = ("r.yml", "groups: [{name: g, rules: [{record: a, expr: b}]}]\n");
        let good = check(&[("prometheus.yml", "rule_files: [r*.yml]\n"), rules], |_| {});
        assert_eq!(
            good.out_text(),
            "Checking prometheus.yml\n  SUCCESS: 1 rule files found\n SUCCESS: prometheus.yml is valid prometheus config file syntax\n\n\
             Checking r.yml\n  SUCCESS: 1 rules found\n\n"
        );
        let bad_rules = ("r.yml", "groups: [{name: g, rules: [{record: a}]}]\n");
        let config = ("prometheus.yml", "rule_files: [r.yml]\n");
        assert_eq!(check(&[config, bad_rules], |_| {}).code, FAILURE);
        assert_eq!(check(&[config, bad_rules], |o| o.syntax_only = true).code, SUCCESS);
        assert!(check(&[config], |_| {}).err_text().contains("\"r.yml\" does not point to an existing file"));
        let targets =
            ("prometheus.yml", "scrape_configs: [{job_name: a, file_sd_configs: [{files: [t.json]}]}]\n");
        let missing = check(&[targets], |_| {});
        assert!(
            missing
                .out_text()
                .contains("  WARNING: file \"t.json\" for file_sd in scrape job \"a\" does not exist\n")
        );
        let bad = check(&[targets, ("t.json", "[{\"targets\": [\"http://x/y\"]}]")], |_| {});
        assert!(bad.err_text().contains("is not a valid hostname"), "{bad:?}");
    }

    #[test]
    fn intervals_beyond_the_look_back_are_unwise() {
        let config = [("prometheus.yml", "scrape_configs: [{job_name: a, scrape_interval: 6m}]\n")];
        let unwise = check(&config, |o| (o.lint, o.lint_fatal) = ("all".into(), true));
        assert_eq!(unwise.code, LINT);
        assert!(unwise.err_text().contains("too long scrape interval found"), "{unwise:?}");
        assert_eq!(check(&config, |o| o.lint = "all".into()).code, SUCCESS);
        assert_eq!(check(&config, |o| o.lint_fatal = true).code, SUCCESS);
    }

    #[test]
    fn says_the_same_in_json() {
        let good =
            check(&[("prometheus.yml", "scrape_configs: [{job_name: a}]\n")], |o| o.format = Format::Json);
        let value: Value = serde_json::from_str(&good.out_text()).unwrap();
        assert_eq!(
            value,
            json!({ "file": "prometheus.yml", "valid": true, "jobs": ["a"], "rules": [], "lint": null, "warnings": [] })
        );
        let bad = check(&[("prometheus.yml", "x: 1\n")], |o| o.format = Format::Json);
        let value: Value = serde_json::from_str(&bad.out_text()).unwrap();
        assert_eq!((bad.code, &value["valid"]), (FAILURE, &json!(false)));
        assert!(value["error"].as_str().unwrap().contains("unknown key"), "{value}");
    }
}
