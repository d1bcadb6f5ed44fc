//! Pages of node_exporter: hosts whose counters grow and whose gauges walk, scraped every ten seconds, with 1 % of the
//! series of every host ending every ten minutes and as many new ones beginning.

mod motion;
mod page;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use self::motion::Motion;
use self::page::Template;
use super::{Grid, Group, Recorder, Recording, SEED, ticks_per_round};
use crate::random::Random;
use crate::wire;

/// How often series are replaced, in milliseconds.
const CHURN_EVERY_MS: i64 = 600_000;

/// Which share of a host's series is replaced each time.
const CHURN_SHARE: f64 = 0.01;

struct Target {
    instance: String,
    series: Vec<Series>,
    random: Random,
}

struct Series {
    template: Template,
    labels: Vec<u8>,
    value: f64,
    /// How often it was replaced by another of its kind.
    generation: u32,
}

impl Series {
    fn new(template: Template, instance: &str, t_ms: i64, random: &mut Random) -> Self {
        let labels = encode(&template, instance, 0);
        let value = template.motion.first(t_ms, random);
        Self { template, labels, value, generation: 0 }
    }

    /// Whether another device or unit may take its place. A histogram's buckets come and go together only.
    fn may_be_replaced(&self) -> bool {
        !self.template.labels.is_empty() && !matches!(self.template.motion, Motion::Bucket { .. })
    }
}

/// The label set of a series; later generations have another device, CPU, unit or the like.
fn encode(template: &Template, instance: &str, generation: u32) -> Vec<u8> {
    let first = match (template.labels.first(), generation) {
        (Some((_, v)), 1..) => format!("{v}_g{generation}"),
        (Some((_, v)), 0) => v.clone(),
        (None, _) => String::new(),
    };
    let mut pairs = vec![("__name__", template.metric.as_str()), ("instance", instance), ("job", "node")];
    for (i, (name, value)) in template.labels.iter().enumerate() {
        pairs.push((name, if i == 0 { &first } else { value }));
    }
    wire::labels(&pairs)
}

impl Target {
    fn new(id: usize, t_ms: i64) -> Self {
        // A host's values do not depend on how many other hosts there are.
        let mut random = Random::new(SEED.wrapping_add(id as u64 * 1_000_003));
        let instance = instance(id);
        let page = page::page(&mut random);
        let series = page.into_iter().map(|t| Series::new(t, &instance, t_ms, &mut random)).collect();
        Self { instance, series, random }
    }

    /// Ends 1 % of the series and begins others; returns how many.
    fn churn(&mut self, lane: usize, t_ms: i64, recorder: &mut Recorder) -> Result<u64> {
        let wanted = (self.series.len() as f64 * CHURN_SHARE).round() as usize;
        let mut replaced = 0;
        while replaced < wanted {
            let at = self.random.below(self.series.len());
            let series = &mut self.series[at];
            if !series.may_be_replaced() {
                continue;
            }
            recorder.sample(lane, &series.labels, t_ms, wire::STALE)?;
            series.generation += 1;
            series.labels = encode(&series.template, &self.instance, series.generation);
            series.value = match series.template.motion {
                Motion::Counter { .. } | Motion::Seconds { .. } => 0.0,
                ref motion => motion.first(t_ms, &mut self.random),
            };
            replaced += 1;
        }
        Ok(replaced as u64)
    }
}

fn instance(id: usize) -> String {
    format!("node-{id:03}:9100")
}

