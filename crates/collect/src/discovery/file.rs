//! Targets named in files, JSON or YAML: `[{"targets": ["host:port"], "labels": {"name": "value"}}]`.
//!
//! Files are looked at every few seconds and read again when their modification time or length changed, and in any case
//! every refresh interval. A file that cannot be read or parsed keeps the targets it had; one that is gone loses them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base::{Error, Labels, Result};
use prometheus::IntCounter;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::warn;

use super::Provider;
use crate::config::{FileSdConfig, TargetGroup};
use crate::limits::{FILE_POLL, TARGET_FILE_BYTES_MAX};
use crate::target::ADDRESS_LABEL;

const FILEPATH_LABEL: &str = "__meta_filepath";

/// Reads target groups from files.
pub struct FileProvider {
    config: FileSdConfig,
    read_errors: IntCounter,
    files: BTreeMap<PathBuf, SeenFile>,
    started: bool,
}

struct SeenFile {
    stamp: Stamp,
    groups: Vec<TargetGroup>,
}

/// Changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl FileProvider {
    /// A provider of the groups in these files; counts what it cannot read.
    pub fn new(config: FileSdConfig, read_errors: IntCounter) -> Self {
        Self { config, read_errors, files: BTreeMap::new(), started: false }
    }

    fn groups(&self) -> Vec<TargetGroup> {
        self.files.values().flat_map(|f| f.groups.iter().cloned()).collect()
    }

    /// Looks at the files and reads those that changed, or all. Returns whether any group differs.
    async fn look(&mut self, read_all: bool) -> bool {
        let mut found = BTreeMap::new();
        for pattern in &self.config.files {
            match matching(pattern).await {
                Ok(paths) => found.extend(paths),
                Err(e) => {
                    // A folder that cannot be listed is a failed read: its files keep their targets.
                    self.failed(&e);
                    found.extend(
                        self.files
                            .iter()
                            .filter(|(p, _)| is_match(pattern, p))
                            .map(|(p, f)| (p.clone(), f.stamp)),
                    );
                }
            }
        }
        let before = self.files.len();
        self.files.retain(|path, _| found.contains_key(path));
        let mut changed = self.files.len() < before;
        for (path, stamp) in found {
            let seen = self.files.get(&path);
            if !read_all && seen.is_some_and(|f| f.stamp == stamp) {
                continue;
            }
            match read(&path).await {
                Ok(groups) => {
                    changed |= seen.is_none_or(|f| f.groups != groups);
                    self.files.insert(path, SeenFile { stamp, groups });
                }
                Err(e) => {
                    self.failed(&e);
                    match self.files.get_mut(&path) {
                        Some(file) => file.stamp = stamp,
                        None => {
                            self.files.insert(path, SeenFile { stamp, groups: Vec::new() });
                        }
                    }
                }
            }
        }
        changed
    }

    fn failed(&self, e: &Error) {
        self.read_errors.inc();
        warn!(error = %e, "target file is left as it was");
    }
}

#[async_trait]
impl Provider for FileProvider {
    async fn next(&mut self) -> Vec<TargetGroup> {
        if !self.started {
            self.started = true;
            self.look(true).await;
            return self.groups();
        }
        let mut refresh_at = Instant::now() + self.config.refresh_interval;
        loop {
            tokio::time::sleep(FILE_POLL.min(self.config.refresh_interval).max(Duration::from_millis(10)))
                .await;
            let read_all = Instant::now() >= refresh_at;
            if read_all {
                refresh_at = Instant::now() + self.config.refresh_interval;
            }
            if self.look(read_all).await {
                return self.groups();
            }
        }
    }
}

/// Files that match a path whose last part may hold one `*`.
async fn matching(pattern: &Path) -> Result<Vec<(PathBuf, Stamp)>> {
    let fail = |path: &Path, e: std::io::Error| {
        Error::unavailable(format!("cannot list target files {}: {e}", path.display()))
    };
    let mut out = Vec::new();
    let name = pattern.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains('*') {
        match tokio::fs::metadata(pattern).await {
            Ok(meta) => out.push((pattern.to_owned(), stamp_of(&meta))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(fail(pattern, e)),
        }
        return Ok(out);
    }
    let folder = match pattern.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut entries = match tokio::fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(out),
        Err(e) => return Err(fail(folder, e)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(|e| fail(folder, e))? {
        let path = entry.path();
        // Through `metadata` of the path, so that a symbolic link, as Kubernetes mounts them, counts as its target.
        if is_match(pattern, &path)
            && let Ok(meta) = tokio::fs::metadata(&path).await
            && meta.is_file()
        {
            out.push((path, stamp_of(&meta)));
        }
    }
    Ok(out)
}

fn is_match(pattern: &Path, path: &Path) -> bool {
    let name_of = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let (pattern_name, name) = (name_of(pattern), name_of(path));
    match pattern_name.split_once('*') {
        None => pattern == path,
        Some((prefix, suffix)) => {
            name.len() >= prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix)
        }
    }
}

fn stamp_of(meta: &std::fs::Metadata) -> Stamp {
    Stamp { modified: meta.modified().ok(), length: meta.len() }
}

async fn read(path: &Path) -> Result<Vec<TargetGroup>> {
    let fail = |cause: String| Error::invalid(format!("cannot read target file {}: {cause}", path.display()));
    let length = tokio::fs::metadata(path).await.map_err(|e| fail(e.to_string()))?.len();
    if length > TARGET_FILE_BYTES_MAX {
        return Err(fail(format!("it has {length} bytes, the limit is {TARGET_FILE_BYTES_MAX}")));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|e| fail(e.to_string()))?;
    target_groups(path, &text).map_err(|e| fail(e.message().to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Scalar>,
}

impl RawGroup {
    /// How many targets it names.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// The group, which is the `i`th of a list. A label says where the list came from.
    pub(super) fn into_group(self, i: usize, from: &str, from_label: &str) -> TargetGroup {
        let mut labels =
            Labels::from_pairs(self.labels.into_iter().map(|(n, v)| (n, v.into_text()))).to_builder();
        labels.set(from_label, from);
        TargetGroup {
            source: format!("{from}:{i}"),
            targets: self.targets.iter().map(|t| Labels::from_pairs([(ADDRESS_LABEL, t.as_str())])).collect(),
            labels: labels.build(),
        }
    }
}

/// A label's value; YAML writes numbers and booleans without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Boolean(b) => b.to_string(),
        }
    }
}

/// The groups in the text of a target file; the name says which format it has.
pub fn target_groups(path: &Path, text: &str) -> Result<Vec<TargetGroup>> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let raw: Option<Vec<RawGroup>> = match extension.as_str() {
        "json" => serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?,
        "yml" | "yaml" => serde_yaml_ng::from_str(text).map_err(|e| Error::invalid(e.to_string()))?,
        other => {
            return Err(Error::invalid(format!("unknown file extension {other:?}: use json, yml or yaml")));
        }
    };
    let groups = raw.unwrap_or_default().into_iter().enumerate();
    Ok(groups.map(|(i, raw)| raw.into_group(i, &path.display().to_string(), FILEPATH_LABEL)).collect())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
