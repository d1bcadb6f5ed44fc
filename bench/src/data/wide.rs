//! Many series with few samples: the load of DESIGN §7. Series are node_exporter-like with ten labels, metric included.

use std::path::Path;

use anyhow::Result;

use super::{Grid, Group, Recorder, Recording, SEED};
use crate::random::Random;
use crate::wire;

/// Series of one node.
const SERIES_PER_NODE: usize = 1_000;

const MODES: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "other"];

/// Labels of series `id` of the fleet, encoded.
fn labels(id: usize) -> Vec<u8> {
    let (node, within) = (id / SERIES_PER_NODE, id % SERIES_PER_NODE);
    let (metric, mode) = (within / MODES.len(), within % MODES.len());
    let name = metric_name(metric);
    let instance = format!("10.{}.{}.{}:9100", node / 65_536, node / 256 % 256, node % 256);
    let (node_name, zone) = (node_name(node), format!("eu-west-{}", node % 3));
    let (rack, device) = (format!("rack-{}", node % 40), format!("dev{}", metric % 8));
    wire::labels(&[
        ("__name__", &name),
        ("cluster", "production-1"),
        ("device", &device),
        ("env", "production"),
        ("instance", &instance),
        ("job", "node"),
        ("mode", MODES[mode]),
        ("node", &node_name),
        ("rack", &rack),
        ("zone", &zone),
    ])
}

fn metric_name(metric: usize) -> String {
    format!("node_wide_{metric:02}_total")
}

fn node_name(node: usize) -> String {
    format!("node-{node:05}")
}

/// Records `grid.ticks` samples of each of `series` series. The first sample of every one is the phase `new`, what
/// follows is `known`, and the last `tail` ticks are a phase `tail` of their own.
pub(crate) fn record(series: usize, grid: Grid, tail: usize, folder: &Path) -> Result<Recording> {
    let mut recorder = Recorder::new(folder)?;
    let known_until = grid.ticks.saturating_sub(tail).max(1);
    let mut random = Random::new(SEED);
    // Counters that grow at paces of their own; a third of them stands still, as on a real host.
    let paces: Vec<f32> = (0..series)
        .map(|_| if random.chance(0.33) { 0.0 } else { 10_f64.powf(random.between(0.0, 5.0)) as f32 })
        .collect();
    let mut values: Vec<f64> =
        paces.iter().map(|p| (f64::from(*p) * random.between(0.0, 1e4)).trunc()).collect();
    for tick in 0..grid.ticks {
        match tick {
            0 => recorder.phase("new")?,
            1 if known_until > 1 => recorder.phase("known")?,
            t if t == known_until => recorder.phase("tail")?,
            _ => recorder.round()?,
        }
        for (id, value) in values.iter_mut().enumerate() {
            recorder.sample(id / SERIES_PER_NODE, &labels(id), grid.at(tick), *value)?;
            *value += (f64::from(paces[id]) * random.between(0.5, 1.5)).trunc();
        }
    }
    let mut counts = vec![0; SERIES_PER_NODE / MODES.len()];
    (0..series).for_each(|id| counts[id % SERIES_PER_NODE / MODES.len()] += grid.ticks as u64);
    let group = |(metric, samples)| Group { metric: metric_name(metric), samples };
    let groups = counts.into_iter().enumerate().filter(|(_, n)| *n > 0).map(group);
    let title = format!("{series} series × {} samples, ten labels", grid.ticks);
    recorder.finish(title, grid, series as u64, groups.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::decoded;
    use super::*;
    use crate::limits::INTERVAL_MS;

    fn recording(series: usize, ticks: usize, tail: usize) -> Recording {
        let grid = Grid::ending_at(1_700_000_000_000, ticks, INTERVAL_MS);
        record(series, grid, tail, &std::env::temp_dir()).unwrap()
    }

    #[test]
    fn series_are_distinct_and_have_ten_labels() {
        let r = recording(2_500, 4, 0);
        let all = decoded(&r);
        assert_eq!(all.len(), 10_000);
        let distinct: BTreeSet<_> = all.iter().map(|s| s.labels.clone()).collect();
        assert_eq!(distinct.len(), 2_500);
        assert!(distinct.iter().all(|labels| labels.len() == 10));
        assert_eq!((r.groups.len(), r.visible_samples()), (100, 10_000));
        for group in &r.groups {
            let of_metric = all.iter().filter(|s| s.label("__name__") == group.metric).count();
            assert_eq!(of_metric as u64, group.samples, "{}", group.metric);
        }
    }

    #[test]
    fn registration_known_series_and_tail_are_phases() {
        let phases =
            |r: &Recording| -> Vec<(&str, u64)> { r.phases.iter().map(|p| (p.name, p.samples)).collect() };
        assert_eq!(phases(&recording(100, 4, 0)), [("new", 100), ("known", 300)]);
        assert_eq!(phases(&recording(100, 4, 1)), [("new", 100), ("known", 200), ("tail", 100)]);
        assert_eq!(phases(&recording(100, 2, 1)), [("new", 100), ("tail", 100)]);
    }

    #[test]
    fn counters_never_fall_and_the_seed_determines_them() {
        let (a, b) = (decoded(&recording(50, 10, 0)), decoded(&recording(50, 10, 0)));
        assert_eq!(a, b);
        let mut still = 0;
        let first = a[0].labels.clone();
        for labels in a.iter().map(|s| &s.labels).collect::<BTreeSet<_>>() {
            let values: Vec<f64> = a.iter().filter(|s| &s.labels == labels).map(|s| s.samples[0].1).collect();
            assert!(values.windows(2).all(|w| w[0] <= w[1]), "{values:?}");
            still += usize::from(values.first() == values.last());
        }
        assert!((5..30).contains(&still), "{still} of 50 stand still");
        assert!(first.iter().any(|(n, v)| n == "node" && v == "node-00000"));
    }
}
