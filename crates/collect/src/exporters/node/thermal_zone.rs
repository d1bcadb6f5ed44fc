//! Thermal zones and the devices that cool them.

use super::tree::{attribute, integer};
use super::{Failure, Scrape, Tree};
use crate::family::{Description, Families, gauge};

const TEMPERATURE: Description = gauge("node_thermal_zone_temp", "Zone temperature in Celsius");
const CURRENT: Description =
    gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device");
const MAXIMUM: Description =
    gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device");

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/thermal");
    for (zone, folder) in Tree::numbered(&class, "thermal_zone")? {
        // A zone that is switched off or has no reading now costs itself.
        let (Ok(kind), Ok(temperature)) = (attribute(&folder.join("type")), attribute(&folder.join("temp")))
        else {
            continue;
        };
        if let Some(millidegrees) = integer(&temperature) {
            out.add(&TEMPERATURE, millidegrees as f64 / 1000.0, &[("zone", &zone), ("type", &kind)]);
        }
    }
    for (name, folder) in Tree::numbered(&class, "cooling_device")? {
        let state = |file: &str| attribute(&folder.join(file)).ok().as_deref().and_then(integer);
        let Ok(kind) = attribute(&folder.join("type")) else { continue };
        if let (Some(current), Some(maximum)) = (state("cur_state"), state("max_state")) {
            let labels = [("name", name.as_str()), ("type", kind.as_str())];
            out.add(&CURRENT, current as f64, &labels);
            out.add(&MAXIMUM, maximum as f64, &labels);
        }
    }
    Ok(())
}
