//! What Bellwether answers differently from Prometheus 2.42 on purpose, as Prometheus 3.14 answers it too.
//!
//! The same list, for people, is in docs/compatibility.md, and every run checks that each of them is as it says and stands there.

use super::answer::{Answer, difference};
use super::pair::{At, Pair};

/// A difference.
pub(crate) struct Known {
    /// What differs, in the words of the page.
    what: &'static str,
    /// The version of Prometheus that changed it, and its changelog's entry.
    since: &'static str,
    /// A query that shows it, asked for an instant at which there is a sample of the first instance, and a minute later.
    query: &'static str,
    /// What Prometheus 2.42 answers: the last value of its first series, `error` or `nothing`.
    prometheus: &'static str,
    /// What Bellwether does.
    bellwether: &'static str,
    /// Queries of the compliance tester that it concerns.
    compliance: &'static [&'static str],
}

const fn known(
    what: &'static str,
    since: &'static str,
    query: &'static str,
    [prometheus, bellwether]: [&'static str; 2],
) -> Known {
    Known { what, since, query, prometheus, bellwether, compliance: &[] }
}

const NO_LABEL_FOR_REPLACE: &str = "label_replace(demo_num_cpus, \"~invalid\", \"\", \"src\", \"(.*)\")";
const NO_LABEL_FOR_JOIN: &str = "label_join(demo_num_cpus, \"~invalid\", \"-\", \"instance\")";

const KNOWN: &[Known] = &[
    known(
        "A range, and the lookback of an instant, begin after their first instant and not with it",
        "3.0.0 [CHANGE] PromQL: Range selectors and the lookback delta are now left-open",
        "count_over_time(demo_num_cpus{instance=\"demo.promlabs.com:10000\"}[1m])",
        ["7", "6"],
    ),
    known(
        "A counter that begins within the range is extrapolated by half an interval at most, and not below zero",
        "2.51.0 [BUGFIX] PromQL: Constrain extrapolation in rate() to half of sample interval",
        "increase(demo_late_total{instance=\"demo.promlabs.com:10001\"}[1h])",
        ["124.6", "121.6"],
    ),
    known(
        "`@` on a range in `predict_linear` fixes the range for every step",
        "2.51.0 [BUGFIX] PromQL: Fix wrongly scoped range vectors with @ modifier",
        "predict_linear(demo_odd_total{kind=\"resetting\",instance=\"demo.promlabs.com:10000\"}[2m30s] @ start(), 60)",
        ["8866.5", "8873.323512"],
    ),
    known(
        "`atan2` drops the metric's name, as other arithmetic does",
        "2.47.0, without an entry: Drop metric name for \"atan2\" binary operator",
        "count by (__name__) (demo_num_cpus atan2 1) and on (__name__) demo_num_cpus",
        ["3", "nothing"],
    ),
    known(
        "`stddev` and `stdvar` of a single value that is no number, or infinite, are NaN and not 0",
        "3.0.0 [BUGFIX] PromQL: Fix stddev+stdvar aggregations to treat Infinity consistently",
        "stddev(vector(Inf))",
        ["0", "NaN"],
    ),
    known(
        "`sum` adds up with compensation, so that little is lost beside large numbers",
        "2.54.0 [ENHANCEMENT] PromQL: use Kahan summation for sum()",
        "sum(label_replace(vector(1e100), \"a\", \"1\", \"\", \"\") or label_replace(vector(1), \"a\", \"2\", \"\", \"\") \
         or label_replace(vector(-1e100), \"a\", \"3\", \"\", \"\"))",
        ["0", "1"],
    ),
    known(
        "`avg` and `avg_over_time` add up with compensation",
        "2.55.0 [ENHANCEMENT] PromQL: Use Kahan summation for better accuracy in `avg` and `avg_over_time`",
        "avg(label_replace(vector(1e100), \"a\", \"1\", \"\", \"\") or label_replace(vector(3), \"a\", \"2\", \"\", \"\") \
         or label_replace(vector(-1e100), \"a\", \"3\", \"\", \"\"))",
        ["0", "1"],
    ),
    known(
        "A comparison that filters refuses two candidates on the one side also if the filter leaves one of them",
        "3.9.0 [BUGFIX] PromQL: Check more consistently for many-to-one matching in filter binary operators",
        "(label_replace(vector(1), \"a\", \"1\", \"\", \"\") or label_replace(vector(2), \"a\", \"2\", \"\", \"\")) \
         == on () vector(2)",
        ["2", "error"],
    ),
    known(
        "`histogram_fraction` takes classic histograms",
        "3.4.0 [ENHANCEMENT] PromQL: histogram_fraction for bucket histograms",
        "histogram_fraction(-Inf, +Inf, demo_api_request_duration_seconds_bucket)",
        ["nothing", "1"],
    ),
    known(
        "`.` of a regular expression matches a line's end",
        "3.0.0 [CHANGE] regexp `.` now matches all characters (performance improvement)",
        "label_replace(label_replace(vector(1), \"a\", \"x\\ny\", \"\", \"\"), \"b\", \"yes\", \"a\", \"x.y\") \
         unless on (b) label_replace(vector(1), \"b\", \"yes\", \"\", \"\")",
        ["1", "nothing"],
    ),
    known(
        "Names of metrics and labels may have any characters; in quotes they stand inside the braces",
        "3.0.0 [CHANGE] UTF-8: Enable UTF-8 support by default",
        "{\"demo_num_cpus\"}",
        ["error", "4"],
    ),
    Known {
        compliance: &[NO_LABEL_FOR_REPLACE],
        ..known(
            "`label_replace` writes to labels of any name",
            "3.3.0 [ENHANCEMENT] PromQL: Allow UTF-8 labels in `label_replace()`",
            NO_LABEL_FOR_REPLACE,
            ["error", "4"],
        )
    },
    Known {
        compliance: &[NO_LABEL_FOR_JOIN],
        ..known(
            "`label_join` writes to labels of any name",
            "3.0.0 [CHANGE] UTF-8: Enable UTF-8 support by default",
            NO_LABEL_FOR_JOIN,
            ["error", "4"],
        )
    },
    known(
        "`count_values` writes to a label of any name",
        "3.0.0 [CHANGE] UTF-8: Enable UTF-8 support by default",
        "count_values(\"a value\", demo_num_cpus)",
        ["error", "3"],
    ),
    known(
        "Numbers may have underscores between their digits",
        "2.54.0 [ENHANCEMENT] PromQL: Accept underscores in literal numbers",
        "vector(1_000)",
        ["error", "1000"],
    ),
    known(
        "Durations are numbers of seconds, and numbers durations",
        "3.0.0 [CHANGE] Float literals and time durations being the same is now a stable fetaure",
        "vector(5m)",
        ["error", "300"],
    ),
    known(
        "Durations may be computed",
        "3.14.0 [CHANGE] PromQL: Enable duration expressions by default",
        "count_over_time(demo_num_cpus[5m - step()])",
        ["error", "24"],
    ),
    known(
        "`holt_winters` is called `double_exponential_smoothing` and is experimental",
        "3.0.0 [CHANGE] `holt_winters` is now called `double_exponential_smoothing`",
        "holt_winters(demo_num_cpus[5m], 0.5, 0.5)",
        ["4", "error"],
    ),
    known(
        "There is `first_over_time`",
        "3.14.0 [CHANGE] PromQL: Promote `first_over_time` to stable",
        "first_over_time(demo_num_cpus[5m])",
        ["error", "4"],
    ),
];

/// The last value of the first series.
fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Failed(..) => "error".into(),
        Answer::Text(text) => text.clone(),
        Answer::Series(_, series) => match series.values().next().and_then(|samples| samples.last()) {
            Some((_, value)) if value.is_finite() => ((value * 1e6).round() / 1e6).to_string(),
            Some((_, value)) => value.to_string(),
            None => "nothing".into(),
        },
    }
}

