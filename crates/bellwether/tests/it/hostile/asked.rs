//! Queries, look-ups, remote reads, and what is off.

use ingest::testing::compress;

use super::wire::{FORM, Hostile};

pub(super) fn queries() -> Vec<Hostile> {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let minus = format!("{}1", "-".repeat(100_000));
    let many = format!("1{}", " + 1".repeat(100_000));
    let regexes: String = (0..20_000).map(|i| format!("l{i}=~\"x{i}.*\",")).collect();
    let query = |what, text: &str, statuses, says| {
        Hostile::query(what, &[("query", text), ("timeout", "30s")], statuses, says)
    };
    let mut all = vec![
        query("100,000 parentheses", &deep, &[400], "deep"),
        query("100,000 signs", &minus, &[400], "deep"),
        query("100,000 sums", &many, &[400], "deep"),
        query("20,000 expressions", &format!("{{{regexes}}}"), &[400], "limit"),
        query("an expression that backtracks", "good{instance=~\"(a+)+(a+)+(a+)+b\"}", &[200], ""),
        query("an expression without bounds", "good{instance=~\"((x{1000}){1000}){1000}\"}", &[400], "limit"),
        query("a subquery of a millisecond", "sum_over_time(good[290y:1ms])", &[422], "too many samples"),
        query("numbers without end", "count_over_time(vector(1)[9000h:1ms])", &[422], "too many samples"),
        query("a range before time", "rate(good[290y] offset 290y)", &[200], ""),
        query("a time after time", "good @ 9e15", &[200, 400], ""),
        query("a text without end", "\"", &[400], "unterminated"),
        query("no text", "\u{0}\u{feff}\u{202e}", &[400], "parse error"),
        query(
            "a label of a megabyte",
            &format!("label_replace(good, \"{}\", \"\", \"\", \"\")", "a".repeat(1 << 20)),
            &[200, 422],
            "",
        ),
    ];
    all.extend(times());
    all
}

fn times() -> Vec<Hostile> {
    const FIRST: &str = "-292273086-05-16T16:47:06Z";
    const LAST: &str = "292277025-08-18T07:12:54.999999999Z";
    let range = |what, start: &str, end: &str, step: &str, statuses, says| {
        let form = [("query", "rate(good[5m])"), ("start", start), ("end", end), ("step", step)];
        Hostile::query(what, &form, statuses, says)
    };
    let at = |what, time: &str, statuses, says| {
        Hostile::query(
            what,
            &[("query", "max_over_time(good[5m:1m] offset 1h)"), ("time", time)],
            statuses,
            says,
        )
    };
    vec![
        range("all of time", FIRST, LAST, "1", &[400, 422], "exceeded maximum resolution"),
        range("all of time, at once", FIRST, LAST, "9000000000", &[200, 400, 422], ""),
        range("a year of milliseconds", "0", "31536000", "0.001", &[400], "exceeded maximum resolution"),
        range("a step back", "0", "1", "-1", &[400], "zero or negative query resolution"),
        range("no step", "0", "1", "0", &[400], "zero or negative query resolution"),
        range("a step that is no number", "0", "1", "NaN", &[400], "valid duration"),
        range("a start without end", "-Inf", "Inf", "1", &[400], "valid timestamp"),
        range("the end before the start", "1", "0", "1", &[400], "end timestamp must not be before"),
        at("no number", "NaN", &[400], "valid timestamp"),
        at("a time beyond", "1e300", &[400], "valid timestamp"),
        at("the first time", FIRST, &[200], ""),
        at("the last time", LAST, &[200], ""),
        Hostile::query(
            "no time to look back",
            &[("query", "good"), ("lookback_delta", "1e300")],
            &[400],
            "lookback",
        ),
        Hostile::query("no time", &[("query", "good"), ("timeout", "0.000000001")], &[200, 503], ""),
    ]
}