/// Records `grid.ticks` scrapes of so many hosts.
pub(crate) fn record(targets: usize, grid: Grid, folder: &Path) -> Result<Recording> {
    let mut fleet: Vec<Target> = (0..targets).map(|id| Target::new(id, grid.start_ms)).collect();
    let per_tick: usize = fleet.iter().map(|t| t.series.len()).sum();
    let mut distinct = per_tick as u64;
    let mut recorder = Recorder::new(folder)?;
    recorder.phase("new")?;
    for tick in 0..grid.ticks {
        let t_ms = grid.at(tick);
        let age_ms = t_ms - grid.start_ms;
        match tick {
            0 => {}
            1 => recorder.phase("known")?,
            t if t % ticks_per_round(per_tick) == 0 => recorder.round()?,
            _ => {}
        }
        for (lane, target) in fleet.iter_mut().enumerate() {
            if tick > 0 && age_ms % CHURN_EVERY_MS == 0 {
                distinct += target.churn(lane, t_ms, &mut recorder)?;
            }
            let random = &mut target.random;
            for s in &mut target.series {
                recorder.sample(lane, &s.labels, t_ms, s.value)?;
                s.value = s.template.motion.next(
                    s.value,
                    t_ms + grid.interval_ms,
                    age_ms + grid.interval_ms,
                    grid.interval_ms,
                    random,
                );
            }
        }
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for series in fleet.iter().flat_map(|t| &t.series) {
        *counts.entry(&series.template.metric).or_default() += grid.ticks as u64;
    }
    let groups = counts.into_iter().map(|(metric, samples)| Group { metric: metric.to_owned(), samples });
    let groups = groups.collect();
    let minutes = (grid.ticks as i64 * grid.interval_ms) / 60_000;
    let title = format!(
        "node_exporter pages, {targets} targets × {} series × {minutes} min at {} s, 1 % churn per 10 min",
        per_tick / targets.max(1),
        grid.interval_ms / 1000
    );
    recorder.finish(title, grid, distinct, groups)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::decoded;
    use super::*;
    use crate::limits::INTERVAL_MS;

    fn recording(targets: usize, ticks: usize) -> Recording {
        let grid = Grid::ending_at(1_700_000_000_000, ticks, INTERVAL_MS);
        record(targets, grid, &std::env::temp_dir()).unwrap()
    }

    #[test]
    fn one_percent_of_the_series_is_replaced_every_ten_minutes() {
        let r = recording(2, 62);
        let per_target = r.visible_samples() / 62 / 2;
        let replaced = (per_target as f64 * 0.01).round() as u64 * 2;
        assert_eq!(r.series, 2 * per_target + replaced);
        let all = decoded(&r);
        let stale = all.iter().filter(|s| s.samples[0].1.to_bits() == wire::STALE.to_bits()).count() as u64;
        assert_eq!(stale, replaced);
        assert_eq!(r.samples() - r.visible_samples(), replaced);
        let distinct: BTreeSet<_> = all.iter().map(|s| s.labels.clone()).collect();
        assert_eq!(distinct.len() as u64, r.series);
        let churned_at: BTreeSet<i64> = all
            .iter()
            .filter(|s| s.samples[0].1.to_bits() == wire::STALE.to_bits())
            .map(|s| s.samples[0].0 - r.start_ms)
            .collect();
        assert_eq!(churned_at.into_iter().collect::<Vec<_>>(), [600_000]);
    }

    #[test]
    fn the_seed_determines_every_byte_and_hosts_differ() {
        let bits = |r: &Recording| -> Vec<(wire::decode::Labels, i64, u64)> {
            let one = |s: wire::decode::Series| (s.labels, s.samples[0].0, s.samples[0].1.to_bits());
            decoded(r).into_iter().map(one).collect()
        };
        assert_eq!(bits(&recording(1, 5)), bits(&recording(1, 5)));
        let mut by_host: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for s in decoded(&recording(2, 3)) {
            if s.label("__name__") == "node_load1" {
                by_host.entry(s.label("instance").to_owned()).or_default().push(s.samples[0].1);
            }
        }
        assert_eq!(by_host.len(), 2);
        assert_ne!(by_host["node-000:9100"], by_host["node-001:9100"]);
    }

    #[test]
    fn every_series_is_written_in_order() {
        let mut last: BTreeMap<wire::decode::Labels, i64> = BTreeMap::new();
        for s in decoded(&recording(2, 62)) {
            let t = s.samples[0].0;
            assert!(last.insert(s.labels, t).is_none_or(|before| before < t));
        }
    }
}
