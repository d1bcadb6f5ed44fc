//! The rest of the API that only reads: trees of queries, features, searches, active queries and their log, other origins, and what Grafana asks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Bellwether, Process, eventually};

fn started() -> Bellwether {
    let b = Bellwether::start(None);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    b
}

#[test]
fn a_query_has_a_tree() {
    let b = started();
    let got = b.data("/api/v1/parse_query?query=sum by (job) (rate(up{a!=\"b\"}[5m] offset 1m)) > bool 2");
    let selector = json!({
        "type": "matrixSelector", "name": "up", "range": 300_000, "rangeExpr": null, "offset": 60_000,
        "offsetExpr": null, "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
        "matchers": [
            {"name": "a", "value": "b", "type": "!="},
            {"name": "__name__", "value": "up", "type": "="},
        ],
    });
    let rate = json!({"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"});
    let want = json!({
        "type": "binaryExpr", "op": ">", "matching": null, "bool": true,
        "lhs": {
            "type": "aggregation", "op": "sum", "param": null, "grouping": ["job"], "without": false,
            "expr": {"type": "call", "func": rate, "args": [selector]},
        },
        "rhs": {"type": "numberLiteral", "val": "2"},
    });
    assert_eq!(got, want);
    let got = b.data("/api/v1/parse_query?query=a / on(x) group_left(y) max_over_time(b[1h:5m] @ end())");
    let want = json!({
        "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"],
        "fillValues": {"lhs": null, "rhs": null},
    });
    assert_eq!(got["matching"], want);
    let subquery = &got["rhs"]["args"][0];
    assert_eq!(
        (&subquery["type"], &subquery["step"], &subquery["startOrEnd"]),
        (&json!("subquery"), &json!(300_000), &json!("end"))
    );
}

#[test]
fn names_and_values_are_searched() {
    let b = started();
    let lines = |path: &str| -> Vec<Value> {
        let (status, text) = b.get_text(path);
        assert_eq!(status, 200, "{path}: {text}");
        text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
    };
    let got = lines(
        "/api/v1/search/metric_names?search[]=node_load&sort_by=score&include_metadata=true&limit=2&batch_size=1",
    );
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[0]["results"][0]["name"], "node_load1");
    assert_eq!(
        (&got[0]["results"][0]["type"], got[0]["results"].as_array().map(Vec::len)),
        (&json!("gauge"), Some(1))
    );
    assert_eq!(got[2], json!({"status": "success", "has_more": true}));
    let got = lines(
        "/api/v1/search/metric_names?search[]=NODELOAD5&case_sensitive=false&sort_by=score&include_score=true",
    );
    assert_eq!(got[0]["results"][0]["name"], "node_load5");
    assert!(got[0]["results"][0]["score"].as_f64() < Some(1.0));
    let got = lines("/api/v1/search/label_values?label=job&sort_by=alpha&sort_dir=dsc");
    assert_eq!(got[0], json!({"results": [{"value": "node"}, {"value": "bellwether"}]}));
    let got = lines("/api/v1/search/label_names?search[]=nothing_like_this");
    assert_eq!(got, [json!({"results": []}), json!({"status": "success", "has_more": false})]);
    for (query, message) in [
        ("sort_dir=asc", "sort_dir is only valid when sort_by is set"),
        ("limit=0", "invalid limit \"0\": must be a positive integer"),
        ("fuzz_alg=x", "unsupported fuzz_alg \"x\": must be one of [subsequence jarowinkler]"),
        ("sort_by=score", "sort_by=score requires search[] to be set"),
        ("start=x", "invalid time value for 'start': cannot parse \"x\" to a valid timestamp"),
    ] {
        let (status, body) = b.get(&format!("/api/v1/search/label_names?{query}"));
        assert_eq!((status, body["error"].as_str()), (400, Some(message)), "{query}");
    }
}