pub(super) fn look_ups() -> Vec<Hostile> {
    let get = Hostile::get;
    let matches = "match[]=up&".repeat(20_000);
    let regexes: String = (0..9_000).map(|i| format!("match[]={{a=~\"x{i}.*\"}}&")).collect();
    let form = |what, body: &str, statuses, says| {
        Hostile::post(what, ("/api/v1/series", FORM), body.as_bytes(), statuses, says)
    };
    vec![
        form("20,000 parameters", &matches, &[400], "max_parameters"),
        form("9,000 expressions", &regexes, &[400], "limit"),
        form(
            "a form of 12 MiB",
            &"a".repeat(12 << 20),
            &[400, super::wire::CLOSED],
            "error parsing form values",
        ),
        get("a name that is none", "/api/v1/label/%ff%fe/values", &[400], ""),
        get("an empty name", "/api/v1/label//values", &[400, 404], ""),
        get("a name with a zero", "/api/v1/label/a%00b/values", &[200, 400], ""),
        get("a name like a path", "/api/v1/label/..%2f..%2f..%2fetc%2fpasswd/values", &[200, 400], ""),
        get("text that is none", "/api/v1/query?query=%ff%fe%00", &[400], "parse error"),
        get("a limit below zero", "/api/v1/labels?limit=-1", &[400], "limit"),
        get("a limit beyond", "/api/v1/labels?limit=99999999999999999999", &[400], "limit"),
        get("a broken selector", "/federate?match[]={", &[400], ""),
        get("a selector of everything", "/federate?match[]={}", &[200], ""),
        get("no selector", "/api/v1/series", &[400], "no match[]"),
        get("a status of everything", "/api/v1/status/tsdb?limit=999999999", &[400], "limit"),
        get("a search for everything", "/api/v1/search/metric_names?limit=999999999", &[400], "limit"),
    ]
}

pub(super) fn others() -> Vec<Hostile> {
    const READ: (&str, &str) = ("/api/v1/read", "");
    let all_time = query(&[number(1, i64::MIN), number(2, i64::MAX), field(3, &field(2, b"a"))].concat());
    let regex = [number(1, 2), field(2, b"a"), field(3, b"\\w{100000}")].concat();
    let distinct = |i: usize| [number(1, 2), field(2, b"a"), field(3, format!("x{i}.*").as_bytes())].concat();
    let two = |i: usize| query(&[field(3, &distinct(i)), field(3, &distinct(i + 900))].concat());
    let regexes: Vec<u8> = (0..900).flat_map(two).collect();
    let read =
        |what, message: &[u8], statuses, says| Hostile::post(what, READ, &compress(message), statuses, says);
    let get = Hostile::get;
    vec![
        read("all of time", &all_time, &[200], ""),
        read("2,000 queries", &query(&[]).repeat(2_000), &[400, 422], "read_queries"),
        read(
            "3,000 conditions",
            &query(&field(3, &field(2, b"a")).repeat(3_000)),
            &[400, 422],
            "read_matchers",
        ),
        read("a large expression", &query(&field(3, &regex)), &[400, 422], "limit"),
        read("1,800 expressions", &regexes, &[400, 422], "limit"),
        read("nothing of a kind", &[0xff; 64], &[400], ""),
        Hostile::post("no snappy", READ, b"\xff\xff\xff\xff\x0f", &[400, 422], "decompressed"),
        Hostile::post(
            "a deletion",
            ("/api/v1/admin/tsdb/delete_series?match[]=good", ""),
            b"",
            &[503],
            "admin APIs disabled",
        ),
        Hostile::post("a snapshot", ("/api/v1/admin/tsdb/snapshot", ""), b"", &[503], "admin APIs disabled"),
        Hostile::post("a compaction", ("/api/v1/admin/lake/compact", ""), b"", &[503], "disabled"),
        get("a task that there is not", "/api/v1/admin/lake/..%2f..%2fetc", &[503], "disabled"),
        get("a file above", "/../../../../etc/passwd", &[200], "<!doctype html>"),
        get("a file above, in disguise", "/assets/..%2f..%2f..%2fetc%2fpasswd", &[404], "no such page"),
        get("a file with a zero", "/assets/%00.js", &[404], "no such page"),
        get("another way to it", "//etc/passwd", &[200], "<!doctype html>"),
    ]
}

/// A query of a request to read.
fn query(content: &[u8]) -> Vec<u8> {
    field(1, content)
}

/// A field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn number(number: u8, value: i64) -> Vec<u8> {
    let mut out = vec![number << 3];
    varint(&mut out, value as u64);
    out
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
