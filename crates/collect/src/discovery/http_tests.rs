use prometheus::Registry;

use super::super::DiscoveryMetrics;
use super::*;
use crate::config::HttpConfig;
use crate::target::ADDRESS_LABEL;

/// Answers one after the other; the last one again and again.
struct Answers(Mutex<Vec<Result<FetchedBody>>>, Mutex<Vec<FetchRequest>>);

#[async_trait]
impl Transport for Answers {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchedBody> {
        self.1.lock().push(request.clone());
        let mut answers = self.0.lock();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }
}

fn json(text: &str) -> Result<FetchedBody> {
    Ok(FetchedBody { content_type: "application/json".into(), bytes: text.into() })
}

fn config() -> HttpSdConfig {
    HttpSdConfig {
        url: "http://sd/targets".into(),
        refresh_interval: Duration::from_secs(30),
        http: HttpConfig::default(),
    }
}

fn provider(
    answers: Vec<Result<FetchedBody>>,
    last: &LastLists,
) -> (HttpProvider, DiscoveryMetrics, Arc<Answers>) {
    let metrics = DiscoveryMetrics::register(&Registry::new()).unwrap();
    let transport = Arc::new(Answers(Mutex::new(answers), Mutex::default()));
    let sources = Sources { metrics: metrics.clone(), transport: transport.clone(), set: "job".into() };
    (HttpProvider::new(config(), sources, last.clone()), metrics, transport)
}

fn addresses(groups: &[TargetGroup]) -> Vec<&str> {
    groups.iter().flat_map(|g| &g.targets).filter_map(|t| t.get(ADDRESS_LABEL)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_followed_and_stays_when_the_server_fails() {
    let last = LastLists::default();
    let answers = vec![
        json(r#"[{"targets": ["a:1"], "labels": {"env": "x"}}]"#),
        Err(Error::unavailable("server returned HTTP status 500 Internal Server Error")),
        json("[{"),
        json(r#"[{"targets": ["a:1"], "labels": {"env": "x"}}]"#),
        json(r#"[{"targets": ["b:1", "b:2"]}]"#),
    ];
    let (mut provider, metrics, transport) = provider(answers, &last);
    let first = provider.next().await;
    assert_eq!(addresses(&first), ["a:1"]);
    assert_eq!(
        (first[0].source.as_str(), first[0].labels.get("__meta_url")),
        ("http://sd/targets:0", Some("http://sd/targets"))
    );
    let started = Instant::now();
    assert_eq!(addresses(&provider.next().await), ["b:1", "b:2"]);
    assert_eq!(started.elapsed(), Duration::from_secs(120), "four intervals, two of them with failures");
    assert_eq!(metrics.http_failures.get(), 2);
    assert_eq!(metrics.refresh_failures.with_label_values(&["job", "http"]).get(), 2);
    let asked = transport.1.lock()[0].clone();
    assert_eq!(
        (asked.accept.as_str(), asked.purpose.header()),
        ("application/json", "x-prometheus-refresh-interval-seconds")
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_provider_begins_with_the_last_good_list() {
    let last = LastLists::default();
    let (mut first, ..) = provider(vec![json(r#"[{"targets": ["a:1"]}]"#)], &last);
    first.next().await;
    let away = || vec![Err(Error::unavailable("connection refused"))];
    let (mut second, metrics, _) = provider(away(), &last);
    assert_eq!(addresses(&second.next().await), ["a:1"]);
    let more = tokio::time::timeout(Duration::from_secs(100), second.next()).await;
    assert!(more.is_err() && metrics.http_failures.get() > 2, "it keeps asking");
    let (mut fresh, ..) = provider(away(), &LastLists::default());
    assert!(fresh.next().await.is_empty(), "nothing is known yet");
}

#[test]
fn what_is_no_list_is_refused_with_its_reason() {
    let check = |content_type: &str, text: &str, want: &str| {
        let body = FetchedBody { content_type: content_type.into(), bytes: text.into() };
        let error = parse("u", &body).unwrap_err();
        assert!(error.message().contains(want), "{error}");
    };
    check("text/html", "[]", "unsupported content type \"text/html\"");
    check("application/json; charset=latin1", "[]", "unsupported content type");
    check("application/json", "[null]", "nil target group item found");
    check("application/json", r#"[{"target": []}]"#, "unknown field");
    check("application/json", r#"{"targets": []}"#, "invalid type");
    let many = vec!["a"; HTTP_SD_TARGETS_MAX + 1];
    check("application/json", &serde_json::json!([{ "targets": many }]).to_string(), "the limit is 200000");
    let ok =
        FetchedBody { content_type: "Application/JSON; charset=\"UTF-8\"".into(), bytes: b"[]".to_vec() };
    assert_eq!(parse("u", &ok), Ok(vec![]));
}
