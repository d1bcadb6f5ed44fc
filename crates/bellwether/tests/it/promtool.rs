//! promtool's commands: on upstream's own test data, and line by line beside Debian's promtool.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Bellwether, bellwether, conformance, eventually, find_program, skip};
use crate::remote_write::ENABLED;

/// promtool's test data, if there is conformance data.
fn testdata(test: &str) -> Option<PathBuf> {
    let folder = conformance(test)?.join("prometheus/cmd/promtool/testdata");
    assert!(folder.is_dir(), "{}", folder.display());
    Some(folder)
}

/// Runs a program in a folder, with a text on its standard input.
fn run(program: &mut Command, folder: &Path, input: &str) -> Output {
    let mut child = program
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A program that does not read its input closes the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn ours(folder: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    said(&run(bellwether().args(args), folder, input))
}

fn theirs(program: &Path, folder: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    said(&run(Command::new(program).args(args), folder, input))
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn unit_tests_of_rules_come_out_as_upstream_says() {
    let Some(folder) = testdata("unit_tests_of_rules_come_out_as_upstream_says") else { return };
    let cases: &[(&[&str], i32)] = &[
        (&["unittest.yml"], 0),
        (&["long-period.yml"], 0),
        (&["start-time-test.yml"], 0),
        (&["at-modifier-test.yml"], 0),
        (&["negative-offset-test.yml"], 0),
        (&["no-test-group-interval.yml"], 0),
        (&["bad-input-series.yml"], 1),
        (&["bad-promql.yml"], 1),
        (&["bad-rules-syntax-test.yml"], 1),
        (&["bad-rules-error-test.yml"], 1),
        (&["failing.yml"], 1),
        (&["rules_run.yml"], 1),
        (&["rules_run.yml", "--run", "correct", "--run", "wrong"], 1),
        (&["rules_run.yml", "--run", "correct"], 0),
        (&["rules_run.yml", "--run", "wrong"], 1),
        (&["rules_run_extrafields.yml", "--ignore-unknown-fields"], 0),
        (&["rules_run_extrafields.yml"], 1),
        (&["rules_run_no_fuzzy.yml"], 1),
        (&["rules_run_fuzzy.yml", "--run", "correct"], 0),
        (&["rules_run_fuzzy.yml", "--run", "wrong"], 1),
    ];
    let mut wrong = Vec::new();
    for (args, want) in cases {
        let (code, out, err) = ours(&folder, &[&["test", "rules"], *args].concat(), "");
        if code != *want {
            wrong.push(format!("{args:?}: exit code {code}, want {want}\n{out}{err}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn unit_tests_of_rules_fail_with_promtools_words() {
    let test = "unit_tests_of_rules_fail_with_promtools_words";
    let Some(folder) = testdata(test) else { return };
    let Some(promtool) = find_program("promtool") else { return skip(test, "promtool is not installed") };
    // Those without anything that came after Debian's version. bad-promql.yml is not among them: which duplicates Prometheus names
    // differs from run to run.
    for file in ["failing.yml", "bad-rules-error-test.yml", "long-period.yml"] {
        let (code, _, err) = ours(&folder, &["test", "rules", file], "");
        let (their_code, _, their_err) = theirs(&promtool, &folder, &["test", "rules", file], "");
        assert_eq!(code, their_code, "{file}: {err}\n{their_err}");
        // Alerts and errors come in the order of the file; lines of white space only do not count.
        // So do words here: which of two duplicates Prometheus names first differs from run to run.
        let lines = |text: &str| -> Vec<String> {
            let words = |l: &str| {
                let mut words: Vec<&str> =
                    l.split([' ', '[', ']', ',', ';']).filter(|w| !w.is_empty()).collect();
                words.sort_unstable();
                words.join(" ")
            };
            text.lines().map(words).filter(|l| !l.is_empty()).collect()
        };
        assert_eq!(lines(&err), lines(&their_err), "{file}");
    }
}

#[test]
fn results_of_unit_tests_are_written_for_programs() {
    let test = "results_of_unit_tests_are_written_for_programs";
    let Some(folder) = testdata(test) else { return };
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("junit.xml");
    let junit = file.display().to_string();
    let args = ["test", "rules", "unittest.yml", "rules_run.yml", "--junit", &junit, "--format", "json"];
    let (code, out, err) = ours(&folder, &args, "");
    assert_eq!(code, 1, "{out}{err}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["passed"], false);
    assert_eq!(json["files"].as_array().map(Vec::len), Some(2));
    let xml = std::fs::read_to_string(&file).expect("the file is written");
    assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
    assert!(xml.contains("<failure>"), "{xml}");
}

#[test]
fn rule_files_are_checked_as_promtool_checks_them() {
    let test = "rule_files_are_checked_as_promtool_checks_them";
    let Some(folder) = testdata(test) else { return };
    let Some(promtool) = find_program("promtool") else { return skip(test, "promtool is not installed") };
    for args in [
        &["check", "rules", "rules.yml"][..],
        &["check", "rules", "rules_duplicates.yml", "--lint-fatal"][..],
        &["check", "rules", "rules_duplicates.yml", "--lint", "none"][..],
        &["check", "rules", "prometheus-rules.lint.yml", "--lint", "all", "--lint-fatal"][..],
        &["check", "rules", "rules_large.yml"][..],
        &["check", "rules", "rules.yml", "at-modifier.yml"][..],
    ] {
        let (code, out, err) = ours(&folder, args, "");
        let (their_code, their_out, their_err) = theirs(&promtool, &folder, args, "");
        assert_eq!((code, out), (their_code, their_out), "{args:?}: {err}");
        // Debian's version says "duplicate rule(s)" without "lint error" and on another stream in places.
        assert_eq!(
            err.contains("duplicate rule(s) found"),
            their_err.contains("duplicate rule(s) found"),
            "{err}\n{their_err}"
        );
    }
    for file in ["rules-bad.yml", "bad-rules-syntax.yml"] {
        let (code, _, err) = ours(&folder, &["check", "rules", file], "");
        let (their_code, _, _) = theirs(&promtool, &folder, &["check", "rules", file], "");
        assert_eq!(code, their_code, "{file}: {err}");
    }
    let text = std::fs::read_to_string(folder.join("rules.yml")).expect("it is there");
    let (code, out, _) = ours(&folder, &["check", "rules"], &text);
    assert_eq!((code, out.contains("  SUCCESS: ")), (0, true), "{out}");
}

/// Rules as teams publish them: those of the monitoring mixins.
#[test]
fn published_rule_files_are_valid() {
    let test = "published_rule_files_are_valid";
    let Some(folder) = conformance(test) else { return };
    let assets = folder.join("monitoring-mixins/assets");
    let pattern = format!("{}/**/*.yaml", assets.display());
    let files: Vec<String> =
        glob::glob(&pattern).expect("a pattern").flatten().map(|p| p.display().to_string()).collect();
    assert!(files.len() > 200, "{}", files.len());
    let mut args = vec!["check", "rules", "--lint", "none", "--format", "json"];
    args.extend(files.iter().map(String::as_str));
    let (_, out, err) = ours(&folder, &args, "");
    let all: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let (mut refused, mut rules) = (Vec::new(), 0);
    for file in all.as_array().expect("a list") {
        rules += file["rules"].as_u64().unwrap_or(0);
        if file["valid"] != true {
            refused.push(file["file"].as_str().expect("a name").to_owned());
        }
    }
    assert!(rules > 1_000, "{rules}");
    // What we refuse, Prometheus refuses too.
    let Some(promtool) = find_program("promtool") else { return skip(test, "promtool is not installed") };
    for file in refused {
        let (code, _, theirs) = theirs(&promtool, &folder, &["check", "rules", "--lint", "none", &file], "");
        assert_eq!(code, 1, "{file} is refused here only: {theirs}");
    }
}

#[test]
fn metrics_are_linted_as_promtool_lints_them() {
    let test = "metrics_are_linted_as_promtool_lints_them";
    let Some(folder) = testdata(test) else { return };
    let Some(promtool) = find_program("promtool") else { return skip(test, "promtool is not installed") };
    let good = std::fs::read_to_string(folder.join("metrics-test.prom")).expect("it is there");
    let bad = "# TYPE fooBar counter\nfooBar{aB=\"1\"} 1\n# HELP x_milliseconds_total x.\n# TYPE x_milliseconds_total gauge\n\
               x_milliseconds_total 1\n# HELP a:b_ms_count a.\n# TYPE a:b_ms_count gauge\na:b_ms_count{le=\"1\",quantile=\"1\"} 1\n\
               untyped_thing_kb 3\n# HELP z_gauge z.\n# TYPE z_gauge gauge\nz_gauge 1\n";
    for (input, want) in [(good.as_str(), 0), (bad, 3)] {
        let (code, _, err) = ours(&folder, &["check", "metrics"], input);
        let (their_code, _, their_err) = theirs(&promtool, &folder, &["check", "metrics"], input);
        assert_eq!((code, &err), (their_code, &their_err));
        assert_eq!(code, want, "{err}");
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let args = ["check", "metrics", "--extended"];
    let (ours, theirs) = (ours(&folder, &args, &good).1, theirs(&promtool, &folder, &args, &good).1);
    assert_eq!(words(&ours), words(&theirs));
}

#[test]
fn configurations_are_checked_with_what_they_name() {
    let Some(folder) = testdata("configurations_are_checked_with_what_they_name") else { return };
    let cases: &[(&[&str], i32, &str)] = &[
        (&["prometheus-config.good.yml"], 0, ""),
        (&["prometheus-aws-sd-empty-region.good.yml"], 0, ""),
        (&["prometheus-config.bad.yml"], 1, ""),
        (&["prometheus-config.nonexistent.yml"], 1, "no such file"),
        (&["prometheus-config.lint.yml", "--lint-fatal"], 3, ""),
        (&["prometheus-config.lint.yml"], 0, ""),
        (&["config_with_tls_files.yml", "--syntax-only"], 0, ""),
        (&["config_with_tls_files.yml"], 1, "error checking client cert file"),
        (&["config_with_rule_files.yml", "--syntax-only"], 0, ""),
        (&["config_with_rule_files.yml"], 1, "does not point to an existing file"),
        (&["config_with_service_discovery_files.yml", "--syntax-only"], 0, ""),
        (&["authorization_credentials_file.bad.yml"], 1, "error checking authorization credentials"),
        (&["authorization_credentials_file.good.yml"], 0, ""),
        (&["url_in_scrape_targetgroup_with_relabel_config.good.yml"], 0, ""),
        (&["url_in_scrape_targetgroup_with_relabel_config.bad.yml"], 1, "is not a valid hostname"),
    ];
    let mut wrong = Vec::new();
    for (args, want, text) in cases {
        let (code, out, err) = ours(&folder, &[&["check", "config"], *args].concat(), "");
        if code != *want || !err.contains(text) {
            wrong.push(format!("{args:?}: exit code {code}, want {want} and {text:?}\n{out}{err}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_server_is_asked_as_promtool_asks_it() {
    let test = "a_server_is_asked_as_promtool_asks_it";
    let Some(promtool) = find_program("promtool") else { return skip(test, "promtool is not installed") };
    let b = Bellwether::start(None);
    eventually("there are samples", || {
        b.value("count({job=\"bellwether\"})").filter(|n| *n > 10.0).map(|_| ())
    });
    let folder = tempfile::tempdir().expect("a folder");
    let at = |seconds: i64| {
        (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
            as i64
            + seconds)
            .to_string()
    };
    let (start, now) = (at(-20), at(0));
    let url = b.url.as_str();
    let range = ["query", "range", url, "up", "--start", &start, "--end", &now, "--step", "5s"];
    let broken = ["query", "instant", url, "sum(", "--time", &now];
    let cases: Vec<Vec<&str>> = vec![
        vec!["query", "instant", url, "up", "--time", &now],
        vec!["query", "instant", url, "1 + 1", "--time", &now],
        vec!["query", "instant", url, "vector(1e21)", "--time", &now],
        vec!["query", "instant", url, "up[10s]", "--time", &now],
        range.to_vec(),
        vec!["query", "series", url, "--match", "up"],
        vec!["query", "labels", url, "job"],
        broken.to_vec(),
    ];
    for args in &cases {
        for format in [&[][..], &["-o", "json"][..]] {
            // promtool takes the format after its first word.
            let args: Vec<&str> = args[..1].iter().chain(format).chain(&args[1..]).copied().collect();
            let found = ours(folder.path(), &args, "");
            let expected = theirs(&promtool, folder.path(), &args, "");
            assert_eq!((found.0, &found.1), (expected.0, &expected.1), "{args:?}: {}{}", found.2, expected.2);
            assert_eq!(found.2.is_empty(), expected.2.is_empty(), "{args:?}: {}{}", found.2, expected.2);
        }
    }
    let (code, out, err) = ours(folder.path(), &["debug", "all", url], "");
    assert_eq!(code, 0, "{out}{err}");
    assert!(folder.path().join("debug.tar.gz").is_file());
    let (code, _, err) = ours(folder.path(), &["check", "ready", "--url", url], "");
    assert_eq!((code, err.contains("SUCCESS")), (0, true), "{err}");
}

#[test]
fn stored_samples_are_listed_and_dumped() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "# TYPE a gauge\na{x=\"1\"} 1 1700000000\na{x=\"2\"} 2.5 1700000000\n# TYPE b gauge\nb 3 1700000060\n# EOF\n";
    std::fs::write(folder.path().join("in.om"), text).expect("written");
    let (code, out, err) = ours(
        folder.path(),
        &["import", "openmetrics", "in.om", "--storage.path", "data", "--expired", "keep"],
        "",
    );
    assert_eq!(code, 0, "{out}{err}");
    let dump = |args: &[&str]| {
        let (code, out, err) = ours(folder.path(), &[&["tsdb", "dump", "data"], args].concat(), "");
        assert_eq!(code, 0, "{err}");
        out
    };
    assert_eq!(
        dump(&[]),
        "{__name__=\"a\", x=\"1\"} 1 1700000000000\n{__name__=\"a\", x=\"2\"} 2.5 1700000000000\n{__name__=\"b\"} 3 1700000060000\n"
    );
    assert_eq!(
        dump(&["--match", "{x=\"2\"}", "--match", "b", "--max-time", "1700000000000"]),
        "{__name__=\"a\", x=\"2\"} 2.5 1700000000000\n"
    );
    assert_eq!(dump(&["--match", "b", "--format", "seriesjson"]), "{\"__name__\":\"b\"}\n");
    let (_, out, _) = ours(folder.path(), &["tsdb", "dump-openmetrics", "data", "--match", "b"], "");
    assert!(out.contains("b 3.0 1700000060\n") && out.ends_with("# EOF\n"), "{out}");
    let (code, out, err) = ours(folder.path(), &["tsdb", "analyze", "data"], "");
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("Total Series: 3\n") && out.contains("Highest cardinality metric names:\n2 a\n1 b\n"),
        "{out}"
    );
    let (code, out, err) = ours(folder.path(), &["tsdb", "list", "data", "--format", "json"], "");
    assert_eq!(code, 0, "{err}");
    let listed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let samples: u64 =
        listed["segments"].as_array().expect("a list").iter().filter_map(|s| s["samples"].as_u64()).sum();
    assert_eq!(samples, 3, "{out}");
}

#[test]
fn scripts_of_queries_run() {
    let Some(folder) = conformance("scripts_of_queries_run") else { return };
    let scripts = folder.join("prometheus/promql/promqltest/testdata");
    let (code, out, err) = ours(&scripts, &["test", "promql", "operators.test", "literals.test"], "");
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(out.matches("  SUCCESS: ").count(), 2, "{out}");
}

#[test]
fn expressions_are_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |args: &[&str]| ours(folder.path(), &[&["promql"], args].concat(), "");
    assert_eq!(write(&["format", "sum(rate(a[5m]))by(x)"]).1, "sum by (x) (rate(a[5m]))\n");
    let set = ["label-matchers", "set", "-t", "=~", "a{x=\"1\"} / sum(b[1m:])", "x", "2|3"];
    assert_eq!(write(&set).0, 1, "a sum of a range vector is no expression");
    let set = ["label-matchers", "set", "-t", "=~", "a{x=\"1\"} / b", "x", "2|3"];
    assert_eq!(write(&set).1, "a{x=~\"2|3\"} / b{x=~\"2|3\"}\n");
    assert_eq!(write(&["label-matchers", "delete", "a{x=\"1\",y=\"2\"}", "x"]).1, "a{y=\"2\"}\n");
    let (code, _, err) = write(&["format", "sum("]);
    assert_eq!((code, err.starts_with("error: ")), (1, true), "{err}");
}

#[test]
fn metrics_are_pushed_to_a_receiver() {
    let folder = tempfile::tempdir().expect("a folder");
    let b = Bellwether::start_with(folder, Some("scrape_configs: []"), &[ENABLED]);
    let text = "# HELP c_total Help.\n# TYPE c_total counter\nc_total{a=\"x\"} 7\n";
    std::fs::write(b.folder().join("m.prom"), text).expect("written");
    let push = |args: &[&str], input: &str| {
        let all: Vec<&str> = ["push", "metrics"].iter().chain(args).copied().collect();
        ours(b.folder(), &all, input)
    };
    let said = push(&[&b.url, "m.prom", "gone.prom"], "");
    assert_eq!(
        (said.0, said.1.as_str()),
        (
            1,
            "Parsing metrics file m.prom\n  SUCCESS: metrics file m.prom pushed to remote write.\nParsing metrics file gone.prom\n"
        )
    );
    assert!(said.2.starts_with("  FAILED: cannot open gone.prom"), "{}", said.2);
    assert_eq!(b.value("c_total{a=\"x\",job=\"promtool\"}"), Some(7.0));
    let write_url = format!("{}/api/v1/write", b.url);
    let by_version_2 =
        ["--protobuf_message", "io.prometheus.write.v2.Request", "--label=job=b", "--label=k=v", &write_url];
    let said = push(&by_version_2, "d 8\n");
    assert_eq!(
        said,
        (0, "Parsing standard input\n  SUCCESS: metrics pushed to remote write.\n".into(), String::new())
    );
    assert_eq!(b.value("d{job=\"b\",k=\"v\"}"), Some(8.0));
    let (code, _, error) = push(&["--remote-write.path=/api/v1/nowhere", &b.url], "d 8\n");
    assert!(code == 1 && error.contains("FAILED: server returned HTTP status 404"), "{error}");
    let (code, _, error) = push(&[&b.url], "d d d\n");
    assert!(code == 1 && error.contains("text format parsing error in line 1"), "{error}");
}
