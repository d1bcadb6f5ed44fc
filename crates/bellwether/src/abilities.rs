//! What the program can do apart from queries and their API, by Prometheus' names of features.

use std::collections::BTreeMap;

use crate::features::Features;

/// Features by category, and whether they are on. What is not named here is not there.
pub(crate) fn abilities(features: &Features) -> BTreeMap<String, BTreeMap<String, bool>> {
    let on = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect();
    let otlp = [
        ("delta_conversion", "otlp-deltatocumulative"),
        ("native_delta_ingestion", "otlp-native-delta-ingestion"),
    ];
    let otlp = otlp.map(|(name, feature)| (name.to_owned(), features.has(feature)));
    BTreeMap::from([
        ("otlp_receiver".into(), otlp.into_iter().collect()),
        ("prometheus".into(), on(&["server_mode"])),
        ("rules".into(), on(&["concurrent_rule_eval", "keep_firing_for", "query_offset"])),
        ("service_discovery_providers".into(), on(&["file", "static"])),
        ("tsdb".into(), on(&["exemplar_storage", "isolation", "native_histograms"])),
        ("ui".into(), on(&["ui_v3"])),
    ])
}
