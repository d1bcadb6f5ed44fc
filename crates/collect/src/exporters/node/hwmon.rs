//! Sensors of `/sys/class/hwmon`: temperatures, fans, voltages, currents, power, and whatever else a chip tells.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use base::MetricType;

use super::tree::attribute;
use super::{Failure, Scrape, Tree, Unreadable};
use crate::family::{Description, Families, gauge};

const CHIP_NAMES: Description =
    gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names");
const SENSOR_LABEL: Description = gauge("node_hwmon_sensor_label", "Label for given chip and sensor");
const BEEP_ENABLED: Description = gauge("node_hwmon_beep_enabled", "Hardware beep enabled");
const REGULATOR: Description = gauge("node_hwmon_voltage_regulator_version", "Hardware voltage regulator");
const UPDATE_INTERVAL: Description =
    gauge("node_hwmon_update_interval_seconds", "Hardware monitor update interval");

/// The kinds of sensors that are told.
const SENSOR_TYPES: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// Values of one sensor by property; the empty one is the sensor's own.
type Properties = BTreeMap<String, String>;

struct Chip {
    folder: PathBuf,
    /// Comes from the device that the chip sits on, and so stays the same from boot to boot.
    name: String,
    /// The driver's name for it, which others may have too.
    driver_name: String,
}

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let class = scrape.tree.sys.join("class/hwmon");
    let mut chips = Vec::new();
    let (mut by_name, mut by_both) = (HashMap::new(), HashMap::new());
    for entry in Tree::list(&class).map_err(Unreadable::or_no_data)? {
        let folder = class.join(entry);
        if !folder.is_dir() {
            continue;
        }
        let Some(name) = chip_name(&folder) else { continue };
        let driver_name = attribute(&folder.join("name")).unwrap_or_default();
        *by_name.entry(name.clone()).or_insert(0) += 1;
        *by_both.entry((name.clone(), driver_name.clone())).or_insert(0) += 1;
        chips.push(Chip { folder, name, driver_name });
    }
    let mut failure = None;
    for chip in chips {
        let mut name = chip.name.clone();
        if by_name[&chip.name] > 1 {
            // Two chips of one device are told apart by their drivers, or else by their numbers.
            let mut suffix = clean(&chip.driver_name);
            if suffix.is_empty() || by_both[&(chip.name, chip.driver_name)] > 1 {
                suffix = clean(&last_part(&chip.folder));
            }
            name = format!("{name}_{suffix}");
        }
        if scrape.settings.hwmon_chips.ignores(&name) {
            continue;
        }
        if let Err(e) = collect_chip(scrape, &chip.folder, &name, out) {
            failure = Some(e);
        }
    }
    failure.map_or(Ok(()), |e| Err(e.into()))
}

/// A name from the device's path where there is one, else the driver's, else the folder's.
fn chip_name(folder: &Path) -> Option<String> {
    if let Ok(device) = folder.join("device").canonicalize() {
        let name = clean(&last_part(&device));
        let bus = device.parent().map(|p| clean(&last_part(p))).unwrap_or_default();
        if !name.is_empty() {
            return Some(if bus.is_empty() { name } else { format!("{bus}_{name}") });
        }
    }
    let name = attribute(&folder.join("name")).map(|n| clean(&n)).unwrap_or_default();
    if !name.is_empty() {
        return Some(name);
    }
    let name = clean(&last_part(&folder.canonicalize().ok()?));
    Some(name).filter(|n| !n.is_empty())
}

fn last_part(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A name in lower case with everything but letters, digits, `:` and `_` replaced.
fn clean(name: &str) -> String {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if matches!(c, 'a'..='z' | '0'..='9' | ':' | '_') { c } else { '_' })
        .collect();
    replaced.trim_matches('_').to_owned()
}

fn collect_chip(scrape: &Scrape, folder: &Path, chip: &str, out: &mut Families) -> Result<(), Unreadable> {
    let mut sensors = BTreeMap::new();
    read_sensors(folder, &mut sensors)?;
    let device = folder.join("device");
    if device.exists() {
        read_sensors(&device, &mut sensors)?;
    }
    let chip_name = attribute(&folder.join("name")).map(|n| clean(&n)).unwrap_or_default();
    if !chip_name.is_empty() {
        out.add(&CHIP_NAMES, 1.0, &[("chip", chip), ("chip_name", &chip_name)]);
    }
    for ((kind, number), properties) in &sensors {
        let sensor = format!("{kind}{number}");
        if !scrape.settings.hwmon_sensors.ignores(&format!("{chip};{sensor}")) {
            collect_sensor(chip, &sensor, kind, properties, out);
        }
    }
    Ok(())
}

fn read_sensors(folder: &Path, sensors: &mut BTreeMap<(String, u32), Properties>) -> Result<(), Unreadable> {
    for file in Tree::list(folder)? {
        let Some((kind, number, property)) = split_file_name(&file) else { continue };
        if !SENSOR_TYPES.contains(&kind) {
            continue;
        }
        // A sensor that cannot be read now is left out.
        if let Ok(value) = attribute(&folder.join(&file)) {
            let properties = sensors.entry((kind.to_owned(), number)).or_default();
            properties.insert(property.to_owned(), value);
        }
    }
    Ok(())
}

