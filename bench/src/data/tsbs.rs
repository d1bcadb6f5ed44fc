//! TSBS' use case "cpu-only", written from its description: hosts of a cloud with ten tags each, whose ten CPU fields
//! walk randomly between 0 and 100, every ten seconds.
//!
//! The distributions are those of the Time Series Benchmark Suite, the random numbers are not: they come from our own
//! generator, so a seed gives other values than there. Fields are whole numbers, as there.

use std::path::Path;

use anyhow::Result;

use super::{Grid, Group, Recorder, Recording, SEED, ticks_per_round};
use crate::random::Random;
use crate::wire;

/// The fields of the measurement `cpu`; a metric is called `cpu_` and the field.
pub(crate) const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

/// Regions and the letters of their zones.
const REGIONS: [(&str, &[&str]); 9] = [
    ("us-east-1", &["a", "b", "c", "e"]),
    ("us-west-1", &["a", "b"]),
    ("us-west-2", &["a", "b", "c"]),
    ("eu-west-1", &["a", "b", "c"]),
    ("eu-central-1", &["a", "b"]),
    ("ap-southeast-1", &["a", "b"]),
    ("ap-southeast-2", &["a", "b"]),
    ("ap-northeast-1", &["a", "c"]),
    ("sa-east-1", &["a", "b", "c"]),
];

struct Host {
    /// One encoded label set per field.
    labels: Vec<Vec<u8>>,
    walks: [f64; FIELDS.len()],
}

impl Host {
    fn new(id: usize, random: &mut Random) -> Self {
        let walks = std::array::from_fn(|_| random.between(0.0, 100.0));
        let (region, zones) = random.choice(&REGIONS);
        let tags = [
            ("hostname", format!("host_{id}")),
            ("region", region.to_owned()),
            ("datacenter", format!("{region}{}", random.choice(zones))),
            ("rack", random.below(100).to_string()),
            ("arch", random.choice(&["x64", "x86"]).to_owned()),
            ("os", random.choice(&["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"]).to_owned()),
            ("service", random.below(20).to_string()),
            ("service_version", random.below(2).to_string()),
            ("service_environment", random.choice(&["production", "staging", "test"]).to_owned()),
            ("team", random.choice(&["SF", "NYC", "LON", "CHI"]).to_owned()),
        ];
        let labels = FIELDS.map(|field| {
            let metric = format!("cpu_{field}");
            let mut pairs = vec![("__name__", metric.as_str())];
            pairs.extend(tags.iter().map(|(n, v)| (*n, v.as_str())));
            wire::labels(&pairs)
        });
        Self { labels: labels.into(), walks }
    }

    fn advance(&mut self, random: &mut Random) {
        for walk in &mut self.walks {
            *walk = (*walk + random.normal()).clamp(0.0, 100.0);
        }
    }
}

/// Records `ticks` samples of every field of every host.
pub(crate) fn record(hosts: usize, grid: Grid, folder: &Path) -> Result<Recording> {
    let mut random = Random::new(SEED);
    let mut fleet: Vec<Host> = (0..hosts).map(|id| Host::new(id, &mut random)).collect();
    let series = hosts * FIELDS.len();
    let mut recorder = Recorder::new(folder)?;
    recorder.phase("known")?;
    for tick in 0..grid.ticks {
        if tick % ticks_per_round(series) == 0 {
            recorder.round()?;
        }
        for (id, host) in fleet.iter_mut().enumerate() {
            for (labels, walk) in host.labels.iter().zip(host.walks) {
                recorder.sample(id, labels, grid.at(tick), walk.trunc())?;
            }
            host.advance(&mut random);
        }
    }
    let groups = FIELDS.map(|f| Group { metric: format!("cpu_{f}"), samples: (hosts * grid.ticks) as u64 });
    let hours = grid.ticks as f64 * grid.interval_ms as f64 / 3_600_000.0;
    let title = format!("TSBS cpu-only, {hosts} hosts × {hours} h at 10 s");
    recorder.finish(title, grid, series as u64, groups.into())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::decoded;
    use super::*;
    use crate::limits::INTERVAL_MS;

    fn recording(hosts: usize, ticks: usize) -> Recording {
        let grid = Grid::ending_at(1_700_000_000_000, ticks, INTERVAL_MS);
        record(hosts, grid, &std::env::temp_dir()).unwrap()
    }

    #[test]
    fn the_seed_determines_every_byte() {
        assert_eq!(decoded(&recording(5, 30)), decoded(&recording(5, 30)));
    }

    #[test]
    fn it_has_the_shape_of_tsbs() {
        let r = recording(7, 50);
        assert_eq!((r.series, r.samples(), r.visible_samples()), (70, 3500, 3500));
        let mut by_series: BTreeMap<wire::decode::Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for s in decoded(&r) {
            assert_eq!(s.labels.len(), 11);
            let region = s.label("region").to_owned();
            assert!(s.label("datacenter").starts_with(&region));
            by_series.entry(s.labels).or_default().extend(s.samples);
        }
        assert_eq!(by_series.len(), 70);
        for samples in by_series.values() {
            assert_eq!(samples.len(), 50);
            assert!(samples.windows(2).all(|w| w[1].0 - w[0].0 == 10_000));
            assert!(samples.iter().all(|(_, v)| (0.0..=100.0).contains(v) && v.fract() == 0.0));
            assert!(samples.windows(2).all(|w| (w[1].1 - w[0].1).abs() < 8.0), "a step is of deviation 1");
        }
        let hosts: BTreeSet<String> =
            by_series.keys().flatten().filter(|(n, _)| n == "hostname").map(|(_, v)| v.clone()).collect();
        assert_eq!(hosts.len(), 7);
    }

    #[test]
    fn values_walk_over_the_whole_range() {
        let r = recording(20, 400);
        let values: BTreeSet<u64> = decoded(&r).iter().map(|s| s.samples[0].1 as u64).collect();
        assert!(values.len() > 90, "{}", values.len());
    }
}
