//! Compares what a query yields with what its script expects.

use std::fmt;

use base::{Histogram, Labels, is_stale};

use super::parse::{Eval, Expectation, When};
use super::sequence::{Point, SeriesLine};
use crate::histogram::{compact, literal};
use crate::{Annotations, Grid, Series, Value, VectorSample};

/// What is wrong, in words.
pub(super) type Checked = Result<(), String>;

/// Relative error that a value may have.
const EPSILON: f64 = 1e-6;

/// Checks warnings and infos.
pub(super) fn annotations(eval: &Eval, got: &Annotations) -> Checked {
    for (kind, expected, got, none, some) in [
        ("warning", &eval.warnings, &got.warnings, eval.no_warning, eval.some_warning),
        ("info", &eval.infos, &got.infos, eval.no_info, eval.some_info),
    ] {
        if none && !got.is_empty() {
            return Err(format!("unexpected {kind}: {got:?}"));
        }
        if some && got.is_empty() {
            return Err(format!("expected a {kind}, but got none"));
        }
        if let Some(missing) = expected.iter().find(|e| !got.iter().any(|g| e.matches(g))) {
            return Err(format!("expected {kind} {}, but got {got:?}", describe(missing)));
        }
        if let Some(extra) =
            got.iter().find(|g| !expected.is_empty() && !expected.iter().any(|e| e.matches(g)))
        {
            return Err(format!("unexpected {kind}: {extra}"));
        }
    }
    Ok(())
}

pub(super) fn describe(e: &Expectation) -> String {
    match e {
        Expectation::Any => "of any kind".into(),
        Expectation::Text(text) => format!("{text:?}"),
        Expectation::Regex(regex) => format!("matching {:?}", regex.as_str()),
    }
}

/// Checks a result.
pub(super) fn value(eval: &Eval, got: &Value) -> Checked {
    match got {
        Value::Scalar(sample) => match eval.scalar {
            Some(want) if almost_equal(want, sample.value) => Ok(()),
            want => Err(format!("expected {want:?}, but got the number {}", sample.value)),
        },
        Value::String(_, text) => match &eval.string {
            Some(want) if want == text => Ok(()),
            want => Err(format!("expected {want:?}, but got the text {text:?}")),
        },
        Value::Vector(vector) => check_vector(eval, vector),
        Value::Matrix(matrix) => check_matrix(eval, matrix),
    }
}

/// The line that stands for a series; of several the last.
fn line_of<'e>(eval: &'e Eval, labels: &Labels) -> Option<(usize, &'e SeriesLine)> {
    eval.series.iter().enumerate().rfind(|(_, line)| line.labels == *labels)
}

fn check_vector(eval: &Eval, vector: &[VectorSample]) -> Checked {
    if let Some(want) = eval.scalar {
        return Err(format!("expected the number {want}, but got {} elements", vector.len()));
    }
    for (position, element) in vector.iter().enumerate() {
        let labels = &element.labels;
        let got = Got::of(element);
        let (at, line) = line_of(eval, labels).ok_or_else(|| format!("unexpected {labels} with {got}"))?;
        if eval.ordered && at != position {
            return Err(format!("expected {labels} at position {}, but it came at {}", at + 1, position + 1));
        }
        if !line.points.first().is_some_and(|want| got.is(want)) {
            let want = line.points.first().map_or_else(|| "nothing".into(), show_point);
            return Err(format!("expected {want} for {labels}, but got {got}"));
        }
    }
    all_there(eval, |labels| vector.iter().any(|v| v.labels == *labels))
}

fn check_matrix(eval: &Eval, matrix: &[Series]) -> Checked {
    if eval.ordered || eval.scalar.is_some() {
        return Err("expected an ordered vector or a number, but got a matrix".into());
    }
    if let Some(pair) = matrix.windows(2).find(|p| p[0].labels > p[1].labels) {
        return Err(format!("{} comes before {}", pair[0].labels, pair[1].labels));
    }
    let grid = match (eval.range_vector, eval.when) {
        (Some(grid), _) | (None, When::Range(grid)) => grid,
        (None, When::Instant(_)) => return Err("got a range vector, but the script gives it no times".into()),
    };
    for series in matrix {
        let labels = &series.labels;
        let (_, line) =
            line_of(eval, labels).ok_or_else(|| format!("unexpected {labels} with {:?}", series.samples))?;
        check_points(line, series, &grid)?;
    }
    all_there(eval, |labels| matrix.iter().any(|s| s.labels == *labels))
}

