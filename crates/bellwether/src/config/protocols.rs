//! `scrape_protocols` and `fallback_scrape_protocol`: which exposition formats are asked for.

use collect::config::ScrapeProtocol;

use super::grammar::Map;
use super::raw::Outcome;

const KEY: &str = "scrape_protocols";
const FALLBACK_KEY: &str = "fallback_scrape_protocol";

fn known(name: &str) -> Result<ScrapeProtocol, String> {
    name.parse().map_err(|_| {
        let mut all = ScrapeProtocol::PROTO_FIRST.map(|p| p.as_str());
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

/// The protocols of a list that is given and checked; `None` if the key is absent.
pub(super) fn read(map: &Map<'_>) -> Outcome<Option<Vec<ScrapeProtocol>>> {
    if !map.has(KEY) {
        return Ok(None);
    }
    let protocols: Result<_, _> = map.texts(KEY)?.into_iter().map(known).collect();
    protocols.map(Some).or_else(|cause| map.problem(KEY, cause))
}

/// The protocol to assume of a target that does not name one.
pub(super) fn read_fallback(map: &Map<'_>, job: &str) -> Outcome<Option<ScrapeProtocol>> {
    let name = map.text(FALLBACK_KEY)?;
    if name.is_empty() {
        return Ok(None);
    }
    known(name).map(Some).or_else(|cause| {
        map.problem(
            FALLBACK_KEY,
            format!("invalid fallback_scrape_protocol for scrape config with job name {job:?}: {cause}"),
        )
    })
}
