//! Results for people: columns that are aligned, and numbers that are read at a glance.

use std::fmt::Write as _;
use std::io::Write as _;

use base::{Error, Result, TimeRange};
use jiff::Timestamp;

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|e| Error::unavailable(format!("cannot write the result: {e}")))
}

/// On which side a column's cells begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows of cells under a head.
pub(crate) struct Grid {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub(crate) fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// The lines, each behind `indent`.
    pub(crate) fn render(&self, indent: &str) -> String {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |i: usize| lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|i| width(i).unwrap_or(0)).collect();
        let mut out = String::new();
        for line in lines {
            let mut text = indent.to_owned();
            for ((cell, width), (_, side)) in line.iter().zip(&widths).zip(&self.columns) {
                // Writing to a string cannot fail.
                let _ = match side {
                    Side::Left => write!(text, "{cell:<width$}  "),
                    Side::Right => write!(text, "{cell:>width$}  "),
                };
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
        out
    }
}

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.5 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let (mut value, mut unit) = (n as f64 / 1024.0, 0);
    // What would be shown as 1024.0 is one of the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 segment`, `2 segments`.
pub(crate) fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A part by a whole with so many digits, or `-` if there is no whole.
pub(crate) fn ratio(part: u64, whole: u64, digits: usize) -> String {
    match whole {
        0 => "-".into(),
        whole => format!("{:.digits$}", part as f64 / whole as f64),
    }
}

/// Beginning and end of a time, in seconds of UTC; `-` if it is not known.
pub(crate) fn time(range: Option<TimeRange>) -> [String; 2] {
    match range {
        Some(range) => [range.start_ms, range.end_ms].map(instant),
        None => ["-".into(), "-".into()],
    }
}

fn instant(t_ms: i64) -> String {
    match Timestamp::from_millisecond(t_ms) {
        Ok(t) => t.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => format!("{t_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1_572_864, (1 << 20) - 1, u64::MAX].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "1.0 MiB", "16.0 EiB"]
        );
        assert_eq!([plural(1, "file"), plural(2000, "file")], ["1 file", "2,000 files"]);
        assert_eq!([ratio(1, 3, 2), ratio(1, 0, 2)], ["0.33", "-"]);
        let range = TimeRange::new(0, 1_767_225_600_999);
        assert_eq!(time(Some(range)), ["1970-01-01 00:00:00Z", "2026-01-01 00:00:00Z"]);
    }

    #[test]
    fn columns_are_aligned() {
        let mut grid = Grid::new(&[("name", Side::Left), ("rows", Side::Right), ("note", Side::Left)]);
        grid.row(["a".to_owned(), "1,000".to_owned(), String::new()]);
        grid.row(["metrics".to_owned(), "7".to_owned(), "x".to_owned()]);
        let want = "  NAME      ROWS  NOTE\n  a        1,000\n  metrics      7  x\n";
        assert_eq!(grid.render("  "), want);
    }
}
