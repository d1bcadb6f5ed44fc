//! The parser and the printer: Prometheus' own cases, the rules that people run, and random queries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use promql::ast::{Expr, ExprKind, Span};
use promql::limits::MAX_QUERY_DEPTH;
use promql::{
    Columns, EvalOptions, Interrupt, ParseOptions, Selection, SeriesSet, SeriesSource, evaluate_instant,
    parse, parse_bytes, parse_metric_selector, pretty, pretty_within,
};
use proptest::prelude::*;
use saphyr_parser::{Event, Parser};
use serde_json::Value;

/// Where the conformance data is; `None`, with a line that says so, if this machine has none.
fn conformance(suite: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED {suite}: no conformance data");
    None
}

/// The cases of an extracted file.
fn cases(folder: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("extracted").join(file)).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    match file["cases"].take() {
        Value::Array(cases) => cases,
        other => panic!("cases is {other}"),
    }
}

/// Fails with all failures if there are any, and if another number of cases passed than there should be.
fn settle(suite: &str, passed: usize, expected: usize, failures: &[String]) {
    println!("{suite}: {passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "{suite}:\n{}", failures.join("\n"));
    assert_eq!(passed, expected, "{suite}: cases passed");
}

/// Errors that upstream's table expects after those that the extraction of its cases kept: their positions are written
/// in ways that it did not understand.
const LEFT_OUT: [(&str, usize, &str); 5] = [
    ("foo and bool 10", 15, "set operator \"and\" not allowed in binary scalar expression"),
    ("foo[step()/0d]", 0, "duration must be greater than 0"),
    ("foo[5s/0d]", 0, "duration must be greater than 0"),
    ("foo[9.5e10]", 0, "duration must be greater than 0"),
    ("sum(rate(", 0, "no arguments for aggregate expression provided"),
];

#[test]
fn parses_and_refuses_as_prometheus_does() {
    let suite = "promql_parse";
    let Some(folder) = conformance(suite) else { return };
    let (mut passed, mut failures) = (0, Vec::new());
    for case in cases(&folder, "promql_parse.json") {
        let input = match &case["input"] {
            Value::String(text) => text.clone().into_bytes(),
            hex => unhex(hex["hex"].as_str().unwrap()),
        };
        let shown = String::from_utf8_lossy(&input).into_owned();
        let mut want: Vec<(usize, usize, String)> = Vec::new();
        for e in case["errors"].as_array().into_iter().flatten() {
            let at = |key: &str| usize::try_from(e[key].as_u64().unwrap()).unwrap();
            want.push((at("start"), at("end"), e["msg"].as_str().unwrap().to_string()));
        }
        for (_, end, message) in LEFT_OUT.iter().filter(|(input, ..)| *input == shown) {
            want.push((0, *end, message.to_string()));
        }
        assert_eq!(want.is_empty(), case["ok"] == Value::Bool(true), "{shown}");
        let got: Vec<_> = match parse_bytes(&input, &ParseOptions::all()) {
            Ok(_) => Vec::new(),
            Err(e) => e.errors().iter().map(|e| (e.span.start, e.span.end, e.message.clone())).collect(),
        };
        if got == want {
            passed += 1;
        } else {
            failures.push(format!("{shown}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    settle(suite, passed, 265, &failures);
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn prints_as_prometheus_does() {
    for (file, expected) in [("promql_printer.json", 86), ("promql_prettier.json", 62)] {
        let Some(folder) = conformance(file) else { return };
        let (mut passed, mut failures) = (0, Vec::new());
        for case in cases(&folder, file) {
            let (input, want) = (case["in"].as_str().unwrap(), case["out"].as_str().unwrap());
            let got = match parse(input, &ParseOptions::all()) {
                Err(e) => e.to_string(),
                Ok(expr) => match case["max_chars_per_line"].as_u64() {
                    Some(width) => pretty_within(&expr, usize::try_from(width).unwrap()),
                    None => expr.to_string(),
                },
            };
            if got == want {
                passed += 1;
            } else {
                failures.push(format!("{input}\n--- want\n{want}\n--- got\n{got}"));
            }
        }
        settle(file, passed, expected, &failures);
    }
}

#[test]
fn agrees_with_the_editors_grammar() {
    let suite = "expression.txt";
    let Some(folder) = conformance(suite) else { return };
    let mut files = Vec::new();
    find(&folder.join("prometheus/web/ui"), &|name| name == "expression.txt", &mut files);
    let (mut passed, mut failures) = (0, Vec::new());
    for file in files {
        for section in format!("\n{}", fs::read_to_string(&file).unwrap()).split("\n# ").skip(1) {
            let (query, tree) = section.split_once("==>").unwrap();
            let (title, query) = query.split_once('\n').unwrap();
            let want = !tree.contains('⚠');
            let got = parse(query.trim(), &ParseOptions::all());
            if got.is_ok() == want {
                passed += 1;
            } else {
                failures.push(format!("{title}: {query}: {got:?}"));
            }
        }
    }
    settle(suite, passed, 72, &failures);
}

/// All files below a folder whose names fit, in order.
fn find(folder: &Path, fits: &dyn Fn(&str) -> bool, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find(&path, fits, found);
        } else if fits(&path.file_name().unwrap().to_string_lossy()) {
            found.push(path);
        }
    }
}

/// The values of every `expr` in a YAML file.
fn exprs_of_yaml(text: &str) -> Vec<String> {
    // For each open collection, whether its next node is a key, and whether the key before it was `expr`.
    let mut open: Vec<(bool, bool, bool)> = Vec::new();
    let mut found = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap();
        let is_node = matches!(
            event,
            Event::Scalar(..) | Event::Alias(_) | Event::MappingStart(..) | Event::SequenceStart(..)
        );
        if let (true, Some((true, at_key, after_expr))) = (is_node, open.last_mut()) {
            if let Event::Scalar(value, ..) = &event {
                if !*at_key && *after_expr {
                    found.push(value.to_string());
                }
                *after_expr = *at_key && value == "expr";
            }
            *at_key = !*at_key;
        }
        match event {
            Event::MappingStart(..) => open.push((true, true, false)),
            Event::SequenceStart(..) => open.push((false, false, false)),
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    found
}

#[test]
fn parses_the_rules_that_people_run() {
    let suite = "rule corpora";
    let Some(folder) = conformance(suite) else { return };
    let mut counts = BTreeMap::new();
    let mut failures = Vec::new();
    for corpus in ["awesome-prometheus-alerts", "monitoring-mixins", "kube-prometheus"] {
        let mut files = Vec::new();
        find(&folder.join(corpus), &|name| name.ends_with(".yml") || name.ends_with(".yaml"), &mut files);
        for file in files {
            for query in exprs_of_yaml(&fs::read_to_string(&file).unwrap()) {
                match reprinted(&query) {
                    Ok(()) => *counts.entry(corpus).or_insert(0) += 1,
                    Err(e) => failures.push(format!("{}: {e}\n{query}", file.display())),
                }
            }
        }
    }
    println!("{suite}: {counts:?}");
    settle(suite, counts.values().sum(), 2319, &failures);
}

/// Whether a query parses, with Prometheus' default options, and prints as something that parses and prints the same.
fn reprinted(query: &str) -> Result<(), String> {
    let options = ParseOptions::default();
    let expr = parse(query, &options).map_err(|e| e.to_string())?;
    for text in [expr.to_string(), pretty(&expr)] {
        let again = parse(&text, &options).map_err(|e| format!("printed as {text}: {e}"))?;
        if again.to_string() != expr.to_string() {
            return Err(format!("printed as {expr}, then as {again}"));
        }
    }
    Ok(())
}

/// The text that each node of a query stands at, outer nodes first.
fn texts<'q>(query: &'q str, expr: &Expr, found: &mut Vec<&'q str>) {
    found.push(&query[expr.span.start..expr.span.end]);
    match &expr.kind {
        ExprKind::Paren(e) | ExprKind::Unary { expr: e, .. } => texts(query, e, found),
        ExprKind::Binary(b) => [&b.lhs, &b.rhs].into_iter().for_each(|e| texts(query, e, found)),
        ExprKind::Aggregate(a) => a.param.iter().chain([&a.expr]).for_each(|e| texts(query, e, found)),
        ExprKind::Call { args, .. } => args.iter().for_each(|e| texts(query, e, found)),
        ExprKind::Matrix { selector_span: s, .. } => found.push(&query[s.start..s.end]),
        ExprKind::Subquery(s) => texts(query, &s.expr, found),
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Vector(_) => {}
    }
}

#[test]
fn nodes_stand_where_they_were_written() {
    let check = |query: &str, want: &[&str]| {
        let expr = parse(query, &ParseOptions::all()).unwrap();
        let mut got = Vec::new();
        texts(query, &expr, &mut got);
        assert_eq!(got, want, "{query}");
    };
    check(" up # all\n", &["up"]);
    check("a + b * c", &["a + b * c", "a", "b * c", "b", "c"]);
    check("a ^ b ^ c", &["a ^ b ^ c", "a", "b ^ c", "b", "c"]);
    check("-a ^ 2", &["-a ^ 2", "a ^ 2", "a", "2"]);
    check("-1 * 2", &["-1 * 2", "-1", "2"]);
    check("sum by (x) (a{b='c'})", &["sum by (x) (a{b='c'})", "a{b='c'}"]);
    check("(sum(a) without(b) )", &["(sum(a) without(b) )", "sum(a) without(b)", "a"]);
    check("(topk(3, a) )", &["(topk(3, a) )", "topk(3, a)", "3", "a"]);
    check("rate(a[5m] offset 1m)", &["rate(a[5m] offset 1m)", "a[5m] offset 1m", "a"]);
    check(
        "rate(a [5m] @ end( ) )[1h:]",
        &["rate(a [5m] @ end( ) )[1h:]", "rate(a [5m] @ end( ) )", "a [5m] @ end( )", "a "]
            .map(str::trim_end),
    );
    check("{\"ü\"} offset -(1m)", &["{\"ü\"} offset -(1m)"]);
    // `anchored` does not count, as in Prometheus.
    check("a[5m] anchored", &["a[5m]", "a"]);
}

#[test]
fn keywords_name_metrics_and_labels() {
    for query in [
        "offset offset 5m",
        "by by_x",
        "and and and",
        "sum by (sum, by, on, bool, offset, start, atan2) (sum)",
        "fill + fill(0) fill",
        "start{end=\"x\"} @ start()",
        "min_of + max_of + step + range",
        "anchored[5m] anchored",
        "without or unless",
        "a * on (and) group_left (or) b",
    ] {
        let expr = parse(query, &ParseOptions::all());
        assert_eq!(expr.is_ok(), query != "by by_x", "{query}");
    }
}

#[test]
fn every_error_is_reported_in_order() {
    let check = |query: &str, want: &[&str]| {
        let errors = parse(query, &ParseOptions::default()).unwrap_err();
        let got: Vec<String> = errors
            .errors()
            .iter()
            .map(|e| format!("{}-{} {}", e.span.start, e.span.end, e.message))
            .collect();
        assert_eq!(got, want, "{query}");
    };
    check("", &["0-0 no expression found in input"]);
    check(
        "(sum(foo bar) + nope(1))",
        &[
            "9-12 unexpected identifier \"bar\" in aggregation",
            "1-0 no arguments for aggregate expression provided",
            "16-20 unknown function with name \"nope\"",
            "23-24 unexpected \")\"",
        ],
    );
    check(
        "a[5m + ] b \"",
        &[
            "7-8 unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
            "11-12 unterminated quoted string",
        ],
    );
    check("a{b=1}", &["4-6 unexpected character inside braces: '1'"]);
    check(
        "a{b c, d=\"e\" f}",
        &[
            "4-5 unexpected identifier \"c\" in label matching, expected label matching operator",
            "13-14 unexpected identifier \"f\" in label matching, expected \",\" or \"}\"",
        ],
    );
    check(
        "limitk(1, a)",
        &[
            "0-12 limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ],
    );
    check("info(a)", &["0-4 function \"info\" is not enabled"]);
    check("a smoothed", &["0-1 smoothed modifier is experimental and not enabled"]);
    check("a + fill(0) b", &["0-13 binop fill modifiers are experimental and not enabled"]);
    check("a offset nan", &["9-12 duration out of range"]);
    check("a[-5m]", &["2-5 duration must be greater than 0"]);
}

#[test]
fn an_error_is_shown_with_line_and_column() {
    let error = parse("sum(\n  rate(up)\n)", &ParseOptions::default()).unwrap_err();
    let text =
        "2:8: parse error: expected type range vector in call to function \"rate\", got instant vector";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.first().span.position("sum(\n  rate(up)\n)"), "2:8");
    let error = base::Error::from(error);
    assert_eq!((error.kind(), error.message()), (base::ErrorKind::Invalid, text));
}

#[test]
fn selectors_stand_alone() {
    let check = |text: &str, want: Result<&[&str], &str>| {
        let got = parse_metric_selector(text).map_err(|e| e.to_string());
        let got = got.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        match (&got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
            (Err(got), Err(want)) => assert_eq!(got, want, "{text}"),
            _ => panic!("{text}: {got:?}"),
        }
    };
    check("up{job=~\"a|b\"}", Ok(&["job=~\"a|b\"", "__name__=\"up\""]));
    check("{'a.b', c!='d',}", Ok(&["__name__=\"a.b\"", "c!=\"d\""]));
    check("{}", Ok(&[]));
    check("", Err("unknown position: parse error: unexpected end of input"));
    check("up[5m]", Err("1:3: parse error: unexpected \"[\""));
    check("rate(up)", Err("1:5: parse error: unexpected \"(\""));
}

/// A store without series, and nobody who interrupts.
struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &Selection) -> base::Result<Box<dyn SeriesSet + '_>> {
        Ok(Box::new(Self))
    }
}

impl SeriesSet for Nothing {
    fn count(&self) -> usize {
        0
    }

    fn samples(&self) -> u64 {
        0
    }

    fn labels(&self, at: usize) -> base::Labels {
        panic!("there is no series {at}")
    }

    fn read(&self, at: usize, _: &mut Columns) -> base::Result<base::Labels> {
        panic!("there is no series {at}")
    }
}

impl Interrupt for Nothing {
    fn check(&self) -> base::Result<()> {
        Ok(())
    }
}

#[test]
fn deep_queries_are_evaluated_or_refused_on_a_small_stack() {
    let check = |name: &'static str, levels: usize, query: fn(usize) -> String| {
        let run = move || {
            let allowed = query((MAX_QUERY_DEPTH - 3) / levels);
            let expr = parse(&allowed, &ParseOptions::all()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let printed = expr.to_string();
            assert_eq!(parse(&printed, &ParseOptions::all()).unwrap().to_string(), printed, "{name}");
            assert_eq!(expr.clone(), expr, "{name}");
            let output = evaluate_instant(&expr, &allowed, 0, &EvalOptions::default(), &Nothing, &Nothing);
            assert!(output.is_ok(), "{name}: {:?}", output.err());
            let error = parse(&query(100_000), &ParseOptions::all()).unwrap_err();
            assert!(error.to_string().contains("nested deeper than"), "{name}: {error}");
        };
        // As small as the stacks of a runtime's workers.
        std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
    };
    check("parentheses", 1, |n| format!("{}1{}", "(".repeat(n), ")".repeat(n)));
    check("signs", 1, |n| format!("{}a", "-".repeat(n)));
    check("calls", 1, |n| format!("{}a{}", "abs(".repeat(n), ")".repeat(n)));
    check("aggregations", 1, |n| format!("{}a{}", "sum(".repeat(n), ")".repeat(n)));
    check("sums", 1, |n| format!("a{}", " + a".repeat(n)));
    check("powers", 1, |n| format!("a{}", " ^ a".repeat(n)));
    check("subqueries", 2, |n| format!("{}a{}", "max_over_time(".repeat(n), "[1h:])".repeat(n)));
    check("durations in parentheses", 1, |n| format!("a[{}1{}]", "(".repeat(n), ")".repeat(n)));
    check("signs of durations", 1, |n| format!("a offset {}step()", "-".repeat(n)));
    check("sums of durations", 1, |n| format!("a[1{}]", " + 1".repeat(n)));
    check("extremes of durations", 1, |n| format!("a offset {}1{}", "min_of(1,".repeat(n), ")".repeat(n)));
}

/// Tokens of the language, and some that are not. Infinity is missing: it prints with a sign, as in Prometheus, and
/// after a sign a power belongs to the operand, so that `Inf ^ 2` prints as what prints as `++Inf ^ 2`.
const TOKENS: &str = "foo bar:baz sum avg by without on ignoring group_left group_right bool offset anchored smoothed \
    fill fill_left start end step range max_of min_of and or unless atan2 topk count_values quantile limitk rate \
    info time label_replace nope nan 1 0x1f 5m 1h30m 07 1_0 1e3 .5 0 5y1hs 1e ( ) { } [ ] , : = == != =~ !~ < \
    <= > >= </ >/ + - * / % ^ @ \"x\" 'y' `z` \"\\q\" # . ; ! ü \"ü\" (foo) [5m] [5m:] [5m:1m] {a=\"b\"} (a,b) by(a) \
    start() step() @1 offset(1m) sum(foo) rate(foo[5m]) a+b -foo";

fn token_soup() -> impl Strategy<Value = String> {
    let tokens: Vec<&str> = TOKENS.split_whitespace().collect();
    let separator = prop::sample::select(vec![" ", "", "\n"]);
    let piece =
        (prop::sample::select(tokens), separator).prop_map(|(token, space)| format!("{token}{space}"));
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Queries that are mostly sound.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "foo",
        "foo{a=\"b\",c!~\"d|e\"}",
        "{\"a b\",\"c d\"=~'.+'}",
        "1",
        "-2.5e3",
        "0x1f",
        "5m",
        "NaN",
        "foo offset -5m",
        "foo @ end() offset step()",
        "foo smoothed @ -1.5",
        "time()",
        "pi()",
        "sum",
    ]);
    leaf.prop_map(str::to_string).prop_recursive(5, 40, 2, |inner| {
        let op = prop::sample::select(
            "+ - * / % ^ atan2 == != <= > </ >/ and or unless".split_whitespace().collect::<Vec<_>>(),
        );
        let modifier = prop::sample::select(vec![
            "",
            "",
            "bool",
            "on (a)",
            "ignoring (a, \"b c\") group_left",
            "on () group_right (d)",
            "fill (-1e30)",
            "fill_left (1) fill_right (0.5)",
        ]);
        let wrap = prop::sample::select(vec![
            "(X)",
            "-X",
            "+X",
            "sum(X)",
            "topk by (a, \"b c\") (2, X)",
            "count_values without () (\"l\\n\", X)",
            "abs(X)",
            "rate(X[5m])",
            "max_over_time(X[(1h):step()*2] @ 5 offset -(1m))",
            "deriv((X)[min_of(1h, range() - 5):])",
            "label_replace(X, 'a', `b`, \"c\", \"(.*)\")",
            "clamp(X, 0, 1)",
        ]);
        prop_oneof![
            (inner.clone(), op, modifier, inner.clone())
                .prop_map(|(l, op, m, r)| format!("{l} {op} {m} {r}")),
            (inner, wrap).prop_map(|(x, wrap)| wrap.replace('X', &x)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Whatever comes, there is an answer: an error within the text, or an expression that prints as one that prints
    /// the same.
    #[test]
    fn any_text_has_an_answer(text in prop_oneof![token_soup(), query(), ".{0,40}"]) {
        for options in [ParseOptions::all(), ParseOptions::default()] {
            match parse(&text, &options) {
                Ok(expr) => {
                    let printed = expr.to_string();
                    for again in [&printed, &pretty(&expr), &pretty_within(&expr, 10)] {
                        let again = parse(again, &options).map(|e| e.to_string());
                        prop_assert_eq!(again.as_ref(), Ok(&printed), "{} of {}", &printed, &text);
                    }
                }
                Err(e) => {
                    prop_assert!(!e.errors().is_empty());
                    let Span { start, end } = e.first().span;
                    prop_assert!(start <= text.len() && end <= text.len(), "{} in {}", e, &text);
                }
            }
        }
    }

    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse_bytes(&bytes, &ParseOptions::all());
        let _ = parse_metric_selector(&String::from_utf8_lossy(&bytes));
    }
}

/// Random queries that are mostly sound have to be sound often enough to test printing.
#[test]
fn random_queries_are_often_sound() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sound = (0..500)
        .filter(|_| parse(&query().new_tree(&mut runner).unwrap().current(), &ParseOptions::all()).is_ok())
        .count();
    assert!(sound > 100, "{sound} of 500");
}
