//! Pages that somebody recorded from a real exporter: files of Prometheus' text format, a scrape a file, one a second,
//! in the order of their names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Grid, Group, Recorder, Recording, ticks_per_round};
use crate::limits::DISK_END_BEFORE_NOW;
use crate::wire;

/// Time between two recorded pages, in milliseconds.
const INTERVAL_MS: i64 = 1_000;

const INSTANCE: &str = "recorded:9100";

/// Records the pages of a folder.
pub(crate) fn record(pages: &Path, folder: &Path) -> Result<Recording> {
    let files = files(pages)?;
    ensure!(!files.is_empty(), "cannot find recorded pages in {}: no file ends in .txt", pages.display());
    let grid = Grid::ending_before_now(DISK_END_BEFORE_NOW, files.len(), INTERVAL_MS);
    let mut recorder = Recorder::new(folder)?;
    recorder.phase("known")?;
    let mut known: HashMap<String, Vec<u8>> = HashMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (tick, file) in files.iter().enumerate() {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
            let (name, value) =
                split(line).with_context(|| format!("cannot read a line of {}", file.display()))?;
            if !known.contains_key(name) {
                known.insert(name.to_owned(), encode(name)?);
            }
            recorder.sample(0, &known[name], grid.at(tick), value)?;
            let metric = name.split('{').next().unwrap_or(name);
            *counts.entry(metric.to_owned()).or_default() += 1;
        }
        if tick % ticks_per_round(known.len()) == 0 {
            recorder.round()?;
        }
    }
    let title = format!("recorded pages of node_exporter, {} series × {} at 1 s", known.len(), files.len());
    let groups = counts.into_iter().map(|(metric, samples)| Group { metric, samples }).collect();
    recorder.finish(title, grid, known.len() as u64, groups)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.extension().is_some_and(|e| e == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A line's series, as written, and its value.
fn split(line: &str) -> Result<(&str, f64)> {
    let end = match line.find('{') {
        Some(open) => closing_brace(&line[open..]).map(|at| open + at + 1).context("braces do not close")?,
        None => line.find(' ').context("there is no value")?,
    };
    let value = line[end..].split_whitespace().next().context("there is no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().with_context(|| format!("{number:?} is no number"))?,
    };
    Ok((line[..end].trim_end(), value))
}

/// Where the brace that opens at the start closes, quoted ones aside.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn encode(series: &str) -> Result<Vec<u8>> {
    let (metric, mut rest) = match series.split_once('{') {
        Some((metric, rest)) => (metric, rest.trim_end_matches('}')),
        None => (series, ""),
    };
    let mut pairs: Vec<(&str, String)> = vec![("__name__", metric.to_owned())];
    pairs.push(("instance", INSTANCE.to_owned()));
    pairs.push(("job", "node".to_owned()));
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| if c == 'n' { '\n' } else { c })),
                Some((_, c)) => value.push(c),
                None => bail!("a label of {series} does not end"),
            }
        };
        pairs.push((name.trim_start_matches([',', ' ']), value));
        rest = &after[end + 1..];
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Ok(wire::labels(&pairs))
}

#[cfg(test)]
mod tests {
    use super::super::decoded;
    use super::*;

    #[test]
    fn pages_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let page = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        page("b.txt", "# TYPE a counter\na 2\nb{x=\"1\"} +Inf\n");
        page("a.txt", "a 1\nb{x=\"1\"} 1.5e3\n\n");
        page("c.log", "not a page");
        let r = record(folder.path(), &std::env::temp_dir()).unwrap();
        assert_eq!((r.series, r.samples(), r.visible_samples()), (2, 4, 4));
        let a: Vec<_> = decoded(&r).into_iter().filter(|s| s.label("__name__") == "a").collect();
        assert_eq!(a[0].samples, [(r.start_ms, 1.0)]);
        assert_eq!(a[1].samples, [(r.start_ms + 1000, 2.0)]);
    }

    #[test]
    fn labels_are_unescaped() {
        let (series, value) = split(r#"m{a="x } \" \\ \n y", b="2"} 3 1700000000"#).unwrap();
        assert_eq!(value, 3.0);
        let mut out = Vec::new();
        wire::series(&mut out, &encode(series).unwrap(), 1, value);
        let read = &wire::decode::request(&out)[0];
        assert_eq!(read.label("a"), "x } \" \\ \n y");
        assert_eq!((read.label("b"), read.label("job"), read.label("instance")), ("2", "node", INSTANCE));
        for bad in ["m", "m{a=\"1\" 3", "m x"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
