//! Cases: labels in, rules, labels out.

use base::Labels;

use super::*;

/// `key=value` pairs of a rule; `source` holds names with `,` between them.
fn rule(text: &[(&str, &str)]) -> Result<Rule> {
    rule_for(text, NameValidation::Utf8)
}

fn rule_for(text: &[(&str, &str)], validation: NameValidation) -> Result<Rule> {
    let mut f = RuleFields::default();
    for (key, value) in text {
        let value = (*value).to_owned();
        match *key {
            "source" => f.source_labels = value.split(',').map(str::to_owned).collect(),
            "separator" => f.separator = value,
            "regex" => f.regex = value,
            "modulus" => f.modulus = value.parse().unwrap(),
            "target" => f.target_label = value,
            "replacement" => f.replacement = value,
            "action" => f.action = value.parse()?,
            other => panic!("no field {other}"),
        }
    }
    Rule::new(f, validation)
}

/// Applies the rules and compares; `None` means that the label set is dropped.
#[track_caller]
fn check(input: &[(&str, &str)], rules: &[&[(&str, &str)]], want: Option<&[(&str, &str)]>) {
    let rules: Vec<Rule> = rules.iter().map(|r| rule(r).unwrap()).collect();
    let mut labels = Labels::from_pairs(input.iter().copied()).to_builder();
    let kept = apply(&rules, &mut labels);
    let got = kept.then(|| labels.build());
    assert_eq!(got, want.map(|w| Labels::from_pairs(w.iter().copied())));
}

const ABC: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];

