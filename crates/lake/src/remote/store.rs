//! An object store in the network: counts its operations, and reads segments through a cache of blocks.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::metrics::RemoteMetrics;
use super::reads::Blocks;
use crate::filenames;

/// A store, counted and cached.
#[derive(Debug)]
pub(super) struct RemoteStore {
    inner: Arc<dyn ObjectStore>,
    blocks: Blocks,
    metrics: RemoteMetrics,
}

impl RemoteStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, metrics: RemoteMetrics) -> Self {
        Self { blocks: Blocks::new(inner.clone(), metrics.clone()), inner, metrics }
    }

    fn counted<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        count(&self.metrics, operation, result)
    }
}

/// An object that is not there, or is there already, is an answer and no failure.
pub(super) fn count<T>(metrics: &RemoteMetrics, operation: &'static str, result: Result<T>) -> Result<T> {
    metrics.requests.with_label_values(&[operation]).inc();
    let answered = matches!(
        &result,
        Ok(_)
            | Err(object_store::Error::NotFound { .. }
                | object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. })
    );
    if !answered {
        metrics.failures.with_label_values(&[operation]).inc();
    }
    result
}

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let result = self.inner.put_opts(location, payload, opts).await;
        self.counted("put", result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let result = self.inner.put_multipart_opts(location, opts).await;
        self.counted("put", result)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.inner.get_opts(location, options).await;
        self.counted("get", result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if filenames::is_segment(location.as_ref()) {
            return self.blocks.read(location, ranges).await;
        }
        let result = self.inner.get_ranges(location, ranges).await;
        self.counted("get", result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let metrics = self.metrics.clone();
        self.inner.delete_stream(locations).map(move |result| count(&metrics, "delete", result)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metrics.requests.with_label_values(&["list"]).inc();
        let metrics = self.metrics.clone();
        let failures = move |entry: &Result<ObjectMeta>| {
            if entry.is_err() {
                metrics.failures.with_label_values(&["list"]).inc();
            }
        };
        self.inner.list(prefix).inspect(failures).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metrics.requests.with_label_values(&["list"]).inc();
        // A server that does not know where to begin lists everything, and a log would seem to begin before the offset.
        let offset = offset.clone();
        let listed = self.inner.list_with_offset(prefix, &offset);
        listed.try_filter(move |f| futures::future::ready(f.location > offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let result = self.inner.list_with_delimiter(prefix).await;
        self.counted("list", result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let result = self.inner.copy_opts(from, to, options).await;
        self.counted("put", result)
    }
}
