//! Where a lake's tables lie: a local folder, or a bucket of an object store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base::{Error, Result};
use url::Url;

/// A folder or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local folder, which holds the WALs as well.
    Folder(PathBuf),
    /// A bucket, or a part of one.
    Bucket(Bucket),
}

/// Whose protocol a bucket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3 and the many that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// A bucket, and the prefix under which the lake lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub(crate) provider: Provider,
    pub(crate) url: Url,
}

impl Bucket {
    /// Whose protocol it speaks.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The part of every object's name that comes before the lake's own; empty for a whole bucket.
    pub(crate) fn prefix(&self) -> Result<object_store::path::Path> {
        object_store::path::Path::from_url_path(self.url.path())
            .map_err(|e| Error::invalid(format!("cannot use storage path {self}: {e}")))
    }
}

impl Location {
    /// The folder, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Bucket(_) => None,
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    /// Reads `s3://bucket/prefix`, `gs://…`, `az://…` and `abfss://…`; what has no scheme is a folder.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |cause: &dyn fmt::Display| {
            Error::invalid(format!(
                "cannot use storage path {text:?}: {cause}; write a folder, s3://bucket/prefix, gs://bucket/prefix, \
                 az://container/prefix or abfss://container@account.dfs.core.windows.net/prefix"
            ))
        };
        let Some((scheme, _)) = text.split_once("://") else {
            return if text.is_empty() { Err(refuse(&"it is empty")) } else { Ok(Self::Folder(text.into())) };
        };
        let provider = match scheme {
            "s3" | "s3a" => Provider::S3,
            "gs" => Provider::Gcs,
            "az" | "azure" | "abfs" | "abfss" => Provider::Azure,
            "file" => {
                let url = Url::parse(text).map_err(|e| refuse(&e))?;
                return url.to_file_path().map(Self::Folder).map_err(|()| refuse(&"it names another host"));
            }
            other => return Err(refuse(&format_args!("there is no object store {other:?}"))),
        };
        let url = Url::parse(text).map_err(|e| refuse(&e))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refuse(&"it names no bucket"));
        }
        if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::invalid(format!(
                "cannot use storage path {scheme}://{}…: credentials and options do not belong into it but into the \
                 environment",
                url.host_str().unwrap_or_default()
            )));
        }
        let bucket = Bucket { provider, url };
        bucket.prefix()?;
        Ok(Self::Bucket(bucket))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(bucket) => write!(f, "{bucket}"),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(text: &str) -> Option<(Provider, String)> {
        match text.parse().unwrap() {
            Location::Bucket(b) => Some((b.provider, b.prefix().unwrap().to_string())),
            Location::Folder(_) => None,
        }
    }

    #[test]
    fn schemes_say_what_a_place_is() {
        assert_eq!(provider("./data"), None);
        assert_eq!("file:///srv/x".parse::<Location>().unwrap(), Location::Folder("/srv/x".into()));
        assert_eq!(provider("s3://b"), Some((Provider::S3, String::new())));
        assert_eq!(provider("s3://b/a/c/"), Some((Provider::S3, "a/c".into())));
        assert_eq!(provider("gs://b/x"), Some((Provider::Gcs, "x".into())));
        assert_eq!(provider("az://c/x"), Some((Provider::Azure, "x".into())));
        assert_eq!(provider("abfss://c@a.dfs.core.windows.net/x"), Some((Provider::Azure, "x".into())));
        assert_eq!("s3://b/a/".parse::<Location>().unwrap().to_string(), "s3://b/a");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_secrets() {
        for bad in ["", "s3://", "s3:///x", "ftp://b/x", "https://b/x"] {
            let e = bad.parse::<Location>().unwrap_err();
            assert!(e.message().contains("s3://bucket/prefix"), "{bad}: {e}");
        }
        for secret in ["s3://key:hidden@b/x", "az://c/x?sig=hidden"] {
            let e = secret.parse::<Location>().unwrap_err();
            assert!(!e.message().contains("hidden") && e.message().contains("environment"), "{e}");
        }
    }
}
