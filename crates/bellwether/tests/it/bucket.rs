//! Two servers on one bucket of an object store that others wrote, at once.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ingest::testing::RequestWriter;
use lake::testing::{AzureServer, S3Server};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Bellwether, bellwether};
use crate::remote_write::write;

const WRITERS: [&str; 2] = ["a", "b"];
const SERIES: i64 = 20;
const MINUTE_MS: i64 = 60_000;
/// Samples of a series in one round, one a minute.
const MINUTES: i64 = 60;
const ROUNDS: i64 = 3;
/// Longer than a server waits until it looks at the log again.
const NEXT_LOOK: Duration = Duration::from_secs(150);

/// Where the bucket is, and the variables that lead to it.
#[derive(Clone)]
struct Cloud {
    place: &'static str,
    variables: Vec<(String, String)>,
}

fn with_credentials<'a>(command: &'a mut Command, cloud: &Cloud) -> &'a mut Command {
    command.envs(cloud.variables.iter().cloned())
}

/// Starts a server on the bucket, with a folder of its own for its log.
fn serve(folder: TempDir, cloud: &Cloud) -> Bellwether {
    let mut command = bellwether();
    command.args(["serve", "--web.listen-address", "127.0.0.1:0", "--web.enable-remote-write-receiver"]);
    command.args(["--storage.path", cloud.place, "--storage.wal-path"]).arg(folder.path().join("wal"));
    with_credentials(&mut command, cloud);
    Bellwether::start_command(command, folder, Some("scrape_configs: []"))
}

/// Starts both at the same time.
fn serve_both(folders: [TempDir; 2], cloud: &Cloud) -> [Bellwether; 2] {
    let starting = folders.map(|folder| {
        let cloud = cloud.clone();
        std::thread::spawn(move || serve(folder, &cloud))
    });
    starting.map(|server| server.join().expect("it starts"))
}

/// The samples of a round: series of the writer's own, and one to which the writers contribute every other minute.
fn request(writer: usize, start_ms: i64) -> Vec<u8> {
    let mut request = RequestWriter::new();
    for i in 0..SERIES {
        let i = i.to_string();
        request.series(&[("__name__", "own"), ("i", i.as_str()), ("writer", WRITERS[writer])]);
        for minute in 0..MINUTES {
            request.sample(start_ms + minute * MINUTE_MS, minute as f64);
        }
    }
    request.series(&[("__name__", "both")]);
    for minute in (0..MINUTES).filter(|m| m % 2 == writer as i64) {
        request.sample(start_ms + minute * MINUTE_MS, minute as f64);
    }
    request.body()
}

/// What a server has of everything: samples, and their sum.
fn everything(server: &Bellwether, metric: &str) -> [Option<f64>; 2] {
    ["count", "sum"].map(|f| server.value(&format!("sum({f}_over_time({metric}[2d]))")))
}

fn lake(arguments: &[&str], cloud: &Cloud) -> Value {
    let mut command = bellwether();
    command.arg("lake").args(arguments).args(["--format", "json", "--storage.path", cloud.place]);
    let done = with_credentials(&mut command, cloud).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"))
}

#[test]
fn two_servers_share_a_bucket() {
    let Some(s3) = S3Server::start("two_servers_share_a_bucket") else { return };
    let variables = S3Server::variables(s3.port());
    share(&Cloud { place: "s3://bucket/fleet/one", variables });
}

#[test]
fn two_servers_share_a_bucket_of_google() {
    let Some(server) = S3Server::start("two_servers_share_a_bucket_of_google") else { return };
    let variables = S3Server::google_variables(server.port());
    share(&Cloud { place: "gs://bucket/fleet/one", variables });
}

#[test]
fn two_servers_share_a_container_of_azure() {
    let Some(server) = AzureServer::start("two_servers_share_a_container_of_azure") else { return };
    let variables = AzureServer::variables(server.port());
    share(&Cloud { place: "az://bucket/fleet/one", variables });
}

fn share(cloud: &Cloud) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(since.as_millis()).expect("before the year 292277025");
    let mut folders = WRITERS.map(|_| tempfile::tempdir().expect("a temporary folder"));
    for round in 0..ROUNDS {
        // Windows of two hours that ended long ago; later ones with each round, which completes those before.
        let start_ms = (now_ms / (120 * MINUTE_MS) - 12 + 2 * round) * 120 * MINUTE_MS;
        let servers = serve_both(folders, cloud);
        let sent: Vec<_> = servers.iter().enumerate().map(|(i, s)| write(s, &request(i, start_ms))).collect();
        assert_eq!(sent, [(204, String::new()), (204, String::new())], "round {round}");
        // As a crash does: what is acknowledged is in the logs.
        folders = servers.map(Bellwether::kill);
    }
    let servers = serve_both(folders, cloud);
    for (server, writer) in servers.iter().zip(WRITERS) {
        let complete = RequestWriter::new()
            .series(&[("__name__", "now"), ("writer", writer)])
            .sample(now_ms, 1.0)
            .body();
        assert_eq!(write(server, &complete), (204, String::new()));
    }
    let own = (WRITERS.len() as i64 * SERIES * MINUTES * ROUNDS) as f64;
    let values = (0..MINUTES).sum::<i64>() as f64;
    let want_own = [Some(own), Some(values * (WRITERS.len() as i64 * SERIES * ROUNDS) as f64)];
    let want_both = [Some((MINUTES * ROUNDS) as f64), Some(values * ROUNDS as f64)];
    let deadline = Instant::now() + NEXT_LOOK;
    for (server, writer) in servers.iter().zip(WRITERS) {
        loop {
            let found = (everything(server, "own"), everything(server, "both"));
            if found == (want_own, want_both) {
                break;
            }
            assert!(Instant::now() < deadline, "{writer} has {found:?}, not {want_own:?} and {want_both:?}");
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    // The same from outside, while both are running: nothing is there twice, and everything is in order.
    let stat = &lake(&["stat", "--table", "metrics"], cloud)["tables"][0];
    assert_eq!(stat["samples"].as_f64(), Some(own + (MINUTES * ROUNDS) as f64), "{stat}");
    let report = lake(&["verify"], cloud);
    assert_eq!((&report["ok"], &report["violations"]), (&true.into(), &Value::Array(vec![])), "{report}");
    let writers: std::collections::BTreeSet<String> =
        lake(&["ls", "--segments", "--table", "metrics"], cloud)["tables"][0]["partitions"]
            .as_array()
            .expect("a list")
            .iter()
            .flat_map(|p| p["files"].as_array().expect("a list").clone())
            .map(|f| f["path"].as_str().expect("text").to_owned())
            .map(|path| lake::filenames::parse_segment(&path).expect("a segment's name").writer_id.to_owned())
            .collect();
    assert_eq!(writers.len(), 2, "each has sealed what it took in: {writers:?}");
}
