//! Samples or rollups: a pure choice by what a query asks and by what there is.

use base::TimeRange;
use promql::Usage;
use tsdb::rollup::{Coverage, Resolution, RollupCoverage};

/// What answers a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Samples.
    Samples,
    /// Rollups at all steps, with the results that samples would give.
    Exact(Resolution),
    /// Rollups at the steps that need samples which are gone, with results that are near those; samples at the others.
    Near(Resolution),
}

/// Chooses. Rollups are never chosen where samples are there and would say something else.
pub(crate) fn choose(usages: &[Usage], range: TimeRange, coverage: &Coverage) -> Choice {
    let exact = |r: &RollupCoverage| usages.iter().all(|u| u.is_exact(r.resolution.millis()));
    // Of the first bucket that is stored there may be samples.
    let second_ms = |r: &RollupCoverage| r.from_ms.saturating_add(r.resolution.millis());
    let gone = |r: &RollupCoverage| second_ms(r) <= coverage.samples_from_ms && r.from_ms <= range.end_ms;
    if range.start_ms >= coverage.samples_from_ms || !coverage.rollups.iter().any(gone) {
        let coarsest = coverage.rollups.iter().rev().find(|r| exact(r) && is_worthwhile(r, range));
        return coarsest.map_or(Choice::Samples, |r| Choice::Exact(r.resolution));
    }
    let reaching = far_reaching(coverage, range);
    if let Some(r) = reaching.iter().rev().find(|r| exact(r)) {
        return Choice::Exact(r.resolution);
    }
    let grain_ms = usages.iter().map(Usage::grain_ms).min().unwrap_or(0);
    let fine = |r: &&&RollupCoverage| r.resolution.millis() <= grain_ms;
    match reaching.iter().rev().find(fine).or(reaching.first()) {
        Some(r) => Choice::Near(r.resolution),
        None => Choice::Samples,
    }
}

/// Whether most of a range is rolled up: the buckets of the rest are made of samples for this query, which costs what reading
/// samples does.
fn is_worthwhile(r: &RollupCoverage, range: TimeRange) -> bool {
    let stored_ms = r.until_ms.min(range.end_ms).saturating_sub(r.from_ms.max(range.start_ms));
    stored_ms > 0 && stored_ms >= range.end_ms.saturating_sub(range.start_ms) / 2
}

/// The resolutions that go back to the beginning of the range, or as far as any does.
fn far_reaching(coverage: &Coverage, range: TimeRange) -> Vec<&RollupCoverage> {
    let oldest_ms = coverage.rollups.iter().map(|r| r.from_ms).min().unwrap_or(i64::MAX);
    let needed_ms = oldest_ms.max(range.start_ms);
    let reaches = |r: &&RollupCoverage| {
        // The first bucket begins a little earlier at a coarser resolution.
        r.from_ms <= needed_ms.saturating_add(Resolution::OneHour.millis())
    };
    coverage.rollups.iter().filter(reaches).collect()
}

#[cfg(test)]
mod tests {
    use promql::{EvalOptions, Grid, ParseOptions};

    use super::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const NOW: i64 = 20_000 * DAY;

    /// Fifteen days of samples, ninety of five minutes, and two years of hours.
    fn coverage() -> Coverage {
        let of = |resolution, days: i64| RollupCoverage {
            resolution,
            from_ms: NOW - days * DAY,
            until_ms: NOW - DAY,
        };
        let rollups = vec![of(Resolution::FiveMinutes, 90), of(Resolution::OneHour, 730)];
        Coverage { samples_from_ms: NOW - 15 * DAY, rollups }
    }

    fn chosen(query: &str, days: i64, step_ms: i64, coverage: &Coverage) -> Choice {
        let expr = promql::parse(query, &ParseOptions::default()).unwrap();
        let grid = Grid { start_ms: NOW - days * DAY, end_ms: NOW, step_ms };
        let selections = promql::selections(&expr, &grid, &EvalOptions::default()).unwrap();
        assert_eq!(selections.len(), 1, "{query}");
        choose(&selections[0].usages, selections[0].range, coverage)
    }

    #[test]
    fn the_step_and_the_range_choose() {
        let (five, hour) = (Resolution::FiveMinutes, Resolution::OneHour);
        for (query, days, step_ms, want) in [
            // Samples are there, and buckets would not say the same, or hardly any are stored.
            ("rate(x[5m])", 7, MINUTE, Choice::Samples),
            ("rate(x[90s])", 7, HOUR, Choice::Samples),
            ("quantile_over_time(0.9, x[1h])", 7, HOUR, Choice::Samples),
            ("x", 7, MINUTE, Choice::Samples),
            ("x offset 90s", 7, HOUR, Choice::Samples),
            ("rate(x[1h])", 1, HOUR, Choice::Samples),
            // Buckets say the same as samples.
            ("rate(x[5m])", 7, 5 * MINUTE, Choice::Exact(five)),
            ("rate(x[1h])", 7, HOUR, Choice::Exact(hour)),
            ("rate(x[90m])", 7, HOUR, Choice::Exact(five)),
            ("x", 7, HOUR, Choice::Exact(hour)),
            ("sum_over_time(x[1d] offset 1d)", 12, DAY, Choice::Exact(hour)),
            ("x", 365, DAY, Choice::Exact(hour)),
            // Samples are gone, and buckets come near.
            ("rate(x[5m])", 60, 7 * MINUTE, Choice::Near(five)),
            ("x", 60, 52 * MINUTE, Choice::Near(five)),
            ("x", 60, 92 * MINUTE, Choice::Near(hour)),
            ("rate(x[5m])", 365, 7 * HOUR, Choice::Near(hour)),
            ("quantile_over_time(0.9, x[1d])", 60, DAY, Choice::Near(hour)),
        ] {
            assert_eq!(chosen(query, days, step_ms, &coverage()), want, "{query} {days} {step_ms}");
        }
    }

    #[test]
    fn without_rollups_of_what_is_gone_there_are_samples() {
        let none = Coverage { rollups: Vec::new(), ..coverage() };
        assert_eq!(chosen("rate(x[1h])", 365, HOUR, &none), Choice::Samples);
        let mut young = coverage();
        // The first sample is somewhere in the first bucket.
        young.rollups.iter_mut().for_each(|r| r.from_ms = young.samples_from_ms - 1000);
        assert_eq!(chosen("rate(x[7m])", 60, HOUR, &young), Choice::Samples);
    }
}
