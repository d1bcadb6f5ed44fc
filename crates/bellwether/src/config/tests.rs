//! What a configuration file comes to, seen from outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::Labels;
use collect::config::{Authorization, Scheme, Secret, Source};
use collect::remote_write::{MetadataConfig, QueueConfig, RemoteWriteConfig, WriteMessage};

use super::{Checked, Exporters, load, load_str};

fn loaded(text: &str) -> Checked {
    load_str(text, Path::new("/etc/bw"), &|_| None).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn refused(text: &str) -> String {
    load_str(text, Path::new("/etc/bw"), &|_| None).unwrap_err().message().to_owned()
}

#[test]
fn global_defaults_reach_each_scrape_configuration() {
    let c = loaded(
        "global:\n  scrape_interval: 5s\n  sample_limit: 7\n  body_size_limit: 1KB\nscrape_configs:\n- job_name: a\n- job_name: b\n  scrape_interval: 1m\n  sample_limit: 9\n  scheme: https\n  params: {module: [x, y]}\n",
    );
    let [a, b] = &c.scrape_configs[..] else { panic!("{:?}", c.scrape_configs) };
    assert_eq!((a.scrape_interval, a.scrape_timeout), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!((a.limits.sample_limit, a.limits.body_size_limit), (7, 1024));
    assert_eq!((b.scrape_interval, b.scrape_timeout), (Duration::from_secs(60), Duration::from_secs(5)));
    assert_eq!((b.limits.sample_limit, b.scheme), (9, Scheme::Https));
    assert_eq!(b.params["module"], ["x", "y"]);
    assert!(a.honor_timestamps && !a.honor_labels && a.metrics_path == "/metrics");
    assert_eq!(loaded("").global.scrape_interval, Duration::from_secs(60));
    assert_eq!(loaded("global:\n").global.scrape_timeout, Duration::from_secs(10));
}

#[test]
fn targets_and_paths_are_resolved() {
    let c = loaded(
        "scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: ['h:1', 'h:2']\n    labels: {env: dev}\n  file_sd_configs:\n  - files: [t/*.yml, /abs.json]\n  authorization: {credentials_file: token}\n",
    );
    let a = &c.scrape_configs[0];
    assert_eq!(a.static_configs[0].targets.len(), 2);
    assert_eq!(a.static_configs[0].labels, Labels::from_pairs([("env", "dev")]));
    assert_eq!(a.file_sd_configs[0].files, [PathBuf::from("/etc/bw/t/*.yml"), PathBuf::from("/abs.json")]);
    let want = Authorization::Credentials {
        scheme: "Bearer".into(),
        credentials: Source::File("/etc/bw/token".into()),
    };
    assert_eq!(a.http.authorization, want);
}

#[test]
fn credentials_are_read_and_never_shown() {
    let text = "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n  # password: hunter2\n- job_name: b\n  bearer_token: hunter2\n- job_name: c\n  proxy_url: http://u:hunter2@proxy\n";
    let c = loaded(text);
    let want = Authorization::Basic {
        username: Source::Inline("u".into()),
        password: Source::Inline(Secret::new("hunter2")),
    };
    assert_eq!(c.scrape_configs[0].http.authorization, want);
    let shown = format!("{c:?} {}", c.original_text_without_secrets);
    assert!(!shown.contains("hunter2"), "{shown}");
    for bad in [
        "scrape_configs:\n- job_name: a\n  bearer_token: [hunter2]\n",
        "scrape_configs:\n- job_name: a\n  bearer_token: {hunter2: 1}\n",
        "scrape_configs:\n- job_name: a\n  basic_auth: hunter2\n",
        "scrape_configs:\n- job_name: a\n  basic_auth: {password: hunter2, password_file: x}\n",
        "scrape_configs:\n- job_name: a\n  basic_auth: {passwort: hunter2}\n",
        "scrape_configs:\n- job_name: a\n  bearer_token: 'hunter2\n",
    ] {
        assert!(!refused(bad).contains("hunter2"), "{}", refused(bad));
    }
}

#[test]
fn errors_name_line_key_and_what_was_meant() {
    let check = |text: &str, want: &str| assert_eq!(refused(text), want, "{text}");
    check(
        "global:\n  scrape_timeout: 1s\n  scrape_intervall: 5s\n",
        r#"line 3: unknown key "scrape_intervall" in global, did you mean "scrape_interval"?"#,
    );
    check("globl: {}\n", r#"line 1: unknown key "globl" at the top level, did you mean "global"?"#);
    check(
        "global:\n  scrape_interval: 5x\n",
        r#"line 2: scrape_interval: not a valid duration string: "5x""#,
    );
    check("scrape_configs: 5\n", "line 1: scrape_configs must be a list, not a single value");
    check("- a\n", "line 1: the configuration must be a mapping, not a list");
    check(
        "scrape_configs:\n- job_name: a\n  scheme: ftp\n",
        r#"line 3: unsupported scheme "ftp": use http or https"#,
    );
    check(
        "scrape_configs:\n- job_name: a\n  scheme: inprocess\n",
        r#"line 3: unsupported scheme "inprocess": use http or https"#,
    );
    assert!(refused("a: [\n").starts_with("line "), "{}", refused("a: [\n"));
}

#[test]
fn what_has_no_effect_is_said_once_with_its_line() {
    let c = loaded(
        "remote_read: [{url: http://a}]\nremote_write: []\nscrape_configs:\n- job_name: a\n  scrape_native_histograms: true\n  consul_sd_configs:\n  - server: h\n    proxy_url: http://p\n  extra_scrape_metrics: true\n",
    );
    let seen: Vec<_> = c.unsupported.iter().map(|n| (n.line, n.key.as_str())).collect();
    assert_eq!(seen, [(1, "remote_read"), (6, "consul_sd_configs"), (9, "extra_scrape_metrics")]);
    assert_eq!(c.unsupported[0].text, "other stores are not read yet");
}

#[test]
fn protocols_follow_from_what_is_wanted_of_histograms() {
    use collect::config::ScrapeProtocol as P;
    let c = loaded(
        "global: {scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true}\n\
         scrape_configs:\n- job_name: a\n  native_histogram_bucket_limit: 100\n  native_histogram_min_bucket_factor: 1.1\n\
         - {job_name: b, scrape_native_histograms: false, always_scrape_classic_histograms: true}\n\
         - {job_name: c, scrape_protocols: [PrometheusText0.0.4, PrometheusProto], fallback_scrape_protocol: PrometheusProto}\n",
    );
    assert_eq!(c.unsupported, []);
    let [a, b, own] = &c.scrape_configs[..] else { panic!("{:?}", c.scrape_configs) };
    assert_eq!((&a.scrape_protocols[..], a.default_protocols), (&P::PROTO_FIRST[..], true));
    assert_eq!((a.limits.native_buckets, a.native_bucket_factor), (100, 1.1));
    assert!(a.histograms.native && a.histograms.to_custom_buckets && !a.histograms.always_classic);
    assert_eq!(b.scrape_protocols, P::DEFAULT);
    assert!(!b.histograms.native && b.histograms.to_custom_buckets && b.histograms.always_classic);
    assert_eq!(own.scrape_protocols, [P::PrometheusText0_0_4, P::PrometheusProto]);
    assert_eq!((own.fallback_scrape_protocol, own.default_protocols), (Some(P::PrometheusProto), false));
    let c = loaded(
        "global: {scrape_native_histograms: true, scrape_protocols: [OpenMetricsText1.0.0]}\nscrape_configs: [{job_name: a}]\n",
    );
    assert_eq!(c.scrape_configs[0].scrape_protocols, [P::OpenMetricsText1_0_0]);
}

#[test]
fn names_are_asked_for_as_each_section_says() {
    use collect::config::NameEscaping as E;
    let text = "global: {metric_name_escaping_scheme: dots}\nscrape_configs:\n- {job_name: a}\n\
        - {job_name: b, metric_name_validation_scheme: legacy}\n\
        - {job_name: c, metric_name_escaping_scheme: values}\n\
        - {job_name: d, metric_name_validation_scheme: utf8}\n";
    let c = loaded(text);
    assert_eq!(c.unsupported, []);
    let escaping = |c: &Checked| c.scrape_configs.iter().map(|c| c.name_escaping).collect::<Vec<_>>();
    assert_eq!(escaping(&c), [E::Dots, E::Underscores, E::Values, E::AllowUtf8]);
    let legacy = "global: {metric_name_validation_scheme: legacy}\nscrape_configs: [{job_name: a}]\n";
    assert_eq!(escaping(&loaded(legacy)), [E::Underscores]);
    assert!(refused(&text.replace("values", "kebab")).contains("got \"kebab\""));
}

#[test]
fn endpoints_of_remote_write_are_read_with_their_defaults() {
    let c = loaded("remote_write:\n- url: http://h/write\n");
    assert_eq!(c.remote_write, [RemoteWriteConfig::new("http://h/write")]);
    assert!(c.unsupported.is_empty(), "{:?}", c.unsupported);
    let c = loaded(
        "remote_write:\n- url: https://u:p%40@h/w\n  name: a\n  remote_timeout: 5s\n  headers: {X-Scope: s}\n  write_relabel_configs: [{action: labeldrop, regex: x}]\n  send_exemplars: true\n  send_native_histograms: true\n  protobuf_message: io.prometheus.write.v2.Request\n  enable_http2: true\n  queue_config: {capacity: 7, max_shards: 6, min_shards: 2, max_samples_per_send: 5, batch_send_deadline: 1s, min_backoff: 10ms, max_backoff: 20ms, retry_on_http_429: true, sample_age_limit: 1h}\n  metadata_config: {send: false, send_interval: 2m, max_samples_per_send: 9}\n",
    );
    let e = &c.remote_write[0];
    assert_eq!((e.url.as_str(), e.name.as_str(), e.timeout), ("https://h/w", "a", Duration::from_secs(5)));
    let basic = Authorization::Basic {
        username: Source::Inline("u".into()),
        password: Source::Inline(Secret::new("p@")),
    };
    assert_eq!((&e.http.authorization, e.http.enable_http2), (&basic, true));
    assert_eq!(e.http.headers, [("X-Scope".to_owned(), vec![Source::Inline(Secret::new("s"))])]);
    assert_eq!((e.write_relabel_configs.len(), e.message), (1, WriteMessage::V2));
    assert!(e.send_exemplars && e.send_native_histograms);
    let ms = Duration::from_millis;
    let queue = QueueConfig {
        capacity: 7,
        max_shards: 6,
        min_shards: 2,
        max_samples_per_send: 5,
        batch_send_deadline: ms(1000),
        min_backoff: ms(10),
        max_backoff: ms(20),
        retry_on_http_429: true,
        sample_age_limit: ms(3_600_000),
    };
    assert_eq!(e.queue, queue);
    let metadata = MetadataConfig { send: false, send_interval: ms(120_000), max_samples_per_send: 9 };
    assert_eq!(e.metadata, metadata);
    let shown = c.original_text_without_secrets;
    assert!(!shown.contains("p%40") && !shown.contains("X-Scope: s"), "{shown}");
}

#[test]
fn storage_and_limits_are_read() {
    let c = loaded(
        "storage:\n  path: s3://bucket/lake\n  tsdb: {out_of_order_time_window: 30m, retention: {time: 30d, size: 1GB, percentage: 0}}\n  retention:\n  - {match: '{env=\"dev\"}', age: 3d}\n  - {match: 'up{job=~\"a|b\"}', age: 1y}\nlimits: {memory: 1GB, series_per_metric: 1000, label_limit: 40}\n",
    );
    assert_eq!(c.storage.path.as_deref(), Some("s3://bucket/lake"));
    assert_eq!(c.storage.out_of_order_window, Duration::from_secs(1800));
    let retention = c.storage.retention.expect("given");
    assert_eq!((retention.age, retention.size_bytes), (Duration::from_secs(30 * 86_400), 1 << 30));
    let ages: Vec<_> =
        c.storage.retention_by_matcher.iter().map(|(m, age)| (m.len(), age.as_secs())).collect();
    assert_eq!(ages, [(1, 3 * 86_400), (2, 365 * 86_400)]);
    assert_eq!((c.limits.memory_bytes, c.limits.series_per_metric), (Some(1 << 30), Some(1000)));
    assert_eq!((c.limits.series_per_tenant, c.limits.labels.labels), (None, 40));
    assert_eq!(c.limits.labels.value_bytes, ingest::LabelLimits::default().value_bytes);
    let rollups = |text: &str| {
        let kept = loaded(text).storage.rollups;
        kept.iter().map(|r| (r.resolution.as_str(), r.age.as_secs() / 86_400)).collect::<Vec<_>>()
    };
    assert_eq!(rollups(""), [("5m", 90), ("1h", 730)]);
    assert_eq!(rollups("storage: {rollups: {5m: 30d, 1h: 5y}}\n"), [("5m", 30), ("1h", 1825)]);
    assert_eq!(rollups("storage: {rollups: {1h: 0s}}\n"), [("5m", 90)]);
    assert_eq!(rollups("storage: {rollups: {5m: 0s, 1h: 0s}}\n"), []);
    let check = |text: &str, want: &str| assert_eq!(refused(text), want, "{text}");
    check(
        "storage:\n  rollups:\n    5m: 0s\n",
        "line 3: storage.rollups needs buckets of 5m to make those of 1h, so that both are 0 or 5m is not",
    );
    check("limits: {memroy: 1GB}\n", r#"line 1: unknown key "memroy" in limits, did you mean "memory"?"#);
    check("limits: {memory: 1MB}\n", "line 1: limits.memory must be at least 64MB");
    check(
        "storage:\n  retention:\n  - {match: 'a{', age: 3d}\n",
        "line 3: match: 1:3: parse error: unexpected end of input inside braces",
    );
    check(
        "storage:\n  retention:\n  - {age: 3d}\n",
        "line 3: storage.retention needs match, a selector such as {env=\"dev\"}",
    );
    check(
        "storage:\n  retention:\n  - {match: up}\n",
        "line 3: storage.retention needs age, a duration such as 3d",
    );
}

#[test]
fn external_labels_take_the_environment() {
    let env = |name: &str| (name == "REGION").then(|| "eu".to_owned());
    let text =
        "global:\n  external_labels:\n    region: ${REGION}-1\n    price: $$5\n    gone: $NOPE\n    n: 3\n";
    let c = load_str(text, Path::new(""), &env).unwrap();
    assert_eq!(c.external_labels, Labels::from_pairs([("region", "eu-1"), ("price", "$5"), ("n", "3")]));
    assert_eq!(c.unsupported.len(), 1);
    assert_eq!(c.unsupported[0].line, 5);
    assert!(c.unsupported[0].text.contains("NOPE"));
}

#[test]
fn built_in_collectors_run_without_a_file_and_on_request() {
    let pools = Checked::default_host().pools("box");
    let jobs: Vec<_> = pools.iter().map(|p| p.job_name.as_str()).collect();
    assert_eq!(jobs, ["node", "bellwether"]);
    assert!(pools.iter().all(|p| p.scheme == Scheme::InProcess && p.validate().is_ok()));
    assert_eq!(pools[0].scrape_interval, Duration::from_secs(15));
    assert_eq!(pools[0].static_configs[0].labels, Labels::from_pairs([("job", "node"), ("instance", "box")]));

    assert_eq!(loaded("scrape_configs: []\n").exporters, Exporters::default());
    assert!(!loaded("exporters: {node: {enabled: false}}\n").exporters.node);
    let c = loaded("exporters:\n  node:\nscrape_configs:\n- job_name: node\n");
    let pools = c.pools("box");
    assert_eq!((pools[0].job_name.as_str(), pools[1].job_name.as_str()), ("node", "exporters/node"));

    let host = Checked::default_host();
    let shown = loaded(&host.original_text_without_secrets);
    assert_eq!((shown.exporters, shown.global), (host.exporters, host.global));
}

#[test]
fn a_file_is_named_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bw.yml");
    let message = |path: &Path| load(path, &|_| None).unwrap_err().message().to_owned();
    assert_eq!(message(&path), format!("cannot load {}: no such file", path.display()));
    std::fs::write(&path, "a: 1\nb: \u{7}\n\n").unwrap();
    assert!(message(&path).starts_with(&format!("cannot load {}: line ", path.display())));
    std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
    assert!(message(&path).ends_with("line 2: the file is not UTF-8"));
    std::fs::write(&path, "scrape_config_files: ['more/*.yml']\n").unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    let more = folder.path().join("more/a.yml");
    std::fs::write(&more, "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [t.yml]}]\n  oauth2: {client_id: a, token_url: b, client_secret_ref: c}\n").unwrap();
    let c = load(&path, &|_| None).unwrap();
    assert_eq!(c.scrape_configs[0].file_sd_configs[0].files, [folder.path().join("more/t.yml")]);
    assert!(c.unsupported[0].text.contains("line 4: client_secret_ref"), "{:?}", c.unsupported);
    std::fs::write(&more, "scrape_configs:\n- jobname: a\n").unwrap();
    assert!(message(&path).contains(r#"more/a.yml": line 2: unknown key "jobname""#), "{}", message(&path));
}

#[test]
fn clients_are_read_with_what_they_go_through_and_how_they_log_in() {
    use collect::config::{Authorization, Grant, JwtAlgorithm, ProxyChoice};
    let read = |keys: &str| {
        let text = format!("remote_write:\n- url: http://u:pw@h/w\n{keys}");
        load_str(&text, Path::new("/etc"), &|_| None).map_err(|e| e.message().to_owned())
    };
    let http = |keys: &str| read(keys).unwrap().remote_write[0].http.clone();
    let all = "  proxy_url: http://me:hunter2@p:1\n  no_proxy: a,b\n  proxy_connect_header: {X-A: [hunter2]}\n  \
               http_headers: {X-B: {values: [v], secrets: [hunter2], files: [f]}}\n  \
               oauth2: {client_id: i, client_secret: hunter2, token_url: 'http://t:hunter2@h', scopes: [s], endpoint_params: {k: hunter2}}\n";
    let checked = read(all).unwrap();
    assert!(checked.unsupported.is_empty(), "{:?}", checked.unsupported);
    let one = &checked.remote_write[0];
    assert!(!format!("{one:?}{}", checked.original_text_without_secrets).contains("hunter2"));
    assert!(
        matches!(&one.http.authorization, Authorization::OAuth2(o) if o.scopes == ["s"] && o.endpoint_params.len() == 1)
    );
    assert!(
        matches!(&one.http.proxy.choice, ProxyChoice::Url { address, no_proxy } if address.url == "http://p:1/" && no_proxy == "a,b")
    );
    let file = |s: &Source<_>| matches!(s, Source::File(p) if p == Path::new("/etc/f"));
    assert!(one.http.headers[0].1.len() == 3 && file(&one.http.headers[0].1[2]));
    assert_eq!(http("  proxy_from_environment: true\n").proxy.choice, ProxyChoice::FromEnvironment);
    let signed = "  sigv4: {region: r, access_key: k, secret_key: s}\n";
    assert!(
        matches!(http(signed).authorization, Authorization::SigV4(c) if c.service == "aps" && c.key.is_some())
    );
    let jwt = "  oauth2: {client_id: i, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: hunter2, \
               client_certificate_key_id: k, signature_algorithm: RS384, iss: me, audience: you, token_url: 'http://h', \
               claims: {a: 1, b: [x, true, '2', 1.5], c: {d: ~}}}\n";
    let Authorization::OAuth2(config) = http(jwt).authorization else { panic!("no OAuth 2") };
    let Grant::Jwt(grant) = &config.grant else { panic!("another grant") };
    assert_eq!((grant.key_id.as_str(), grant.algorithm), ("k", JwtAlgorithm::Rs384));
    assert_eq!((grant.issuer.as_deref(), grant.audience.as_deref()), (Some("me"), Some("you")));
    assert_eq!(
        serde_json::Value::Object(grant.claims.clone()),
        serde_json::json!({"a": 1, "b": ["x", true, "2", 1.5], "c": {"d": null}})
    );
    assert!(!format!("{config:?}{}", read(jwt).unwrap().original_text_without_secrets).contains("hunter2"));
    let socks = http("  proxy_url: socks5://me:hunter2@p:1080\n");
    assert!(
        matches!(&socks.proxy.choice, ProxyChoice::Url { address, .. } if address.url == "socks5://p:1080")
    );
    assert!(
        read("  proxy_url: socks4://p\n").unwrap_err().starts_with("line 3: proxy_url: cannot use a proxy")
    );
    let sd = "scrape_configs:\n- job_name: a\n  http_sd_configs: [{url: 'http://u:pw@h/x', refresh_interval: 5s}]\n";
    let found = load_str(sd, Path::new(""), &|_| None).unwrap().scrape_configs[0].http_sd_configs[0].clone();
    assert_eq!((found.url.as_str(), found.refresh_interval.as_secs()), ("http://h/x", 5));
    assert!(matches!(found.http.authorization, Authorization::Basic { .. }));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([a-z_]{1,6}: ?|[-\\[\\]{}&*!|>'\"#?,~<]|\n *|global:|scrape_configs:|- job_name: a\n|relabel_configs:|regex: |targets: |[ -~]){0,60}") {
        let _ = load_str(&text, Path::new(""), &|_| None);
    }
}
