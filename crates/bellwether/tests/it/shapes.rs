//! Live answers against Prometheus' own description of its API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{Bellwether, conformance, eventually};
use crate::schema::Schemas;

/// Endpoints that others check, because they need rules, or change what is stored, or are no JSON.
const ELSEWHERE: [&str; 12] = [
    "/rules",
    "/alerts",
    "/alertmanagers",
    "/admin/tsdb/delete_series",
    "/admin/tsdb/clean_tombstones",
    "/admin/tsdb/snapshot",
    "/read",
    "/write",
    "/otlp/v1/metrics",
    "/search/metric_names",
    "/search/label_names",
    "/search/label_values",
];

/// What an answer may have although the description does not know it: who looks at the version should see what answers.
const MORE: [&str; 2] = ["$.data.application: it is not known", "$.data.applicationVersion: it is not known"];

const CONFIGURATION: &str = "exporters: {node: {enabled: true}, bellwether: {enabled: true}}\n\
    scrape_configs: [{job_name: app, basic_auth: {username: u, password: p}, \
    relabel_configs: [{source_labels: [a], target_label: c}, {source_labels: [a], regex: b, action: drop}]}]";

/// What each endpoint is asked, beside nothing at all where that is a question.
fn questions() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        (
            "/query",
            vec![
                "query=up",
                "query=1",
                "query=up[1m]",
                "query=sum(rate(up[1m]))&stats=all",
                "query=up&limit=1",
            ],
        ),
        (
            "/query_range",
            vec!["query=up&start=0&end=10&step=1&stats=true", "query=vector(1)&start=0&end=10&step=5"],
        ),
        ("/query_exemplars", vec!["query=up"]),
        ("/format_query", vec!["query=sum(up)by(job)"]),
        (
            "/parse_query",
            vec!["query=sum by (job) (rate(up{a!=\"b\"}[5m] offset 1m)) / on(job) group_left(x) b"],
        ),
        ("/labels", vec!["", "match[]=up&start=0&limit=1"]),
        ("/label/{name}/values", vec!["", "match[]=up&start=0&limit=1"]),
        ("/series", vec!["match[]=up"]),
        ("/metadata", vec!["", "metric=up&limit=1", "limit_per_metric=1"]),
        ("/targets", vec!["", "state=active"]),
        ("/targets/metadata", vec!["", "metric=node_load1"]),
        ("/scrape_pools/config", vec!["scrapePool=app"]),
        ("/targets/relabel_steps", vec!["scrapePool=app&labels={\"a\":\"b\"}"]),
    ])
}

#[test]
fn answers_are_as_prometheus_describes_them() {
    let Some(root) = conformance("answers_are_as_prometheus_describes_them") else { return };
    let file = root.join("prometheus/web/api/v1/testdata/openapi_3.1_golden.yaml");
    let schemas = Schemas::read(&std::fs::read_to_string(&file).expect("the description is there"));
    let b = Bellwether::start(Some(CONFIGURATION));
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    let questions = questions();
    let mut checked = 0;
    for (path, methods) in schemas.paths() {
        if ELSEWHERE.contains(&path.as_str()) {
            continue;
        }
        for question in questions.get(path.as_str()).map_or(&[""][..], |q| q) {
            let url = format!("/api/v1{}?{question}", path.replace("{name}", "job"));
            let mut answers = vec![b.get(&url)];
            if methods.iter().any(|m| m == "post") {
                answers.push(posted(&b, &url));
            }
            for (status, body) in answers {
                assert_eq!(status, 200, "{url}: {body}");
                let schema = schemas.success(&path, "get").unwrap_or_else(|| panic!("{path} has no schema"));
                let mut violations = schemas.violations(schema, &body);
                violations.retain(|v| !MORE.contains(&v.as_str()));
                assert_eq!(violations, [""; 0], "{url} answers {body}");
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "{checked} answers");
    let yaml = b.data("/api/v1/scrape_pools/config?scrapePool=app")["yaml"].clone();
    let yaml = yaml.as_str().expect("text");
    assert!(yaml.contains("job_name: app") && yaml.contains("password: <secret>"), "{yaml}");
    let steps = b.data("/api/v1/targets/relabel_steps?scrapePool=app&labels={\"a\":\"b\"}")["steps"].clone();
    assert_eq!(steps[0]["output"], serde_json::json!({"a": "b", "c": "b"}));
    assert_eq!((&steps[0]["keep"], &steps[1]["keep"]), (&true.into(), &false.into()));
    for bad in [
        "scrape_pools/config",
        "scrape_pools/config?scrapePool=x",
        "targets/relabel_steps?scrapePool=app&labels=x",
        "query",
        "query?query=sum(",
        "query_range?query=up&start=x",
        "series",
        "labels?start=x",
        "search/label_values",
    ] {
        let (status, body) = b.get(&format!("/api/v1/{bad}"));
        assert_eq!(
            (status, schemas.violations(schemas.error(), &body)),
            (400, vec![]),
            "{bad} answers {body}"
        );
    }
}

/// The same question as a posted form.
fn posted(b: &Bellwether, url: &str) -> (u16, Value) {
    let (path, question) = url.split_once('?').expect("a question");
    let form: Vec<(String, String)> = form_urlencoded::parse(question.as_bytes()).into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (status, text) = b.post(path, &form);
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{url} posted: {text:?}: {e}")))
}

#[test]
fn our_own_description_names_what_is_there_and_nothing_else() {
    let b = Bellwether::start(None);
    let (status, text) = b.get_text("/api/v1/openapi.yaml");
    assert_eq!(status, 200);
    let schemas = Schemas::read(&text);
    let described: BTreeMap<String, BTreeSet<String>> = schemas
        .paths()
        .into_iter()
        .map(|(path, methods)| {
            (
                format!("{}{path}", schemas.server(&path)),
                methods.into_iter().map(|m| m.to_uppercase()).collect(),
            )
        })
        .collect();
    let routed: BTreeMap<String, BTreeSet<String>> =
        server::route_paths().into_iter().map(|path| (path.clone(), allowed(&b, &path))).collect();
    assert!(routed.len() > 40, "{} paths", routed.len());
    for path in routed.keys().chain(described.keys()) {
        assert_eq!(routed.get(path), described.get(path), "{path}: what is routed, and what is described");
    }
    assert_eq!(schemas.dangling(), [""; 0]);
}

/// The methods of a path, which an answer to one that no path has names. Where HEAD is what GET is without a body, it is left out.
fn allowed(b: &Bellwether, path: &str) -> BTreeSet<String> {
    let request = ureq::http::Request::builder()
        .method("PATCH")
        .uri(format!("{}{}", b.url, path.replace("{name}", "job").replace("{task}", "ls")))
        .body(())
        .expect("a request");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build()
        .into();
    let answer = agent.run(request).expect("it answers");
    assert_eq!(answer.status().as_u16(), 405, "{path}");
    let allow = answer.headers()["allow"].to_str().expect("text").to_owned();
    allow.split(',').map(|m| m.trim().to_owned()).filter(|m| m != "HEAD" || path == "/-/healthy").collect()
}
