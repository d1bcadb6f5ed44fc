//! The Prometheus API over the wire: shapes, statuses and messages, on good requests and bad ones.

use serde_json::{Value, json};

use crate::harness::{Bellwether, eventually};

fn started() -> Bellwether {
    let b = Bellwether::start(None);
    eventually("both targets are up", || (b.value("count(up == 1)") == Some(2.0)).then_some(()));
    b
}

#[test]
fn answers_have_prometheus_shapes() {
    let b = started();
    let data = b.data("/api/v1/query?query=up{job=\"node\"}&time=4000000000");
    assert_eq!(data, json!({"resultType": "vector", "result": []}));
    let (_, body) = b.get("/api/v1/query?query=1.5&time=1435781451.781");
    assert_eq!(
        body,
        json!({"status": "success", "data": {"resultType": "scalar", "result": [1435781451.781, "1.5"]}})
    );
    let range = b.data("/api/v1/query_range?query=vector(2)&start=0&end=10&step=5s");
    let points = json!([[0, "2"], [5, "2"], [10, "2"]]);
    assert_eq!(range, json!({"resultType": "matrix", "result": [{"metric": {}, "values": points}]}));

    let series = b.data("/api/v1/series?match[]=up");
    let jobs: Vec<_> =
        series.as_array().expect("a list").iter().map(|s| s["job"].as_str().expect("job")).collect();
    assert_eq!(jobs, ["bellwether", "node"]);
    let limited = b.get("/api/v1/series?match[]=up&limit=1").1;
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
    let names = b.data("/api/v1/labels");
    assert!(names.as_array().expect("a list").contains(&json!("__name__")));
    assert_eq!(b.data("/api/v1/label/job/values"), json!(["bellwether", "node"]));
    assert_eq!(b.data("/api/v1/label/job/values?match[]=node_load1"), json!(["node"]));
    let metadata = b.data("/api/v1/metadata?metric=node_load1");
    assert_eq!(metadata["node_load1"][0]["type"], "gauge");
    let targets = b.data("/api/v1/targets");
    for target in targets["activeTargets"].as_array().expect("a list") {
        assert_eq!(target["health"], "up", "{target}");
    }
    assert!(b.data("/api/v1/status/tsdb")["headStats"]["numSeries"].as_u64() > Some(300));
    assert_eq!(b.data("/api/v1/status/buildinfo")["application"], "bellwether");
    assert!(b.data("/api/v1/status/runtimeinfo")["startTime"].is_string());
}

#[test]
fn a_form_post_is_a_query_too() {
    let b = started();
    let (status, text) = b.post("/api/v1/query", &[("query", "sum(up)")]);
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &body["data"]["result"][0]["value"][1]), (200, &json!("2")));
}

/// `curl -g` sends a query as it was typed, with quotes that no URI has; Go's server takes them.
#[test]
fn a_query_is_taken_as_it_was_typed() {
    use std::io::{Read, Write};

    let b = started();
    let address = b.url.strip_prefix("http://").expect("a plain address");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let ask = |query: &str, more: &str| {
        format!("GET /api/v1/query?query={query} HTTP/1.1\r\nHost: {address}\r\n{more}\r\n")
    };
    let typed = [
        ask("count(up{job=\"node\"}<2)", ""),
        ask("label_replace(vector(7),\"é\",\"#`\",\"\",\"\")", "Connection: close\r\n"),
    ];
    stream.write_all(typed.concat().as_bytes()).expect("it is sent");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("it answers");
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    assert!(answers.contains(",\"1\"]") && answers.contains("{\"é\":\"#`\"}"), "{answers}");
}

