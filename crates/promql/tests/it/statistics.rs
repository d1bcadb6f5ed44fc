//! What a query's samples are counted as: the figures that Prometheus 3.14 gives for the same queries over the same samples.

use base::Result;
use promql::script::{Command, MemorySource, Script};
use promql::{
    EvalOptions, Grid, Interrupt, ParseOptions, QueryStats, StepStats, evaluate_instant, evaluate_range,
    parse,
};

struct Never;

impl Interrupt for Never {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

const LOAD: &str = r#"load 10s
  one 1+1x100
  three{a="1",b="1"} 1+1x100
  three{a="2",b="2"} 1+1x100
  three{a="3",b="2"} 1+1x100
  wide {{schema:1 count:5 sum:20 buckets:[1 2 1 1]}}+{{schema:1 count:10 sum:5 buckets:[1 2 3 4]}}x100
"#;

fn data() -> MemorySource {
    let mut data = MemorySource::default();
    for command in &Script::parse(LOAD).unwrap().commands {
        let Command::Load(load) = command else { panic!("{command:?}") };
        data.load(load).unwrap();
    }
    data
}

/// A query, its time or its start, end and step in seconds, and what each step uses and reads.
type Case = (&'static str, &'static [i64], &'static [u64], &'static [u64]);

fn stats(data: &MemorySource, text: &str, times: &[i64], step_stats: bool) -> QueryStats {
    let expr = parse(text, &ParseOptions::all()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let options = EvalOptions { step_stats, ..EvalOptions::default() };
    let output = match *times {
        [t] => evaluate_instant(&expr, text, t * 1000, &options, data, &Never),
        [start, end, step] => {
            let grid = Grid { start_ms: start * 1000, end_ms: end * 1000, step_ms: step * 1000 };
            evaluate_range(&expr, text, &grid, &options, data, &Never)
        }
        _ => panic!("{text}: {times:?}"),
    };
    output.unwrap_or_else(|e| panic!("{text}: {e}")).stats
}

fn check(cases: &[Case]) {
    let data = data();
    for (text, times, used, read) in cases {
        let step_s = times.get(2).copied().unwrap_or(1);
        let t_ms = |at: usize| (times[0] + step_s * at as i64) * 1000;
        let steps = used.iter().zip(*read).enumerate();
        let expected: Vec<StepStats> = steps
            .map(|(at, (samples, read))| StepStats { t_ms: t_ms(at), samples: *samples, read: *read })
            .collect();
        let all = (used.iter().sum::<u64>(), read.iter().sum::<u64>());
        let got = stats(&data, text, times, true);
        assert_eq!(got.steps, expected, "{text} at {times:?}");
        assert_eq!((got.samples, got.samples_read), all, "{text} at {times:?}");
        let got = stats(&data, text, times, false);
        assert_eq!(
            (got.samples, got.samples_read, got.steps),
            (all.0, all.1, Vec::new()),
            "{text} at {times:?}"
        );
    }
}

#[test]
fn one_time_counts_what_its_windows_see() {
    check(&[
        ("\"text\"", &[21], &[0], &[0]),
        ("1", &[21], &[0], &[0]),
        ("one", &[22], &[1], &[1]),
        ("wide", &[21], &[13], &[13]),
        ("timestamp(wide)", &[21], &[1], &[1]),
        ("one offset 10s", &[21], &[1], &[1]),
        ("one @ 15", &[21], &[1], &[1]),
        ("three", &[21], &[3], &[3]),
        ("three{a=\"1\"}[20s] @ 19", &[21], &[2], &[2]),
        ("wide[60s]", &[201], &[78], &[78]),
        ("wide[60s] @ 30", &[201], &[52], &[52]),
        ("three[60s]", &[201], &[18], &[18]),
        ("max_over_time(three[60s])", &[201], &[18], &[18]),
        ("sum by (b) (max_over_time(three[60s] @ 30))", &[201], &[12], &[12]),
        ("absent_over_time(one[60s])", &[201], &[6], &[6]),
    ]);
}

#[test]
fn steps_count_whole_windows_and_read_what_is_new() {
    check(&[
        ("three", &[201, 220, 5], &[3, 3, 3, 3], &[3, 3, 3, 3]),
        ("three{a=\"1\"} offset 10s", &[201, 220, 5], &[1, 1, 1, 1], &[1, 1, 1, 1]),
        ("wide", &[204, 223, 5], &[13, 13, 13, 13], &[13, 13, 13, 13]),
        ("timestamp(wide)", &[201, 220, 5], &[1, 1, 1, 1], &[1, 1, 1, 1]),
        ("max_over_time(three{a=\"1\"}[10s])", &[991, 1021, 10], &[1, 1, 0, 0], &[1, 1, 0, 0]),
        ("max_over_time(three[60s])", &[201, 220, 5], &[18, 18, 18, 18], &[18, 0, 3, 0]),
        ("max_over_time(three[60s] @ 30)", &[201, 220, 5], &[12, 12, 12, 12], &[12, 0, 0, 0]),
        ("predict_linear(one[60s] @ 100, 60)", &[100, 300, 100], &[6, 6, 6], &[6, 0, 0]),
    ]);
}

#[test]
fn subqueries_use_their_results_and_read_samples() {
    check(&[
        ("one[60s:5s] offset 10s", &[201], &[12], &[12]),
        ("max_over_time(one[60s])[20s:5s]", &[201], &[24], &[8]),
        ("max_over_time(one[61s])[20s:5s]", &[201], &[26], &[8]),
        ("max_over_time(wide[60s])[20s:5s]", &[201], &[312], &[104]),
        ("max_over_time(three[60s:5s])", &[201], &[36], &[36]),
        ("sum_over_time(one[30s:30s])", &[90], &[1], &[1]),
        ("max_over_time(one[30s:2m])", &[240], &[1], &[1]),
        ("sum_over_time(three[1m:10s] @ 200 offset 1m)", &[300], &[18], &[18]),
        ("sum_over_time(max_over_time(three[60s] @ 300)[5m:1m] @ 600)[10m:2m]", &[800], &[75], &[18]),
        ("rate(sum_over_time(one[30s])[1m:30s])", &[240], &[2], &[6]),
        ("histogram_count(max_over_time(wide[20s:10s]))", &[201], &[26], &[26]),
        ("max_over_time(three[60s:5s])", &[201, 216, 5], &[36, 36, 36, 36], &[36, 3, 3, 3]),
        ("max_over_time(three[60s:5s])", &[201, 220, 5], &[36, 36, 36, 36], &[36, 3, 3, 3]),
        ("avg_over_time(wide[2m:1m])", &[120, 240, 60], &[26, 26, 26], &[26, 13, 13]),
        ("max_over_time(one[30s:10s])", &[201, 231, 30], &[3, 3], &[3, 3]),
        // Between the windows of the two steps are samples that nobody sees.
        ("max_over_time(one[30s:10s])", &[201, 261, 60], &[3, 3], &[3, 3]),
    ]);
}

#[test]
fn what_is_evaluated_once_counts_each_time() {
    let one = "max_over_time(one[60s:5s])";
    let three = "max_over_time(three[60s:5s])";
    let same: &'static str = format!("sum({three}) + sum({three})").leak();
    let other: &'static str = format!("sum({three}) + sum({one})").leak();
    check(&[
        (same, &[201], &[72], &[72]),
        (same, &[201, 220, 5], &[72, 72, 72, 72], &[72, 6, 6, 6]),
        (other, &[201, 220, 5], &[48, 48, 48, 48], &[48, 4, 4, 4]),
    ]);
}
