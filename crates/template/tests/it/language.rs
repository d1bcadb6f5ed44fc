//! The language itself: actions, variables, printing, and Go's errors.

use template::Value;

use crate::{check, check_errors, expand, expand_html};

#[test]
fn actions_nest_and_trim() {
    check(&[
        ("a {{- 1 -}} b", "a1b"),
        ("a{{/* no */}}b {{- /* no */ -}} c", "abc"),
        ("{{if true}}T{{else}}F{{end}}{{if false}}T{{else if 0}}U{{else}}F{{end}}", "TF"),
        ("{{with \"\"}}a{{else with \"x\"}}{{.}}{{else}}b{{end}}", "x"),
        ("{{range 3}}{{.}}{{if eq . 1}}{{break}}{{end}},{{end}}", "0,1"),
        ("{{range $i := 4}}{{if eq $i 1}}{{continue}}{{end}}{{$i}}{{end}}", "023"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{$y := 3}}{{$y}}{{end}}{{$x}}", "32"),
        ("{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" 5}}{{template \"t\"}}", "[5][<no value>]"),
        ("{{block \"b\" 7}}<{{.}}>{{end}}{{template \"b\" 8}}", "<7><8>"),
        ("{{ 1\n|\nprintf \"%03d\" }}", "001"),
        ("{{/* only a comment */}}", ""),
    ]);
    let map = Value::string_map([("b", "2"), ("a", "1")]);
    assert_eq!(
        expand("{{range $k, $v := .}}{{$k}}={{$v}};{{else}}none{{end}}", map.clone()).as_deref(),
        Ok("a=1;b=2;")
    );
    assert_eq!(
        expand("{{.a}}{{$.b}}{{index . \"a\"}}{{index . \"z\"}}{{.}}", map).as_deref(),
        Ok("121map[a:1 b:2]")
    );
    assert_eq!(expand("{{range .}}x{{else}}none{{end}}", Value::Nil).as_deref(), Ok("none"));
}

#[test]
fn constants_keep_their_types() {
    check(&[
        (
            "{{1}} {{1.0}} {{1e3}} {{0x10}} {{0b11}} {{1_000}} {{'a'}} {{-5}} {{1e6}} {{123456789.0}} {{.5}}",
            "1 1 1000 16 3 1000 97 -5 1e+06 1.23456789e+08 0.5",
        ),
        ("{{true}} {{\"a\\tb\\u00e9\\x41\"}} {{`r\"aw`}}", "true a\tbéA r\"aw"),
        ("{{printf \"%T %T %T\" 1 1.0 \"s\"}}", "int float64 string"),
    ]);
}

#[test]
fn builtins_follow_go() {
    check(&[
        ("{{and 1 0 2}} {{or 0 \"\" 3}} {{not 0}} {{and true (or false 4)}}", "0 3 true 4"),
        ("{{or true (index nil 1)}}", "true"),
        (
            "{{eq 1 1}} {{eq 3 1 2 3}} {{ne \"a\" \"b\"}} {{lt 1 2}} {{le 2 2}} {{gt 1.5 1.0}} {{ge \"b\" \"a\"}}",
            "true true true true true true true",
        ),
        ("{{len \"abc\"}} {{slice \"abcdef\" 1 3}} {{index \"a\" 0}}", "3 bc 97"),
        ("{{print 1 2 \"a\" 3}} {{println 1 \"b\"}}", "1 2a3 1 b\n"),
        (
            "{{html \"<a&'\\\">\"}} {{js \"'<x>=\"}} {{1 | print | len}}",
            "&lt;a&amp;&#39;&#34;&gt; \\'\\u003Cx\\u003E\\u003D 1",
        ),
    ]);
    check_errors(&[
        (
            "{{eq 1 1.0}}",
            "template: test:1:2: executing \"test\" at <eq 1 1.0>: error calling eq: incompatible types for comparison",
        ),
        (
            "{{lt true false}}",
            "template: test:1:2: executing \"test\" at <lt true false>: error calling lt: invalid type for comparison",
        ),
        (
            "{{eq 1}}",
            "template: test:1:2: executing \"test\" at <eq 1>: error calling eq: missing argument for comparison",
        ),
        (
            "{{index \"a\" 5}}",
            "template: test:1:2: executing \"test\" at <index \"a\" 5>: error calling index: index out of range: 5",
        ),
        (
            "{{len 3}}",
            "template: test:1:2: executing \"test\" at <len 3>: error calling len: len of type int",
        ),
        (
            "{{call 1}}",
            "template: test:1:2: executing \"test\" at <call 1>: error calling call: non-function 1 of type int",
        ),
    ]);
}