#[test]
fn replaces_with_groups() {
    check(
        ABC,
        &[&[("source", "a"), ("regex", "f(.*)"), ("target", "d"), ("replacement", "ch${1}-ch${1}")]],
        Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
    );
    check(
        ABC,
        &[
            &[("source", "a,b"), ("regex", "f(.*);(.*)r"), ("target", "a"), ("replacement", "b${1}${2}m")],
            &[("source", "c,a"), ("regex", "(b).*b(.*)ba(.*)"), ("target", "d"), ("replacement", "$1$2$2$3")],
        ],
        Some(&[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")]),
    );
    // Named groups, a dollar sign, a group that does not exist, and a dollar sign before nothing.
    check(
        &[("a", "x-y")],
        &[&[
            ("source", "a"),
            ("regex", "(?P<left>.)-(.)"),
            ("target", "$left"),
            ("replacement", "$$${left}$2$9$"),
        ]],
        Some(&[("a", "x-y"), ("x", "$xy$")]),
    );
    // `$1x` is the group named `1x`, which is empty: the label goes.
    check(
        &[("a", "v"), ("d", "old")],
        &[&[("source", "a"), ("target", "d"), ("replacement", "$1x")]],
        Some(&[("a", "v")]),
    );
}

#[test]
fn replaces_only_on_a_whole_match() {
    check(ABC, &[&[("source", "a"), ("regex", "o"), ("target", "b"), ("replacement", "x")]], Some(ABC));
    check(
        &[("a", "line1\nline2")],
        &[&[("source", "a"), ("regex", "line1.*line2"), ("target", "d"), ("replacement", "match${1}")]],
        Some(&[("a", "line1\nline2"), ("d", "match")]),
    );
    // An empty replacement removes the label, and an empty target name is no label.
    check(
        &[("a", "foo"), ("f", "baz")],
        &[&[("source", "a"), ("regex", "(f).*"), ("target", "$1"), ("replacement", "$2")]],
        Some(&[("a", "foo")]),
    );
    check(ABC, &[&[("source", "a"), ("target", "${3}"), ("replacement", "x")]], Some(ABC));
    // No source at all: a constant.
    check(&[], &[&[("target", "k"), ("replacement", "v")]], Some(&[("k", "v")]));
}

#[test]
fn keeps_and_drops() {
    check(ABC, &[&[("source", "a"), ("regex", ".*o.*"), ("action", "drop")]], None);
    check(ABC, &[&[("source", "a"), ("regex", "f|o"), ("action", "drop")]], Some(ABC));
    check(ABC, &[&[("source", "a"), ("regex", "f.*"), ("action", "KEEP")]], Some(ABC));
    check(ABC, &[&[("source", "a"), ("regex", "no-match"), ("action", "keep")]], None);
    let ports: &[(&str, &str)] = &[("__tmp_port", "1234"), ("__port1", "1234"), ("__port2", "5678")];
    let equal = |action, target| [("source", "__tmp_port"), ("action", action), ("target", target)];
    check(ports, &[&equal("keepequal", "__port1")], Some(ports));
    check(ports, &[&equal("keepequal", "__port2")], None);
    check(ports, &[&equal("dropequal", "__port1")], None);
    check(ports, &[&equal("dropequal", "__port2")], Some(ports));
}

#[test]
fn hashes_as_prometheus_does() {
    let hashmod = [("source", "c"), ("target", "d"), ("action", "hashmod"), ("modulus", "1000")];
    check(&[("c", "baz")], &[&hashmod], Some(&[("c", "baz"), ("d", "976")]));
    check(&[("c", "foo\nbar")], &[&hashmod], Some(&[("c", "foo\nbar"), ("d", "734")]));
}

#[test]
fn maps_keeps_and_drops_names() {
    let input: &[(&str, &str)] = &[("a", "foo"), ("b1", "bar"), ("b2", "baz")];
    check(
        input,
        &[&[("regex", "(b.*)"), ("replacement", "bar_${1}"), ("action", "labelmap")]],
        Some(&[("a", "foo"), ("b1", "bar"), ("b2", "baz"), ("bar_b1", "bar"), ("bar_b2", "baz")]),
    );
    check(
        input,
        &[&[("regex", "(b)."), ("replacement", "$1"), ("action", "labelmap")]],
        Some(&[("a", "foo"), ("b", "baz"), ("b1", "bar"), ("b2", "baz")]),
    );
    check(input, &[&[("regex", "(b.*)"), ("action", "labelkeep")]], Some(&[("b1", "bar"), ("b2", "baz")]));
    check(input, &[&[("regex", "(b.*)"), ("action", "labeldrop")]], Some(&[("a", "foo")]));
}

#[test]
fn changes_case_by_single_characters() {
    let case = |action, target| [("source", "foo"), ("action", action), ("target", target)];
    check(
        &[("foo", "bAr123ß")],
        &[&case("uppercase", "u"), &case("lowercase", "l")],
        Some(&[("foo", "bAr123ß"), ("u", "BAR123ß"), ("l", "bar123ß")]),
    );
}

#[test]
fn refuses_what_prometheus_refuses() {
    let check = |fields: &[(&str, &str)], validation, want: &str| {
        let got = rule_for(fields, validation).map_or_else(|e| e.message().to_owned(), |_| "ok".into());
        assert_eq!(got, want, "{fields:?}");
    };
    let (utf8, legacy) = (NameValidation::Utf8, NameValidation::Legacy);
    check(
        &[("action", "hashmod"), ("target", "d")],
        utf8,
        "relabel configuration for hashmod requires non-zero modulus",
    );
    check(&[("source", "a")], utf8, "relabel configuration for replace action requires 'target_label' value");
    check(
        &[("target", "${3}"), ("action", "lowercase")],
        legacy,
        r#""${3}" is invalid 'target_label' for lowercase action"#,
    );
    check(
        &[("target", "d"), ("replacement", "x"), ("action", "lowercase")],
        utf8,
        "'replacement' can not be set for lowercase action",
    );
    check(
        &[("regex", "(.*)"), ("replacement", "0bad"), ("action", "labelmap")],
        legacy,
        r#""0bad" is invalid 'replacement' for labelmap action"#,
    );
    check(&[("replacement", "pre_${1}x$2"), ("action", "labelmap")], legacy, "ok");
    check(
        &[("target", "a_$1-"), ("replacement", "x")],
        legacy,
        r#""a_$1-" is invalid 'target_label' for replace action"#,
    );
    check(
        &[("source", "a"), ("regex", "b"), ("action", "labeldrop")],
        utf8,
        "labeldrop action requires only 'regex', and no other fields",
    );
    check(
        &[("source", "a"), ("target", "b"), ("separator", "-"), ("action", "keepequal")],
        utf8,
        "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
    );
    check(&[("action", "banana")], utf8, r#"unknown relabel action "banana""#);
    assert!(rule(&[("target", "d"), ("regex", "(")]).is_err());
}