#[test]
fn features_blocks_and_metrics_are_listed() {
    let b = started();
    let features = b.data("/api/v1/features");
    assert_eq!(features["promql_functions"]["rate"], json!(true));
    assert_eq!(features["promql_operators"]["</"], json!(true));
    assert_eq!(features["api"]["admin"], json!(false));
    assert_eq!(features["tsdb"]["exemplar_storage"], json!(true));
    let discovery = &features["service_discovery_providers"];
    for (name, on) in [("static", true), ("file", true), ("http", true), ("kubernetes", false)] {
        assert_eq!(discovery[name], json!(on), "{name}");
    }
    let replay = b.data("/api/v1/status/walreplay");
    assert_eq!(replay["max"], replay["current"]);
    assert_eq!(b.data("/api/v1/status/tsdb/blocks"), json!({"blocks": []}));
    let own = b.data("/api/v1/status/self_metrics?metric_name_pattern=prometheus_engine_queries");
    assert_eq!(own[0]["type"], "GAUGE");
    assert_eq!(own.as_array().map(Vec::len), Some(1));
    assert_eq!(b.data("/api/v1/notifications"), json!([]));
    let stats = &b.data("/api/v1/query?query=up&stats=all")["stats"];
    assert!(stats["timings"]["execTotalTime"].as_f64() > Some(0.0), "{stats}");
    assert_eq!(stats["samples"]["totalQueryableSamples"], json!(2));
    assert_eq!(stats["samples"]["samplesRead"], json!(2));
    assert!(stats["samples"].get("samplesReadPerStep").is_none(), "without the feature: {stats}");
    let warned = b.get("/api/v1/query?query=up&stats=yes").1;
    assert!(warned["warnings"][0].as_str().is_some_and(|w| w.contains("deprecated")), "{warned}");
}

#[test]
fn queries_are_listed_while_they_run_and_logged_when_they_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let b = Bellwether::start_in(folder, Some("global: {query_log_file: queries.log}\nscrape_configs: []"));
    assert_eq!(b.data("/api/v1/status/active_queries"), json!({"queries": [], "maxConcurrent": 20}));
    let slow = "query=sum(sum_over_time(vector(1)[10000h:1s]))";
    let url = format!("{}/api/v1/query?timeout=20s&{slow}", b.url);
    let asking = std::thread::spawn(move || crate::harness::fetch(&url));
    let listed = eventually("the query is listed", || {
        let queries = b.data("/api/v1/status/active_queries")["queries"].clone();
        queries[0]["query"].is_string().then(|| queries[0].clone())
    });
    assert_eq!(listed["query"], "sum(sum_over_time(vector(1)[10000h:1s]))");
    assert_eq!(listed["origin"]["httpRequest"]["path"], "/api/v1/query");
    asking.join().expect("it ends");
    assert_eq!(b.get("/api/v1/query?query=1%2B1").0, 200);
    let file = b.folder().join("queries.log");
    let lines: Vec<Value> = eventually("both are logged", || {
        let text = std::fs::read_to_string(&file).ok()?;
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        (lines.len() == 2).then_some(lines)
    });
    assert_eq!(lines[1]["params"]["query"], "1+1");
    assert_eq!(lines[1]["httpRequest"]["clientIP"], "127.0.0.1");
    assert_eq!(lines[1]["httpRequest"]["method"], "GET");
    assert!(lines[1]["stats"]["timings"]["execTotalTime"].is_number());
}

#[test]
fn queries_under_way_at_a_crash_are_told_by_the_next_start() {
    let b = Bellwether::start(Some("scrape_configs: []"));
    assert_eq!(b.get("/api/v1/query?query=1%2B1").0, 200);
    let slow = ["sum(sum_over_time(vector(1)[10000h:1s]))", "avg(sum_over_time(vector(2)[10000h:1s]))"];
    for query in slow {
        let url = format!("{}/api/v1/query?timeout=60s&query={query}", b.url);
        // It gets no answer.
        std::thread::spawn(move || ureq::get(url).call().is_ok());
    }
    eventually("both are listed", || {
        let queries = b.data("/api/v1/status/active_queries")["queries"].clone();
        (queries.as_array().map(Vec::len) == Some(2)).then_some(())
    });
    let folder = b.kill();
    let told = |folder: &Path| -> Option<Value> {
        let mut command = Bellwether::command(folder);
        command.args(["--log.format", "json", "--config"]).arg(folder.join("prometheus.yml"));
        // Queries are told of before it is ready, and forgotten once they were told of.
        let told = Arc::new(Mutex::new(None));
        let found = Arc::clone(&told);
        let (_process, ()) = Process::start_until(&mut command, move |line| {
            if line.contains("did not finish in the last run") {
                *found.lock().expect("no panic") = Some(line.to_owned());
            }
            line.contains("ready at").then_some(())
        });
        let line = told.lock().expect("no panic").take();
        line.map(|line| serde_json::from_str(&line).expect("JSON"))
    };
    let line = told(folder.path()).expect("a line");
    let fields = if line["fields"].is_object() { &line["fields"] } else { &line };
    assert_eq!(fields["count"], 2, "{line}");
    let queries: Value = serde_json::from_str(fields["queries"].as_str().expect("text")).expect("JSON");
    let mut texts: Vec<&str> =
        queries.as_array().expect("a list").iter().filter_map(|q| q["query"].as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, [slow[1], slow[0]]);
    assert!(queries[0]["timestamp_sec"].as_i64() > Some(1_700_000_000), "{queries}");
    // It is told once.
    assert_eq!(told(folder.path()), None);
}

