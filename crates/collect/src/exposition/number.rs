//! Numbers: what Go's `ParseFloat` reads, and what OpenMetrics writes.

use super::quote::quote;

/// The quiet NaN that every exposed NaN becomes, as in Prometheus: a target cannot send the staleness marker.
pub(super) const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Powers of ten that are exact as doubles.
const EXACT_POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads a value. The error is the message of Prometheus, without where it was found.
#[inline]
pub(super) fn parse_value(text: &[u8]) -> Result<f64, String> {
    if let Some(value) = parse_short_decimal(text) {
        return Ok(value);
    }
    match parse_go_float(text) {
        Some(value) if value.is_nan() => Ok(f64::from_bits(NORMAL_NAN)),
        Some(value) => Ok(value),
        None => Err(why_not_a_float(text)),
    }
}

/// Decimals of at most 15 digits without an exponent, which are nearly all values: digits and power of ten are both
/// exact, so that one division rounds correctly (Clinger's fast path).
#[inline]
fn parse_short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let (mut mantissa, mut point, mut count) = (0u64, None, 0usize);
    for (i, &b) in digits.iter().enumerate() {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(b - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(i),
            _ => return None,
        }
    }
    if count == 0 || count > 15 {
        return None;
    }
    let decimals = point.map_or(0, |p| digits.len() - 1 - p);
    let value = mantissa as f64 / EXACT_POWERS_OF_TEN[decimals];
    Some(if negative { -value } else { value })
}

/// Reads what Go reads, except for hexadecimal floats and underscores; out of range is `None`.
pub(super) fn parse_go_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let signed = text.starts_with(['+', '-']);
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    // Rust reads a signed NaN, and reads what is too large as infinite; Go refuses both.
    if (value.is_nan() && signed) || (value.is_infinite() && has_digit) { None } else { Some(value) }
}

fn why_not_a_float(text: &[u8]) -> String {
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return "unsupported character in float".into();
    }
    let in_range = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<f64>().ok())
        .is_none_or(|value| !value.is_infinite());
    let cause = if in_range { "invalid syntax" } else { "value out of range" };
    format!("strconv.ParseFloat: parsing {}: {cause}", quote(text))
}

/// Writes a float as Go's shortest `%g` does, with `.0` behind a whole number: `1.0`, `0.25`, `1e+06`, `+Inf`.
pub fn format_openmetrics_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) || value == 0.0 {
        let mut plain = format!("{value}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let check = |text: &str, want: f64| {
            assert_eq!(parse_value(text.as_bytes()).map(f64::to_bits), Ok(want.to_bits()), "{text}");
        };
        check("0", 0.0);
        check("-0", -0.0);
        check("1.", 1.0);
        check(".5", 0.5);
        check("+1", 1.0);
        check("123456789.125", 123_456_789.125);
        check("0000000000000000000000000001.2e-1", 0.12);
        check("9223372036854775808", 9_223_372_036_854_775_808.0);
        check("1.7976931348623157e308", f64::MAX);
        check("+inf", f64::INFINITY);
        check("-Infinity", f64::NEG_INFINITY);
        check("nan", f64::from_bits(NORMAL_NAN));
    }

    #[test]
    fn refuses_what_go_refuses() {
        let check = |text: &str, want: &str| {
            assert_eq!(parse_value(text.as_bytes()), Err(want.to_owned()), "{text}");
        };
        check("1_000", "unsupported character in float");
        check("0x1p-3", "unsupported character in float");
        check("0x1", r#"strconv.ParseFloat: parsing "0x1": invalid syntax"#);
        check("+NaN", r#"strconv.ParseFloat: parsing "+NaN": invalid syntax"#);
        check(".", r#"strconv.ParseFloat: parsing ".": invalid syntax"#);
        check("-", r#"strconv.ParseFloat: parsing "-": invalid syntax"#);
        check("1e400", r#"strconv.ParseFloat: parsing "1e400": value out of range"#);
        check("infinit", r#"strconv.ParseFloat: parsing "infinit": invalid syntax"#);
    }

    #[test]
    fn writes_as_openmetrics_does() {
        let check = |value: f64, want: &str| assert_eq!(format_openmetrics_float(value), want);
        check(1.0, "1.0");
        check(0.0, "0.0");
        check(-0.5, "-0.5");
        check(100_000.0, "100000.0");
        check(1e6, "1e+06");
        check(1.5e7, "1.5e+07");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1e100, "1e+100");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_bits(text in "-?[0-9]{0,16}\\.?[0-9]{0,16}") {
            if let Some(short) = parse_short_decimal(text.as_bytes()) {
                prop_assert_eq!(short.to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
        }
    }
}
