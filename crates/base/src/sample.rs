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
}

/// Writes a value as PromQL does where it makes text of numbers: the shortest decimal that reads back as the same
/// value, without an exponent, and `NaN`, `+Inf`, `-Inf`.
pub fn format_float(v: f64, out: &mut String) {
    use std::fmt::Write;
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        write!(out, "{v}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_prometheus_does() {
        let check = |v: f64, want: &str| {
            let mut s = String::new();
            format_float(v, &mut s);
            assert_eq!(s, want);
        };
        check(1.0, "1");
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