#[test]
fn printf_has_gos_verbs() {
    check(&[
        (
            "{{printf \"%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%U\" 42 42 42 42 255 255 8 5 65 65}}",
            "   42|42   |00042|+42|ff|FF|10|101|A|U+0041",
        ),
        (
            "{{printf \"%f|%.2f|%8.3f|%e|%g|%G|%.3g|%06.1f|%+.1f\" 1.5 1.555 3.14159 12345.678 1e21 1e-7 1234.5 -2.5 2.5}}",
            "1.500000|1.55|   3.142|1.234568e+04|1e+21|1E-07|1.23e+03|-002.5|+2.5",
        ),
        (
            "{{printf \"%s|%10s|%-4s|%.2s|%q|%x|%v|%t|%%\" \"abc\" \"r\" \"l\" \"cut\" \"a\\\"b\" \"hi\" \"v\" true}}",
            "abc|         r|l   |cu|\"a\\\"b\"|6869|v|true|%",
        ),
        ("{{printf \"%d %s\" \"x\" 5}}", "%!d(string=x) %!s(int=5)"),
        (
            "{{printf \"%d\"}} {{printf \"a\" 1 \"b\"}} {{printf \"%\"}} {{printf \"%d\" 1.5}}",
            "%!d(MISSING) a%!(EXTRA int=1, string=b) %!(NOVERB) %!d(float64=1.5)",
        ),
        ("{{printf \"%[2]d %[1]d %*d %[9]d\" 1 2 3}}", "2 1  3 %!d(BADINDEX)"),
        ("{{printf \"%*d|%-*d|\" 4 1 3 2}}", "   1|2  |"),
        ("{{printf \"%v %v\" (args 1 \"a\") nil}}", "map[arg0:1 arg1:a] <nil>"),
    ]);
}

#[test]
fn parse_errors_have_gos_words() {
    check_errors(&[
        ("{{", "template: test:1: unclosed action"),
        ("a\n{{ .x\n", "template: test:3: unclosed action started at test:2"),
        ("{{/* a", "template: test:1: unclosed comment"),
        ("{{/* a */ }}", "template: test:1: comment ends before closing delimiter"),
        ("{{ nope }}", "template: test:1: function \"nope\" not defined"),
        ("{{ $x }}", "template: test:1: undefined variable \"$x\""),
        ("{{end}}", "template: test:1: unexpected {{end}}"),
        ("{{if true}}", "template: test:1: unexpected EOF"),
        ("{{if}}a{{end}}", "template: test:1: missing value for if"),
        ("{{}}", "template: test:1: missing value for command"),
        ("{{ \"abc }}", "template: test:1: unterminated quoted string"),
        ("{{ (1 }}", "template: test:1: unclosed left paren"),
        ("{{ 1) }}", "template: test:1: unexpected right paren"),
        ("{{ 1 | 2 }}", "template: test:1: non executable command in pipeline stage 2"),
        ("{{ 12x }}", "template: test:1: bad number syntax: \"12x\""),
        ("{{ .a.1 }}", "template: test:1: unexpected \".1\" in operand"),
        ("{{ template .x }}", "template: test:1: unexpected \".x\" in template clause"),
        ("{{break}}", "template: test:1: {{break}} outside {{range}}"),
        (
            "{{define \"a\"}}1{{end}}{{define \"a\"}}2{{end}}",
            "template: test:1: template: multiple definition of template \"a\"",
        ),
        ("{{ 99999999999999999999 }}", "template: test:1: integer overflow: \"99999999999999999999\""),
        ("{{ range $a, $b, $c := . }}{{end}}", "template: test:1: too many declarations in range"),
        ("{{ \"a\".b }}", "template: test:1: unexpected . after term \"\\\"a\\\"\""),
        ("{{ :b }}", "template: test:1: expected :="),
        ("{{ a@ }}", "template: test:1: bad character U+0040 '@'"),
    ]);
}

