//! `target_info`: what is known of a resource, as a series of its own.

use base::{METRIC_NAME, Metadata, MetricType, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::labels::Origin;
use super::resource::{SERVICE_INSTANCE, SERVICE_NAME, SERVICE_NAMESPACE};
use super::value::Attribute;
use super::{Bad, Request};
use crate::decoded::Stop;
use crate::limits::TARGET_INFO_SAMPLES;

const NAME: &str = "target_info";

/// Attributes that `job` and `instance` say already.
const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE];

/// Adds samples of `target_info`, so that queries find one anywhere between the times of a resource's data points.
pub(super) fn tell<'a>(
    request: &mut Request<'a, '_>,
    attributes: &[Attribute<'a>],
    (first_ns, last_ns): (u64, u64),
) -> Result<(), Bad> {
    let settings = request.settings;
    let identifying = |name: &str| IDENTIFYING.contains(&name);
    if attributes.iter().all(|(name, _)| identifying(name)) {
        // Nothing but what all series say.
        return Ok(());
    }
    for (name, value) in attributes {
        if settings.keep_identifying_resource_attributes || !identifying(name) {
            request.labels.push_attribute("", (name, value), settings, Origin::Attribute)?;
        }
    }
    request.push_identity(attributes)?;
    request.settle(attributes, "resource");
    if request.labels.get("job").is_none() && request.labels.get("instance").is_none() {
        return Ok(());
    }
    request.labels.pack(&[(METRIC_NAME, NAME)], request.limits, &mut request.packed)?;
    let half_ns = u64::try_from(settings.lookback.as_nanos() / 2).unwrap_or(u64::MAX).max(1);
    let gaps = (last_ns - first_ns).div_ceil(half_ns);
    let skipped = gaps.saturating_sub(TARGET_INFO_SAMPLES);
    if skipped > 0 {
        let warnings = &mut request.intake.out.warnings;
        warnings.target_info_cut += 1;
        warnings.note(|| {
            format!("data points of a resource span so long that target_info is stored for the last {TARGET_INFO_SAMPLES} times only")
        });
    }
    request.intake.count_series((gaps - skipped) as usize + 1)?;
    request.intake.count_labels(&request.packed)?;
    let hash = xxh3_64(&request.packed);
    let times = (skipped..gaps).map(|i| first_ns + i * half_ns).chain([last_ns]);
    let times_ms = times.map(|ns| (ns / 1_000_000) as i64);
    let implied = &mut request.intake.out.implied;
    implied.begin_packed(&request.packed)?;
    for t_ms in times_ms {
        if request.targets.insert((hash, t_ms)) {
            implied.sample(t_ms, 1.0);
        }
    }
    let metadata =
        Metadata { metric_type: MetricType::Gauge, help: "Target metadata".into(), unit: "".into() };
    request.intake.describe(NAME, metadata);
    Ok(())
}

impl Request<'_, '_> {
    /// Takes what became of `target_info`. It is no data point of the request, so that only what is said of it remains.
    pub(super) fn settle_target(&mut self, result: Result<(), Bad>) -> Result<(), Stop> {
        match result {
            Ok(()) => Ok(()),
            Err(Bad::Point(why)) => {
                let text = why.context("cannot store target_info");
                self.intake.out.warnings.other += 1;
                self.intake.out.warnings.note(|| text.message().to_owned());
                Ok(())
            }
            Err(Bad::Request(stop)) => Err(stop),
        }
    }
}
