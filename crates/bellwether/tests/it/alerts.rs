//! Rules and alerts, beside Debian's Alertmanager and its amtool.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Bellwether, Process, application, conformance, eventually, find_program, free_port, skip,
};

const RULES: &str = "groups:\n\
    - name: example\n  interval: 1s\n  rules:\n\
    \x20 - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {team: core}\n\
    \x20 - alert: SomethingIsUp\n    expr: job:up:sum{job=\"bellwether\"} == 1\n    for: 1s\n\
    \x20   labels: {severity: page}\n\
    \x20   annotations: {summary: '{{ $labels.job }} of {{ $externalLabels.cluster }} is {{ $value }}'}\n\
    \x20 - alert: NothingIsWrong\n    expr: up == 7\n    keep_firing_for: 1m\n";

/// A configuration that scrapes itself each second, with this in the section `alerting`.
fn configuration(alerting: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{cluster: eu}}}}\n\
         exporters: {{bellwether: {{enabled: true}}}}\n\
         rule_files: ['*.rules.yml']\nalerting: {alerting}\n"
    )
}

fn started(alerting: &str, rules: &str, arguments: &[&str]) -> Bellwether {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_rules(folder.path(), rules);
    Bellwether::start_with(folder, Some(&configuration(alerting)), arguments)
}

fn write_rules(folder: &Path, rules: &str) {
    std::fs::write(folder.join("a.rules.yml"), rules).expect("the rules are written");
}

/// A rule of the only group, by its name.
fn rule(b: &Bellwether, name: &str) -> Value {
    let data = b.data("/api/v1/rules");
    let rules = data["groups"][0]["rules"].as_array().expect("rules").clone();
    rules.into_iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("there is a rule {name}"))
}

#[test]
fn rules_are_evaluated_and_shown() {
    let b = started("{}", RULES, &[]);
    eventually("it is recorded", || (b.value("job:up:sum{team=\"core\"}") == Some(1.0)).then_some(()));
    eventually("it fires", || (rule(&b, "SomethingIsUp")["state"] == "firing").then_some(()));
    let group = &b.data("/api/v1/rules")["groups"][0];
    assert_eq!((group["name"].as_str(), group["interval"].as_f64()), (Some("example"), Some(1.0)));
    assert!(group["file"].as_str().expect("text").ends_with("a.rules.yml"), "{group}");
    assert!(group["lastEvaluation"].as_str() > Some("2020"), "{group}");
    let alert = &rule(&b, "SomethingIsUp")["alerts"][0];
    assert_eq!(alert["annotations"]["summary"], "bellwether of eu is 1");
    assert_eq!(alert["value"], "1e+00");
    assert_eq!(alert["labels"]["severity"], "page");
    assert_eq!(b.data("/api/v1/alerts")["alerts"].as_array().map(Vec::len), Some(1));
    eventually("its series is there", || b.value("ALERTS{alertstate=\"firing\"}"));
    assert!(b.value("ALERTS_FOR_STATE{alertname=\"SomethingIsUp\"}").expect("a time") > 1.6e9);
    assert_eq!(rule(&b, "NothingIsWrong")["state"], "inactive");
    assert_eq!(b.data("/api/v1/rules?type=record")["groups"][0]["rules"].as_array().map(Vec::len), Some(1));
    let (status, answer) = b.get("/api/v1/rules?type=x");
    assert_eq!((status, answer["errorType"].as_str()), (400, Some("bad_data")));
}

