//! Memory, from `/proc/meminfo`.

use base::MetricType;

use super::tree::{malformed, number};
use super::{Failure, Scrape};
use crate::family::Families;

/// Tells every field that the kernel has, as node_exporter did up to 1.7; it has kept a list since, which lacks some.
pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("meminfo")?;
    let mut found = false;
    for line in text.lines() {
        let Some((field, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(number).filter(|_| is_name(field)) else { continue };
        // What has no unit is a count of pages, and has none in its name.
        let (bytes, suffix) =
            if words.next() == Some("kB") { (value * 1024.0, "_bytes") } else { (value, "") };
        let name = field.replace('(', "_").replace(')', "") + suffix;
        let help = format!("Memory information field {name}.");
        out.add_named(MetricType::Gauge, format!("node_memory_{name}"), help, bytes, &[]);
        found = true;
    }
    if found { Ok(()) } else { Err(malformed("meminfo", &text)) }
}

/// Whether a field such as `Active(anon)` can become part of a metric name.
fn is_name(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'(' | b')'))
}