fn check_points(line: &SeriesLine, series: &Series, grid: &Grid) -> Checked {
    let labels = &series.labels;
    let (mut floats, mut histograms) = (series.samples.iter(), series.histograms.iter());
    let mut same = true;
    for (i, point) in line.points.iter().enumerate() {
        let t_ms = grid.start_ms + grid.step_ms * i as i64;
        if t_ms > grid.end_ms {
            return Err(format!("the script expects more points of {labels} than there are steps"));
        }
        let got = match point {
            Point::Omitted => continue,
            Point::Float(_) => floats.next().map(|s| (s.t_ms, Got::Float(s.value))),
            Point::Histogram { .. } => histograms.next().map(|s| (s.t_ms, Got::Histogram(&s.histogram))),
        };
        same &= got.is_some_and(|(t, got)| t == t_ms && got.is(point));
    }
    if same && floats.next().is_none() && histograms.next().is_none() {
        return Ok(());
    }
    let want: Vec<String> = line.points.iter().map(show_point).collect();
    let mut got: Vec<(i64, Got<'_>)> = series.samples.iter().map(|s| (s.t_ms, Got::Float(s.value))).collect();
    got.extend(series.histograms.iter().map(|s| (s.t_ms, Got::Histogram(&s.histogram))));
    got.sort_by_key(|(t, _)| *t);
    let got: Vec<String> = got.iter().map(|(t, got)| format!("{got}@{t}")).collect();
    Err(format!("expected {} for {labels}, but got {}", want.join(" "), got.join(" ")))
}

/// A value of a result.
enum Got<'g> {
    Float(f64),
    Histogram(&'g Histogram),
}

impl<'g> Got<'g> {
    fn of(element: &'g VectorSample) -> Self {
        element.histogram.as_ref().map_or(Self::Float(element.sample.value), |h| Self::Histogram(h))
    }

    /// Whether it is what a script expects, but for rounding.
    fn is(&self, want: &Point) -> bool {
        match (self, want) {
            (Self::Float(got), Point::Float(want)) => almost_equal(*want, *got),
            (Self::Histogram(got), Point::Histogram { histogram, has_hint }) => {
                let hint = !has_hint || histogram.counter_reset_hint == got.counter_reset_hint;
                hint && almost_equal_histograms(histogram, got)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(v) => write!(f, "{v}"),
            Self::Histogram(h) => f.write_str(&literal(h)),
        }
    }
}

fn show_point(point: &Point) -> String {
    match point {
        Point::Omitted => "_".into(),
        Point::Float(v) => v.to_string(),
        Point::Histogram { histogram, .. } => literal(histogram),
    }
}

fn almost_equal_histograms(want: &Histogram, got: &Histogram) -> bool {
    let (mut a, mut b) = (want.clone(), got.clone());
    compact(&mut a);
    compact(&mut b);
    let all = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && (!a.has_custom_bounds() || a.custom_bounds == b.custom_bounds)
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && all(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && all(&a.positive, &b.positive)
        && all(&a.negative, &b.negative)
}

fn all_there(eval: &Eval, there: impl Fn(&Labels) -> bool) -> Checked {
    match eval.series.iter().find(|line| !there(&line.labels)) {
        Some(line) => Err(format!("expected {}, but it is not there", line.labels)),
        None => Ok(()),
    }
}

/// Whether two values are the same but for rounding. NaN is NaN, and staleness markers are themselves only.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_differ_by_rounding() {
        assert!(almost_equal(1.0, 1.0 + 1e-7));
        assert!(!almost_equal(1.0, 1.00001));
        assert!(almost_equal(f64::NAN, f64::NAN));
        assert!(!almost_equal(0.0, 1e-300));
        assert!(!almost_equal(f64::NAN, f64::from_bits(base::STALE_NAN)));
    }
}
