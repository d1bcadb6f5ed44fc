//! The cases of upstream's template_test.go that the conformance data has.

use std::path::PathBuf;

use template::Value;

use crate::{expand, expand_html};

#[test]
fn upstreams_cases_expand_as_upstream_expands_them() {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(default, PathBuf::from);
    let file = folder.join("extracted/alert_template_expansion.json");
    if !file.is_file() {
        println!("SKIPPED upstream's template cases: no conformance data");
        return;
    }
    let text = std::fs::read_to_string(file).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 51);
    let mut wrong = Vec::new();
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let got = if case["html"] == true { expand_html(text, Value::Nil) } else { expand(text, Value::Nil) };
        let want = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(case["output"].as_str().unwrap().to_owned()),
        };
        if got != want {
            wrong.push(format!("{text}\n  got  {got:?}\n  want {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
