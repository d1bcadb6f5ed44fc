//! `scrape_protocols` and `fallback_scrape_protocol`: which exposition formats are asked for.

use collect::config::ScrapeProtocol;

use super::grammar::{Map, Notice};
use super::raw::Outcome;

/// The protocol that Prometheus knows and this program does not read yet.
const PROTOBUF: &str = "PrometheusProto";
const NO_PROTOBUF: &str = "the protobuf format is not read yet; the other formats are asked for";
const KEY: &str = "scrape_protocols";
const FALLBACK_KEY: &str = "fallback_scrape_protocol";

fn known(name: &str) -> Result<Option<ScrapeProtocol>, String> {
    if name == PROTOBUF {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| {
        let mut all: Vec<_> = ScrapeProtocol::DEFAULT.iter().map(|p| p.as_str()).chain([PROTOBUF]).collect();
        all.sort_unstable();
        format!("unknown scrape protocol {name}, supported: [{}]", all.join(" "))
    })
}

/// Checks a list that is given. `place` ends the messages.
pub(super) fn check(map: &Map<'_>, place: &str) -> Outcome<()> {
    let names = map.texts(KEY)?;
    if names.is_empty() {
        return map.problem(KEY, format!("scrape_protocols cannot be empty {place}"));
    }
    for (i, name) in names.iter().enumerate() {
        if names[..i].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
            let all = names.join(" ");
            return map.problem(KEY, format!("duplicated protocol in scrape_protocols, got [{all}] {place}"));
        }
        if let Err(cause) = known(name) {
            return map.problem(KEY, format!("scrape_protocols: {cause} {place}"));
        }
    }
    Ok(())
}

/// The protocols of a list that is given and checked, without those that are not read yet; `None` if the key is absent.
pub(super) fn read(map: &Map<'_>, notices: &mut Vec<Notice>) -> Outcome<Option<Vec<ScrapeProtocol>>> {
    if !map.has(KEY) {
        return Ok(None);
    }
    let mut protocols = Vec::new();
    for name in map.texts(KEY)? {
        match known(name) {
            Ok(Some(protocol)) => protocols.push(protocol),
            Ok(None) => {
                notices.push(Notice { line: map.line_of(KEY), key: KEY.into(), text: NO_PROTOBUF.into() });
            }
            Err(cause) => return map.problem(KEY, cause),
        }
    }
    if protocols.is_empty() {
        protocols = ScrapeProtocol::DEFAULT.to_vec();
    }
    Ok(Some(protocols))
}

/// The protocol to assume of a target that does not name one.
pub(super) fn read_fallback(
    map: &Map<'_>,
    job: &str,
    notices: &mut Vec<Notice>,
) -> Outcome<Option<ScrapeProtocol>> {
    let name = map.text(FALLBACK_KEY)?;
    if name.is_empty() {
        return Ok(None);
    }
    match known(name) {
        Ok(Some(protocol)) => Ok(Some(protocol)),
        Ok(None) => {
            let text = "the protobuf format is not read yet; such a scrape fails";
            notices.push(Notice {
                line: map.line_of(FALLBACK_KEY),
                key: FALLBACK_KEY.into(),
                text: text.into(),
            });
            Ok(None)
        }
        Err(cause) => map.problem(
            FALLBACK_KEY,
            format!("invalid fallback_scrape_protocol for scrape config with job name {job:?}: {cause}"),
        ),
    }
}
