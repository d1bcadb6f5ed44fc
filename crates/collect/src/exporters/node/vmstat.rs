//! Paging and swapping, from `/proc/vmstat`.

use base::MetricType;

use super::tree::number;
use super::{Failure, Scrape};
use crate::family::Families;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let text = scrape.tree.proc("vmstat")?;
    for line in text.lines() {
        let Some((field, value)) = line.split_once(' ') else { continue };
        if !scrape.settings.vmstat_fields.is_match(field) {
            continue;
        }
        if let Some(value) = number(value.trim()) {
            let help = format!("/proc/vmstat information field {field}.");
            out.add_named(MetricType::Unknown, format!("node_vmstat_{field}"), help, value, &[]);
        }
    }
    Ok(())
}
