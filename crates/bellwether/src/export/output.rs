//! Where an export goes: files that have their names once they are whole, and the folder with one for each day.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use base::{Error, Result};
use serde_json::{Value, json};

/// What the name of a file ends with while it is written.
const UNFINISHED: &str = ".part";

/// What a folder says about the export that it holds.
const MANIFEST: &str = "export.json";

/// A file that is being written, or standard output. Removed if it is dropped before it is finished.
pub(super) struct Output {
    out: BufWriter<Sink>,
    bytes: u64,
    path: Option<PathBuf>,
}

enum Sink {
    File(File),
    Stdout(io::Stdout),
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(buf),
            Self::Stdout(out) => out.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(out) => out.flush(),
        }
    }
}

impl Output {
    /// Begins a file that does not exist; without a path, standard output.
    pub(super) fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self { out: BufWriter::new(Sink::Stdout(io::stdout())), bytes: 0, path: None });
        };
        refuse_existing(path)?;
        let file = File::create(unfinished(path))
            .map_err(|e| Error::unavailable(format!("cannot create {}: {e}", unfinished(path).display())))?;
        Ok(Self { out: BufWriter::new(Sink::File(file)), bytes: 0, path: Some(path.to_owned()) })
    }

    /// Gives the file its name, once all of it is on the disk. Returns its bytes.
    pub(super) fn finish(mut self) -> Result<u64> {
        let name = self.path.as_ref().map_or_else(|| "standard output".into(), |p| p.display().to_string());
        let fail = |e: io::Error| Error::unavailable(format!("cannot write {name}: {e}"));
        self.out.flush().map_err(fail)?;
        if let (Sink::File(file), Some(path)) = (self.out.get_ref(), &self.path) {
            file.sync_all().map_err(fail)?;
            refuse_existing(path)?;
            fs::rename(unfinished(path), path).map_err(fail)?;
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
        self.path = None;
        Ok(self.bytes)
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What stays is overwritten by the next attempt.
            let _ = fs::remove_file(unfinished(path));
        }
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Refuses a path that is taken.
pub(super) fn refuse_existing(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::invalid(format!(
            "cannot write {}: it exists; remove it or choose another name",
            path.display()
        ))),
        Err(_) => Ok(()),
    }
}

/// Prepares a folder for an export, and returns where the export ends: where it did when it was started first.
pub(super) fn prepare_folder(folder: &Path, asked_for: &Value, end_ms: i64) -> Result<i64> {
    let fail = |e: io::Error| Error::unavailable(format!("cannot use folder {}: {e}", folder.display()));
    fs::create_dir_all(folder).map_err(fail)?;
    let manifest = folder.join(MANIFEST);
    if !manifest.exists() {
        if fs::read_dir(folder).map_err(fail)?.next().is_some() {
            return Err(Error::invalid(format!(
                "cannot export to {}: the folder is not empty, and what it holds is no export",
                folder.display()
            )));
        }
        let text = json!({"version": 1, "options": asked_for, "endMs": end_ms}).to_string();
        let mut output = Output::create(Some(&manifest))?;
        output.write_all(text.as_bytes()).map_err(fail)?;
        output.finish()?;
        return Ok(end_ms);
    }
    let text = fs::read(&manifest).map_err(fail)?;
    let known: Value = serde_json::from_slice(&text)
        .map_err(|e| Error::corrupt(format!("cannot read {}: {e}", manifest.display())))?;
    let end_ms = known["endMs"].as_i64();
    match end_ms {
        Some(end_ms) if known["version"] == 1 && known["options"] == *asked_for => Ok(end_ms),
        _ => Err(Error::invalid(format!(
            "cannot export to {}: it holds an export with other options, {}",
            folder.display(),
            known["options"]
        ))),
    }
}
