//! Memory errors that the memory controllers counted.

use super::tree::{attribute, attribute_number};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, counter};

const CORRECTABLE: Description =
    counter("node_edac_correctable_errors_total", "Total correctable memory errors.");
const UNCORRECTABLE: Description =
    counter("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.");
const ROW_CORRECTABLE: Description =
    counter("node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.");
const ROW_UNCORRECTABLE: Description = counter(
    "node_edac_csrow_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this csrow.",
);
const CHANNEL_CORRECTABLE: Description = counter(
    "node_edac_channel_correctable_errors_total",
    "Total correctable memory errors for this channel.",
);
const CHANNEL_UNCORRECTABLE: Description = counter(
    "node_edac_channel_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this channel.",
);

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    for (controller, folder) in Tree::numbered(&scrape.tree.sys.join("devices/system/edac/mc"), "mc")? {
        let count = |file: &str| attribute_number(&folder.join(file));
        let labels = [("controller", controller.as_str())];
        let unknown = [("controller", controller.as_str()), ("csrow", "unknown")];
        out.add(&CORRECTABLE, count("ce_count")?, &labels);
        out.add(&ROW_CORRECTABLE, count("ce_noinfo_count")?, &unknown);
        out.add(&UNCORRECTABLE, count("ue_count")?, &labels);
        out.add(&ROW_UNCORRECTABLE, count("ue_noinfo_count")?, &unknown);
        for (row, folder) in Tree::numbered(&folder, "csrow")? {
            collect_row(&controller, &row, &folder, out)?;
        }
    }
    Ok(())
}

fn collect_row(
    controller: &str,
    row: &str,
    folder: &std::path::Path,
    out: &mut Families,
) -> Result<(), Failure> {
    let count = |file: &str| attribute_number(&folder.join(file));
    let labels = [("controller", controller), ("csrow", row)];
    out.add(&ROW_CORRECTABLE, count("ce_count")?, &labels);
    out.add(&ROW_UNCORRECTABLE, count("ue_count")?, &labels);
    for file in Tree::list(folder)? {
        let channel = file.strip_prefix("ch").and_then(|f| f.strip_suffix("_ce_count"));
        let Some(channel) = channel.filter(|c| c.parse::<u32>().is_ok()) else { continue };
        let dimm = match attribute(&folder.join(format!("ch{channel}_dimm_label"))) {
            Ok(text) => text.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel"),
            Err(_) => "unknown".to_owned(),
        };
        let labels =
            [("controller", controller), ("csrow", row), ("channel", channel), ("dimm_label", dimm.as_str())];
        out.add(&CHANNEL_CORRECTABLE, count(&file)?, &labels);
        if let Ok(n) = count(&format!("ch{channel}_ue_count")) {
            out.add(&CHANNEL_UNCORRECTABLE, n, &labels);
        }
    }
    Ok(())
}
