//! Names of OpenTelemetry as names of Prometheus: metrics, labels, units. The rules are those of OpenTelemetry's specification of
//! compatibility, as Prometheus applies them.

use super::Translation;

/// What decides on the suffixes of a metric's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// A sum that only grows.
    Counter,
    /// Everything else, which has no suffix of its own.
    Other,
}

/// Units in OpenTelemetry's notation, and Prometheus' names of them.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// The same behind a slash, in the singular.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric, or why it has none.
pub(super) fn metric(name: &str, unit: &str, kind: Kind, translation: Translation) -> Result<String, String> {
    if !translation.escapes() {
        let full = if translation.adds_suffixes() { suffixed(name, unit, kind) } else { name.to_owned() };
        return if full.is_empty() { Err("a metric has no name".into()) } else { Ok(full) };
    }
    let mut full = if translation.adds_suffixes() {
        joined_with_suffixes(name, unit, kind)
    } else {
        let parts = name.split(|c| !is_plain(c) && c != '_').filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("_")
    };
    if full.starts_with(|c: char| c.is_ascii_digit()) {
        full.insert(0, '_');
    }
    if full.is_empty() {
        return Err(format!("normalization for metric {name:?} resulted in empty name"));
    }
    if full != name && full.bytes().all(|b| b == b'_') {
        return Err(format!("normalization for metric {name:?} resulted in invalid name {full:?}"));
    }
    Ok(full)
}

/// Words of letters, digits and colons, with what the unit and the kind add, joined by underscores.
fn joined_with_suffixes(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<&str> = name.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
    let (main, per) = unit_suffixes(unit);
    let (main, per) = (clean(&main), clean(&per));
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    let per = if words.contains(&per) { "" } else { per };
    let main = if words.contains(&main.as_str()) { "" } else { main.as_str() };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    words.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    if let Some(last) = kind_suffix(kind, unit) {
        words.retain(|word| *word != last);
        words.push(last);
    }
    words.join("_")
}

/// The suffix of a kind. What counts objects has often the unit 1 by mistake, so that only gauges are ratios.
fn kind_suffix(kind: Kind, unit: &str) -> Option<&'static str> {
    match kind {
        Kind::Counter => Some("total"),
        Kind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    }
}

/// A name as it is, with what the unit and the kind add.
fn suffixed(name: &str, unit: &str, kind: Kind) -> String {
    let mut name = name;
    let last = kind_suffix(kind, unit);
    if let Some(suffix) = last {
        name = without(name, suffix);
    }
    let (main, per) = unit_suffixes(unit);
    if !per.is_empty() {
        name = without(name, &per);
    }
    let main = if name.ends_with(main.as_str()) { "" } else { main.as_str() };
    let suffixes = [main, per.as_str(), last.unwrap_or("")].into_iter().filter(|suffix| !suffix.is_empty());
    std::iter::once(name).chain(suffixes).collect::<Vec<_>>().join("_")
}

/// A name without a suffix and the character that divides them.
fn without<'a>(name: &'a str, suffix: &str) -> &'a str {
    let Some(rest) = name.strip_suffix(suffix) else { return name };
    let mut rest = rest.chars();
    let divided = rest.next_back().is_some() && !rest.as_str().is_empty();
    if divided { rest.as_str() } else { name }
}

/// The name of a label, or why an attribute has none.
pub(super) fn label(name: &str, settings: &super::Settings, out: &mut String) -> Result<(), String> {
    let only_underscores = |text: &str| text.bytes().all(|b| b == b'_');
    if name.is_empty() {
        return Err("label name is empty".into());
    }
    if !settings.translation.escapes() {
        if only_underscores(name) {
            return Err(format!("label name {name:?} contains only underscores"));
        }
        out.push_str(name);
        return Ok(());
    }
    let start = out.len();
    escape(name, settings.label_name_preserve_multiple_underscores, out);
    let escaped = &out[start..];
    if escaped.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(start, "key_");
    } else if settings.label_name_underscore_sanitization
        && escaped.starts_with('_')
        && !escaped.starts_with("__")
    {
        out.insert_str(start, "key");
    }
    if only_underscores(&out[start..]) {
        let text =
            format!("normalization for label name {name:?} resulted in invalid name {:?}", &out[start..]);
        out.truncate(start);
        return Err(text);
    }
    Ok(())
}

/// Replaces what a label's name may not have by underscores, and several of them by one unless they are to stay.
fn escape(name: &str, preserve: bool, out: &mut String) {
    let inner = name.strip_prefix("__").and_then(|n| n.strip_suffix("__")).filter(|_| !preserve);
    out.push_str(if inner.is_some() { "__" } else { "" });
    let mut after_underscore = false;
    for c in inner.unwrap_or(name).chars() {
        let plain = c.is_ascii_alphanumeric();
        if plain {
            out.push(c);
        } else if preserve || !after_underscore {
            out.push('_');
        }
        after_underscore = !plain;
    }
    out.push_str(if inner.is_some() { "__" } else { "" });
}

/// The name of a unit, for `/api/v1/metadata` and `__unit__`.
pub(super) fn unit(unit: &str, utf8: bool) -> String {
    let (mut main, mut per) = unit_suffixes(unit);
    if !utf8 {
        (main, per) = (clean(&main), clean(&per));
    }
    let joined = if !main.is_empty() && !per.is_empty() { format!("{main}_{per}") } else { main + &per };
    let inner = joined.strip_prefix('_').unwrap_or(&joined);
    inner.strip_suffix('_').unwrap_or(inner).to_owned()
}

/// What a unit adds to a name: what is measured, and `per_` what. Braces hold remarks, which add nothing.
fn unit_suffixes(unit: &str) -> (String, String) {
    let named = |unit: &str, names: &[(&str, &str)]| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        names.iter().find(|(from, _)| *from == unit).map_or(unit, |(_, to)| to).to_owned()
    };
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let per = named(per, PER_UNITS);
    (named(main, UNITS), if per.is_empty() { per } else { format!("per_{per}") })
}

/// A unit with underscores for what names may not have, none twice and none in front.
fn clean(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        let c = if is_plain(c) { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out.strip_prefix('_').map(str::to_owned).unwrap_or(out)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