#[test]
fn a_reload_with_bad_rules_leaves_the_old_ones() {
    let b = started("{}", RULES, &[]);
    eventually("it fires", || (rule(&b, "SomethingIsUp")["state"] == "firing").then_some(()));
    let since = rule(&b, "SomethingIsUp")["alerts"][0]["activeAt"].clone();
    write_rules(b.folder(), "groups: [{name: a, rules: [{record: x, expr: 'sum('}]}]");
    let (status, said) = b.post("/-/reload", &[]);
    assert!(status == 500 && said.contains("could not parse expression"), "{status} {said}");
    assert_eq!(rule(&b, "SomethingIsUp")["state"], "firing");
    write_rules(b.folder(), &RULES.replace("severity: page", "severity: page, more: x"));
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    write_rules(b.folder(), &RULES.replace("team: core", "team: edge"));
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    eventually("the new one is recorded", || b.value("job:up:sum{team=\"edge\"}"));
    eventually("the old one has ended", || b.value("job:up:sum{team=\"core\"}").is_none().then_some(()));
    eventually("the alert is there", || {
        let alerts = rule(&b, "SomethingIsUp")["alerts"].clone();
        (alerts.as_array().map(Vec::len) == Some(1)).then_some(())
    });
    // Its labels changed twice, so that it began anew.
    assert!(rule(&b, "SomethingIsUp")["alerts"][0]["activeAt"].as_str() >= since.as_str());
}

#[test]
fn a_wrong_rule_file_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_rules(folder.path(), "groups: [{name: a, rules: [{alert: A, expr: up, labels: {a: '{{$x}}'}}]}]");
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, configuration("{}")).expect("written");
    let output = Bellwether::command(folder.path()).arg("--config").arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("undefined variable \"$x\""), "{said}");
}

#[test]
fn since_when_an_alert_is_active_survives_a_crash() {
    let rules = "groups: [{name: a, interval: 1s, rules: [{alert: A, expr: 'up == 1', for: 1h}]}]";
    let arguments = ["--rules.alert.for-grace-period=1s"];
    let b = started("{}", rules, &arguments);
    let active = |b: &Bellwether| b.value("time() - ALERTS_FOR_STATE");
    eventually("it is active for a while", || active(&b).filter(|seconds| *seconds > 8.0));
    let since = b.value("ALERTS_FOR_STATE").expect("it is there");
    let folder = b.kill();
    std::thread::sleep(Duration::from_secs(4));
    let b = Bellwether::start_with(folder, Some(&configuration("{}")), &arguments);
    let written = |b: &Bellwether| b.value("timestamp(ALERTS_FOR_STATE) > time() - 1").is_some();
    eventually("it is written again", || written(&b).then_some(()));
    // The time that the server was away does not count, so that it is active since a little later than it was.
    let restored = b.value("ALERTS_FOR_STATE").expect("it is there");
    assert!(restored >= since + 3.0, "{restored} after {since}");
    assert!(active(&b) > Some(8.0), "{:?} since {restored}", active(&b));
}