#[test]
fn scripts_of_other_origins_may_read() {
    let ask = |b: &Bellwether, method: &str, origin: &str| {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/query?query=1", b.url))
            .header("Origin", origin)
            .body(())
            .expect("a request");
        let answer = ureq::Agent::new_with_defaults().run(request).expect("it answers");
        let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().expect("text").to_owned());
        (
            answer.status().as_u16(),
            header("Access-Control-Allow-Origin"),
            header("Access-Control-Allow-Methods"),
        )
    };
    let b = Bellwether::start(None);
    assert_eq!(
        ask(&b, "GET", "http://a.example"),
        (200, Some("*".into()), Some("GET, POST, OPTIONS".into()))
    );
    assert_eq!(ask(&b, "OPTIONS", "http://a.example").0, 204);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let b = Bellwether::start_with(folder, None, &["--web.cors.origin=https?://(a|b)\\.example"]);
    assert_eq!(ask(&b, "GET", "http://a.example").1, Some("http://a.example".into()));
    assert_eq!(ask(&b, "GET", "http://c.example").1, None);
}

/// What the data source of Grafana asks: on connecting, for variables, in Explore and in its metrics browser.
#[test]
fn grafana_gets_what_it_asks_for() {
    let b = started();
    let posted = |path: &str, form: &[(&str, &str)]| -> Value {
        let (status, text) = b.post(path, form);
        assert_eq!(status, 200, "{path} {form:?}: {text}");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(body["status"], "success");
        body["data"].clone()
    };
    let now = crate::remote_write::now_ms() / 1000;
    let (start, end) = (&*(now - 3600).to_string(), &*(now + 60).to_string());
    // Saving and testing the data source.
    assert_eq!(posted("/api/v1/query", &[("query", "1+1"), ("time", end)])["result"][1], "2");
    assert_eq!(b.data("/api/v1/status/buildinfo")["version"], "3.14.0");
    // Label names and values, with and without selectors.
    let window = format!("start={start}&end={end}");
    let has = |data: &Value, what: &str| data.as_array().expect("a list").contains(&json!(what));
    assert!(has(&b.data(&format!("/api/v1/labels?{window}&match[]=up&limit=40000")), "job"));
    assert!(has(
        &posted("/api/v1/labels", &[("start", start), ("end", end), ("match[]", "{job=\"node\"}")]),
        "mode"
    ));
    let names = b.data(&format!("/api/v1/label/__name__/values?{window}&limit=40000"));
    assert!(has(&names, "node_load1") && has(&names, "up"));
    assert_eq!(b.data(&format!("/api/v1/label/job/values?{window}&match[]=node_load1")), json!(["node"]));
    assert_eq!(
        b.data(&format!("/api/v1/label/job/values?{window}&match[]={{__name__=\"up\",job=~\"b.*\"}}")),
        json!(["bellwether"])
    );
    // Variables: query_result(), and series() for label_values with a metric.
    let series = posted("/api/v1/series", &[("match[]", "up{job=\"node\"}"), ("start", start), ("end", end)]);
    assert_eq!(series[0]["job"], "node");
    // Explore and the metrics browser.
    let metadata = b.data("/api/v1/metadata?limit_per_metric=1&limit=40000");
    assert_eq!(metadata["node_load1"].as_array().map(Vec::len), Some(1));
    let form = [("query", "up"), ("start", start), ("end", end), ("step", "60")];
    assert_eq!(posted("/api/v1/query_range", &form)["resultType"], "matrix");
    assert_eq!(
        posted("/api/v1/query_exemplars", &[("query", "up"), ("start", start), ("end", end)]),
        json!([])
    );
    assert_eq!(b.get("/api/v1/status/config").0, 200);
}
