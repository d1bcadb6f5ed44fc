//! Tables of figures with their ratios, as text that is also Markdown.

use super::{Row, Section, Unit, peers};
use crate::servers::{KINDS, Kind};

/// A section: title, table, remarks.
pub(super) fn text(section: &Section) -> String {
    let rows: Vec<&Row> = section.rows.iter().filter(|r| !r.detail).collect();
    let kinds: Vec<Kind> =
        KINDS.into_iter().filter(|k| rows.iter().any(|r| r.values.contains_key(k))).collect();
    let with_ratios = kinds.contains(&Kind::Bellwether);
    let ratios: Vec<Kind> = if with_ratios { peers(section) } else { Vec::new() };

    let mut table = vec![vec![String::new()]];
    table[0].extend(kinds.iter().map(Kind::to_string));
    table[0].extend(ratios.iter().map(|peer| format!("÷ {peer}")));
    for row in rows {
        let mut cells = vec![row.what.clone()];
        cells.extend(kinds.iter().map(|k| row.median(*k).map_or("—".to_owned(), |v| figure(v, row.unit))));
        cells.extend(ratios.iter().map(|peer| row.ratio(*peer).map_or("—".to_owned(), ratio)));
        table.push(cells);
    }
    let mut text = format!("### {}\n\n{}", section.title, lines(&table));
    for note in &section.notes {
        text.push_str(&format!("\n* {note}"));
    }
    text.push_str(if section.notes.is_empty() { "" } else { "\n" });
    text
}

/// Pads the columns: the first to the left, the figures to the right.
fn lines(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |i: usize| table.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|i| width(i).max(3)).collect();
    let mut text = String::new();
    for (n, row) in table.iter().enumerate() {
        text.push('|');
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            match i {
                0 => text.push_str(&format!(" {cell}{padding} |")),
                _ => text.push_str(&format!(" {padding}{cell} |")),
            }
        }
        text.push('\n');
        if n == 0 {
            let rule = |(i, w): (usize, &usize)| match i {
                0 => format!("|{}", "-".repeat(w + 2)),
                _ => format!("|{}:", "-".repeat(w + 1)),
            };
            text.push_str(&widths.iter().enumerate().map(rule).collect::<String>());
            text.push_str("|\n");
        }
    }
    text
}

/// A figure with its unit, with three digits that matter.
fn figure(v: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{} s", digits(v)),
        Unit::Milliseconds => format!("{} ms", digits(v)),
        Unit::Bytes if v >= 1e9 => format!("{} GB", digits(v / 1e9)),
        Unit::Bytes if v >= 1e6 => format!("{} MB", digits(v / 1e6)),
        Unit::Bytes => format!("{} kB", digits(v / 1e3)),
        Unit::BytesEach => format!("{} B", digits(v)),
        Unit::PerCpuSecond if v >= 1e6 => format!("{} M/s", digits(v / 1e6)),
        Unit::PerCpuSecond => format!("{} k/s", digits(v / 1e3)),
        Unit::Count => grouped(v),
    }
}

fn digits(v: f64) -> String {
    match v.abs() {
        a if a >= 99.95 => grouped(v.round()),
        a if a >= 9.995 => format!("{v:.1}"),
        a if a >= 0.0995 => format!("{v:.2}"),
        _ => format!("{v:.3}"),
    }
}

/// A whole number with commas between its thousands.
fn grouped(v: f64) -> String {
    let plain = format!("{:.0}", v.abs());
    let mut text = if v < 0.0 { "-".to_owned() } else { String::new() };
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn ratio(r: f64) -> String {
    format!("{} ×", digits(r))
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;

    #[test]
    fn figures_have_units_and_three_digits() {
        for (v, unit, want) in [
            (0.0123, Unit::Seconds, "0.012 s"),
            (12.345, Unit::Milliseconds, "12.3 ms"),
            (1_234_567.0, Unit::Milliseconds, "1,234,567 ms"),
            (2.5e9, Unit::Bytes, "2.50 GB"),
            (123.4e6, Unit::Bytes, "123 MB"),
            (900.0, Unit::Bytes, "0.90 kB"),
            (0.405, Unit::BytesEach, "0.41 B"),
            (142_000.0, Unit::PerCpuSecond, "142 k/s"),
            (1.61e6, Unit::PerCpuSecond, "1.61 M/s"),
            (8_640_000.0, Unit::Count, "8,640,000"),
            (-5.0, Unit::Count, "-5"),
            (0.0, Unit::Count, "0"),
        ] {
            assert_eq!(figure(v, unit), want);
        }
    }

    #[test]
    fn a_table_is_padded_and_has_ratios() {
        let mut report = Report::new("x");
        report.put("Title", "CPU", Unit::Seconds, Kind::Bellwether, 1.0);
        report.put("Title", "CPU", Unit::Seconds, Kind::VictoriaMetrics, 4.0);
        report.put("Title", "peak memory", Unit::Bytes, Kind::VictoriaMetrics, 5e6);
        report.note("Title", "a remark".into());
        let want = "\
### Title

|             | Bellwether | VictoriaMetrics | ÷ VictoriaMetrics |
|-------------|-----------:|----------------:|------------------:|
| CPU         |     1.00 s |          4.00 s |            0.25 × |
| peak memory |          — |         5.00 MB |                 — |

* a remark
";
        assert_eq!(text(&report.sections[0]), want);
    }

    #[test]
    fn without_bellwether_there_are_no_ratios() {
        let mut report = Report::new("x");
        report.put("Title", "CPU", Unit::Seconds, Kind::Prometheus, 1.0);
        assert!(!text(&report.sections[0]).contains('÷'));
    }
}
