//! Arithmetic that has to agree with Prometheus to the last digit: compensated summation, quantiles, the treatment of
//! NaN in minima and maxima, and the text forms of floats. Owns no columns and no series.

/// Adds `value` to a compensated sum, with Neumaier's improvement of Kahan's algorithm. An infinite sum has no
/// compensation.
#[inline]
pub(crate) fn kahan_add(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let compensation = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        compensation + ((sum - total) + value)
    } else {
        compensation + ((value - total) + sum)
    };
    (total, compensation)
}

/// The larger number; NaN if either is NaN, unlike [`f64::max`].
pub(crate) fn max_nan(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// The smaller number; NaN if either is NaN, unlike [`f64::min`].
pub(crate) fn min_nan(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// The `q`-quantile of the values, interpolated between neighbours; NaN sorts first. Reorders the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(compare_nan_first);
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Ascending order with NaN before everything.
pub(crate) fn compare_nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).expect("numbers that are not NaN compare"),
        (x, y) => y.cmp(&x),
    }
}

/// Go's `%g`: the shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e6.
pub fn format_g(v: f64) -> String {
    general(v, None)
}

/// Go's `%.2g`: two significant digits.
pub(crate) fn format_g2(v: f64) -> String {
    general(v, Some(2))
}

/// The form of an OpenMetrics label value: as `%g`, and never without a point or an exponent.
pub(crate) fn format_openmetrics(v: f64) -> String {
    let mut text = general(v, None);
    if v.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

fn general(v: f64, digits: Option<usize>) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = match digits {
        Some(n) => format!("{:.*e}", n - 1, v),
        None => format!("{v:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').expect("the exponent form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    // Trailing zeros carry no information in this format.
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let limit = match digits {
        Some(n) if n as i32 > significant && significant > exponent => significant,
        Some(n) => n as i32,
        None => 6,
    };
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    match digits {
        None => format!("{v}"),
        Some(_) => {
            let decimals = (significant - 1 - exponent).max(0) as usize;
            format!("{v:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compensation_recovers_what_rounding_lost() {
        let (mut sum, mut c) = (0.0, 0.0);
        for v in [1.0, 1e100, 1.0, -1e100] {
            (sum, c) = kahan_add(v, sum, c);
        }
        assert_eq!(sum + c, 2.0);
        assert_eq!(kahan_add(f64::INFINITY, 1.0, 0.5), (f64::INFINITY, 0.0));
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, &mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(quantile(1.0, &mut [4.0, 1.0]), 4.0);
        assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan());
    }

    #[test]
    fn minima_and_maxima_keep_nan() {
        assert!(max_nan(f64::NAN, 1.0).is_nan());
        assert!(min_nan(1.0, f64::NAN).is_nan());
        assert_eq!(max_nan(f64::NAN, f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn floats_have_gos_general_form() {
        for (v, want) in [
            (0.99, "0.99"),
            (100.0, "100"),
            (1e21, "1e+21"),
            (1e6, "1e+06"),
            (123456.5, "123456.5"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-1.5, "-1.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_g(v), want);
        }
        assert_eq!(
            (format_g2(1.0), format_g2(1234.0), format_g2(0.127)),
            ("1".into(), "1.2e+03".into(), "0.13".into())
        );
        assert_eq!((format_openmetrics(1.0), format_openmetrics(0.5)), ("1.0".into(), "0.5".into()));
    }
}
