//! Tables in a bucket of a real S3 server, alone and shared, and what happens when the server fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use base::{ErrorKind, ManualClock, Result, TimeRange};
use lake::testing::{Action, AzureServer, Proxy, Random, S3Server};
use lake::{Environment, Lake, Location, Scan, Table};

use crate::table::{ROWS, read, rows, segment, spec};

const START_MS: i64 = 1_767_225_600_000;

async fn lake_at(url: &str, folder: &Path, port: u16) -> Result<Lake> {
    Cloud { url: url.into(), variables: S3Server::variables(port) }.lake(folder).await
}

async fn table(folder: &Path, port: u16) -> (Lake, Table) {
    let url = "s3://bucket/some/prefix".into();
    Cloud { url, variables: S3Server::variables(port) }.table(folder).await
}

/// A bucket somewhere, with the variables that lead to it.
#[derive(Clone)]
struct Cloud {
    url: String,
    variables: Vec<(String, String)>,
}

impl Cloud {
    async fn lake(&self, folder: &Path) -> Result<Lake> {
        let Ok(Location::Bucket(bucket)) = self.url.parse() else { panic!("{} is a bucket", self.url) };
        let clock = Arc::new(ManualClock::new(START_MS));
        Lake::open_bucket(&bucket, folder, &Environment::new(self.variables.clone(), None), clock).await
    }

    async fn table(&self, folder: &Path) -> (Lake, Table) {
        let lake = self.lake(folder).await.unwrap();
        let table = lake.table(spec()).await.unwrap();
        (lake, table)
    }
}

fn all() -> Scan {
    Scan::range(vec!["key", "payload"], TimeRange::ALL)
}

