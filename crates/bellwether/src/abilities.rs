//! What the program can do apart from queries and their API, by Prometheus' names of features.

use std::collections::BTreeMap;

use crate::config::ways_of_discovery;
use crate::features::Features;

/// Features by category, and whether they are on. What is not named here is not there.
pub(crate) fn abilities(features: &Features) -> BTreeMap<String, BTreeMap<String, bool>> {
    let of = |on: &[&str], off: &[&str]| {
        let on = on.iter().map(|name| ((*name).to_owned(), true));
        on.chain(off.iter().map(|name| ((*name).to_owned(), false))).collect()
    };
    let asked = |names: &[(&str, &str)]| -> BTreeMap<String, bool> {
        names.iter().map(|(name, feature)| ((*name).to_owned(), features.has(feature))).collect()
    };
    let otlp = [
        ("delta_conversion", "otlp-deltatocumulative"),
        ("native_delta_ingestion", "otlp-native-delta-ingestion"),
    ];
    let mut scrape = asked(&[
        ("start_timestamp_zero_ingestion", "created-timestamp-zero-ingestion"),
        ("type_and_unit_labels", "type-and-unit-labels"),
    ]);
    scrape.insert("extra_scrape_metrics".into(), false);
    let stored = ["exemplar_storage", "isolation", "native_histograms"];
    let not_stored = ["delayed_compaction", "histograms_st_encoding", "use_uncached_io", "xor2_encoding"];
    let mut tsdb: BTreeMap<String, bool> = of(&stored, &not_stored);
    tsdb.insert("st_storage".into(), features.has("st-storage"));
    BTreeMap::from([
        ("otlp_receiver".into(), asked(&otlp)),
        ("prometheus".into(), of(&["server_mode"], &["agent_mode", "auto_reload_config"])),
        ("rules".into(), of(&["concurrent_rule_eval", "keep_firing_for", "query_offset"], &[])),
        ("scrape".into(), scrape),
        (
            "service_discovery_providers".into(),
            ways_of_discovery().map(|(name, on)| (name.to_owned(), on)).collect(),
        ),
        ("tsdb".into(), tsdb),
        ("ui".into(), of(&["ui_v3"], &[])),
    ])
}
