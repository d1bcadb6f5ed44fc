//! `bellwether check`: looks at a file and says what it comes to.
//!
//! Owns the wording and the JSON shape; the caller prints the text and turns `ok` into the exit code.

use std::fmt::Write as _;

use base::Result;
use serde_json::json;

use crate::cli::{CheckConfig, CheckFormat};
use crate::config::{self, Checked};

/// What a check has to say.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether the file can be loaded.
    pub ok: bool,
    /// What to print on standard output, with its last newline.
    pub text: String,
}

/// Checks a configuration file.
pub fn check_config(options: &CheckConfig, env: &dyn Fn(&str) -> Option<String>) -> Report {
    let loaded = config::load(&options.file, env);
    let file = options.file.display().to_string();
    let text = match options.format {
        CheckFormat::Text => for_people(&file, &loaded),
        CheckFormat::Json => as_json(&file, &loaded),
    };
    Report { ok: loaded.is_ok(), text }
}

fn for_people(file: &str, loaded: &Result<Checked>) -> String {
    let mut out = String::new();
    match loaded {
        Err(e) => {
            out = format!("error: {e}\n");
        }
        Ok(checked) => {
            for n in &checked.unsupported {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "warning: line {}: {}: {}", n.line, n.key, n.text);
            }
            let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let _ = writeln!(
                out,
                "{file} is valid: {}, {}",
                count(checked.scrape_configs.len(), "scrape configuration"),
                count(checked.unsupported.len(), "warning"),
            );
        }
    }
    out
}

fn as_json(file: &str, loaded: &Result<Checked>) -> String {
    let value = match loaded {
        Err(e) => json!({ "file": file, "valid": false, "error": e.message(), "warnings": [] }),
        Ok(checked) => {
            let warnings: Vec<_> = checked
                .unsupported
                .iter()
                .map(|n| json!({ "line": n.line, "key": n.key, "text": n.text }))
                .collect();
            let jobs: Vec<_> = checked.scrape_configs.iter().map(|c| c.job_name.as_str()).collect();
            json!({ "file": file, "valid": true, "jobs": jobs, "warnings": warnings })
        }
    };
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, format: CheckFormat) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, text).unwrap();
        let mut report = check_config(&CheckConfig { file: file.clone(), format }, &|_| None);
        report.text = report.text.replace(&file.display().to_string(), "prometheus.yml");
        report
    }

    #[test]
    fn says_what_is_wrong_and_what_has_no_effect() {
        let bad = check("global:\n  scrape_intervall: 5s\n", CheckFormat::Text);
        let want = "error: cannot load prometheus.yml: line 2: unknown key \"scrape_intervall\" in global, did you mean \"scrape_interval\"?\n";
        assert_eq!(bad, Report { ok: false, text: want.into() });
        let good =
            check("remote_read: [{url: http://a}]\nscrape_configs: [{job_name: a}]\n", CheckFormat::Text);
        let want = "warning: line 1: remote_read: other stores are not read yet\nprometheus.yml is valid: 1 scrape configuration, 1 warning\n";
        assert_eq!(good, Report { ok: true, text: want.into() });
    }

    #[test]
    fn says_the_same_in_json() {
        let good =
            check("remote_read: [{url: http://a}]\nscrape_configs: [{job_name: a}]\n", CheckFormat::Json);
        let value: serde_json::Value = serde_json::from_str(&good.text).unwrap();
        assert_eq!(
            value,
            json!({ "file": "prometheus.yml", "valid": true, "jobs": ["a"],
                "warnings": [{ "line": 1, "key": "remote_read", "text": "other stores are not read yet" }] })
        );
        let bad = check("x: 1\n", CheckFormat::Json);
        assert!(
            !bad.ok && bad.text.contains("\"valid\": false") && bad.text.contains("unknown key"),
            "{bad:?}"
        );
    }
}
