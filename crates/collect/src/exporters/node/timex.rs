//! How well the clock is kept, from `adjtimex`.

use std::io::ErrorKind;

use base::Error;

use super::{Failure, Scrape};
use crate::family::{Description, Families, counter, gauge};

const SYNC_STATUS: Description =
    gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).");
const OFFSET: Description =
    gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock.");
const FREQUENCY: Description =
    gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.");
const MAX_ERROR: Description = gauge("node_timex_maxerror_seconds", "Maximum error in seconds.");
const ESTIMATED_ERROR: Description =
    gauge("node_timex_estimated_error_seconds", "Estimated error in seconds.");
const STATUS: Description = gauge("node_timex_status", "Value of the status array bits.");
const CONSTANT: Description = gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.");
const TICK: Description = gauge("node_timex_tick_seconds", "Seconds between clock ticks.");
const PPS_FREQUENCY: Description = gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency.");
const PPS_JITTER: Description = gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.");
const PPS_SHIFT: Description = gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration.");
const PPS_STABILITY: Description = gauge(
    "node_timex_pps_stability_hertz",
    "Pulse per second stability, average of recent frequency changes.",
);
const PPS_JITTER_EXCEEDED: Description =
    counter("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events.");
const PPS_CALIBRATION: Description =
    counter("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals.");
const PPS_ERROR: Description =
    counter("node_timex_pps_error_total", "Pulse per second count of calibration errors.");
const PPS_STABILITY_EXCEEDED: Description = counter(
    "node_timex_pps_stability_exceeded_total",
    "Pulse per second count of stability limit exceeded events.",
);
const TAI: Description = gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.");

/// The state that says that no server keeps the clock.
const TIME_ERROR: i32 = 5;
/// The status bit that makes offset and jitter nanoseconds; they are microseconds without it.
const STA_NANO: i32 = 0x2000;
const MICRO: f64 = 1e6;
const NANO: f64 = 1e9;
/// Frequencies are in parts per million with 16 bits of fraction, see the notes of adjtimex(2).
const PPM_16_BITS: f64 = 1e6 * 65536.0;

pub(super) fn collect(scrape: &Scrape, out: &mut Families) -> Result<(), Failure> {
    let t = scrape.host.timex().map_err(|e| match e.kind() {
        ErrorKind::PermissionDenied => Failure::NoData,
        _ => Failure::Failed(Error::unavailable(format!("cannot ask adjtimex: {e}"))),
    })?;
    let fine = if t.status & STA_NANO != 0 { NANO } else { MICRO };
    let values = [
        (&SYNC_STATUS, f64::from(u8::from(t.state != TIME_ERROR))),
        (&OFFSET, t.offset as f64 / fine),
        (&FREQUENCY, 1.0 + t.freq as f64 / PPM_16_BITS),
        (&MAX_ERROR, t.maxerror as f64 / MICRO),
        (&ESTIMATED_ERROR, t.esterror as f64 / MICRO),
        (&STATUS, f64::from(t.status)),
        (&CONSTANT, t.constant as f64),
        (&TICK, t.tick as f64 / MICRO),
        (&PPS_FREQUENCY, t.ppsfreq as f64 / PPM_16_BITS),
        (&PPS_JITTER, t.jitter as f64 / fine),
        (&PPS_SHIFT, f64::from(t.shift)),
        (&PPS_STABILITY, t.stabil as f64 / PPM_16_BITS),
        (&PPS_JITTER_EXCEEDED, t.jitcnt as f64),
        (&PPS_CALIBRATION, t.calcnt as f64),
        (&PPS_ERROR, t.errcnt as f64),
        (&PPS_STABILITY_EXCEEDED, t.stbcnt as f64),
        (&TAI, f64::from(t.tai)),
    ];
    for (family, value) in values {
        out.add(family, value, &[]);
    }
    Ok(())
}
