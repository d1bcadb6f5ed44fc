//! `queries.active`: the queries under way, in a file, so that the next start can say which there were when the process died.
//!
//! One line is appended when a query comes and one when it ends; nothing is synced, as what a dying process has written stays. So a power
//! cut may lose lines, and the file does not slow queries down. The format is in `docs/format/queries-active.md`.
//!
//! Does not own which queries there are: that is `active.rs`.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake::fs::{AppendFile, Fs};
use lake::{Lake, filenames};
use parking_lot::Mutex;
use prometheus::IntCounter;
use serde_json::{Value, json};

use crate::limits::{QUERIES_QUOTED, QUERY_FILE_BYTES, QUERY_FILE_QUERY_BYTES};
use crate::{Engine, clip};

/// The file, while the process runs.
pub(crate) struct QueryFile {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    state: Mutex<State>,
    dropped: IntCounter,
}

struct State {
    /// None after a failure, until all of it could be written again.
    file: Option<Box<dyn AppendFile>>,
    /// Bytes of the file.
    bytes: usize,
    /// The lines of the queries under way, and their bytes.
    lines: BTreeMap<u64, String>,
    line_bytes: usize,
    warned: bool,
}

impl Engine {
    /// Logs which queries were under way when the process before this one died, and keeps those of this one in the same file.
    /// Without the file queries run all the same.
    #[must_use]
    pub fn with_query_file(mut self, lake: &Lake) -> Self {
        let path = lake.folder().join(filenames::QUERIES_ACTIVE);
        match read(lake.fs().as_ref(), &path) {
            Ok(queries) if queries.is_empty() => {}
            Ok(queries) => {
                let quoted: Vec<String> =
                    queries.iter().take(QUERIES_QUOTED).map(ToString::to_string).collect();
                tracing::warn!(
                    count = queries.len(),
                    queries = %format_args!("[{}]", quoted.join(",")),
                    "these queries did not finish in the last run"
                );
            }
            Err(error) => tracing::error!(%error, "cannot read {}", path.display()),
        }
        let file = QueryFile::begin(Arc::clone(lake.fs()), path, self.metrics.untracked.clone());
        self.watch.set_file(file);
        self
    }
}

impl QueryFile {
    /// Begins the file anew.
    fn begin(fs: Arc<dyn Fs>, path: PathBuf, dropped: IntCounter) -> Self {
        let state = State { file: None, bytes: 0, lines: BTreeMap::new(), line_bytes: 0, warned: false };
        let this = Self { fs, path, state: Mutex::new(state), dropped };
        this.append(&mut this.state.lock(), "");
        this
    }

    /// Takes note of a query that has come.
    pub(crate) fn add(&self, id: u64, query: &str, since_ms: i64) {
        let entry =
            json!({"query": clip(query, QUERY_FILE_QUERY_BYTES), "timestamp_sec": since_ms.div_euclid(1000)});
        let line = format!("+{id} {entry}\n");
        let mut state = self.state.lock();
        // Half of the file is left to what has ended, so that it is written anew rarely.
        if state.line_bytes + line.len() > QUERY_FILE_BYTES / 2 {
            self.dropped.inc();
            return;
        }
        state.line_bytes += line.len();
        state.lines.insert(id, line.clone());
        if !self.append(&mut state, &line) {
            self.dropped.inc();
        }
    }

    /// Takes note of the end of a query.
    pub(crate) fn remove(&self, id: u64) {
        let mut state = self.state.lock();
        if let Some(line) = state.lines.remove(&id) {
            state.line_bytes -= line.len();
            self.append(&mut state, &format!("-{id}\n"));
        }
    }

    /// Appends a line, or writes the file anew where that is due: `state` has the line already. Whether it is in the file.
    fn append(&self, state: &mut State, line: &str) -> bool {
        let written = match &mut state.file {
            Some(file) if state.bytes + line.len() <= QUERY_FILE_BYTES => {
                file.append(line.as_bytes()).map(|()| state.bytes += line.len())
            }
            _ => self.rewrite(state),
        };
        let Err(error) = written else { return true };
        state.file = None;
        // Once is enough for the log; the counter tells the rest.
        if !std::mem::replace(&mut state.warned, true) {
            tracing::error!(%error, "cannot write {}", self.path.display());
        }
        false
    }

