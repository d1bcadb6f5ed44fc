//! Prometheus' functions on data, as upstream's tests have them.

use template::{MissingKey, Value};

use crate::{check, check_errors, expand, expand_with, sample};

fn floats(values: &[f64]) -> Value {
    Value::list("[]float64", values.iter().map(|v| Value::Float(*v)).collect())
}

fn texts(values: &[&str]) -> Value {
    Value::list("[]string", values.iter().map(|v| Value::from(*v)).collect())
}

fn ints(values: &[i64]) -> Value {
    Value::list("[]int64", values.iter().map(|v| Value::Int(*v)).collect())
}

fn each(function: &str, data: Value) -> Result<String, String> {
    expand(&format!("{{{{ range . }}}}{{{{ {function} . }}}}:{{{{ end }}}}"), data)
}

#[test]
fn numbers_are_humanized() {
    let ok = |s: &str| Ok(s.to_owned());
    for data in [floats(&[0.0, 1.0, 1234567.0, 0.12]), texts(&["0.0", "1.0", "1234567.0", ".12"])] {
        assert_eq!(each("humanize", data), ok("0:1:1.235M:120m:"));
    }
    assert_eq!(each("humanize", ints(&[0, -1, 1, 1234567, i64::MAX])), ok("0:-1:1:1.235M:9.223E:"));
    let unsigned = Value::list("[]uint64", [0, 1, 1234567, u64::MAX].map(Value::Uint).to_vec());
    assert_eq!(each("humanize", unsigned.clone()), ok("0:1:1.235M:18.45E:"));
    assert_eq!(each("humanize1024", unsigned), ok("0:1:1.177Mi:16Ei:"));
    assert_eq!(each("humanize1024", floats(&[0.0, 1.0, 1048576.0, 0.12])), ok("0:1:1Mi:0.12:"));
    assert_eq!(each("humanize1024", ints(&[0, -1, 1, 1234567, i64::MAX])), ok("0:-1:1:1.177Mi:8Ei:"));
    assert_eq!(
        each("humanizePercentage", ints(&[0, -1, 1, 1234567, i64::MAX])),
        ok("0%:-100%:100%:1.235e+08%:9.223e+20%:")
    );
}

