//! Debian's Prometheus 2.42 and Bellwether on the same samples: what do they answer to the queries of the compliance tester, and to
//! random ones? What they are known to answer differently stands in [`known`], with the entry of Prometheus' changelog that explains it.

mod answer;
mod compliance;
mod demo;
mod generator;
mod known;
mod pair;
mod tree;

use std::time::Instant;

use answer::difference;
use generator::Generator;
use pair::{At, Pair, Window};
use tree::{Node, minimise};

use crate::harness::{conformance, skip};

/// Queries of the compliance tester, as it expands its templates.
const COMPLIANCE_QUERIES: usize = 539;
/// Random queries, unless `BELLWETHER_RANDOM_QUERIES` says how many.
const RANDOM_QUERIES: u64 = 1000;
/// The first of their seeds, unless `BELLWETHER_RANDOM_SEED` says it; each query has a seed of its own.
const FIRST_SEED: u64 = 42;
/// Differences after which a run stops: each is made small, which takes long.
const ENOUGH: usize = 25;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(default, |v| v.parse().unwrap_or_else(|e| panic!("{variable}={v}: {e}")))
}

#[test]
fn answers_as_debians_prometheus() {
    const TEST: &str = "answers_as_debians_prometheus";
    let Some(program) = pair::prometheus() else {
        return skip(TEST, "prometheus is not installed");
    };
    let begun = Instant::now();
    let pair = Pair::start(&program);
    println!("Prometheus {} and Bellwether have the samples after {:?}", pair.version(), begun.elapsed());
    let mut wrong = known::check(&pair);
    if let Some(folder) = conformance("the compliance tester's queries") {
        wrong.extend(compliance_queries(&pair, &folder));
    }
    println!("{:?}", begun.elapsed());
    wrong.extend(random_queries(&pair));
    println!("{:?}", begun.elapsed());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Ten minutes every ten seconds, as the tester does, of what was written and of what was scraped.
fn compliance_queries(pair: &Pair, folder: &std::path::Path) -> Vec<String> {
    let cases = compliance::cases(folder);
    assert_eq!(cases.len(), COMPLIANCE_QUERIES);
    let (mut wrong, mut empty, mut listed) = (Vec::new(), 0, 0);
    for (how, Window { start_ms, end_ms }) in [("written", pair.written), ("scraped", pair.scraped)] {
        for case in &cases {
            let at = At::Range { start_ms, end_ms, step_ms: 10_000 };
            let [prometheus, bellwether] = pair.ask(&case.query, at);
            let failed = matches!(prometheus, answer::Answer::Failed(..));
            if failed != case.should_fail {
                wrong.push(format!(
                    "{}: Prometheus should {}fail",
                    case.query,
                    if failed { "not " } else { "" }
                ));
            }
            empty += usize::from(!failed && prometheus.len() == 0);
            match (difference(&prometheus, &bellwether), known::covers(&case.query)) {
                (None, None) => {}
                (Some(_), Some(_)) => listed += 1,
                (Some(d), None) => wrong.push(format!("{how}: {}\n    {d}", case.query)),
                (None, Some(known)) => wrong.push(format!("{}: no longer differs: {known}", case.query)),
            }
        }
    }
    println!(
        "compliance: {} queries on written and on scraped samples, {} differences, {listed} that are listed, {empty} answers are empty",
        cases.len(),
        wrong.len()
    );
    wrong
}

fn random_queries(pair: &Pair) -> Vec<String> {
    let (count, first) =
        (number("BELLWETHER_RANDOM_QUERIES", RANDOM_QUERIES), number("BELLWETHER_RANDOM_SEED", FIRST_SEED));
    let (mut wrong, mut failed, mut empty) = (Vec::new(), 0, 0);
    let mut asked = 0;
    for seed in first..first + count {
        let window = match seed % 5 {
            0 | 1 => pair.written,
            2 | 3 => pair.scraped,
            _ => pair.whole,
        };
        let (query, at) = Generator::new(seed, window).query();
        let [prometheus, bellwether] = pair.ask(&query.text(), at);
        asked += 1;
        failed += u64::from(matches!(prometheus, answer::Answer::Failed(..)));
        empty += u64::from(!matches!(prometheus, answer::Answer::Failed(..)) && prometheus.len() == 0);
        if difference(&prometheus, &bellwether).is_some_and(|d| !known::explains(&query.text(), &d)) {
            wrong.push(explained(pair, seed, &query, at));
            if wrong.len() >= ENOUGH {
                break;
            }
        }
    }
    println!(
        "random: {asked} queries from seed {first}, {} differences, {failed} queries fail, {empty} answers are empty",
        wrong.len()
    );
    if std::env::var_os("BELLWETHER_RANDOM_QUERIES").is_none() {
        // A generator whose queries are mostly refused or find nothing would test nothing.
        assert!(
            failed * 5 < asked && empty * 5 < asked * 2,
            "{failed} of {asked} fail, {empty} find nothing"
        );
    }
    wrong
}

/// A difference with the smallest query that shows it.
fn explained(pair: &Pair, seed: u64, query: &Node, at: At) -> String {
    let differs = |query: &Node, at: At| {
        let [prometheus, bellwether] = pair.ask(&query.text(), at);
        difference(&prometheus, &bellwether).filter(|d| !known::explains(&query.text(), d))
    };
    let small = minimise(query, &mut |candidate| differs(candidate, at).is_some());
    // One step says more than many, if it differs by itself.
    let single = steps(at).into_iter().find(|t| differs(&small, At::Instant(*t)).is_some()).map(At::Instant);
    let (small, at) = match single {
        Some(at) => (minimise(&small, &mut |candidate| differs(candidate, at).is_some()), at),
        None => (small, at),
    };
    let what = differs(&small, at).unwrap_or_else(|| "differed only once".into());
    format!("seed {seed}: {}\n    as small as {} at {at:?}\n    {what}", query.text(), small.text())
}

fn steps(at: At) -> Vec<i64> {
    match at {
        At::Instant(t_ms) => vec![t_ms],
        At::Range { start_ms, end_ms, step_ms } => {
            (0..).map(|i| start_ms + i * step_ms).take_while(|t| *t <= end_ms).collect()
        }
    }
}
