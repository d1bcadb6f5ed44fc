//! The section `otlp`: how metrics of OpenTelemetry become metrics of Prometheus.

use collect::config::NameValidation;
use ingest::otlp::{Promotion, Settings, Translation};

use super::grammar::{Key, Map, Section, Shape};
use super::raw::Outcome;

/// The section `otlp`.
pub(super) static SECTION: Section = Section {
    name: "otlp",
    keys: &[&[
        Key::new("promote_all_resource_attributes", Shape::Bool),
        Key::new("promote_resource_attributes", Shape::Texts),
        Key::new("ignore_resource_attributes", Shape::Texts),
        Key::new("translation_strategy", Shape::Text),
        Key::new("keep_identifying_resource_attributes", Shape::Bool),
        Key::new("convert_histograms_to_nhcb", Shape::Bool),
        Key::new("promote_scope_metadata", Shape::Bool),
        Key::new("label_name_underscore_sanitization", Shape::Bool),
        Key::new("label_name_preserve_multiple_underscores", Shape::Bool),
    ]],
    check: check_otlp,
};

const PROMOTE: &str = "promote_resource_attributes";
const IGNORE: &str = "ignore_resource_attributes";

fn check_otlp(map: &Map<'_>) -> Outcome<()> {
    if map.flag("promote_all_resource_attributes", false)? {
        map.require(
            map.nodes(PROMOTE)?.is_empty(),
            PROMOTE,
            "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
        )?;
        return check_attributes(map, IGNORE, "ignored");
    }
    map.require(
        map.nodes(IGNORE)?.is_empty(),
        IGNORE,
        "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
    )?;
    check_attributes(map, PROMOTE, "promoted")
}

fn check_attributes(map: &Map<'_>, key: &str, adjective: &str) -> Outcome<()> {
    let mut seen = Vec::new();
    for name in map.texts(key)?.into_iter().map(str::trim) {
        let what = match name {
            "" => format!("empty {adjective} OTel resource attribute"),
            _ if seen.contains(&name) => format!("duplicated {adjective} OTel resource attribute {name:?}"),
            _ => {
                seen.push(name);
                continue;
            }
        };
        return map.problem(key, format!("invalid '{key}': {what}"));
    }
    Ok(())
}

/// The translations by name, and whether each leaves names as they are.
const TRANSLATIONS: [(&str, Translation, bool); 4] = [
    ("UnderscoreEscapingWithSuffixes", Translation::UnderscoreEscapingWithSuffixes, false),
    ("UnderscoreEscapingWithoutSuffixes", Translation::UnderscoreEscapingWithoutSuffixes, false),
    ("NoUTF8EscapingWithSuffixes", Translation::NoUtf8EscapingWithSuffixes, true),
    ("NoTranslation", Translation::NoTranslation, true),
];

/// Reads the section; a translation that the validation of names forbids is an error.
pub(super) fn read(otlp: &Map<'_>, validation: NameValidation) -> Outcome<Settings> {
    let defaults = Settings::default();
    let names = |key| otlp.texts(key).map(|names| names.iter().map(|n| n.trim().to_owned()).collect());
    let promotion = if otlp.flag("promote_all_resource_attributes", false)? {
        Promotion::AllBut(names(IGNORE)?)
    } else {
        Promotion::Only(names(PROMOTE)?)
    };
    Ok(Settings {
        translation: translation(otlp, validation)?,
        promotion,
        keep_identifying_resource_attributes: otlp.flag("keep_identifying_resource_attributes", false)?,
        convert_histograms_to_nhcb: otlp.flag("convert_histograms_to_nhcb", false)?,
        promote_scope_metadata: otlp.flag("promote_scope_metadata", false)?,
        label_name_underscore_sanitization: otlp
            .flag("label_name_underscore_sanitization", defaults.label_name_underscore_sanitization)?,
        label_name_preserve_multiple_underscores: otlp.flag(
            "label_name_preserve_multiple_underscores",
            defaults.label_name_preserve_multiple_underscores,
        )?,
        ..defaults
    })
}

fn translation(otlp: &Map<'_>, validation: NameValidation) -> Outcome<Translation> {
    const KEY: &str = "translation_strategy";
    let strategy = otlp.text(KEY)?;
    match TRANSLATIONS.into_iter().find(|(name, ..)| *name == strategy) {
        Some((_, _, true)) if validation != NameValidation::Utf8 => otlp.problem(
            KEY,
            format!("OTLP translation strategy {strategy:?} is not allowed when UTF8 is disabled"),
        ),
        Some((_, translation, _)) => Ok(translation),
        None if strategy.is_empty() => Ok(Translation::default()),
        None => otlp.problem(KEY, format!("unsupported OTLP translation strategy {strategy:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load_str;
    use super::*;

    fn read(file: &str) -> Settings {
        load_str(file, Path::new("/etc/bw"), &|_| None).unwrap().otlp
    }

    #[test]
    fn what_is_not_given_is_as_in_prometheus() {
        for file in ["", "otlp: {}", "otlp: {translation_strategy: UnderscoreEscapingWithSuffixes}"] {
            let otlp = read(file);
            assert_eq!(otlp.translation, Translation::UnderscoreEscapingWithSuffixes);
            assert!(otlp.label_name_underscore_sanitization && otlp.label_name_preserve_multiple_underscores);
            assert!(!otlp.convert_histograms_to_nhcb && !otlp.promote_scope_metadata);
            assert_eq!(otlp.promotion, Promotion::default());
        }
    }

    #[test]
    fn every_key_is_read() {
        let otlp = read(
            "otlp: {translation_strategy: NoUTF8EscapingWithSuffixes, promote_resource_attributes: [a.b, ' c '], \
             keep_identifying_resource_attributes: true, convert_histograms_to_nhcb: true, promote_scope_metadata: true, \
             label_name_underscore_sanitization: false, label_name_preserve_multiple_underscores: false}",
        );
        assert_eq!(otlp.translation, Translation::NoUtf8EscapingWithSuffixes);
        assert_eq!(otlp.promotion, Promotion::Only(["a.b".into(), "c".into()].into()));
        assert!(otlp.keep_identifying_resource_attributes && otlp.convert_histograms_to_nhcb);
        assert!(otlp.promote_scope_metadata);
        assert!(!otlp.label_name_underscore_sanitization && !otlp.label_name_preserve_multiple_underscores);
        let all = read("otlp: {promote_all_resource_attributes: true, ignore_resource_attributes: [x]}");
        assert_eq!(all.promotion, Promotion::AllBut(["x".into()].into()));
    }
}
