//! Where the data is: what `--storage.path` and `--storage.wal-path` name, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Clock, Error, Result};
use lake::inspect::LakeAtRest;
use lake::{Environment, Lake, Location};

/// Where the WALs of data in a bucket lie, if nothing else is said.
const DEFAULT_WAL_PATH: &str = "./data";

/// A folder, or a bucket and the folder of the WALs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Belongs to one process at a time.
    pub(crate) folder: PathBuf,
}

impl Place {
    /// Reads both settings.
    pub(crate) fn new(path: &str, wal_path: Option<&Path>) -> Result<Self> {
        let location: Location = path.parse()?;
        let folder = match (location.folder(), wal_path) {
            (Some(folder), Some(wal)) if folder != wal => {
                return Err(Error::invalid(format!(
                    "cannot keep write-ahead logs in {}: the data lies in the folder {location}, which has its own; leave \
                     storage.wal-path out, or keep the data in a bucket",
                    wal.display()
                )));
            }
            (Some(folder), _) => folder.to_owned(),
            (None, wal) => wal.unwrap_or(Path::new(DEFAULT_WAL_PATH)).to_owned(),
        };
        Ok(Self { location, folder })
    }

    /// Opens it for this process alone.
    pub(crate) async fn open(&self, clock: Arc<dyn Clock>) -> Result<Lake> {
        match &self.location {
            Location::Folder(_) => Lake::open_local(&self.folder, clock),
            Location::Bucket(bucket) => Lake::open_bucket(bucket, &self.folder, &environment(), clock).await,
        }
    }
}

/// Opens what is stored, for looking at it or, `to_change`, for maintenance by hand. The logs of data in a bucket are left alone
/// unless `wal_path` says where they are.
pub(crate) async fn open_at_rest(
    path: &str,
    wal_path: Option<&Path>,
    clock: Arc<dyn Clock>,
    to_change: bool,
) -> Result<LakeAtRest> {
    let place = Place::new(path, wal_path)?;
    match &place.location {
        Location::Folder(_) => LakeAtRest::open_folder(&place.folder, clock),
        Location::Bucket(bucket) => {
            LakeAtRest::open_bucket(bucket, wal_path, &environment(), clock, to_change).await
        }
    }
}

/// What object stores' credentials and settings come from. With `serve::environment`, this is what reads the environment.
fn environment() -> Environment {
    let variables =
        std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    Environment::new(variables, std::env::home_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_logs_in_a_folder_and_a_folder_has_its_own() {
        let folder = |path, wal: Option<&str>| Place::new(path, wal.map(Path::new)).map(|p| p.folder);
        assert_eq!(folder("d", None).unwrap(), PathBuf::from("d"));
        assert_eq!(folder("d", Some("d")).unwrap(), PathBuf::from("d"));
        assert_eq!(folder("s3://b/p", None).unwrap(), PathBuf::from("./data"));
        assert_eq!(folder("s3://b", Some("/w")).unwrap(), PathBuf::from("/w"));
        let refused = folder("/d", Some("/w")).unwrap_err();
        assert!(refused.message().contains("storage.wal-path"), "{refused}");
        assert!(folder("ftp://x", None).is_err());
    }
}
