//! Batteries and mains adapters.

use base::MetricType;

use super::tree::{attribute, integer};
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::{Description, Families, gauge};

const INFO: Description = gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.");

/// Files, and the ends of the names that they become; told as they are.
const PLAIN: [(&str, &str); 10] = [
    ("authentic", "authentic"),
    ("calibrate", "calibrate"),
    ("capacity", "capacity"),
    ("capacity_alert_max", "capacity_alert_max"),
    ("capacity_alert_min", "capacity_alert_min"),
    ("cycle_count", "cyclecount"),
    ("online", "online"),
    ("present", "present"),
    ("time_to_empty_now", "time_to_empty_seconds"),
    ("time_to_full_now", "time_to_full_seconds"),
];

/// Files in millionths of the base unit.
const MICRO: [(&str, &str); 31] = [
    ("current_boot", "current_boot"),
    ("current_max", "current_max"),
    ("current_now", "current_ampere"),
    ("energy_empty", "energy_empty"),
    ("energy_empty_design", "energy_empty_design"),
    ("energy_full", "energy_full"),
    ("energy_full_design", "energy_full_design"),
    ("energy_now", "energy_watthour"),
    ("voltage_boot", "voltage_boot"),
    ("voltage_max", "voltage_max"),
    ("voltage_max_design", "voltage_max_design"),
    ("voltage_min", "voltage_min"),
    ("voltage_min_design", "voltage_min_design"),
    ("voltage_now", "voltage_volt"),
    ("voltage_ocv", "voltage_ocv"),
    ("charge_control_limit", "charge_control_limit"),
    ("charge_control_limit_max", "charge_control_limit_max"),
    ("charge_counter", "charge_counter"),
    ("charge_empty", "charge_empty"),
    ("charge_empty_design", "charge_empty_design"),
    ("charge_full", "charge_full"),
    ("charge_full_design", "charge_full_design"),
    ("charge_now", "charge_ampere"),
    ("charge_term_current", "charge_term_current"),
    ("constant_charge_current", "constant_charge_current"),
    ("constant_charge_current_max", "constant_charge_current_max"),
    ("constant_charge_voltage", "constant_charge_voltage"),
    ("constant_charge_voltage_max", "constant_charge_voltage_max"),
    ("precharge_current", "precharge_current"),
    ("input_current_limit", "input_current_limit"),
    ("power_now", "power_watt"),
];

/// Files in tenths of a degree.
const TEMPERATURES: [(&str, &str); 8] = [
    ("temp", "temp_celsius"),
    ("temp_alert_max", "temp_alert_max_celsius"),
    ("temp_alert_min", "temp_alert_min_celsius"),
    ("temp_ambient", "temp_ambient_celsius"),
    ("temp_ambient_max", "temp_ambient_max_celsius"),
    ("temp_ambient_min", "temp_ambient_min_celsius"),
    ("temp_max", "temp_max_celsius"),
    ("temp_min", "temp_min_celsius"),
];

/// Files that are text, which are labels of the info metric.
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/power_supply");
    for supply in Tree::list(&class).map_err(Unreadable::or_no_data)? {
        if scrape.settings.power_supplies.ignores(&supply) {
            continue;
        }
        let folder = class.join(&supply);
        // A supply has a few of the many files: list them rather than try each.
        let files = Tree::list(&folder)?;
        let read = |file: &str| {
            let exists = files.binary_search_by(|f| f.as_str().cmp(file)).is_ok();
            exists.then(|| attribute(&folder.join(file)).ok()).flatten()
        };
        for (fields, divisor) in [(&PLAIN[..], 1.0), (&MICRO[..], 1e6), (&TEMPERATURES[..], 10.0)] {
            for (file, name) in fields {
                if let Some(value) = read(file).as_deref().and_then(integer) {
                    let help = format!("{name} value of /sys/class/power_supply/<power_supply>.");
                    let labels = [("power_supply", supply.as_str())];
                    let name = format!("node_power_supply_{name}");
                    out.add_named(MetricType::Gauge, name, help, value as f64 / divisor, &labels);
                }
            }
        }
        let texts: Vec<(&'static str, String)> =
            TEXTS.iter().filter_map(|file| Some((*file, read(file).filter(|t| !t.is_empty())?))).collect();
        let mut labels = vec![("power_supply", supply.as_str())];
        labels.extend(texts.iter().map(|(k, v)| (*k, v.as_str())));
        out.add(&INFO, 1.0, &labels);
    }
    Ok(())
}
