//! Starting with no configuration, stopping, reloading.

use std::path::Path;
use std::time::{Duration, Instant};

use ingest::testing::RequestWriter;

use crate::harness::{Bellwether, Process, address_in, bellwether, eventually, fetch, signal};
use crate::remote_write::{now_ms, receiver, write};

#[test]
fn with_no_configuration_it_watches_this_host_and_itself() {
    let b = Bellwether::start(None);
    eventually("the node collector and the program itself are up", || {
        (b.value("count(up == 1)") == Some(2.0)).then_some(())
    });
    let host = eventually("CPU time is there", || b.value("sum(node_cpu_seconds_total)"));
    assert!(host > 0.0);
    assert!(b.value("node_memory_MemTotal_bytes").expect("memory") > 0.0);
    assert!(b.value("count(node_network_receive_bytes_total)").expect("interfaces") > 0.0);
    assert!(b.value(r#"process_resident_memory_bytes{job="bellwether"}"#).expect("itself") > 0.0);
    assert_eq!(b.value("count(up) by (job)"), Some(1.0));
    let (status, text) = b.get_text("/node/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE node_load1 gauge\nnode_load1 "), "{text}");
    assert_eq!(b.get_text("/-/healthy").0, 200);
}

#[test]
fn a_restart_after_sigterm_loses_nothing() {
    let b = Bellwether::start(Some(FAST));
    let count = |b: &Bellwether| b.value("sum(count_over_time(node_load1[1h]))");
    eventually("some samples", || count(&b).filter(|n| *n >= 5.0));
    let before = count(&b).expect("samples");
    let (success, folder) = b.terminate();
    assert!(success, "it stops without an error");
    let again = Bellwether::start_in(folder, Some(FAST));
    assert!(count(&again).expect("samples") >= before);
}

const FAST: &str = "
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
exporters: {node: {enabled: true}}
";

#[test]
fn a_reload_applies_a_good_file_and_refuses_a_bad_one() {
    let b = Bellwether::start(Some(FAST));
    let file = b.folder().join("prometheus.yml");
    std::fs::write(&file, "global: {scrape_intervall: 1s}").expect("written");
    let (status, text) = b.post("/-/reload", &[]);
    assert_eq!(status, 500);
    assert!(text.contains("line 1") && text.contains("did you mean \"scrape_interval\""), "{text}");
    assert_eq!(
        b.data("/api/v1/targets")["activeTargets"].as_array().map(Vec::len),
        Some(1),
        "the old one stays"
    );
    assert_eq!(b.data("/api/v1/status/runtimeinfo")["reloadConfigSuccess"], false);

    let more = format!(
        "{FAST}\nscrape_configs: [{{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}]"
    );
    std::fs::write(&file, more).expect("written");
    assert_eq!(b.post("/-/reload", &[]).0, 200);
    eventually("the new target is scraped and down", || {
        (b.value(r#"up{job="gone"}"#) == Some(0.0)).then_some(())
    });
    assert_eq!(b.data("/api/v1/status/runtimeinfo")["reloadConfigSuccess"], true);

    std::fs::write(&file, FAST).expect("written");
    signal(b.pid(), "HUP");
    eventually("the target is gone, and stale", || b.value(r#"up{job="gone"}"#).is_none().then_some(()));
}

#[test]
fn a_data_folder_in_use_is_refused_by_name() {
    let b = Bellwether::start(None);
    let output = Bellwether::command(b.folder()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        said.contains("data") && said.contains("in use") && said.contains(&b.pid().to_string()),
        "{said}"
    );
    assert!(b.value("vector(1)").is_some(), "the first one goes on");
}

#[test]
fn a_wrong_address_is_refused() {
    let run = |address: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let output = bellwether()
            .args(["serve", "--web.listen-address", address, "--storage.path"])
            .arg(folder.path())
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run("nonsense").contains("cannot listen on nonsense"));
    assert!(run("0.0.0.0:0").contains("--web.allow-"), "an open address needs a flag");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_made() {
    let outer = tempfile::tempdir().expect("a folder");
    let run = |folder: &Path, arguments: &[&str]| {
        let output = bellwether()
            .args(["serve", "--web.listen-address=127.0.0.1:0", "--storage.path"])
            .arg(folder)
            .args(arguments)
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let folder = outer.path().join("data");
    for (argument, said) in [
        ("--web.cors.origin=(", "cannot read --web.cors.origin"),
        ("--web.external-url=example.org", "write it as http://host:port/path"),
        ("--storage.wal-path=/elsewhere", "storage.wal-path"),
    ] {
        let text = run(&folder, &[argument]);
        assert!(text.contains(said), "{argument}: {text}");
        assert!(!folder.exists(), "{argument}");
    }
    let file = outer.path().join("file");
    std::fs::write(&file, "mine").expect("written");
    let text = run(&file, &[]);
    assert!(text.contains("it is not a folder; name a folder, or a place where nothing is yet"), "{text}");
    assert_eq!(std::fs::read(&file).expect("it stays"), b"mine");
}

#[test]
fn the_first_samples_are_there_at_once() {
    let started = Instant::now();
    let b = Bellwether::start(None);
    eventually("the first sample", || b.value("node_load1"));
    // The bar is 3 s of a release build; this only guards against waiting for a whole interval of 15 s.
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

#[test]
fn while_a_large_log_is_replayed_it_is_alive_and_not_ready() {
    let b = receiver(&[]);
    let now = now_ms();
    for request in 0..20 {
        let mut body = RequestWriter::new();
        for i in 0..5000 {
            let instance = format!("{request}-{i}");
            body.series(&[("__name__", "many"), ("instance", &instance)]).sample(now, 1.0);
        }
        assert_eq!(write(&b, &body.body()).0, 204);
    }
    let folder = b.kill();
    let (_process, url) = Process::start_until(&mut Bellwether::command(folder.path()), address_in);
    assert_eq!(fetch(&format!("{url}/-/healthy")), (200, "Bellwether is Healthy.\n".into()));
    for path in ["/-/ready", "/api/v1/query?query=count(many)", "/"] {
        assert_eq!(fetch(&format!("{url}{path}")), (503, "Service Unavailable".into()), "{path}");
    }
    let (status, page) = fetch(&format!("{url}/metrics"));
    assert!(status == 200 && page.contains("process_start_time_seconds "), "{page}");
    eventually("it is ready", || (fetch(&format!("{url}/-/ready")).0 == 200).then_some(()));
    let (status, answer) = fetch(&format!("{url}/api/v1/query?query=count(many)"));
    assert!(status == 200 && answer.contains("\"100000\""), "{answer}");
}
