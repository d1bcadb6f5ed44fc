//! A local folder as an object store whose objects are on the disk when a write returns.
//!
//! `object_store`'s own one leaves that to the kernel, but here a commit in the Delta log permits the deletion of the
//! WAL, so a power cut must not take the commit or its segment back.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

const STORE: &str = "LocalStore";

/// An object store in a local folder.
#[derive(Debug)]
pub struct LocalStore {
    inner: LocalFileSystem,
    root: Arc<FsPath>,
    staged: AtomicU64,
}

impl LocalStore {
    /// A store in `root`, which exists.
    pub fn new(root: &FsPath) -> Result<Self> {
        let inner = LocalFileSystem::new_with_prefix(root)?;
        let root = root.canonicalize().map_err(generic)?;
        Ok(Self { inner, root: root.into(), staged: AtomicU64::new(0) })
    }
}

/// A file that was being written under another name than its own when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staged {
    /// Its path within the folder that was searched.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) modified_ms: i64,
}

impl LocalStore {
    /// The staged files in a folder of the store and those below. They have no place in a listing of objects.
    pub(crate) fn staged(&self, folder: &str) -> io::Result<Vec<Staged>> {
        let root = self.root.join(folder);
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            for entry in entries {
                let entry = entry?;
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.is_file() && is_staged(&entry.file_name().to_string_lossy()) {
                    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
                    let path = entry.path();
                    found.push(Staged {
                        path: path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned(),
                        size_bytes: metadata.len(),
                        modified_ms: modified.map_or(0, |t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX)),
                    });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Deletes a staged file of a folder. It may be gone.
    pub(crate) fn remove_staged(&self, folder: &str, path: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(folder).join(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// Whether a name is one under which this store, or the one below it, writes what has no name yet.
fn is_staged(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) {
            return Err(Error::NotImplemented {
                operation: "put with PutMode::Update".into(),
                implementer: STORE.into(),
            });
        }
        let target = self.inner.path_to_filesystem(location)?;
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let (root, location) = (self.root.clone(), location.clone());
        let create = matches!(opts.mode, PutMode::Create);
        blocking(move || put(&root, &target, &payload, create, number, &location)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, opts).await?;
        let target = self.inner.path_to_filesystem(location)?;
        Ok(Box::new(SyncedUpload { upload, target, root: self.root.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = self.inner.list(prefix);
        // In order of names, as object stores in the network list and as readers of a Delta log expect.
        let sorted = async move {
            let mut files: Vec<Result<ObjectMeta>> = found.collect().await;
            files.sort_by(|a, b| match (a, b) {
                (Ok(a), Ok(b)) => a.location.cmp(&b.location),
                (a, b) => a.is_ok().cmp(&b.is_ok()),
            });
            stream::iter(files)
        };
        stream::once(sorted).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        let (root, target) = (self.root.clone(), self.inner.path_to_filesystem(to)?);
        blocking(move || sync_file(&root, &target).map_err(generic)).await
    }
}

#[derive(Debug)]
struct SyncedUpload {
    upload: Box<dyn MultipartUpload>,
    target: PathBuf,
    root: Arc<FsPath>,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.upload.complete().await?;
        let (root, target) = (self.root.clone(), self.target.clone());
        blocking(move || sync_file(&root, &target).map_err(generic)).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// Writes beside the target, syncs, and only then gives the content its name: no reader, not even after a power cut,
/// sees half of it.
fn put(
    root: &FsPath,
    target: &FsPath,
    payload: &PutPayload,
    create: bool,
    number: u64,
    location: &Path,
) -> Result<()> {
    // The store that lists the folder passes over names that end in '#' and digits.
    let mut staged = target.as_os_str().to_owned();
    staged.push(format!("#{number}"));
    let staged = PathBuf::from(staged);
    let write = || -> io::Result<()> {
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = File::create(&staged)?;
        for bytes in payload.iter() {
            file.write_all(bytes)?;
        }
        file.sync_all()?;
        if create { fs::hard_link(&staged, target) } else { fs::rename(&staged, target) }?;
        // If the name cannot be made durable it must not stay, for the caller will be told that it is not there.
        sync_dirs(root, target).inspect_err(|_| drop(fs::remove_file(target)))
    };
    let result = write();
    // Gone already after a rename; and one that stays is passed over.
    fs::remove_file(&staged).ok();
    result.map_err(|source| {
        if create && source.kind() == io::ErrorKind::AlreadyExists {
            Error::AlreadyExists { path: location.to_string(), source: Box::new(source) }
        } else {
            generic(source)
        }
    })
}

fn sync_file(root: &FsPath, target: &FsPath) -> io::Result<()> {
    File::open(target)?.sync_all()?;
    sync_dirs(root, target)
}

/// Syncs the folders from a file's own up to the root: any of them may be new.
fn sync_dirs(root: &FsPath, target: &FsPath) -> io::Result<()> {
    for dir in target.ancestors().skip(1) {
        File::open(dir)?.sync_all()?;
        if dir == root {
            break;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await?
}

fn generic(source: io::Error) -> Error {
    Error::Generic { store: STORE, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn puts_create_once_and_replace() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path()).unwrap();
        let at = Path::from("a/b/c.json");
        let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&at, "one".into(), create()).await.unwrap();
        let again = store.put_opts(&at, "two".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "one");
        for name in ["a/z", "a/b/a", "a/c"] {
            store.put(&Path::from(name), "x".into()).await.unwrap();
        }
        store.put(&at, "three".into()).await.unwrap();
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "three");
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        let names: Vec<&str> = listed.iter().map(|f| f.location.as_ref()).collect();
        assert_eq!(
            names,
            ["a/b/a", "a/b/c.json", "a/c", "a/z"],
            "nothing staged is left, and names come in order"
        );
    }
}
