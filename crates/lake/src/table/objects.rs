//! Small objects beside a table's segments, for what its owner has to tell everybody who reads it. The Delta log does not know them:
//! other programs pass over folders whose names begin with an underscore.

use base::{Error, Result};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::Table;

impl Table {
    /// A name that no other object has, of this process or another.
    pub fn unique_name(&self) -> String {
        format!("{}-{}", self.writer_id, self.next_attempt())
    }

    /// Stores an object in a folder of the table, as durably as the store does; fails if there is one of the name.
    pub async fn put_object(&self, folder: &str, name: &str, content: Bytes) -> Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&path(folder, name), PutPayload::from(content), options).await;
        put.map(|_| ()).map_err(|e| self.object_error("write", folder, &e))
    }

    /// The names of the objects in a folder of the table, sorted.
    pub async fn object_names(&self, folder: &str) -> Result<Vec<String>> {
        let found: Vec<object_store::ObjectMeta> = self
            .store
            .list(Some(&Path::from(folder)))
            .try_collect()
            .await
            .map_err(|e| self.object_error("list", folder, &e))?;
        let mut names: Vec<String> =
            found.iter().filter_map(|f| f.location.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The content of an object; `None` if it is gone.
    pub async fn get_object(&self, folder: &str, name: &str) -> Result<Option<Bytes>> {
        let content = async { self.store.get(&path(folder, name)).await?.bytes().await };
        match content.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.object_error("read", folder, &e)),
        }
    }

    /// Deletes an object, which may be gone already.
    pub async fn delete_object(&self, folder: &str, name: &str) -> Result<()> {
        match self.store.delete(&path(folder, name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.object_error("delete from", folder, &e)),
        }
    }

    fn object_error(&self, verb: &str, folder: &str, e: &object_store::Error) -> Error {
        Error::unavailable(format!("cannot {verb} {folder} of table {}: {e}", self.spec.name))
    }
}

fn path(folder: &str, name: &str) -> Path {
    Path::from(format!("{folder}/{name}"))
}
