//! Buckets: how one is opened, with which credentials, limits and errors.
//!
//! Owns settings, requests' limits, the cache of what was read, and what errors mean. Does not know tables or segments.

mod aws;
mod aws_profile;
mod azure;
pub(crate) mod explain;
mod gcp;
mod metrics;
mod reads;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base::{Error, Result};
use futures::StreamExt;
use object_store::client::{ClientConfigKey, ClientOptions};
use object_store::limit::LimitStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};

use crate::limits::{
    REMOTE_BACKOFF, REMOTE_CONNECT_TIMEOUT, REMOTE_REQUEST_TIMEOUT, REMOTE_REQUESTS, REMOTE_RETRIES,
    REMOTE_RETRY_TIMEOUT,
};
use crate::location::{Bucket, Provider};

pub use metrics::RemoteMetrics;
use store::RemoteStore;

/// Where credentials and settings of object stores come from: variables of the environment, and the files in the home folder.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    pub(crate) home: Option<PathBuf>,
}

impl Environment {
    /// An environment of these variables; those that are empty count as absent.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, home: Option<PathBuf>) -> Self {
        Self { variables: variables.into_iter().filter(|(_, value)| !value.is_empty()).collect(), home }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.variables.range(prefix.to_owned()..);
        all.take_while(move |(name, _)| name.starts_with(prefix)).map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// Names the variables without their values, which are secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.keys()).finish_non_exhaustive()
    }
}

/// Opens a bucket as the store of a lake, and finds out whether it is there and keeps two writers apart.
pub(crate) async fn open(
    bucket: &Bucket,
    environment: &Environment,
    writer_id: &str,
    metrics: &RemoteMetrics,
) -> Result<Arc<dyn ObjectStore>> {
    let store = connect(bucket, environment, metrics)?;
    let cannot_open = |e: Error| e.context(format!("cannot open bucket {bucket}"));
    probe(&store, writer_id).await.map_err(cannot_open)?;
    Ok(Arc::new(store))
}

/// Opens a bucket and finds out whether it is there; writes nothing to it.
pub(crate) async fn open_to_read(
    bucket: &Bucket,
    environment: &Environment,
    metrics: &RemoteMetrics,
) -> Result<Arc<dyn ObjectStore>> {
    let store = connect(bucket, environment, metrics)?;
    match store.list(None).next().await {
        Some(Err(e)) => {
            Err(Error::unavailable(explain::cause(&e)).context(format!("cannot open bucket {bucket}")))
        }
        _ => Ok(Arc::new(store)),
    }
}

fn connect(bucket: &Bucket, environment: &Environment, metrics: &RemoteMetrics) -> Result<RemoteStore> {
    let store = match bucket.provider {
        Provider::S3 => aws::build(bucket, environment),
        Provider::Gcs => gcp::build(bucket, environment),
        Provider::Azure => azure::build(bucket, environment),
    }
    .map_err(|e| e.context(format!("cannot open bucket {bucket}")))?;
    let limited = LimitStore::new(store, REMOTE_REQUESTS);
    Ok(RemoteStore::new(Arc::new(PrefixStore::new(limited, bucket.prefix()?)), metrics.clone()))
}

/// Lists, and writes an object that must not be there twice: all that the Delta log's agreement between writers rests on.
async fn probe(store: &RemoteStore, writer_id: &str) -> Result<()> {
    let fail = |e: &object_store::Error| Error::unavailable(explain::cause(e));
    if let Some(Err(e)) = store.list(None).next().await {
        return Err(fail(&e));
    }
    let path = Path::from(format!("{}{writer_id}", crate::filenames::PROBE_PREFIX));
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    // Of an earlier start, or of a request that was tried again.
    match store.put_opts(&path, "probe".into(), create()).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(e) => return Err(fail(&e)),
    }
    let again = store.put_opts(&path, "probe".into(), create()).await;
    if let Err(e) = store.delete(&path).await {
        tracing::warn!(object = %path, "cannot delete an object that was written to try the bucket: {}", explain::cause(&e));
    }
    match again {
        Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(e) => Err(fail(&e)),
        Ok(_) => Err(Error::unavailable(
            "it does not honour conditional writes (If-None-Match), so that two writers would overwrite each other's \
             commits; use a store that does",
        )),
    }
}

/// Limits of the HTTP client, which settings in the environment may override.
fn client_options() -> ClientOptions {
    ClientOptions::new()
        .with_config(ClientConfigKey::UserAgent, concat!("bellwether/", env!("CARGO_PKG_VERSION")))
        .with_connect_timeout(REMOTE_CONNECT_TIMEOUT)
        .with_timeout(REMOTE_REQUEST_TIMEOUT)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: REMOTE_BACKOFF, ..BackoffConfig::default() },
        max_retries: REMOTE_RETRIES,
        retry_timeout: REMOTE_RETRY_TIMEOUT,
    }
}
