//! `bellwether test promql`: runs scripts of queries with what is expected of them.

use base::Result;
use promql::script::{self, Outcome, Report as ScriptReport};
use serde_json::{Value, json};

use super::args::{Format, Promql};
use crate::report::{FAILURE, Report};

/// Runs the scripts.
pub(super) fn run(options: &Promql) -> Report {
    let mut report = Report::default();
    let mut files = Vec::new();
    for file in &options.files {
        let name = file.display().to_string();
        let found = std::fs::read_to_string(file)
            .map_err(|e| base::Error::unavailable(format!("cannot read {name}: {e}")))
            .and_then(|text| script::run(&text, &script::options()));
        let failed = found.as_ref().map_or(true, |r| !r.failures().is_empty());
        if failed {
            report.code = FAILURE;
        }
        match options.format {
            Format::Text => say(&name, &found, &mut report),
            Format::Json => files.push(as_json(&name, &found)),
        }
    }
    if options.format == Format::Json {
        report.out(format_args!("{:#}", json!({ "passed": report.code != FAILURE, "files": files })));
    }
    report
}

fn say(name: &str, found: &Result<ScriptReport>, report: &mut Report) {
    report.out(format_args!("Testing {name}"));
    match found {
        Err(e) => {
            report.err("  FAILED:");
            report.err(format_args!("    {e}"));
        }
        Ok(r) => {
            let failures = r.failures();
            if failures.is_empty() {
                report.out(format_args!("  SUCCESS: {} evaluations passed", r.passed()));
            } else {
                report.err(format_args!("  FAILED: {} of {} evaluations", failures.len(), r.cases.len()));
                failures.iter().for_each(|f| report.err(format_args!("    {f}")));
            }
        }
    }
    report.out("");
}

fn as_json(name: &str, found: &Result<ScriptReport>) -> Value {
    match found {
        Err(e) => json!({ "file": name, "error": e.to_string() }),
        Ok(r) => {
            let cases = r.cases.iter().map(|case| {
                let (outcome, why) = match &case.outcome {
                    Outcome::Passed => ("passed", None),
                    Outcome::Failed(why) => ("failed", Some(why.clone())),
                };
                json!({ "line": case.line, "query": case.query, "outcome": outcome, "why": why })
            });
            json!({ "file": name, "cases": cases.collect::<Vec<_>>() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(script: &str, format: Format) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.test");
        std::fs::write(&file, script).unwrap();
        run(&Promql { files: vec![file], format })
    }

    #[test]
    fn scripts_pass_or_say_what_is_wrong() {
        let good = test("load 1m\n  x 1 2\n\neval instant at 1m x\n  x 2\n", Format::Text);
        assert_eq!(good.code, 0);
        assert!(good.out_text().contains("  SUCCESS: 1 evaluations passed\n"), "{good:?}");
        let bad = test("load 1m\n  x 1 2\n\neval instant at 1m x\n  x 3\n", Format::Text);
        assert_eq!(bad.code, FAILURE);
        assert!(bad.err_text().starts_with("  FAILED: 1 of 1 evaluations\n    line 4: x: "), "{bad:?}");
        let broken = test("nonsense\n", Format::Json);
        assert_eq!(broken.code, FAILURE);
        let json: Value = serde_json::from_str(&broken.out_text()).unwrap();
        assert_eq!(json["passed"], false);
        assert!(json["files"][0]["error"].as_str().unwrap().contains("no such command"), "{json}");
    }
}