#[test]
fn a_query_is_explained() {
    let b = started();
    let explained = b.data("/api/v1/explain?query=sum(up)%2B1");
    assert_eq!((&explained["result"]["type"], &explained["result"]["series"]), (&json!("vector"), &json!(1)));
    let (plus, sum) = (&explained["plan"], &explained["plan"]["inputs"][0]);
    let up = &sum["inputs"][0];
    assert_eq!(
        (&plus["operator"], &sum["operator"], &up["operator"]),
        (&json!("+"), &json!("sum"), &json!("up"))
    );
    assert_eq!((&sum["start"], &sum["end"], &up["series"]), (&json!(0), &json!(7), &json!(2)));
    assert_eq!((&up["read"]["series"], &up["gathered"]["series"]), (&json!(2), &json!(2)));
    let leaf = "RollupExec: newest of [5m], sum by (), {__name__=\"up\"}, partitions=1\n";
    assert_eq!(explained["leaves"], json!([leaf]));
    let seconds = |node: &Value, name: &str| node[name].as_f64().expect("a number");
    assert!(seconds(plus, "totalSeconds") >= seconds(sum, "totalSeconds"));
    assert!(seconds(&explained["timings"], "evaluateSeconds") >= seconds(plus, "totalSeconds"));
    let range = b.data("/api/v1/explain?query=up&start=0&end=60&step=30");
    assert_eq!((&range["plan"]["steps"], &range["result"]["type"]), (&json!(3), &json!("matrix")));
    let (status, body) = b.get("/api/v1/explain?query=sum(&start=1");
    assert!(
        status == 400 && body["error"].as_str().is_some_and(|e| e.contains("missing") || e.contains("parse"))
    );
    let (status, text) =
        b.post("/api/v1/explain", &[("query", "up[1m]"), ("start", "0"), ("end", "1"), ("step", "1")]);
    assert!(status == 400 && text.contains("invalid expression type"), "{text}");
}

#[test]
fn bad_requests_get_precise_errors() {
    let b = started();
    let check = |path: &str, status: u16, error_type: &str, message: &str| {
        let (got, body) = b.get(path);
        let want = json!({"status": "error", "errorType": error_type, "error": message});
        assert_eq!((got, body), (status, want), "{path}");
    };
    let bad = |path: &str, message: &str| check(path, 400, "bad_data", message);
    let host = b.data("/api/v1/status/runtimeinfo")["hostname"].as_str().expect("text").to_string();
    bad(
        "/api/v1/query",
        r#"invalid parameter "query": unknown position: parse error: no expression found in input"#,
    );
    bad(
        "/api/v1/query?query=sum(",
        r#"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#,
    );
    bad(
        "/api/v1/query?query=up&time=yesterday",
        r#"invalid parameter "time": invalid time value for 'time': cannot parse "yesterday" to a valid timestamp"#,
    );
    bad(
        "/api/v1/query_range?query=up&end=1&step=1",
        r#"invalid parameter "start": cannot parse "" to a valid timestamp"#,
    );
    bad(
        "/api/v1/query_range?query=up&start=2&end=1&step=1",
        r#"invalid parameter "end": end timestamp must not be before start time"#,
    );
    bad(
        "/api/v1/query_range?query=up&start=1&end=2&step=0",
        r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
    );
    bad(
        "/api/v1/query_range?query=up&start=0&end=100000&step=1",
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    bad(
        "/api/v1/query_range?query=up[5m]&start=0&end=10&step=1",
        r#"invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector"#,
    );
    bad("/api/v1/series", "no match[] parameter provided");
    bad(
        "/api/v1/series?match[]={job=~\".*\"}",
        r#"invalid parameter "match[]": match[] must contain at least one non-empty matcher"#,
    );
    check(
        "/api/v1/query?query=vector(1) %2B on() up",
        422,
        "execution",
        &format!(
            "found duplicate series for the match group {{}} on the right hand-side of the operation: \
             [{{__name__=\"up\", instance=\"{host}\", job=\"bellwether\"}}, \
             {{__name__=\"up\", instance=\"{host}\", job=\"node\"}}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side"
        ),
    );
    assert_eq!(b.get("/api/v1/nothing").0, 404);
    assert!(b.value("sum(up)") == Some(2.0), "nothing else is disturbed");
}
