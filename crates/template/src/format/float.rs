//! Floats as Go's `strconv` reads and writes them.

use crate::format::quote;

/// Writes a float with the verb `e`, `f` or `g` (or a capital), to `precision` digits or as few as tell it apart.
pub(crate) fn format_float(v: f64, verb: char, precision: Option<usize>) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let text = match verb.to_ascii_lowercase() {
        'f' => match precision {
            Some(p) => format!("{v:.p$}"),
            None => format!("{v}"),
        },
        'e' => scientific(v, precision),
        _ => general(v, precision),
    };
    if verb.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// Digits after the point, and an exponent of at least two digits.
fn scientific(v: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(p) => format!("{v:.p$e}"),
        None => format!("{v:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').expect("the exponent form has an exponent");
    with_exponent(mantissa, exponent.parse().expect("the exponent is a number"))
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn general(v: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(p) => format!("{v:.*e}", p.max(1) - 1),
        None => format!("{v:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').expect("the exponent form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    // Trailing zeros carry no information in this format.
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let limit = match precision {
        // The shortest form takes an exponent where six digits would.
        None => 6,
        Some(p) => {
            let p = p.max(1) as i32;
            if p > significant && significant > exponent { significant } else { p }
        }
    };
    if exponent < -4 || exponent >= limit {
        return with_exponent(mantissa, exponent);
    }
    let decimals = (significant - 1 - exponent).max(0) as usize;
    if precision.is_none() { format!("{v}") } else { format!("{v:.decimals$}") }
}

/// Reads what `strconv.ParseFloat` reads: decimal and hexadecimal floats, infinities and NaN in any case.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        let v = parse_hex(hex)?;
        return Some(if text.starts_with('-') { -v } else { v });
    }
    match lower.as_str() {
        "inf" | "infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        // A sign before NaN is an error in Go.
        "nan" => (unsigned.len() == text.len()).then_some(f64::NAN),
        _ if lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

/// `1.8p-3` after the prefix; the exponent is required.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // Thirteen digits fill a mantissa; longer ones would have to be rounded by hand and are not written by anyone.
    if digits.is_empty() || digits.len() > 13 {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let value = u64::from_str_radix(&digits, 16).ok()? as f64;
    Some(value * f64::from(exponent.checked_sub(4 * fraction.len() as i32)?).exp2())
}

/// What `strconv.ParseFloat` says of a text that it cannot read.
pub(crate) fn float_error(text: &str) -> String {
    format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text))
}
