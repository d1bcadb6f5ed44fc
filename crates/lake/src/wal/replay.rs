//! Replay: what a WAL folder holds, read once at start, repaired where a crash left it half written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Result};

use super::frame::{At, FILE_HEADER, FrameReader, put_frame};
use super::position::Position;
use super::repair::{Repair, is_put_off};
use crate::filenames;
use crate::fs::Fs;

/// What replay found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Files read.
    pub files: usize,
    /// Good frames handed over.
    pub frames: u64,
    /// Bytes cut off behind the last good frame of files: writes that were never acknowledged.
    pub torn_bytes: u64,
    /// Damage in the middle of files, one error of kind `Corrupt` for each, with file, offset and length.
    pub corruptions: Vec<Error>,
    /// The number that the next file takes.
    pub(crate) next_sequence: u64,
    /// Bytes of the files that are there, by epoch and number.
    pub(crate) sizes: BTreeMap<(i64, u64), u64>,
    /// Bytes of files that were not read, because only a reader of the log wants them.
    pub(super) held: BTreeMap<(i64, u64), u64>,
    /// Readers of the log, with how far they got.
    pub(super) readers: BTreeMap<String, Position>,
    /// What could not be repaired, because the disk cannot be written now. It comes before the first append.
    pub(super) repairs: Vec<Repair>,
}

/// Where a frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Its epoch.
    pub epoch: i64,
    /// The number of its file. A file is written by one process, in one run without failures.
    pub file: u64,
}

/// What of a log is to be replayed.
#[derive(Debug, Clone, Copy)]
pub struct ReplayFrom {
    /// Files of epochs up to this one are removed: they are sealed.
    pub sealed_until: i64,
    /// Files of lower numbers are removed: a checkpoint has what they say.
    pub sequence: u64,
}

/// Hands over the payload of every good frame that `from` names, in the order of epochs and, within one, of
/// appends; removes the other files, if no reader of the log wants them. Cuts torn tails off. A file with damage in its middle is kept under a
/// name that ends in `.corrupt`, and its good frames live on in a new file. Where the disk is full or may only be read, the log stays as it is
/// and is replayed all the same; what is needed before more can be appended the log's writer does once it can.
pub fn replay(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    from: ReplayFrom,
    sink: &mut dyn FnMut(Origin, &[u8]) -> Result<()>,
) -> Result<ReplayReport> {
    let io = |verb: &str, path: &Path, e: std::io::Error| {
        Error::unavailable(format!("cannot {verb} {}: {e}", path.display()))
    };
    fs.create_dir_all(dir).map_err(|e| io("create WAL folder", dir, e))?;
    let mut report = ReplayReport { next_sequence: from.sequence, ..ReplayReport::default() };
    let mut files = Vec::new();
    let names = fs.list(dir).map_err(|e| io("list WAL folder", dir, e))?;
    report.readers = Position::load_all(fs.as_ref(), dir, &names)
        .map_err(|e| io("read the positions of readers in", dir, e))?;
    // A number that a reader is done with must not come again.
    let read_until = report.readers.values().map(|r| r.next).max().unwrap_or(0);
    report.next_sequence = report.next_sequence.max(read_until);
    for name in names {
        match filenames::parse_wal_file(&name) {
            Some((epoch, sequence)) => {
                report.next_sequence = report.next_sequence.max(sequence + 1);
                if epoch > from.sealed_until && sequence >= from.sequence {
                    files.push((epoch, sequence));
                    continue;
                }
                if report.readers.values().any(|r| r.needs(epoch, sequence)) {
                    let bytes =
                        size(fs, &dir.join(&name)).map_err(|e| io("read WAL file", &dir.join(&name), e))?;
                    report.held.insert((epoch, sequence), bytes);
                    continue;
                }
            }
            None if name.ends_with(filenames::TEMPORARY_SUFFIX) => {}
            None => continue,
        }
        let path = dir.join(&name);
        match fs.remove(&path) {
            // Only space is lost.
            Err(e) if is_put_off(&e) => tracing::warn!("cannot remove WAL file {}: {e}", path.display()),
            removed => removed.map_err(|e| io("remove WAL file", &path, e))?,
        }
    }
    files.sort_unstable();
    for (epoch, sequence) in files {
        let path = dir.join(filenames::wal_file(epoch, sequence));
        let bytes = replay_file(fs, &path, Origin { epoch, file: sequence }, sink, &mut report)?;
        report.sizes.insert((epoch, sequence), bytes);
    }
    if !report.repairs.is_empty() {
        tracing::error!(
            files = report.repairs.len(),
            folder = %dir.display(),
            "the log cannot be written now: it is replayed as it is, and appends are refused until it can be repaired"
        );
        return Ok(report);
    }
    match fs.sync_dir(dir) {
        Err(e) if is_put_off(&e) => tracing::warn!("cannot sync WAL folder {}: {e}", dir.display()),
        synced => synced.map_err(|e| io("sync WAL folder", dir, e))?,
    }
    Ok(report)
}

