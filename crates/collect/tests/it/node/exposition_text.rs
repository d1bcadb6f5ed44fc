//! An exposition as lines, for comparing two of them. Reads only what encoders write: sorted labels, no timestamps.

use std::collections::BTreeMap;

/// One family: its comment lines, and its samples as `name{labels}` and value.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct TextFamily {
    pub(super) help: String,
    pub(super) metric_type: String,
    pub(super) samples: BTreeMap<String, String>,
}

/// The families of an exposition by name.
pub(super) fn parse(text: &str) -> BTreeMap<String, TextFamily> {
    let mut families: BTreeMap<String, TextFamily> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, metric_type) = rest.split_once(' ').expect("a type line has a type");
            families.entry(name.to_owned()).or_default().metric_type = metric_type.to_owned();
        } else if !line.is_empty() {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let name = series.split('{').next().expect("split yields at least one part");
            // Buckets, sums and counts go with nobody here: the node collector has no histograms.
            let family = families.entry(name.to_owned()).or_default();
            assert!(
                family.samples.insert(series.to_owned(), value.to_owned()).is_none(),
                "{series} is there twice"
            );
        }
    }
    families
}

/// The labels of `name{a="b",c="d"}`, values unescaped no further than needed to find their ends.
pub(super) fn labels(series: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let Some((_, mut rest)) = series.split_once('{') else { return labels };
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = after.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        labels.push((name.trim_start_matches(',').to_owned(), after[..end].to_owned()));
        rest = &after[end + 1..];
    }
    labels
}
