//! Whether SELinux is on, and what it does.

use super::tree::{attribute, read_text};
use super::{Failure, Scrape};
use crate::family::{Description, Families, gauge};

const ENABLED: Description = gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false");
const CONFIG_MODE: Description = gauge("node_selinux_config_mode", "Configured SELinux enforcement mode");
const CURRENT_MODE: Description = gauge("node_selinux_current_mode", "Current SELinux enforcement mode");

/// What node_exporter says where SELinux is switched off, or does not say.
const DISABLED: f64 = -1.0;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    // The kernel shows this file where a policy can be enforced.
    let Ok(enforce) = attribute(&scrape.tree.sys.join("fs/selinux/enforce")) else {
        out.add(&ENABLED, 0.0, &[]);
        return Ok(());
    };
    out.add(&ENABLED, 1.0, &[]);
    out.add(&CURRENT_MODE, enforce.parse().unwrap_or(DISABLED), &[]);
    let config = read_text(&scrape.tree.rootfs.join("etc/selinux/config")).unwrap_or_default();
    let configured = config.lines().find_map(|line| line.trim().strip_prefix("SELINUX="));
    let mode = match configured.map(str::trim) {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => DISABLED,
    };
    out.add(&CONFIG_MODE, mode, &[]);
    Ok(())
}
