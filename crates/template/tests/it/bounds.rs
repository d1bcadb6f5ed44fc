//! Every expansion ends: in time, in memory and on the stack.

use template::{Template, Value};

use crate::expand;

#[track_caller]
fn fails_with(text: &str, limit: &str) {
    let error = expand(text, Value::Nil).expect_err("this exceeds a limit");
    assert!(error.contains(limit), "{error}");
}

#[test]
fn templates_that_call_themselves_end() {
    fails_with("{{define \"t\"}}{{template \"t\" .}}{{end}}{{template \"t\" .}}", "MAX_DEPTH");
}

#[test]
fn deep_nesting_is_refused() {
    fails_with(&format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000)), "MAX_NESTING");
    fails_with(&"{{if 1}}".repeat(5000), "MAX_NESTING");
    fails_with(&format!("{{{{if 1}}}}{}{{{{end}}}}", "{{else if 1}}".repeat(5000)), "MAX_NESTING");
}

#[test]
fn the_deepest_nesting_that_parses_runs() {
    let text = format!("{{{{ {}1{} }}}}", "(".repeat(70), ")".repeat(70));
    assert_eq!(expand(&text, Value::Nil).as_deref(), Ok("1"));
}

#[test]
fn endless_loops_end() {
    fails_with("{{range 2000000}}{{end}}", "MAX_ITERATIONS");
    fails_with("{{range 2000}}{{range 2000}}{{end}}{{end}}", "MAX_ITERATIONS");
}

#[test]
fn texts_that_double_end() {
    fails_with("{{$x := \"aaaaaaaa\"}}{{range 64}}{{$x = print $x $x}}{{end}}", "MAX_OUTPUT_BYTES");
    fails_with("{{range 999}}{{printf \"%100000d\" 1}}{{end}}", "MAX_OUTPUT_BYTES");
    fails_with(
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 64}}{{$x = reReplaceAll \".\" \"$0$0\" $x}}{{end}}",
        "MAX_OUTPUT_BYTES",
    );
    fails_with("{{$x := 1}}{{range 30}}{{$x = args $x $x}}{{end}}{{$x}}", "MAX_OUTPUT_BYTES");
}

#[test]
fn values_do_not_nest_without_end() {
    fails_with("{{$x := 1}}{{range 100000}}{{$x = args $x}}{{end}}{{$x}}", "MAX_VALUE_DEPTH");
}

#[test]
fn long_texts_and_large_patterns_are_refused() {
    fails_with(&"a".repeat(2 << 20), "MAX_TEXT_BYTES");
    fails_with("{{ match \"(a{1000}){1000}\" \"a\" }}", "error calling match");
}

/// Pieces of templates put together by a generator with a fixed seed: whatever comes out, nothing panics.
#[test]
fn no_text_makes_it_panic() {
    const PIECES: [&str; 40] = [
        "{{",
        "}}",
        "{{-",
        "-}}",
        " - ",
        "if ",
        "else ",
        "end",
        "range ",
        "with ",
        "define \"a\"",
        "template \"a\" ",
        "block \"a\" .",
        "break",
        "continue",
        ".",
        ".x",
        "$",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        ",",
        "\"s\"",
        "`r`",
        "'c'",
        "1",
        "-1.5e3",
        "0x1p4",
        "nil",
        "printf \"%[3]*.[2]*[1]f\"",
        "index ",
        "slice ",
        "/*",
        "*/",
        "é",
        "\n",
        "query \"x\" ",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    let mut parsed = 0;
    for _ in 0..60_000 {
        let length = 1 + next(12);
        let text: String = (0..length).map(|_| PIECES[next(PIECES.len())]).collect();
        let text = if next(2) == 0 { format!("{{{{{text}}}}}") } else { text };
        parsed += usize::from(Template::parse("fuzz", &text).is_ok());
        // The result does not matter; that there is one does.
        let _ = expand(&text, Value::string_map([("x", "1")]));
    }
    assert!(parsed > 1_000, "only {parsed} texts parsed");
}