/// Splits `temp1_crit_alarm` into kind, number and property. A number that is absent is 0, and so is told.
fn split_file_name(file: &str) -> Option<(&str, u32, &str)> {
    let digits = file.find(|c: char| c.is_ascii_digit());
    let Some(digits) = digits else {
        // Without a number the longest possible kind wins: `beep_enable` is one, and `name` is none of the known.
        return Some((file, 0, ""));
    };
    let (kind, rest) = file.split_at(digits);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest[..end].parse().ok()?;
    let property = match &rest[end..] {
        "" => "",
        property => property.strip_prefix('_').filter(|p| !p.is_empty())?,
    };
    (!kind.is_empty()).then_some((kind, number, property))
}

fn collect_sensor(chip: &str, sensor: &str, kind: &str, properties: &Properties, out: &mut Families) {
    let labels = [("chip", chip), ("sensor", sensor)];
    if let Some(label) = properties.get("label") {
        out.add(&SENSOR_LABEL, 1.0, &[("chip", chip), ("sensor", sensor), ("label", label)]);
    }
    let own = properties.get("");
    let own_number = || own.and_then(|v| v.parse::<f64>().ok());
    match kind {
        "beep_enable" => {
            let enabled = own.is_some_and(|v| v == "1");
            out.add(&BEEP_ENABLED, f64::from(u8::from(enabled)), &labels);
        }
        "vrm" => {
            if let Some(v) = own_number() {
                out.add(&REGULATOR, v, &labels);
            }
        }
        "update_interval" => {
            if let Some(v) = own_number() {
                out.add(&UPDATE_INTERVAL, v * 0.001, &labels);
            }
        }
        _ => {
            for (element, value) in properties.iter().filter(|(element, _)| *element != "label") {
                if let Ok(value) = value.parse::<f64>() {
                    collect_element(chip, sensor, kind, (element, value), properties, out);
                }
            }
        }
    }
}

fn collect_element(
    chip: &str,
    sensor: &str,
    kind: &str,
    (element, value): (&str, f64),
    properties: &Properties,
    out: &mut Families,
) {
    let mut name = format!("node_hwmon_{kind}");
    if element == "input" {
        // It is the value itself, unless the sensor has one without a property too.
        if properties.contains_key("") {
            name.push_str("_input");
        }
    } else if !element.is_empty() {
        name.push('_');
        name.push_str(&clean(element));
    }
    if kind == "freq" && element == "input" {
        if let Some(label) = properties.get("label") {
            name.push_str("_freq_mhz");
            let labels = [("chip", chip), ("sensor", &clean(label))];
            let help = "Hardware monitor for GPU frequency in MHz";
            out.add_named(MetricType::Gauge, name, help, value / 1_000_000.0, &labels);
        }
        return;
    }
    let (suffix, metric_type, value, help) = describe(kind, element, value);
    out.add_named(metric_type, name + suffix, help, value, &[("chip", chip), ("sensor", sensor)]);
}

/// The suffix of the name, the type, the value in base units, and the help.
fn describe(kind: &str, element: &str, value: f64) -> (&'static str, MetricType, f64, Cow<'static, str>) {
    let milli = value * 0.001;
    let micro = value / 1_000_000.0;
    let gauge = |suffix, value, help: String| (suffix, MetricType::Gauge, value, Cow::Owned(help));
    match (kind, element) {
        (_, "fault" | "alarm") => gauge("", value, format!("Hardware sensor {element} status ({kind})")),
        (_, "beep") => gauge("_enabled", value, "Hardware monitor sensor has beeping enabled".to_owned()),
        ("in" | "cpu", _) => gauge("_volts", milli, format!("Hardware monitor for voltage ({element})")),
        ("temp", e) if e != "type" => {
            let element = if e.is_empty() { "input" } else { e };
            gauge("_celsius", milli, format!("Hardware monitor for temperature ({element})"))
        }
        ("curr", _) => gauge("_amps", milli, format!("Hardware monitor for current ({element})")),
        ("energy", _) => {
            let help = format!("Hardware monitor for joules used so far ({element})");
            ("_joule_total", MetricType::Counter, micro, Cow::Owned(help))
        }
        ("power", "accuracy") => {
            gauge("", micro, "Hardware monitor power meter accuracy, as a ratio".to_owned())
        }
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            gauge("_seconds", milli, format!("Hardware monitor power usage update interval ({element})"))
        }
        ("power", _) => {
            gauge("_watt", micro, format!("Hardware monitor for power usage in watts ({element})"))
        }
        ("humidity", _) => {
            let help = "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)";
            gauge("", micro, format!("{help} ({element})"))
        }
        ("fan", "input" | "min" | "max" | "target") => {
            gauge("_rpm", value, format!("Hardware monitor for fan revolutions per minute ({element})"))
        }
        _ => gauge("", value, format!("Hardware monitor {kind} element {element}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_split() {
        assert_eq!(split_file_name("temp1_crit_alarm"), Some(("temp", 1, "crit_alarm")));
        assert_eq!(split_file_name("pwm2"), Some(("pwm", 2, "")));
        assert_eq!(split_file_name("beep_enable"), Some(("beep_enable", 0, "")));
        assert_eq!(split_file_name("in0_input"), Some(("in", 0, "input")));
        assert_eq!(split_file_name("12"), None);
        assert_eq!(split_file_name("temp1x"), None);
        assert_eq!(split_file_name("temp99999999999_input"), None);
    }
}