fn is_commit(request: &str) -> bool {
    request.starts_with("PUT ") && request.contains("/_delta_log/") && request.contains(".json")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_lies_in_a_bucket_and_is_read_with_few_requests() {
    let Some(server) = S3Server::start("a_table_lies_in_a_bucket") else { return };
    let proxy = Proxy::start(server.port());
    proxy.rule(|request| {
        // Everything lies below the prefix, which only a listing of the bucket names otherwise.
        let path = request.split(' ').nth(1).unwrap();
        let below = path.starts_with("/bucket/some/prefix/") || path.contains("prefix=some%2Fprefix%2F");
        if below { Action::Pass } else { Action::Lose }
    });
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (lake, table_one) = table(one.path(), proxy.port()).await;
    assert!(lake.is_shared());
    let new = segment(&table_one, 1, ROWS).await;
    let view = table_one.commit_seal(1, &[new]).await.unwrap();
    assert_eq!((view.segments.len(), view.sealed_until), (1, 1));
    let (lake, table_two) = table(two.path(), proxy.port()).await;
    let view = table_two.view();
    assert_eq!((view.segments.len(), view.sealed_until), (1, i64::MIN), "another writer has sealed nothing");
    let before = proxy.requests();
    for _ in 0..3 {
        assert_eq!(rows(&read(&table_two, &view.segments[0], &all()).await), ROWS);
    }
    let needed = proxy.requests() - before;
    assert!(needed <= 2, "{needed} requests for a segment of {} bytes", view.segments[0].size_bytes());
    assert!(lake.remote_metrics().unwrap().requests_total() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_segments_are_uploaded_in_parts() {
    let Some(server) = S3Server::start("large_segments_are_uploaded_in_parts") else { return };
    let s3 = |port| Cloud { url: "s3://bucket/x".into(), variables: S3Server::variables(port) };
    large_segments(server.port(), s3, "partNumber=").await;
    let google = |port| Cloud { url: "gs://bucket/x".into(), variables: S3Server::google_variables(port) };
    large_segments(server.port(), google, "partNumber=").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_segments_are_uploaded_to_azure_in_blocks() {
    let Some(server) = AzureServer::start("large_segments_are_uploaded_to_azure_in_blocks") else { return };
    let azure = |port| Cloud { url: "az://bucket/x".into(), variables: AzureServer::variables(port) };
    large_segments(server.port(), azure, "comp=block&").await;
}

/// A segment of several parts is uploaded in such requests, and reads back.
async fn large_segments(port: u16, cloud: impl Fn(u16) -> Cloud, part: &'static str) {
    let proxy = Proxy::start(port);
    let parts = Arc::new(AtomicU64::new(0));
    let seen = parts.clone();
    proxy.rule(move |request| {
        seen.fetch_add(u64::from(request.contains(part)), Ordering::SeqCst);
        Action::Pass
    });
    let folder = tempfile::tempdir().unwrap();
    let (_lake, table) = cloud(proxy.port()).table(folder.path()).await;
    let mut random = Random::new(7);
    let mut writer = table.segment_writer("t", "2026-01-01", 1).unwrap();
    let mut written = Vec::new();
    for batch in 0..60_i64 {
        // Numbers in text compress to a little less than half: 60 batches of 1,000 rows make some 20 MB.
        let payload = |_| (0..40).map(|_| format!("{:016x}", random.draw())).collect::<String>();
        let payloads: Vec<String> = (0..1000).map(payload).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values((0..1000).map(|_| format!("key-{batch:02}")))),
            Arc::new(Int64Array::from_iter_values(0..1000)),
            Arc::new(Int64Array::from_iter_values(0..1000)),
            Arc::new(StringArray::from(payloads.clone())),
        ];
        writer.write(&RecordBatch::try_new(spec().schema, columns).unwrap()).await.unwrap();
        written.extend(payloads);
    }
    let new = writer.finish().await.unwrap();
    assert!(new.size_bytes() > 2 * lake::limits::UPLOAD_PART_BYTES as u64, "{} bytes", new.size_bytes());
    let view = table.commit_seal(1, &[new]).await.unwrap();
    assert!(parts.load(Ordering::SeqCst) >= 2);
    let mut found = Vec::new();
    for batch in read(&table, &view.segments[0], &all()).await {
        let payloads: &StringArray = batch.column(1).as_any().downcast_ref().unwrap();
        found.extend(payloads.iter().map(|p| p.unwrap().to_owned()));
    }
    assert!(found == written, "{} rows of {} came back", found.len(), written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_used_is_refused_with_advice() {
    let Some(server) = S3Server::start("a_bucket_that_cannot_be_used") else { return };
    let proxy = Proxy::start(server.port());
    let folder = tempfile::tempdir().unwrap();
    let refused = |url: &'static str, port| {
        let folder = folder.path().to_owned();
        async move { lake_at(url, &folder, port).await.err().unwrap() }
    };
    let e = refused("s3://nobodys/x", server.port()).await;
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert_eq!(
        e.message(),
        "cannot open bucket s3://nobodys/x: the bucket does not exist; create it, or correct its name"
    );
    proxy.rule(|request| match request.starts_with("PUT ") {
        true => Action::PassWithout("If-None-Match"),
        false => Action::Pass,
    });
    let e = refused("s3://bucket/x", proxy.port()).await;
    assert!(e.message().contains("does not honour conditional writes"), "{e}");
    proxy.rule(|_| Action::Fail);
    let e = refused("s3://bucket/x", proxy.port()).await;
    assert!(e.message().ends_with("answers with status 500 Internal Server Error"), "{e}");
    proxy.rule(|_| Action::Hang);
    let e = refused("s3://bucket/x", proxy.port()).await;
    assert!(e.message().ends_with("does not answer in time"), "{e}");
    proxy.close();
    let e = refused("s3://bucket/x", proxy.port()).await;
    assert!(e.message().ends_with("does not answer: connection refused"), "{e}");
    proxy.open();
    proxy.pass();
    lake_at("s3://bucket/x", folder.path(), proxy.port()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_in_one_bucket_lose_nothing_in_a_race() {
    let Some(server) = S3Server::start("writers_in_one_bucket_lose_nothing") else { return };
    let variables = S3Server::variables(server.port());
    race(Cloud { url: "s3://bucket/race".into(), variables }).await;
    let variables = S3Server::google_variables(server.port());
    race(Cloud { url: "gs://bucket/google".into(), variables }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_second_to_create_a_table_takes_it_as_it_is() {
    let Some(server) = S3Server::start("who_is_second_to_create_a_table") else { return };
    let proxy = Proxy::start(server.port());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (folder, port) = (folders[0].path().to_owned(), server.port());
    let commits = AtomicU64::new(0);
    proxy.rule(move |request| {
        // The first one creates it when the second has seen that there is none.
        if is_commit(request) && commits.fetch_add(1, Ordering::SeqCst) == 0 {
            let folder = folder.clone();
            let create = move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                drop(runtime.block_on(table(&folder, port)));
            };
            std::thread::spawn(create).join().unwrap();
        }
        Action::Pass
    });
    let (_lake, second) = table(folders[1].path(), proxy.port()).await;
    assert_eq!(second.view().version, 0);
    let (_lake, again) = table(folders[0].path(), server.port()).await;
    assert_eq!(again.view().version, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_in_one_container_of_azure_lose_nothing_in_a_race() {
    let Some(server) = AzureServer::start("writers_in_one_container_of_azure_lose_nothing") else { return };
    let variables = AzureServer::variables(server.port());
    race(Cloud { url: "az://bucket/race".into(), variables: variables.clone() }).await;
    let nobodys = Cloud { url: "az://nobodys/x".into(), variables };
    let e = nobodys.lake(tempfile::tempdir().unwrap().path()).await.err().unwrap();
    assert_eq!(
        e.message(),
        "cannot open bucket az://nobodys/x: the container does not exist; create it, or correct its name"
    );
}

async fn race(cloud: Cloud) {
    const EPOCHS: i64 = 12;
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let writers: Vec<_> = folders
        .iter()
        .map(|folder| {
            let (folder, cloud) = (folder.path().to_owned(), cloud.clone());
            tokio::spawn(async move {
                let (lake, table) = cloud.table(&folder).await;
                for epoch in 1..=EPOCHS {
                    let new = segment(&table, epoch, 10).await;
                    table.commit_seal(epoch, &[new]).await.unwrap();
                }
                (lake, table)
            })
        })
        .collect();
    for writer in writers {
        let (_lake, table) = writer.await.unwrap();
        let view = table.refresh().await.unwrap();
        assert!(view.sealed_until == EPOCHS && view.segments.len() >= EPOCHS as usize);
    }
    let (_lake, table) = cloud.table(folders[0].path()).await;
    let view = table.view();
    assert_eq!((view.segments.len(), view.sealed_until), (3 * EPOCHS as usize, EPOCHS));
    let mut found = 0;
    for segment in view.segments.iter() {
        found += rows(&read(&table, segment, &all()).await);
    }
    assert_eq!(found, 3 * EPOCHS * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_happens_once_whatever_becomes_of_its_commit() {
    let Some(server) = S3Server::start("a_seal_happens_once_in_a_bucket") else { return };
    let proxy = Proxy::start(server.port());
    let folder = tempfile::tempdir().unwrap();
    let mut epoch = 0;
    for action in [Action::Lose, Action::LoseAnswer, Action::Fail, Action::FailAfter, Action::Hang] {
        epoch += 1;
        let (lake, before) = table(folder.path(), proxy.port()).await;
        let new = segment(&before, epoch, 10).await;
        let commits = Arc::new(AtomicU64::new(0));
        let count = commits.clone();
        // The first commit only, or all of them: then the process dies with it.
        let first_only = matches!(action, Action::LoseAnswer | Action::FailAfter);
        proxy.rule(move |request| match is_commit(request) {
            true if !first_only || count.fetch_add(1, Ordering::SeqCst) == 0 => action,
            _ => Action::Pass,
        });
        let sealed = before.commit_seal(epoch, &[new]).await;
        assert_eq!(sealed.is_ok(), first_only, "{action:?}: {sealed:?}");
        proxy.pass();
        drop((before, lake));
        let (_lake, after) = table(folder.path(), proxy.port()).await;
        if after.view().sealed_until < epoch {
            let again = segment(&after, epoch, 10).await;
            after.commit_seal(epoch, &[again]).await.unwrap();
        }
        let view = after.view();
        assert_eq!((view.segments.len() as i64, view.sealed_until), (epoch, epoch), "{action:?}");
    }
}
