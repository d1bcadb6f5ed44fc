//! Unpacks the text archives that node_exporter keeps its trees of `/sys` in.
//!
//! An entry is `Path:` with `Lines:` and as many lines, `Directory:`, or `Path:` with `SymlinkTo:`. In the lines
//! `NULLBYTE` is a zero byte and `EOF` says that no newline follows, unless a backslash stands before.

use std::fs;
use std::path::{Component, Path};

/// Unpacks `archive` below `folder`. Paths that would leave it are an error of the archive.
pub(super) fn unpack(archive: &Path, folder: &Path) {
    let bytes = fs::read(archive).expect("the archive can be read");
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut path = folder.to_owned();
    while let Some(line) = lines.next() {
        let text = String::from_utf8_lossy(line);
        if let Some(name) = text.strip_prefix("Path: ") {
            path = below(folder, name);
        } else if let Some(name) = text.strip_prefix("Directory: ") {
            path = below(folder, name);
            fs::create_dir_all(&path).expect("a folder can be made");
        } else if let Some(target) = text.strip_prefix("SymlinkTo: ") {
            std::os::unix::fs::symlink(target, &path).expect("a link can be made");
        } else if let Some(count) = text.strip_prefix("Lines: ") {
            let count: usize = count.parse().expect("a count of lines");
            let mut content = Vec::new();
            for _ in 0..count {
                decode(lines.next().expect("as many lines as were said"), &mut content);
            }
            fs::write(&path, content).expect("a file can be written");
        } else {
            assert!(
                text.is_empty() || text.starts_with('#') || text.starts_with("Mode: "),
                "unknown line {text:?} in {}",
                archive.display()
            );
        }
    }
}

fn below(folder: &Path, name: &str) -> std::path::PathBuf {
    let inside = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
    assert!(inside, "{name} leaves the archive's folder");
    folder.join(name)
}

fn decode(line: &[u8], out: &mut Vec<u8>) {
    let mut newline = true;
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"NULLBYTE") {
            out.push(0);
            rest = after;
        } else if *first == b'\\' && (after.starts_with(b"NULLBYTE") || after.starts_with(b"EOF")) {
            let word = if after.starts_with(b"EOF") { 3 } else { 8 };
            out.extend_from_slice(&after[..word]);
            rest = &after[word..];
        } else if let Some(after) = rest.strip_prefix(b"EOF")
            && rest.len() < line.len()
        {
            newline = false;
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    if newline {
        out.push(b'\n');
    }
}

#[test]
fn an_archive_is_unpacked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let archive = folder.path().join("a.ttar");
    let text = "# comment\nDirectory: d\nMode: 755\n# ttar - -\nPath: d/f\nLines: 3\none\ntwo\\EOF \
                NULLBYTE\nthreeEOF\nMode: 644\nPath: d/l\nSymlinkTo: f\n";
    fs::write(&archive, text).expect("the archive can be written");
    unpack(&archive, folder.path());
    let want = b"one\ntwoEOF \0\nthree";
    assert_eq!(fs::read(folder.path().join("d/l")).expect("the link leads to the file"), want);
}
