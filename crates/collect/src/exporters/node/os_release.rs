//! The operating system, from `os-release`.

use std::collections::HashMap;

use super::tree::{malformed, read_text};
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const INFO: Description = gauge(
    "node_os_info",
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, \
     name, pretty_name, variant, variant_id, version, version_codename, version_id.",
);
const VERSION: Description =
    gauge("node_os_version", "Metric containing the major.minor part of the OS version.");
const SUPPORT_END: Description = gauge(
    "node_os_support_end_timestamp_seconds",
    "Metric containing the end-of-life date timestamp of the OS.",
);

/// The labels of the info metric, which are the variables in lower case.
const LABELS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = match read_text(&scrape.tree.rootfs.join("etc/os-release")) {
        Err(e) if e.is_missing() => read_text(&scrape.tree.rootfs.join("usr/lib/os-release"))
            .map_err(super::Unreadable::or_no_data)?,
        text => text?,
    };
    let variables: HashMap<&str, String> = text.lines().filter_map(parse_assignment).collect();
    let variable = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
    out.add(&INFO, 1.0, &LABELS.map(|(label, name)| (label, variable(name))));
    if let Some(version) = major_minor(variable("VERSION_ID")).filter(|v| *v > 0.0) {
        let labels = [("id", variable("ID")), ("id_like", variable("ID_LIKE")), ("name", variable("NAME"))];
        out.add(&VERSION, version, &labels);
    }
    let end = variable("SUPPORT_END");
    if !end.is_empty() {
        let seconds = midnight(end).ok_or_else(|| malformed("os-release", end))?;
        out.add(&SUPPORT_END, seconds as f64, &[]);
    }
    Ok(())
}

/// Parses `NAME="value"` as a shell would, without expansions, which os-release(5) forbids.
fn parse_assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let (quote, inner) = match value.as_bytes() {
        [q @ (b'"' | b'\''), .., end] if q == end && value.len() >= 2 => (*q, &value[1..value.len() - 1]),
        _ => (0, value),
    };
    if quote == b'\'' {
        return Some((name, inner.to_owned()));
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    Some((name, text))
}

/// The number at the start of `20.04.2`.
fn major_minor(version: &str) -> Option<f64> {
    let mut dots = 0;
    let end = version
        .find(|c: char| {
            dots += usize::from(c == '.');
            !(c.is_ascii_digit() || c == '.' && dots == 1)
        })
        .unwrap_or(version.len());
    version[..end].parse().ok()
}

/// The Unix time at which a day such as `2026-05-31` begins in UTC.
fn midnight(day: &str) -> Option<i64> {
    let date: jiff::civil::Date = day.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_and_versions() {
        let parse = |line| parse_assignment(line).map(|(_, v)| v);
        assert_eq!(parse(r#"NAME="A \"B\" \$C""#).as_deref(), Some(r#"A "B" $C"#));
        assert_eq!(parse("ID=debian").as_deref(), Some("debian"));
        assert_eq!(parse("V='a\\b'").as_deref(), Some("a\\b"));
        assert_eq!(parse("# ID=x"), None);
        assert_eq!(parse("V=\"").as_deref(), Some("\""));
        assert_eq!(major_minor("20.04.2"), Some(20.04));
        assert_eq!(major_minor("12"), Some(12.0));
        assert_eq!(major_minor("rolling"), None);
        assert_eq!(midnight("2026-05-31"), Some(1_780_185_600));
        assert_eq!(midnight("soon"), None);
    }
}
