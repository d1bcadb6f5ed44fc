//! Runs the fuzz targets over their seeds, over other projects' data, and over a bounded number of mutations of both.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness;
use crate::random_numbers::Random;

#[path = "../../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the file is a library of its own")]
mod targets;

/// Mutations of each target, unless `BELLWETHER_FUZZ_RUNS` says how many.
const RUNS: u64 = 10_000;
/// The longest input: longer ones find little more and take their time.
const LONGEST: usize = 4096;
/// No input may keep a target busy for longer, even in a build for tests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Failures of a target after which the next one has its turn.
const ENOUGH: usize = 8;

/// Files and lists of cases among the conformance data, by target.
const CONFORMANCE: [(&str, &[&str]); 8] = [
    ("promql", &["extracted/promql_parse.json", "extracted/promql_printer.json"]),
    (
        "exposition",
        &[
            "extracted/openmetrics_parse_errors.json",
            "extracted/prom_text_parse_errors.json",
            "prometheus/model/textparse/testdata",
        ],
    ),
    ("exposition_protobuf", &["prometheus-common/expfmt/testdata"]),
    ("remote_write", &[]),
    ("otlp", &[]),
    ("config", &["prometheus/config/testdata"]),
    ("rules", &["prometheus/model/rulefmt/testdata", "prometheus/rules/fixtures"]),
    ("template", &["extracted/alert_template_expansion.json"]),
];

/// Words that a mutation of bytes would hardly find.
const WORDS: [&str; 60] = [
    "sum by (a) (",
    "rate(",
    "[5m]",
    "[1h:30s]",
    " offset -1m",
    " @ start()",
    " @ 1e9",
    "{a=~\"b|c\"}",
    "bool ",
    "on (a) group_left ",
    "and",
    "histogram_quantile(",
    "0x7f",
    "1e308",
    "NaN",
    "Inf",
    "9223372036854775807",
    "\\xff",
    "\"\\u00e9\"",
    "label_replace(a,\"b\",\"$1\",\"c\",\"(.*)\")",
    "# TYPE a histogram\n",
    "# HELP a ",
    "# UNIT a seconds\n",
    "# EOF\n",
    "a{le=\"+Inf\"} 1 ",
    " # {a=\"b\"} 1 1\n",
    "\n",
    "\\",
    "{\"a.b\"}",
    "\u{0}",
    "scrape_configs:\n",
    "- job_name: x\n",
    "  static_configs: [{targets: [a]}]\n",
    "&a [*a]",
    "? ",
    "!!binary ",
    ": ",
    "\t",
    "\u{feff}",
    "regex: '('\n",
    "{{ ",
    " }}",
    "{{ range ",
    "{{ end }}",
    "{{ with $x := ",
    "{{ template \"a\" . }}",
    "{{ define \"a\" }}",
    " | printf \"%9.3v\"",
    " | humanizeDuration",
    "reReplaceAll \"(a)\" \"$1\"",
    "{\"arrayValue\":{\"values\":[",
    "]}}",
    "\"asInt\":\"-1\",",
    "\"timeUnixNano\":18446744073709551615,",
    "\"bucketCounts\":[\"1\",2],",
    "\"scale\":-12,",
    "\"positive\":{\"offset\":2147483647,\"bucketCounts\":[1]},",
    "\\ud800",
    "- alert: a\n",
    "  expr: up == 0\n",
];

#[test]
fn fuzz_targets_take_anything() {
    let runs = std::env::var("BELLWETHER_FUZZ_RUNS").map_or(RUNS, |v| v.parse().expect("a number"));
    let mut failures = Vec::new();
    for (name, target) in targets::TARGETS {
        let (begun, before) = (Instant::now(), failures.len());
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no seeds");
        let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        let last = File::create(last).expect("the input can be kept");
        failures.extend(corpus.iter().filter_map(|input| failure(name, target, &last, input, "a seed")));
        for seed in 0..runs {
            let input = mutated(&corpus, &mut Random::new(seed));
            failures.extend(failure(name, target, &last, &input, &format!("mutation {seed}")));
            if failures.len() - before >= ENOUGH {
                break;
            }
        }
        println!("{name}: {} seeds, {runs} mutations in {:?}", corpus.len(), begun.elapsed());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Why a target does not cope with an input, if so.
fn failure(name: &str, target: fn(&[u8]), last: &File, input: &[u8], what: &str) -> Option<String> {
    // What ends the whole process, such as a stack that is used up, leaves no other trace.
    let kept = [input, b"\n<the end of the input>\n"].concat();
    last.write_all_at(&kept, 0).expect("the input can be kept");
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let why = match outcome {
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => other.downcast_ref::<&str>().copied().unwrap_or("no text").to_owned(),
        },
        Ok(()) if begun.elapsed() > PATIENCE => format!("took {:?}", begun.elapsed()),
        Ok(()) => return None,
    };
    Some(format!("{name}, {what}: {:?}: {why}", String::from_utf8_lossy(input)))
}

/// The seeds of a target, and what other projects test theirs with.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name), &mut found);
    let Some(conformance) = harness::conformance(&format!("seeds of {name} from conformance data")) else {
        return found;
    };
    for path in CONFORMANCE.iter().filter(|(target, _)| *target == name).flat_map(|(_, paths)| *paths) {
        let path = conformance.join(path);
        if path.extension().is_some_and(|e| e == "json") && path.is_file() {
            found.extend(cases(&path));
        } else if path.is_dir() {
            files(&path, &mut found);
        }
    }
    found.iter_mut().for_each(|input| input.truncate(LONGEST));
    found
}

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|p| p.is_file()) {
        found.push(std::fs::read(path).expect("a seed can be read"));
    }
}

/// The inputs of an extracted table of tests.
fn cases(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).expect("cases can be read");
    let file: Value = serde_json::from_str(&text).expect("cases are JSON");
    let cases = file["cases"].as_array().expect("a list of cases");
    let inputs = cases.iter().filter_map(|case| {
        let input = ["input", "in", "text"].iter().find_map(|key| case.get(key))?;
        match (input.as_str(), input["hex"].as_str()) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(hex)) => {
                let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits");
                Some((0..hex.len()).step_by(2).map(byte).collect())
            }
            _ => None,
        }
    });
    inputs.collect()
}

/// An input with something changed, once or a few times.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(input.len() + 1);
        let until = (at + random.below(16)).min(input.len());
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => {
                input[at] = random.choice(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'{', b'0', b'-']);
            }
            2 => drop(input.drain(at..until)),
            3 => {
                let piece = input[at..until].to_vec();
                for _ in 0..1 + random.below(20) {
                    input.splice(at..at, piece.iter().copied());
                }
            }
            4 => input.truncate(at),
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => drop(input.splice(at..until, random.bits().to_le_bytes())),
            _ => drop(input.splice(at..at, random.choice(&WORDS).bytes())),
        }
        input.truncate(LONGEST);
    }
    input
}