/// Whether every one of them is as it says, and on the page.
pub(crate) fn check(pair: &Pair) -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md"));
    let page = page.expect("docs/compatibility.md can be read");
    // A sample of the first instance lies here, 300 ms after a tick.
    let start_ms = pair.written.start_ms - 400;
    let at = At::Range { start_ms, end_ms: start_ms + 60_000, step_ms: 60_000 };
    let mut wrong = Vec::new();
    for known in KNOWN {
        let [prometheus, bellwether] = pair.ask(known.query, at);
        let got = [shown(&prometheus), shown(&bellwether)];
        if got != [known.prometheus, known.bellwether] || difference(&prometheus, &bellwether).is_none() {
            wrong.push(format!("{}: {} answers {got:?}", known.what, known.query));
        }
        let query = known.query.replace('|', "\\|");
        for part in [known.what, known.since, &query] {
            if !page.contains(part) {
                wrong.push(format!("docs/compatibility.md does not say: {part}"));
            }
        }
    }
    wrong
}

/// What a query of the compliance tester differs by.
pub(crate) fn covers(query: &str) -> Option<&'static str> {
    KNOWN.iter().find(|k| k.compliance.contains(&query)).map(|k| k.what)
}

/// Whether a difference of a random query is one of those that the generator does not keep clear of.
pub(crate) fn explains(query: &str, difference: &str) -> bool {
    let has = |part: &str| query.contains(part);
    let of_infinity = (has("stddev") || has("stdvar")) && difference.contains("NaN");
    let of_range_at = has("predict_linear(") && has(" @ ");
    let of_candidates = difference.starts_with("an error (execution: multiple matches for labels");
    of_infinity || of_range_at || of_candidates
}
