//! Test scripts of queries: our own, and Prometheus' where the conformance data is at hand.

use std::path::{Path, PathBuf};

use promql::EvalOptions;
use promql::script::{Report, options, run};

/// Prometheus' files, with the number of their cases.
const PROMETHEUS: [(&str, usize); 21] = [
    ("aggregators", 136),
    ("at_modifier", 71),
    ("collision", 2),
    ("duration_expression", 44),
    ("extended_vectors", 95),
    ("fill-modifier", 40),
    ("functions", 327),
    ("histograms", 182),
    ("info", 52),
    ("limit", 37),
    ("literals", 25),
    ("name_label_dropping", 23),
    ("native_histograms", 462),
    ("operators", 206),
    ("range_queries", 17),
    ("selectors", 22),
    ("staleness", 13),
    ("start_timestamps", 21),
    ("subquery", 25),
    ("trig_functions", 18),
    ("type_and_unit", 58),
];

fn run_file(path: &Path, options: &EvalOptions) -> Report {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    run(&text, options).unwrap_or_else(|e| panic!("cannot run {}: {e}", path.display()))
}

#[test]
fn own_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut passed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        for delayed_name_removal in [false, true] {
            let options = EvalOptions { delayed_name_removal, ..EvalOptions::default() };
            let report = run_file(&path, &options);
            assert!(report.failures().is_empty(), "{}: {:#?}", path.display(), report.failures());
            passed += report.passed();
        }
    }
    assert!(passed > 0, "no scripts in {}", folder.display());
    println!("own scripts: {passed} passed");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "tests find their data through the environment")]
fn prometheus_scripts() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var("BELLWETHER_CONFORMANCE").map_or(default, PathBuf::from);
    let folder = root.join("prometheus/promql/promqltest/testdata");
    if !folder.is_dir() {
        println!("SKIPPED prometheus_scripts: no conformance data");
        return;
    }
    let (mut passed, mut wrong) = (0, Vec::new());
    for (name, cases) in PROMETHEUS {
        let report = run_file(&folder.join(format!("{name}.test")), &options());
        wrong.extend(report.failures().into_iter().map(|f| format!("{name}: {f}")));
        if report.cases.len() != cases {
            wrong.push(format!("{name}: {} cases, but {cases} are expected", report.cases.len()));
        }
        passed += report.passed();
    }
    println!("prometheus scripts: {passed} passed");
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}