/// Debian's Alertmanager, with everything routed to nobody.
struct Alertmanager {
    _process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start(test: &str, prefix: &str) -> Option<Self> {
        let Some(program) = find_program("prometheus-alertmanager") else {
            skip(test, "prometheus-alertmanager is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n")
            .expect("written");
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--web.route-prefix=/{prefix}"))
            .args(["--cluster.listen-address="]);
        let (process, ()) =
            Process::start_until(&mut command, |line| line.contains("Listening").then_some(()));
        Some(Self { _process: process, port, _folder: folder })
    }

    /// What amtool says of the alerts that are there.
    fn alerts(&self, prefix: &str) -> Vec<Value> {
        let amtool = find_program("amtool").expect("it comes with the Alertmanager");
        let url = format!("--alertmanager.url=http://127.0.0.1:{}/{prefix}", self.port);
        let output =
            Command::new(amtool).args(["alert", "query", "-o", "json", &url]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let parsed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        parsed.as_array().cloned().unwrap_or_default()
    }
}

#[test]
fn alerts_reach_debians_alertmanager() {
    let Some(am) = Alertmanager::start("alerts_reach_debians_alertmanager", "am") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_rules(folder.path(), RULES);
    let targets = folder.path().join("am.json");
    std::fs::write(&targets, "[]").expect("written");
    // Found in a file that changes; one label is taken away for all, one is added for these.
    let alerting = format!(
        "{{alert_relabel_configs: [{{regex: job, action: labeldrop}}], \
         alertmanagers: [{{path_prefix: /am, file_sd_configs: [{{files: [{}]}}], \
         alert_relabel_configs: [{{target_label: via, replacement: relabelling}}]}}]}}",
        targets.display()
    );
    let b = Bellwether::start_with(
        folder,
        Some(&configuration(&alerting)),
        &["--rules.alert.resend-delay=1s", "--web.external-url=http://example.org/b/"],
    );
    std::fs::write(&targets, format!("[{{\"targets\": [\"127.0.0.1:{}\"]}}]", am.port)).expect("written");
    let alert = eventually("the alert is there", || am.alerts("am").into_iter().next());
    assert_eq!(
        alert["labels"],
        serde_json::json!({"alertname": "SomethingIsUp", "cluster": "eu", "severity": "page",
            "team": "core", "via": "relabelling"})
    );
    assert_eq!(alert["annotations"]["summary"], "bellwether of eu is 1");
    let link = alert["generatorURL"].as_str().expect("a link");
    assert!(link.starts_with("http://example.org/b/graph?g0.expr=job%3Aup%3Asum%7B"), "{link}");
    let known = b.data("/api/v1/alertmanagers");
    let url = format!("http://127.0.0.1:{}/am/api/v2/alerts", am.port);
    assert_eq!(known["activeAlertmanagers"][0]["url"], url);
    assert!(b.get_text("/metrics").1.contains("prometheus_notifications_alertmanagers_discovered 1"));
    // It ends when its rule is gone: Alertmanager hears of it no more, or that it is resolved.
    write_rules(b.folder(), &RULES.replace("== 1", "== 2"));
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    eventually("it is resolved", || am.alerts("am").is_empty().then_some(()));
}

#[test]
fn alertmanagers_are_known_at_once_after_a_reload() {
    let (named, listed) = (Arc::new(AtomicBool::new(true)), "127.0.0.1:9");
    let answers = Arc::clone(&named);
    let server = application(move |_| {
        // After that it says nothing for longer than anybody waits.
        while !answers.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        ("application/json", format!("[{{\"targets\": [\"{listed}\"]}}]").into_bytes())
    });
    let alerting = |timeout: &str| {
        configuration(&format!(
            "{{alertmanagers: [{{timeout: {timeout}, static_configs: [{{targets: ['127.0.0.1:7']}}], \
             http_sd_configs: [{{url: 'http://127.0.0.1:{server}/', refresh_interval: 1h}}]}}]}}"
        ))
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let b = Bellwether::start_with(folder, Some(&alerting("1s")), &[]);
    let active = || {
        let known = b.data("/api/v1/alertmanagers");
        let all = known["activeAlertmanagers"].as_array().expect("a list").clone();
        all.iter().map(|a| a["url"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    let both = ["http://127.0.0.1:7/api/v2/alerts", "http://127.0.0.1:9/api/v2/alerts"];
    eventually("both are known", || (active() == both).then_some(()));
    named.store(false, Ordering::SeqCst);
    std::fs::write(b.folder().join("prometheus.yml"), alerting("2s")).expect("written");
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    assert_eq!(active(), both, "the settings are others, the Alertmanagers the same");
    named.store(true, Ordering::SeqCst);
}

#[test]
fn ten_thousand_rules_load_and_are_evaluated() {
    let Some(root) = conformance("ten_thousand_rules_load_and_are_evaluated") else { return };
    let large = root.join("prometheus/cmd/promtool/testdata/rules_large.yml");
    let text = std::fs::read_to_string(&large).expect("the conformance data has it");
    // Sooner than once a minute, so that the test need not wait for that.
    let text = text.replacen("  - name: example\n", "  - name: example\n    interval: 5s\n", 1);
    let b = started("{}", &text, &[]);
    let group = || b.data("/api/v1/rules?exclude_alerts=true")["groups"][0].clone();
    let took = eventually("it is evaluated", || group()["evaluationTime"].as_f64().filter(|t| *t > 0.0));
    assert_eq!(group()["rules"].as_array().map(Vec::len), Some(10_002));
    assert!(group()["rules"].as_array().expect("rules").iter().all(|r| r["health"] == "ok"));
    println!("10,002 rules: evaluated in {took} s");
    assert_eq!(b.value("count({__name__=~\"job:http_inprogress_requests:sum:.*\"})"), Some(10_000.0));
}