#[test]
fn execution_errors_quote_the_node() {
    check_errors(&[
        (
            "x\n {{ 1.5 | toUpper }}",
            "template: test:2:10: executing \"test\" at <toUpper>: wrong type for value; expected string; got float64",
        ),
        ("{{ toUpper 1 }}", "template: test:1:11: executing \"test\" at <1>: expected string; found 1"),
        (
            "{{ humanize }}",
            "template: test:1:3: executing \"test\" at <humanize>: wrong number of args for humanize: want 1 got 0",
        ),
        (
            "{{ printf }}",
            "template: test:1:3: executing \"test\" at <printf>: wrong number of args for printf: want at least 1 got 0",
        ),
        ("{{ 1 2 }}", "template: test:1:3: executing \"test\" at <1>: can't give argument to non-function 1"),
        ("{{ nil }}", "template: test:1:3: executing \"test\" at <nil>: nil is not a command"),
        ("{{ (1).a }}", "template: test:1:4: executing \"test\" at <1>: can't evaluate field a in type int"),
        (
            "{{ template \"no\" }}",
            "template: test:1:12: executing \"test\" at <{{template \"no\"}}>: template \"no\" not defined",
        ),
        (
            "{{define \"in\"}}{{ len 1 }}{{end}}{{template \"in\"}}",
            "template: test:1:18: executing \"in\" at <len 1>: error calling len: len of type int",
        ),
        (
            "{{ range true }}{{end}}",
            "template: test:1:9: executing \"test\" at <true>: range can't iterate over true",
        ),
        (
            "{{ toUpper nil }}",
            "template: test:1:11: executing \"test\" at <nil>: cannot assign nil to string",
        ),
        (
            "{{ .a | toUpper }}",
            "template: test:1:8: executing \"test\" at <toUpper>: invalid value; expected string",
        ),
    ]);
}

#[test]
fn html_escapes_where_a_value_stands() {
    let run = |text: &str| expand_html(text, Value::from("<a b='c'>&\"+"));
    let escaped = "&lt;a b=&#39;c&#39;&gt;&amp;&#34;&#43;";
    assert_eq!(run("<p>{{ . }}</p>"), Ok(format!("<p>{escaped}</p>")));
    assert_eq!(
        run("<p title=\"{{ . }}\">{{ . | safeHtml }}"),
        Ok(format!("<p title=\"{escaped}\"><a b='c'>&\"+"))
    );
    assert_eq!(run("<p title='{{ . | safeHtml }}'>"), Ok(format!("<p title='{escaped}'>")));
    assert_eq!(run("1 < 2 {{ . }}"), Ok(format!("1 < 2 {escaped}")));
    for (text, place) in [
        ("<script>var x = {{ . }};</script>", "element script"),
        ("<style>{{ . }}</style>", "element style"),
        ("<p title={{ . }}>", "tag outside of quotes"),
        ("<a href=\"{{ . }}\">", "attribute href"),
        ("<p onclick='{{ . }}'>", "attribute onclick"),
    ] {
        let error = run(text).unwrap_err();
        assert!(error.ends_with(&format!("cannot escape a value in {place}")), "{text}: {error}");
    }
    assert_eq!(run("<script>a</script>{{ . }}"), Ok(format!("<script>a</script>{escaped}")));
    assert_eq!(run("{{ define \"a\" }}<b>{{ . }}{{ end }}{{ tmpl \"a\" 1 }}"), Ok("<b>1".into()));
}
