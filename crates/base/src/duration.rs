//! Durations as Prometheus writes them: `1h30m`, `15s`, `0`, `100ms`.

use std::time::Duration;

use crate::{Error, Result};

const UNITS: [(&str, u64, bool); 7] = [
    // Unit, milliseconds, and whether it is written only when it divides the rest.
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// Reads a duration: units from large to small, each at most once, whole numbers; `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = || Error::invalid(format!("not a valid duration string: {text:?}"));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(Error::invalid("empty duration string"));
    }
    let (mut rest, mut total_ms, mut next_unit) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let at = UNITS[next_unit..].iter().position(|(u, _, _)| *u == &rest[..letters]).ok_or_else(bad)?
            + next_unit;
        rest = &rest[letters..];
        next_unit = at + 1;
        total_ms = number
            .checked_mul(UNITS[at].1)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= MAX_MS)
            .ok_or_else(|| Error::invalid("duration out of range"))?;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The largest duration that Prometheus reads: 2^63 nanoseconds.
const MAX_MS: u64 = (i64::MAX / 1_000_000) as u64;

/// Writes a duration as Prometheus does; parts below a millisecond are dropped.
pub fn format_duration(d: Duration) -> String {
    let mut ms = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (unit, unit_ms, exact) in UNITS {
        let n = ms / unit_ms;
        if n > 0 && (!exact || ms.is_multiple_of(unit_ms)) {
            out.push_str(&format!("{n}{unit}"));
            ms -= n * unit_ms;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_prometheus_does() {
        let check = |text: &str, ms: u64, written: &str| {
            let d = parse_duration(text).unwrap();
            assert_eq!(d, Duration::from_millis(ms), "{text}");
            assert_eq!(format_duration(d), written, "{text}");
        };
        check("0", 0, "0s");
        check("15s", 15_000, "15s");
        check("90m", 5_400_000, "1h30m");
        check("1h30m", 5_400_000, "1h30m");
        check("4d1h200ms", 349_200_200, "4d1h200ms");
        check("14d", 1_209_600_000, "2w");
        check("10d", 864_000_000, "10d");
        check("1y", 31_536_000_000, "1y");
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for bad in
            ["", "1", "s", "1.5h", "1m1h", "-1s", "1h1h", "1sm", "300000000y", "99999999999999999999s", "1ä"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
