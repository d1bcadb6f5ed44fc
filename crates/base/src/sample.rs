//! Samples: a value at a time.

use crate::Labels;

/// The bit pattern of the NaN that marks a series as stale: it ends here, rather than at the last value.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the staleness marker. Other NaNs are ordinary values.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN
}

/// A value at a time, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value.
    pub value: f64,
}

/// A sample with the series that it belongs to: what a write consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSample {
    /// The series.
    pub labels: Labels,
    /// The sample.
    pub sample: Sample,
    /// When its counting began, in milliseconds since the epoch; 0 if that is unknown.
    pub start_ms: i64,
}

/// Writes a value as PromQL does where it makes text of numbers: the shortest decimal that reads back as the same
/// value, without an exponent, and `NaN`, `+Inf`, `-Inf`.
pub fn format_float(v: f64, out: &mut String) {
    use std::fmt::Write;
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    } else if PLAIN.contains(&v.abs()) {
        // Shortest decimals come without an exponent here, and integers with ".0".
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v);
        out.push_str(text.strip_suffix(".0").unwrap_or(text));
    } else {
        write!(out, "{v}").expect("writing to a string cannot fail");
    }
}

/// Magnitudes of nearly all samples, which are written ten times as often as anything else in an answer: they take a faster way.
const PLAIN: std::ops::Range<f64> = 1e-3..1e15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_shortest_and_reads_back() {
        let mut x = 1u64;
        for _ in 0..100_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let of_any_magnitude = f64::from_bits(x);
            let of_few_digits = ((x >> 20) % 1_000_000) as f64 / 1000.0;
            for v in [of_any_magnitude, of_few_digits, (x >> 12) as f64, -of_few_digits] {
                let mut s = String::new();
                format_float(v, &mut s);
                if v.is_finite() {
                    assert_eq!((s.parse(), s.len()), (Ok(v), format!("{v}").len()), "{s}");
                }
            }
        }
    }

    #[test]
    fn formats_as_prometheus_does() {
        let check = |v: f64, want: &str| {
            let mut s = String::new();
            format_float(v, &mut s);
            assert_eq!(s, want);
        };
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(0.001, "0.001");
        // Two decimals are as short and as near: the even one, as Go has it.
        check(814_229_477_555_186.5 / 4.0, "203557369388796.62");
        check(999_999_999_999_999.9, "999999999999999.9");
        check(-0.0, "-0");
        check(0.1, "0.1");
        check(1e21, "1000000000000000000000");
        check(1e-7, "0.0000001");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::from_bits(STALE_NAN), "NaN");
    }

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(f64::from_bits(STALE_NAN)));
        assert!(!is_stale(f64::NAN));
    }
}