/// Bytes of a file, found with a few reads of one byte.
fn size(fs: &Arc<dyn Fs>, path: &Path) -> std::io::Result<u64> {
    let has = |at: u64| fs.read_at(path, at, &mut [0]).map(|n| n > 0);
    let (mut below, mut beyond) = (0, 1);
    while has(beyond - 1)? {
        (below, beyond) = (beyond, beyond * 2);
    }
    // The first `below` bytes are there, the one at `beyond - 1` is not.
    while below + 1 < beyond {
        let middle = below + (beyond - below) / 2;
        if has(middle - 1)? { below = middle } else { beyond = middle }
    }
    Ok(below)
}

/// Replays one file, and leaves it durable: what a process wrote that died before its fsync may only be in the page cache,
/// but from now on it is taken for stored. Returns how many bytes there are.
fn replay_file(
    fs: &Arc<dyn Fs>,
    path: &Path,
    origin: Origin,
    sink: &mut dyn FnMut(Origin, &[u8]) -> Result<()>,
    report: &mut ReplayReport,
) -> Result<u64> {
    let io =
        |e: std::io::Error| Error::unavailable(format!("cannot replay WAL file {}: {e}", path.display()));
    let mut reader = FrameReader::new(fs.clone(), path);
    report.files += 1;
    let mut at = reader.header().map_err(io)?;
    let corruptions_before = report.corruptions.len();
    let mut is_torn = false;
    loop {
        if at == At::Frame {
            at = reader.next().map_err(io)?;
        }
        match at {
            At::Frame => {
                sink(origin, reader.payload())?;
                report.frames += 1;
            }
            At::End => break,
            At::Bad => {
                let bad = reader.offset;
                if !reader.resync().map_err(io)? {
                    let torn = reader.file_len().map_err(io)? - bad;
                    report.torn_bytes += torn;
                    tracing::warn!(file = %path.display(), offset = bad, bytes = torn, "a WAL file has a torn tail, which goes");
                    is_torn = true;
                    break;
                }
                let error = Error::corrupt(format!(
                    "cannot replay WAL file {} at offset {bad}: {} bytes are damaged; the file is kept as {}",
                    path.display(),
                    reader.offset - bad,
                    corrupt_name(path).display(),
                ));
                tracing::error!("{error}");
                report.corruptions.push(error);
                at = At::Frame;
            }
        }
    }
    let is_damaged = report.corruptions.len() > corruptions_before;
    let durable = match () {
        () if is_damaged => reader.file_len().map_err(io)?,
        // A file with nothing before its torn tail is of no use.
        () if is_torn && reader.offset <= FILE_HEADER.len() as u64 => 0,
        () => reader.offset,
    };
    let repair = Repair { path: path.into(), durable };
    let repaired = if is_damaged { set_aside(fs, path) } else { repair.carry_out(fs.as_ref()) };
    match repaired {
        Err(e) if is_put_off(&e) => {
            tracing::warn!("cannot repair WAL file {} now: {e}", path.display());
            report.repairs.push(repair);
        }
        done => done.map_err(io)?,
    }
    Ok(reader.offset)
}

fn corrupt_name(path: &Path) -> PathBuf {
    with_suffix(path, filenames::CORRUPT_SUFFIX)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies the good frames of a damaged file into one that takes its name, and keeps the damaged one beside it.
/// A crash between two steps leaves either the damaged file in place or both copies, one of which is not read.
fn set_aside(fs: &Arc<dyn Fs>, path: &Path) -> std::io::Result<()> {
    let temporary = with_suffix(path, filenames::TEMPORARY_SUFFIX);
    let mut copy = fs.open_append(&temporary)?;
    copy.truncate(0)?;
    copy.append(&FILE_HEADER)?;
    let mut reader = FrameReader::new(fs.clone(), path);
    let mut at = reader.header()?;
    loop {
        if at == At::Frame {
            at = reader.next()?;
        }
        match at {
            At::Frame => {
                let mut frame = Vec::new();
                put_frame(&mut frame, |out| out.extend_from_slice(reader.payload()));
                copy.append(&frame)?;
            }
            At::End => break,
            At::Bad if reader.resync()? => at = At::Frame,
            At::Bad => break,
        }
    }
    copy.sync()?;
    // The damaged bytes must be durable under another name before the good ones replace them.
    copy_whole(fs, path, &corrupt_name(path))?;
    fs.rename(&temporary, path)
}

fn copy_whole(fs: &Arc<dyn Fs>, from: &Path, to: &Path) -> std::io::Result<()> {
    let mut out = fs.open_append(to)?;
    out.truncate(0)?;
    let mut buf = vec![0; crate::limits::REPLAY_BUFFER_BYTES];
    let mut at = 0;
    loop {
        let n = fs.read_at(from, at, &mut buf)?;
        out.append(&buf[..n])?;
        at += n as u64;
        if n < buf.len() {
            break;
        }
    }
    out.sync()?;
    match to.parent() {
        Some(dir) => fs.sync_dir(dir),
        None => Ok(()),
    }
}
