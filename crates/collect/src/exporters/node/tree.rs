//! The files that collectors read, below roots that can be anywhere: the running system or a frozen copy of one.
//!
//! Owns how a file is read and how its text is made valid; knows nothing of what stands in it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use base::Error;

use super::limits::{ATTRIBUTE_BYTES, FILE_BYTES};

/// Where the kernel's file systems are mounted.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) proc: PathBuf,
    pub(super) sys: PathBuf,
    pub(super) rootfs: PathBuf,
    pub(super) udev_data: PathBuf,
}

/// Why a collector yields less than all it could.
#[derive(Debug)]
pub(super) enum Failure {
    /// This host has nothing of the kind; not worth a word in the log.
    NoData,
    /// Something is there and cannot be read.
    Failed(Error),
}

/// A file that could not be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    path: PathBuf,
    cause: io::Error,
}

impl Unreadable {
    /// Whether the file does not exist.
    pub(super) fn is_missing(&self) -> bool {
        self.cause.kind() == ErrorKind::NotFound
    }

    /// Whether the file exists for others.
    pub(super) fn is_denied(&self) -> bool {
        self.cause.kind() == ErrorKind::PermissionDenied
    }

    /// Whether a driver says that it has no such value: missing, denied, `EOPNOTSUPP` or `EINVAL`.
    pub(super) fn is_absent_value(&self) -> bool {
        matches!(
            self.cause.kind(),
            ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::Unsupported
                | ErrorKind::InvalidInput
        )
    }

    /// This, or `NoData` where the file does not exist.
    pub(super) fn or_no_data(self) -> Failure {
        if self.is_missing() { Failure::NoData } else { self.into() }
    }
}

impl From<Unreadable> for Failure {
    fn from(e: Unreadable) -> Self {
        Self::Failed(Error::unavailable(format!("cannot read {}: {}", e.path.display(), e.cause)))
    }
}

/// A failure that says what was wrong with the text of a file.
pub(super) fn malformed(file: &str, text: &str) -> Failure {
    let start: String = text.chars().take(80).collect();
    Failure::Failed(Error::invalid(format!("cannot parse {file}: unexpected {start:?}")))
}

impl Tree {
    /// The whole text of a file below the proc root.
    pub(super) fn proc(&self, name: &str) -> Result<String, Unreadable> {
        read_text(&self.proc.join(name))
    }

    /// A number that stands alone in a file below the proc root.
    pub(super) fn proc_number(&self, name: &str) -> Result<f64, Failure> {
        let text = self.proc(name).map_err(Unreadable::or_no_data)?;
        number(text.trim()).ok_or_else(|| malformed(name, &text))
    }

    /// The names in a folder, sorted; empty where it does not exist.
    pub(super) fn list(folder: &Path) -> Result<Vec<String>, Unreadable> {
        let unreadable = |cause| Unreadable { path: folder.to_owned(), cause };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The folders below `parent` whose names are `prefix` and a number, with that rest of their names.
    pub(super) fn numbered(parent: &Path, prefix: &str) -> Result<Vec<(String, PathBuf)>, Unreadable> {
        let names = match Self::list(parent) {
            Err(e) if e.is_missing() => return Ok(Vec::new()),
            names => names?,
        };
        let rest = |name: &str| name.strip_prefix(prefix).map(str::to_owned);
        Ok(names
            .iter()
            .filter_map(|name| Some((rest(name)?, parent.join(name))))
            .filter(|(rest, _)| rest.starts_with(|c: char| c.is_ascii_digit()))
            .collect())
    }
}

/// The whole text of a file.
pub(super) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let unreadable = |cause| Unreadable { path: path.to_owned(), cause };
    // Files of proc say they are empty: no use in asking for their size. One page holds most of them.
    let mut bytes = Vec::with_capacity(8192);
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(valid_text(bytes))
}

/// The value of one attribute below `/sys`, without the white space around it. Reads once: some drivers answer a second
/// read with `EAGAIN` for ever.
pub(super) fn attribute(path: &Path) -> Result<String, Unreadable> {
    let unreadable = |cause| Unreadable { path: path.to_owned(), cause };
    let mut bytes = [0; ATTRIBUTE_BYTES];
    let mut file = File::open(path).map_err(unreadable)?;
    let n = file.read(&mut bytes).map_err(unreadable)?;
    let text = bytes[..n].trim_ascii();
    Ok(valid_text(text.to_vec()))
}

/// An attribute that is an unsigned number.
pub(super) fn attribute_number(path: &Path) -> Result<f64, Failure> {
    let text = attribute(path)?;
    match text.parse::<u64>() {
        Ok(v) => Ok(v as f64),
        Err(_) => Err(malformed(&path.to_string_lossy(), &text)),
    }
}

/// An integer in decimal, or in hexadecimal or octal with their prefixes.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(&digits[1..], 8),
        None => digits.parse(),
    };
    magnitude.ok().map(|m| sign * m)
}

/// A decimal number.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.parse::<u64>() {
        Ok(v) => Some(v as f64),
        Err(_) => text.parse().ok(),
    }
}

/// Text with each run of bytes that are not UTF-8 replaced by one U+FFFD.
fn valid_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| {
        let mut text = String::with_capacity(e.as_bytes().len());
        let mut after_replacement = false;
        for chunk in e.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            after_replacement &= chunk.valid().is_empty();
            if !chunk.invalid().is_empty() && !after_replacement {
                text.push(char::REPLACEMENT_CHARACTER);
                after_replacement = true;
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_bad_bytes_becomes_one_replacement() {
        assert_eq!(valid_text(b"a\xff\xfeb\xff".to_vec()), "a\u{fffd}b\u{fffd}");
        assert_eq!(valid_text(b"plain".to_vec()), "plain");
    }

    #[test]
    fn integers_have_the_bases_of_go() {
        assert_eq!(integer("0x1003"), Some(4099));
        assert_eq!(integer("-1"), Some(-1));
        assert_eq!(integer("010"), Some(8));
        assert_eq!(integer("0"), Some(0));
        assert_eq!(integer("x"), None);
        assert_eq!(integer(""), None);
    }
}
