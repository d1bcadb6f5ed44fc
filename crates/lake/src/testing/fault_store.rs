//! An object store in memory whose writes and deletions fail as planned.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Faults;

/// Objects in memory; clones share them. An object is durable once it is written.
#[derive(Debug, Clone)]
pub struct FaultStore {
    faults: Arc<Faults>,
    inner: Arc<InMemory>,
}

impl FaultStore {
    /// An empty store.
    pub fn new(faults: Arc<Faults>) -> Self {
        Self { faults, inner: Arc::default() }
    }

    /// A store with the same objects and faults of its own.
    pub fn fork(&self, faults: Arc<Faults>) -> Self {
        Self { faults, inner: Arc::new(self.inner.fork()) }
    }

    /// The paths of all objects.
    pub async fn paths(&self) -> Vec<String> {
        let all = self.inner.list(None);
        all.filter_map(|object| async { object.ok().map(|o| o.location.to_string()) }).collect().await
    }
}

fn injected(e: std::io::Error) -> Error {
    Error::Generic { store: "FaultStore", source: Box::new(e) }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        // The store in memory answers at once, so that effect and plan are one step.
        let put =
            || self.inner.put_opts(location, payload, opts).now_or_never().expect("memory answers at once");
        self.faults.step(|| format!("put {location}"), put).map_err(injected)?
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.faults.step(|| format!("begin upload {location}"), || ()).map_err(injected)?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let location = location?;
            let delete = || store.inner.delete(&location).now_or_never().expect("memory answers at once");
            store.faults.step(|| format!("delete {location}"), delete).map_err(injected)??;
            Ok(location)
        };
        locations.map(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
