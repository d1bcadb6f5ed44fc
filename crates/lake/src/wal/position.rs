//! How far a reader of a log has got, and the file that remembers it. `docs/format/wal.md` is the specification.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::filenames;
use crate::fs::Fs;
use crate::limits::READER_FILE_BYTES;

const FIRST_LINE: &str = "bellwether log reader 1";

/// What of a log a reader is done with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Nothing is done of files of this number and above.
    pub(super) next: u64,
    /// Files of lower numbers that are not done, by epoch and number, with the bytes that are.
    pub(super) files: BTreeMap<(i64, u64), u64>,
}

impl Position {
    /// Notes that a file is done up to an offset. Offsets of one file are noted in their order.
    pub fn advance(&mut self, mark: &Mark) {
        for key in &mark.finished {
            self.files.remove(key);
        }
        if mark.next > self.next {
            self.next = mark.next;
            self.files.extend(mark.begun.iter().map(|key| (*key, 0)));
        }
        if let Some((key, offset)) = mark.offset {
            self.files.insert(key, offset);
        }
    }

    /// Whether the reader still wants something of a file.
    pub(super) fn needs(&self, epoch: i64, sequence: u64) -> bool {
        sequence >= self.next || self.files.contains_key(&(epoch, sequence))
    }

    /// The lowest number of a file that the reader may still want something of.
    pub fn lowest(&self) -> u64 {
        self.files.keys().map(|(_, sequence)| *sequence).min().unwrap_or(self.next).min(self.next)
    }

    fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nnext {}\n", self.next);
        for ((epoch, sequence), bytes) in &self.files {
            text += &format!("file {epoch} {sequence} {bytes}\n");
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        text + &format!("crc32c {checksum:08x}\n")
    }

    fn from_text(text: &str) -> Option<Self> {
        let (body, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let body = &text[..=body.len()];
        if last != format!("crc32c {:08x}", crc32c::crc32c(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut position = Self::default();
        for line in lines {
            let mut words = line.split(' ');
            match (words.next()?, words.next()?, words.next(), words.next()) {
                ("next", next, None, None) => position.next = next.parse().ok()?,
                ("file", epoch, Some(sequence), Some(bytes)) => {
                    position.files.insert((epoch.parse().ok()?, sequence.parse().ok()?), bytes.parse().ok()?);
                }
                _ => return None,
            }
        }
        Some(position)
    }

    /// Writes the file of a reader in one step. Without `durable` a power failure may bring an older one back, or none.
    pub(super) fn save(&self, fs: &dyn Fs, dir: &Path, name: &str, durable: bool) -> io::Result<()> {
        let path = dir.join(filenames::reader_file(name));
        let temporary = crate::frames::temporary(&path);
        let mut file = fs.open_append(&temporary)?;
        file.truncate(0)?;
        file.append(self.to_text().as_bytes())?;
        if durable {
            file.sync()?;
        }
        fs.rename(&temporary, &path)?;
        if durable { fs.sync_dir(dir) } else { Ok(()) }
    }

    /// Reads the files of all readers. One that cannot be read stands for a reader that has seen nothing: what it reads
    /// twice does less harm than what it would miss.
    pub(super) fn load_all(fs: &dyn Fs, dir: &Path, names: &[String]) -> io::Result<BTreeMap<String, Self>> {
        let mut found = BTreeMap::new();
        for name in names.iter().filter_map(|file| filenames::parse_reader_file(file)) {
            let mut bytes = vec![0; READER_FILE_BYTES];
            let n = fs.read_at(&dir.join(filenames::reader_file(name)), 0, &mut bytes)?;
            let position = std::str::from_utf8(&bytes[..n]).ok().and_then(Self::from_text);
            if position.is_none() {
                tracing::error!(
                    reader = name,
                    "the position of a reader of the log is damaged, it begins with the oldest file"
                );
            }
            found.insert(name.to_owned(), position.unwrap_or_default());
        }
        Ok(found)
    }
}

/// A step of a reader: what is done once a frame is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// Files that were met for the first time, and the number that others have at least.
    pub(super) next: u64,
    pub(super) begun: Vec<(i64, u64)>,
    /// Files that hold nothing more.
    pub(super) finished: Vec<(i64, u64)>,
    /// How far a file is done.
    pub(super) offset: Option<((i64, u64), u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_damage_is_seen() {
        let position = Position { next: 12, files: BTreeMap::from([((-5, 3), 8), ((7_200_000, 11), 4711)]) };
        let text = position.to_text();
        assert_eq!(Position::from_text(&text).as_ref(), Some(&position));
        assert_eq!((position.lowest(), Position::default().lowest()), (3, 0));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Position::from_text(&changed), None, "{changed:?}");
            assert_eq!(Position::from_text(&text[..at]), None, "cut at {at}");
        }
    }
}