    /// Replaces the file by one that has the queries under way and nothing else.
    fn rewrite(&self, state: &mut State) -> io::Result<()> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(filenames::TEMPORARY_SUFFIX);
        let temporary = PathBuf::from(temporary);
        let mut file = self.fs.open_append(&temporary)?;
        file.truncate(0)?;
        let content: String = state.lines.values().map(String::as_str).collect();
        file.append(content.as_bytes())?;
        self.fs.rename(&temporary, &self.path)?;
        state.bytes = content.len();
        state.file = Some(file);
        Ok(())
    }
}

/// The queries that came and did not end; none if there is no file.
fn read(fs: &dyn Fs, path: &Path) -> io::Result<Vec<Value>> {
    let mut content = vec![0; QUERY_FILE_BYTES];
    let read = match fs.read_at(path, 0, &mut content) {
        Ok(read) => read,
        Err(e) if e.kind() == ErrorKind::NotFound => 0,
        Err(e) => return Err(e),
    };
    Ok(unfinished(&String::from_utf8_lossy(&content[..read])))
}

/// Lines that are none of ours, or torn, are nobody's query.
fn unfinished(content: &str) -> Vec<Value> {
    let mut queries: BTreeMap<u64, Value> = BTreeMap::new();
    for line in content.lines() {
        if let Some(id) = line.strip_prefix('-') {
            if let Ok(id) = id.parse() {
                queries.remove(&id);
            }
        } else if let Some((id, entry)) = line.strip_prefix('+').and_then(|l| l.split_once(' '))
            && let (Ok(id), Ok(entry)) = (id.parse(), serde_json::from_str(entry))
        {
            queries.insert(id, entry);
        }
    }
    queries.into_values().collect()
}

#[cfg(test)]
mod tests {
    use lake::testing::{FaultFs, Faults};

    use super::*;

    fn queries(fs: &FaultFs, path: &Path) -> Vec<String> {
        let found = read(fs, path).unwrap();
        found.iter().map(|q| q["query"].as_str().unwrap().to_owned()).collect()
    }

    fn file(fs: &FaultFs) -> (QueryFile, PathBuf) {
        let path = PathBuf::from("/d/queries.active");
        fs.create_dir_all(Path::new("/d")).unwrap();
        let dropped = IntCounter::new("dropped", "Dropped.").unwrap();
        (QueryFile::begin(Arc::new(fs.clone()), path.clone(), dropped), path)
    }

    #[test]
    fn what_has_not_ended_is_found() {
        let fs = FaultFs::new(Faults::none());
        let (file, path) = file(&fs);
        file.add(1, "up", 1_700_000_000_999);
        file.add(2, "a\n\"b\" ü", 1_700_000_001_000);
        file.add(3, &"ü".repeat(QUERY_FILE_QUERY_BYTES), 0);
        file.remove(1);
        file.remove(9);
        assert_eq!(queries(&fs, &path), ["a\n\"b\" ü".to_owned(), "ü".repeat(QUERY_FILE_QUERY_BYTES / 2)]);
        assert_eq!(read(&fs, &path).unwrap()[0]["timestamp_sec"], 1_700_000_001);
        // The next process starts with none.
        drop(file);
        let (_file, path) = self::file(&fs);
        assert_eq!(queries(&fs, &path), [""; 0]);
        assert_eq!(read(&fs, Path::new("/d/other")).unwrap(), [Value::Null; 0]);
    }

    #[test]
    fn the_file_is_bounded_whatever_runs() {
        let fs = FaultFs::new(Faults::none());
        let (file, path) = file(&fs);
        file.add(0, "long", 0);
        let mut longest = 0;
        for id in 1..2000 {
            file.add(id, &"x".repeat(2000), 0);
            longest = longest.max(fs.content(&path).len());
            file.remove(id);
        }
        assert!(longest > QUERY_FILE_BYTES / 2 && longest <= QUERY_FILE_BYTES, "{longest}");
        assert_eq!((queries(&fs, &path), file.dropped.get()), (vec!["long".to_owned()], 0));
        for id in 2000..3000 {
            file.add(id, &"y".repeat(2000), 0);
        }
        let tracked = queries(&fs, &path).len();
        assert_eq!(file.dropped.get(), 1001 - tracked as u64);
        assert!(tracked > 400 && fs.content(&path).len() <= QUERY_FILE_BYTES, "{tracked}");
    }

    #[test]
    fn garbage_is_no_query() {
        let text = "\u{0}\n+\n-\n+x {}\n+1\n-2\n+2 {\"query\":\"a\"}\n+3 {\"query\":\"to";
        assert_eq!(unfinished(text), [json!({"query": "a"})]);
    }
}
