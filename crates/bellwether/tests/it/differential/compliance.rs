//! The queries of the PromQL compliance tester: templates, and what is put into them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// Where the templates are, below the folder of conformance data.
pub(crate) const FILE: &str = "prometheus-compliance/promql/promql-test-queries.yml";

/// What the tester puts into its templates, which stands in its program and not in the file.
const VARIANTS: [(&str, &[&str]); 13] = [
    ("range", &["1s", "15s", "1m", "5m", "15m", "1h"]),
    ("offset", &["1m", "5m", "10m"]),
    ("simpleAggrOp", &["sum", "avg", "max", "min", "count", "stddev", "stdvar"]),
    ("simpleTimeAggrOp", &["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"]),
    ("topBottomOp", &["topk", "bottomk"]),
    ("quantile", &["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"]),
    ("arithBinOp", &["+", "-", "*", "/", "%", "^"]),
    ("compBinOp", &["==", "!=", "<", ">", "<=", ">="]),
    ("binOp", &["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="]),
    ("simpleMathFunc", &["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"]),
    ("extrapolatedRateFunc", &["delta", "rate", "increase"]),
    ("clampFunc", &["clamp_min", "clamp_max"]),
    ("instantRateFunc", &["idelta", "irate"]),
];

const DATES: &[&str] = &["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"];

#[derive(Deserialize)]
struct Templates {
    test_cases: Vec<Template>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    query: String,
    #[serde(default)]
    variant_args: Vec<String>,
    #[serde(default)]
    should_fail: bool,
}

/// A query, and whether it is one that fails.
pub(crate) struct Case {
    pub(crate) query: String,
    pub(crate) should_fail: bool,
}

/// Every query that the templates stand for.
pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(folder.join(FILE)).expect("conformance data can be read");
    let templates: Templates = serde_yaml_ng::from_str(&text).expect("the templates are YAML");
    let variants: BTreeMap<&str, &[&str]> = VARIANTS.into_iter().chain([("dateFunc", DATES)]).collect();
    let mut cases = Vec::new();
    for template in templates.test_cases {
        let mut queries = vec![template.query];
        for name in &template.variant_args {
            let values = variants.get(name.as_str()).unwrap_or_else(|| panic!("no values for {name}"));
            let hole = format!("{{{{.{name}}}}}");
            queries = queries.iter().flat_map(|q| values.iter().map(|v| q.replace(&hole, v))).collect();
        }
        cases.extend(queries.into_iter().map(|query| Case { query, should_fail: template.should_fail }));
    }
    cases
}
