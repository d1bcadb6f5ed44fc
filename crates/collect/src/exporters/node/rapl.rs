//! Energy that the processor's parts used, as its own meters count it.

use std::collections::HashMap;

use base::MetricType;

use super::tree::{attribute, malformed, number};
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::Families;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/powercap");
    let unless_denied = |e: Unreadable| if e.is_denied() { Failure::NoData } else { e.or_no_data() };
    let mut uses: HashMap<String, u32> = HashMap::new();
    for zone in Tree::list(&class).map_err(unless_denied)? {
        let folder = class.join(&zone);
        let Ok(name) = attribute(&folder.join("name")) else { continue };
        // Zones of one name are numbered, by the kernel (`package-1`) or in the order of their folders.
        let (name, index) = match name.split_once('-').map(|(name, index)| (name, index.parse::<u32>())) {
            Some((name, Ok(index))) => (name.to_owned(), index),
            _ => {
                let index = uses.get(&name).copied().unwrap_or(0);
                (name, index)
            }
        };
        uses.insert(name.clone(), index + 1);
        // Only root may read the meters of a kernel that knows of the side channel.
        let energy = attribute(&folder.join("energy_uj")).map_err(unless_denied)?;
        let joules = number(&energy).ok_or_else(|| malformed("energy_uj", &energy))? / 1_000_000.0;
        let metric = format!("node_rapl_{}_joules_total", sanitize(&name));
        let help = format!("Current RAPL {name} value in joules");
        let labels = [("index", &*index.to_string()), ("path", &*folder.to_string_lossy())];
        out.add_named(MetricType::Counter, metric, help, joules, &labels);
    }
    Ok(())
}

/// Replaces each run of characters that a metric name cannot have, and the underscores around it, by one underscore.
fn sanitize(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
            continue;
        }
        out.truncate(out.trim_end_matches('_').len());
        out.push('_');
        while chars.next_if(|c| !c.is_ascii_alphanumeric()).is_some() {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn names_are_sanitized() {
        assert_eq!(sanitize("dram"), "dram");
        assert_eq!(sanitize("package-0-die-1"), "package_0_die_1");
        assert_eq!(sanitize("a_-_b c"), "a_b_c");
    }
}
