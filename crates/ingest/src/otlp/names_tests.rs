//! Names, case by case.

use super::super::Settings;
use super::*;

const ESCAPED: Translation = Translation::UnderscoreEscapingWithSuffixes;
const AS_IS: Translation = Translation::NoUtf8EscapingWithSuffixes;

#[test]
fn metrics_get_suffixes_of_unit_and_kind() {
    use Kind::{Counter, Gauge, Other};
    for (name, unit, kind, escaped, as_is) in [
        ("http.server.duration", "s", Other, "http_server_duration_seconds", "http.server.duration_seconds"),
        ("requests", "", Counter, "requests_total", "requests_total"),
        ("requests_total", "", Counter, "requests_total", "requests_total"),
        ("total.requests", "", Counter, "requests_total", "total.requests_total"),
        ("cpu.usage", "1", Gauge, "cpu_usage_ratio", "cpu.usage_ratio"),
        ("cpu_ratio_of_all", "1", Gauge, "cpu_of_all_ratio", "cpu_ratio_of_all_ratio"),
        ("items", "1", Counter, "items_total", "items_total"),
        ("up", "1", Other, "up", "up"),
        ("requests", "1/s", Gauge, "requests_per_second", "requests_per_second"),
        ("traffic", "By/s", Counter, "traffic_bytes_per_second_total", "traffic_bytes_per_second_total"),
        ("traffic", "By/{packet}", Other, "traffic_bytes", "traffic_bytes"),
        ("things", "{thing}", Other, "things", "things"),
        ("speed", " m / s ", Gauge, "speed_meters_per_second", "speed_meters_per_second"),
        ("used", "furlong/fortnight", Gauge, "used_furlong_per_fortnight", "used_furlong_per_fortnight"),
        ("took_seconds", "s", Other, "took_seconds", "took_seconds"),
        ("seconds.of.day", "s", Other, "seconds_of_day", "seconds.of.day_seconds"),
        ("cpu_seconds_total", "s", Counter, "cpu_seconds_total", "cpu_seconds_total"),
        ("a__b", "c__d", Gauge, "a_b_c_d", "a__b_c__d"),
        (
            "m",
            "unit@with#special/chars",
            Gauge,
            "m_unit_with_special_per_chars",
            "m_unit@with#special_per_chars",
        ),
        ("m", "°F", Gauge, "m_F", "m_°F"),
        ("2xx", "", Counter, "_2xx_total", "2xx_total"),
        ("a:b", "", Gauge, "a:b", "a:b"),
        ("requêtes", "ms", Gauge, "requ_tes_milliseconds", "requêtes_milliseconds"),
        ("étotal", "", Counter, "total", "étotal_total"),
        ("x", "/s", Gauge, "x_per_second", "x_per_second"),
        ("x", "s/", Gauge, "x_seconds", "x_seconds"),
        ("x", "%", Gauge, "x_percent", "x_percent"),
    ] {
        assert_eq!(metric(name, unit, kind, ESCAPED).as_deref(), Ok(escaped), "{name} {unit}");
        assert_eq!(metric(name, unit, kind, AS_IS).as_deref(), Ok(as_is), "{name} {unit} as it is");
    }
}

#[test]
fn without_suffixes_names_are_escaped_or_left_alone() {
    let escaped = |name| metric(name, "s", Kind::Counter, Translation::UnderscoreEscapingWithoutSuffixes);
    for (name, want) in [
        ("metric@with#special$chars", "metric_with_special_chars"),
        ("metric@@##name", "metric_name"),
        ("a__b.c", "a__b_c"),
        ("123metric", "_123metric"),
        ("___", "___"),
        ("_a_", "_a_"),
    ] {
        assert_eq!(escaped(name).as_deref(), Ok(want), "{name}");
    }
    let only = escaped("@_#_$_%").unwrap_err();
    assert_eq!(only, r#"normalization for metric "@_#_$_%" resulted in invalid name "_____""#);
    assert_eq!(metric("a.ü 1", "s", Kind::Counter, Translation::NoTranslation).as_deref(), Ok("a.ü 1"));
}

#[test]
fn what_has_no_name_is_an_error() {
    let escaped = |name| metric(name, "", Kind::Gauge, ESCAPED).unwrap_err();
    assert_eq!(escaped(""), r#"normalization for metric "" resulted in empty name"#);
    assert_eq!(escaped("@#$%"), r#"normalization for metric "@#$%" resulted in empty name"#);
    assert!(metric("", "", Kind::Gauge, Translation::NoTranslation).is_err());
}

#[test]
fn labels_are_escaped_as_configured() {
    // As it is, with underscores joined, with a key in front, both settings as Prometheus has them by default.
    let of = |name: &str, preserve, sanitize| {
        let settings = Settings {
            label_name_preserve_multiple_underscores: preserve,
            label_name_underscore_sanitization: sanitize,
            ..Settings::default()
        };
        let mut out = String::from("before");
        label(name, &settings, &mut out).map(|()| out.strip_prefix("before").unwrap().to_owned())
    };
    for (name, joined, joined_key, kept, kept_key) in [
        ("http.method", "http_method", "http_method", "http_method", "http_method"),
        ("a!&b)", "a_b_", "a_b_", "a__b_", "a__b_"),
        ("a_字符", "a_", "a_", "a___", "a___"),
        (".foo", "_foo", "key_foo", "_foo", "key_foo"),
        ("1st", "key_1st", "key_1st", "key_1st", "key_1st"),
        ("__two", "_two", "key_two", "__two", "__two"),
        (
            "__reserved__name__",
            "__reserved_name__",
            "__reserved_name__",
            "__reserved__name__",
            "__reserved__name__",
        ),
        ("a___", "a_", "a_", "a___", "a___"),
        ("Label:x", "Label_x", "Label_x", "Label_x", "Label_x"),
    ] {
        let got =
            [of(name, false, false), of(name, false, true), of(name, true, false), of(name, true, true)];
        assert_eq!(got, [joined, joined_key, kept, kept_key].map(|want| Ok(want.to_owned())), "{name}");
    }
    let failed = |name: &str, preserve| of(name, preserve, false).unwrap_err();
    assert_eq!(failed("", true), "label name is empty");
    assert_eq!(
        failed("ようこそ", false),
        r#"normalization for label name "ようこそ" resulted in invalid name "_""#
    );
    assert_eq!(
        failed("ようこそ", true),
        r#"normalization for label name "ようこそ" resulted in invalid name "____""#
    );
    assert_eq!(failed("__", true), r#"normalization for label name "__" resulted in invalid name "__""#);
}

#[test]
fn labels_that_are_not_escaped_need_more_than_underscores() {
    let settings = Settings { translation: Translation::NoTranslation, ..Settings::default() };
    let of = |name: &str| {
        let mut out = String::new();
        label(name, &settings, &mut out).map(|()| out)
    };
    assert_eq!(of("http.méthode").as_deref(), Ok("http.méthode"));
    assert_eq!(of("__").unwrap_err(), r#"label name "__" contains only underscores"#);
}

#[test]
fn units_have_names_of_their_own() {
    for (from, want) in [
        ("s", "seconds"),
        ("By/s", "bytes_per_second"),
        ("1/s", "per_second"),
        ("1", ""),
        ("{request}", ""),
        ("unit@with#special/chars", "unit_with_special_per_chars"),
        ("_x_", "x"),
    ] {
        assert_eq!(unit(from, false), want, "{from}");
    }
    assert_eq!((unit("°F", false), unit("°F", true)), ("F".into(), "°F".into()));
}
