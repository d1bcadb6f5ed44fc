//! Test scripts of queries: our own, and Prometheus' where the conformance data is at hand.

use std::path::{Path, PathBuf};

use promql::EvalOptions;
use promql::script::{Report, run};

/// Prometheus' files, with the number of cases that pass, and of those that are skipped because they need native
/// histograms or start timestamps.
const PROMETHEUS: [(&str, usize, usize); 21] = [
    ("aggregators", 107, 29),
    ("at_modifier", 71, 0),
    ("collision", 2, 0),
    ("duration_expression", 44, 0),
    ("extended_vectors", 51, 44),
    ("fill-modifier", 40, 0),
    ("functions", 288, 39),
    ("histograms", 90, 92),
    ("info", 51, 1),
    ("limit", 15, 22),
    ("literals", 25, 0),
    ("name_label_dropping", 23, 0),
    ("native_histograms", 3, 459),
    ("operators", 137, 69),
    ("range_queries", 16, 1),
    ("selectors", 22, 0),
    ("staleness", 13, 0),
    ("start_timestamps", 2, 19),
    ("subquery", 25, 0),
    ("trig_functions", 18, 0),
    ("type_and_unit", 58, 0),
];

/// As Prometheus runs its own scripts.
fn prometheus_options() -> EvalOptions {
    EvalOptions { delayed_name_removal: true, max_samples: 10_000, ..EvalOptions::default() }
}

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
            assert_eq!(report.skipped(), 0, "{}", path.display());
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
    let (mut passed, mut skipped, mut wrong) = (0, 0, Vec::new());
    for (name, want_passed, want_skipped) in PROMETHEUS {
        let report = run_file(&folder.join(format!("{name}.test")), &prometheus_options());
        wrong.extend(report.failures().into_iter().map(|f| format!("{name}: {f}")));
        if (report.passed(), report.skipped()) != (want_passed, want_skipped) {
            wrong.push(format!(
                "{name}: {} passed, {} skipped, but {want_passed} and {want_skipped} are expected",
                report.passed(),
                report.skipped()
            ));
        }
        passed += report.passed();
        skipped += report.skipped();
    }
    println!("prometheus scripts: {passed} passed, {skipped} skipped");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