#[test]
fn spans_and_moments_are_humanized() {
    let ok = |s: &str| Ok(s.to_owned());
    let days = floats(&[
        0.0,
        1.0,
        60.0,
        3600.0,
        86400.0,
        90000.0,
        -(86400.0 * 2.0 + 3600.0 * 3.0 + 60.0 * 4.0 + 5.0),
        899.99,
    ]);
    assert_eq!(
        each("humanizeDuration", days),
        ok("0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:")
    );
    let small = texts(&[".1", ".0001", ".12345", "60.1", "60.5", "1.2345", "12.345"]);
    assert_eq!(each("humanizeDuration", small), ok("100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:"));
    let odd = floats(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    let all = "{{ range . }}{{ humanize . }}:{{ humanize1024 . }}:{{ humanizeDuration . }}:{{humanizeTimestamp .}}:{{ end }}";
    assert_eq!(expand(all, odd), ok("+Inf:+Inf:+Inf:+Inf:-Inf:-Inf:-Inf:-Inf:NaN:NaN:NaN:NaN:"));
    assert_eq!(
        each("humanizeTimestamp", ints(&[0, -1, 1, 1234567, 9223372036])),
        ok(
            "1970-01-01 00:00:00 +0000 UTC:1969-12-31 23:59:59 +0000 UTC:1970-01-01 00:00:01 +0000 UTC:1970-01-15 06:56:07 +0000 UTC:2262-04-11 23:47:16 +0000 UTC:"
        )
    );
    assert_eq!(
        each("humanizeTimestamp", ints(&[i64::MIN])).unwrap_err(),
        "error executing template test: template: test:1:16: executing \"test\" at <humanizeTimestamp .>: error calling humanizeTimestamp: -9.223372036854776e+18 cannot be represented as a nanoseconds timestamp since it overflows int64"
    );
}

#[test]
fn queries_give_samples() {
    let results = || {
        vec![
            sample(&[("__name__", "metric"), ("instance", "b")], 21.0),
            sample(&[("__name__", "metric"), ("instance", "a"), ("__value__", "x")], 11.0),
        ]
    };
    let run = |text: &str| expand_with(text, Value::Nil, MissingKey::Zero, results());
    let cases = [
        ("{{ query \"metric\" | first | value }}", "21"),
        ("{{ query \"metric\" | first | label \"instance\" }}", "b"),
        ("{{ query \"metric\" | sortByLabel \"instance\" | first | strvalue }}", "x"),
        (
            "{{ range query \"metric\" | sortByLabel \"instance\" }}{{.Labels.instance}}:{{.Value}}: {{end}}",
            "a:11: b:21: ",
        ),
        ("{{ (query \"metric\" | first).Labels }}", "map[__name__:metric instance:b]"),
        ("{{ with query \"metric\" }}{{ . | first | value | humanize }}{{ end }}", "21"),
        ("{{ len (query \"metric\") }} {{ index (query \"metric\") 1 | value }}", "2 11"),
    ];
    for (text, want) in cases {
        assert_eq!(run(text).as_deref(), Ok(want), "{text}");
    }
    check_errors(&[
        (
            "{{ query \"missing\" | first }}",
            "template: test:1:21: executing \"test\" at <first>: error calling first: first() called on vector with no elements",
        ),
        (
            "{{ (query \"missing\").banana }}",
            "template: test:1:10: executing \"test\" at <\"missing\">: can't evaluate field banana in type template.queryResult",
        ),
        (
            "{{ query \"broken\" }}",
            "template: test:1:3: executing \"test\" at <query \"broken\">: error calling query: parse error",
        ),
    ]);
}

#[test]
fn a_histogram_prints_as_its_text() {
    let histogram = Value::opaque(
        "*histogram.FloatHistogram",
        "{count:3, sum:10}".into(),
        vec![("Count", Value::Float(3.0))],
    );
    let data = Value::record("*template.sample", vec![("Value", histogram)]);
    assert_eq!(
        expand("{{ . | value }} {{ (. | value).Count }}", data.clone()).as_deref(),
        Ok("{count:3, sum:10} 3")
    );
    assert_eq!(
        expand("{{ . | value | humanize }}", data).unwrap_err(),
        "error executing template test: template: test:1:15: executing \"test\" at <humanize>: error calling humanize: can't convert *histogram.FloatHistogram to float"
    );
}

#[test]
fn the_prefix_of_alerts_gives_them_their_variables() {
    let data = Value::record(
        "struct {}",
        vec![
            ("Labels", Value::string_map([("instance", "a:9100"), ("job", "node")])),
            ("ExternalLabels", Value::string_map([("region", "eu")])),
            ("ExternalURL", Value::from("http://x/")),
            ("Value", Value::Float(0.25)),
        ],
    );
    let defs = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";
    let run = |text: &str| expand(&format!("{defs}{text}"), data.clone());
    assert_eq!(
        run("{{ $labels.instance | stripPort }} in {{ $externalLabels.region }}: {{ $value | humanizePercentage }} {{ $labels.nothing }}.").as_deref(),
        Ok("a in eu: 25% .")
    );
    assert_eq!(
        run("{{ if gt $value 0.2 }}high{{ end }} {{ printf \"%.1f\" $value }}").as_deref(),
        Ok("high 0.2")
    );
    assert_eq!(
        run("{{ with printf `up{job='%s'}` .Labels.job }}{{ . }}{{ end }}").as_deref(),
        Ok("up{job='node'}")
    );
}

#[test]
fn missing_keys_follow_the_option() {
    let run = |missing| expand_with("{{ .Foo }}", Value::string_map([("a", "b")]), missing, Vec::new());
    assert_eq!(run(MissingKey::Zero).as_deref(), Ok(""));
    assert_eq!(run(MissingKey::Invalid).as_deref(), Ok("<no value>"));
    assert_eq!(
        run(MissingKey::Error).unwrap_err(),
        "error executing template test: template: test:1:3: executing \"test\" at <.Foo>: map has no entry for key \"Foo\""
    );
    assert_eq!(
        expand_with("{{ .Foo }}", Value::Nil, MissingKey::Error, Vec::new()).unwrap_err(),
        "error executing template test: template: test:1:3: executing \"test\" at <.Foo>: nil data; no entry for key \"Foo\""
    );
}

#[test]
fn texts_are_changed() {
    check(&[
        ("{{ title \"it's o'clock in st. mary's\" }}", "It's O'clock In St. Mary's"),
        ("{{ reReplaceAll \"(.*):(\\\\d+)\" \"${2}/$1\" \"host:80\" }}", "80/host"),
        ("{{ reReplaceAll \"a(x*)b\" \"$1W\" \"-ab-axxb-\" }}", "---"),
        ("{{ \"a b&c\" | urlQueryEscape }} {{ urlquery \"ü\" 1 }}", "a+b%26c %C3%BC1"),
        ("{{ \"-1.5h\" | len }} {{ parseDuration \"1d\" }}", "5 86400"),
        ("{{ (toTime 0).AddDate 0 1 0 }}", "1970-02-01 00:00:00 +0000 UTC"),
        ("{{ ((toTime 90).Sub (toTime 0)).Seconds }}", "90"),
    ]);
    let error = expand("{{ reReplaceAll \"(\" \"x\" \"ab\" }}", Value::Nil).unwrap_err();
    assert!(
        error.contains("error calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: "),
        "{error}"
    );
}
