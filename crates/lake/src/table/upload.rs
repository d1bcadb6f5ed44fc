//! The way of a segment's bytes into the store: one request for a small file, parts for a large one, and a checksum of all.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, Result};
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::{ParquetError, Result as ParquetResult};
use tokio::task::JoinSet;

use crate::limits::{UPLOAD_PART_BYTES, UPLOAD_PARTS};

/// A file on its way. One that is given up leaves nothing behind, as far as the store can be reached.
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// What is not on its way yet, below the size of a part.
    buffer: Vec<u8>,
    parts: Option<Parts>,
    crc: u32,
}

struct Parts {
    upload: Box<dyn MultipartUpload>,
    under_way: JoinSet<Result<()>>,
}

impl Upload {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, buffer: Vec::new(), parts: None, crc: 0 }
    }

    /// The crc32c of all bytes so far.
    pub(super) fn crc(&self) -> u32 {
        self.crc
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(UPLOAD_PART_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == UPLOAD_PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        let part = PutPayload::from(std::mem::take(&mut self.buffer));
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let upload = self.store.put_multipart(&self.path).await?;
                none.insert(Parts { upload, under_way: JoinSet::new() })
            }
        };
        parts.wait(UPLOAD_PARTS - 1).await?;
        parts.under_way.spawn(parts.upload.put_part(part));
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        if self.parts.is_none() {
            let whole = PutPayload::from(std::mem::take(&mut self.buffer));
            return self.store.put(&self.path, whole).await.map(|_| ());
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts.wait(0).await?;
            parts.upload.complete().await?;
            self.parts = None;
        }
        Ok(())
    }

    /// Takes back the parts that are there: the store would keep, and charge for, what no listing shows.
    async fn give_up(&mut self, e: object_store::Error) -> ParquetError {
        if let Some(parts) = self.parts.take() {
            abort(parts).await;
        }
        e.into()
    }
}

impl Parts {
    /// Waits until no more than so many parts are under way.
    async fn wait(&mut self, at_most: usize) -> Result<()> {
        while self.under_way.len() > at_most {
            if let Some(ended) = self.under_way.join_next().await {
                ended??;
            }
        }
        Ok(())
    }
}

async fn abort(mut parts: Parts) {
    parts.under_way.shutdown().await;
    if let Err(error) = parts.upload.abort().await {
        tracing::warn!(%error, "cannot take back the parts of an upload that failed");
    }
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            match self.write_all(&bytes).await {
                Ok(()) => Ok(()),
                Err(e) => Err(self.give_up(e).await),
            }
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            match self.finish().await {
                Ok(()) => Ok(()),
                Err(e) => Err(self.give_up(e).await),
            }
        }
        .boxed()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(parts), Ok(runtime)) = (self.parts.take(), runtime) {
            runtime.spawn(abort(parts));
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn files_of_any_size_arrive_whole() {
        for (bytes, piece) in
            [(0, 1), (10, 3), (UPLOAD_PART_BYTES, 1 << 20), (3 * UPLOAD_PART_BYTES + 5, 1_000_003)]
        {
            let store = Arc::new(InMemory::new());
            let content: Vec<u8> = (0..bytes).map(|i| (i % 253) as u8).collect();
            let mut upload = Upload::new(store.clone(), Path::from("a"));
            for some in content.chunks(piece) {
                upload.write(Bytes::copy_from_slice(some)).await.unwrap();
            }
            upload.complete().await.unwrap();
            assert_eq!(upload.crc(), crc32c::crc32c(&content));
            let found = store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap();
            assert!(found == content, "{bytes} bytes in pieces of {piece}");
        }
    }
}
