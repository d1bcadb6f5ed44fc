//! Under which name the log knows an endpoint, and so where the endpoint goes on.
//!
//! A name stays the same over changes of settings, restarts, and changes of the order in the file. Endpoints of the same address without
//! names of their own are told apart by the queues that run and by a hash of their settings.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::config::RemoteWriteConfig;

/// Begins every name.
const PREFIX: &str = "remote-write-";

/// Digits of a hash in hexadecimal.
const HASH_DIGITS: usize = 16;

/// Gives each configuration, none of which equals another, a name. `running` has the queues there are, `known` the names that the log
/// knows.
pub(super) fn assign(
    configs: Vec<RemoteWriteConfig>,
    running: &[(&str, &RemoteWriteConfig)],
    known: &[String],
) -> BTreeMap<String, RemoteWriteConfig> {
    let mut out = BTreeMap::new();
    let mut left = Vec::new();
    for config in configs {
        match running.iter().find(|(_, other)| **other == config) {
            Some((name, _)) => _ = out.insert((*name).to_owned(), config),
            None => left.push(config),
        }
    }
    let mut changed = Vec::new();
    for config in left {
        let name = own(&config);
        match known.contains(&name) && !out.contains_key(&name) {
            true => _ = out.insert(name, config),
            false => changed.push(config),
        }
    }
    for config in changed {
        // What is left over was an endpoint of the same address or name, whose settings are other ones now.
        let base = base(&config);
        let of_it =
            |name: &&String| **name == base || name.strip_prefix(&base).is_some_and(|r| r.starts_with('-'));
        let before = known.iter().filter(of_it).filter(|name| !out.contains_key(*name)).min();
        let name = before.cloned().unwrap_or_else(|| fresh(base, &config, &out));
        out.insert(name, config);
    }
    out
}

/// A name that neither the log nor another endpoint has.
fn fresh(base: String, config: &RemoteWriteConfig, out: &BTreeMap<String, RemoteWriteConfig>) -> String {
    if !out.contains_key(&base) {
        return base;
    }
    let own = own(config);
    let mut name = own.clone();
    // Two whose settings differ in a secret have one hash.
    let mut number = 1;
    while out.contains_key(&name) {
        name = format!("{own}-{number}");
        number += 1;
    }
    name
}

/// The name of the only endpoint of this address or name, or of the first.
fn base(config: &RemoteWriteConfig) -> String {
    let (kind, identity) = if config.name.is_empty() { ("url", &config.url) } else { ("name", &config.name) };
    format!("{PREFIX}{:0HASH_DIGITS$x}", xxh3_64(format!("{kind} {identity}").as_bytes()))
}

/// The name of one of several.
fn own(config: &RemoteWriteConfig) -> String {
    let hash = xxh3_64(format!("{config:?}").as_bytes());
    format!("{}-{:06x}", base(config), hash & 0xff_ffff)
}

/// The name in metrics: the one that was given, or something short that no other has.
pub(super) fn metric_name(reader: &str, config: &RemoteWriteConfig) -> String {
    if !config.name.is_empty() {
        return config.name.clone();
    }
    let rest = reader.chars().skip(PREFIX.len() + HASH_DIGITS);
    reader.chars().skip(PREFIX.len()).take(6).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Source};

    fn config(shards: usize) -> RemoteWriteConfig {
        let mut config = RemoteWriteConfig::new("http://user:secret@h/api");
        config.queue.max_shards = shards;
        config
    }

    /// The name of each of these, in their order.
    fn names(
        configs: &[RemoteWriteConfig],
        running: &[(&str, &RemoteWriteConfig)],
        known: &[String],
    ) -> Vec<String> {
        let all = assign(configs.to_vec(), running, known);
        assert_eq!(all.len(), configs.len());
        let name = |c: &RemoteWriteConfig| all.iter().find(|(_, other)| *other == c).unwrap().0.clone();
        configs.iter().map(name).collect()
    }

    #[test]
    fn an_endpoint_keeps_its_place_in_the_log_when_its_settings_change() {
        let before = names(&[config(1)], &[], &[]).remove(0);
        let got = names(&[config(3)], &[(&before, &config(1))], std::slice::from_ref(&before));
        assert_eq!(got, std::slice::from_ref(&before));
        let named = RemoteWriteConfig { name: "central".into(), ..config(1) };
        let by_name =
            names(std::slice::from_ref(&named), &[(&before, &config(1))], std::slice::from_ref(&before))
                .remove(0);
        assert_ne!(by_name, before);
        assert_eq!(metric_name(&by_name, &named), "central");
        assert_eq!(metric_name(&before, &config(1)).len(), 6);
    }

    #[test]
    fn endpoints_of_one_address_keep_theirs_when_the_order_changes() {
        let [a, b, c] = [config(1), config(2), config(3)];
        let first = names(&[a.clone(), b.clone()], &[], &[]);
        assert_ne!(first[0], first[1]);
        assert_eq!(metric_name(&first[1], &b).len(), 13);
        let swapped = [first[1].clone(), first[0].clone()];
        let running = [(first[0].as_str(), &a), (first[1].as_str(), &b)];
        assert_eq!(names(&[b.clone(), a.clone()], &running, &first), swapped, "by what runs");
        assert_eq!(names(&[b.clone(), a.clone()], &[], &first), swapped, "by the name, after a start");
        assert_eq!(names(&[c.clone(), a.clone()], &running, &first), swapped, "one has other settings");
        let three = names(&[c, b.clone(), a.clone()], &running, &first);
        assert_eq!(three[1..], swapped);
        assert!(!first.contains(&three[0]));
        assert_eq!(names(std::slice::from_ref(&b), &running, &first), first[1..]);
        // As named where they are counted.
        let counted = vec![first[0].clone(), format!("{}-1", first[0])];
        assert_eq!(names(&[a.clone(), config(2)], &[], &counted), counted);
    }

    #[test]
    fn endpoints_that_differ_in_a_secret_have_names_of_their_own() {
        let with = |secret: &str| {
            let headers = vec![("x".to_owned(), vec![Source::Inline(Secret::new(secret))])];
            let mut config = config(1);
            config.http.headers = headers;
            config
        };
        let all = [with("a"), with("b"), with("c")];
        let mut got = names(&all, &[], &[]);
        got.dedup();
        assert_eq!(got.len(), 3, "{got:?}");
    }
}
