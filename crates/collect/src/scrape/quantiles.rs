//! A summary with quantiles for the own metrics, which the metrics library does not have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};

use crate::limits::INTERVAL_OBSERVATIONS;

/// Quantiles that Prometheus exposes for scrape intervals.
const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];

/// A summary by one label, over the latest observations of each label value.
#[derive(Clone)]
pub(super) struct QuantileVec {
    desc: Desc,
    label: &'static str,
    series: Arc<Mutex<BTreeMap<String, Observations>>>,
}

#[derive(Default)]
struct Observations {
    latest: VecDeque<f64>,
    sum: f64,
    count: u64,
}

impl QuantileVec {
    pub(super) fn new(name: &str, help: &str, label: &'static str) -> prometheus::Result<Self> {
        let desc = Desc::new(name.into(), help.into(), vec![label.into()], Default::default())?;
        Ok(Self { desc, label, series: Arc::default() })
    }

    /// Adds an observation.
    pub(super) fn observe(&self, label: &str, value: f64) {
        let mut series = self.series.lock();
        if !series.contains_key(label) {
            series.insert(label.to_owned(), Observations::default());
        }
        let Some(o) = series.get_mut(label) else { return };
        if o.latest.len() == INTERVAL_OBSERVATIONS {
            o.latest.pop_front();
        }
        o.latest.push_back(value);
        o.sum += value;
        o.count += 1;
    }
}

impl Collector for QuantileVec {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        let series = self.series.lock();
        let metrics: Vec<Metric> = series.iter().map(|(value, o)| metric(self.label, value, o)).collect();
        family.set_metric(metrics);
        vec![family]
    }
}

fn metric(label: &str, value: &str, o: &Observations) -> Metric {
    let mut sorted: Vec<f64> = o.latest.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    };
    let quantile = |q: f64| {
        let mut out = Quantile::default();
        out.set_quantile(q);
        out.set_value(at(q));
        out
    };
    let mut summary = Summary::default();
    summary.set_sample_count(o.count);
    summary.set_sample_sum(o.sum);
    summary.set_quantile(QUANTILES.iter().map(|q| quantile(*q)).collect());
    let mut pair = LabelPair::default();
    pair.set_name(label.to_owned());
    pair.set_value(value.to_owned());
    let mut out = Metric::default();
    out.set_label(vec![pair]);
    out.set_summary(summary);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposes_quantiles_sum_and_count() {
        let v = QuantileVec::new("x_seconds", "Help.", "interval").unwrap();
        for i in 1..=100 {
            v.observe("15s", f64::from(i));
        }
        let registry = prometheus::Registry::new();
        registry.register(Box::new(v)).unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("# TYPE x_seconds summary"), "{text}");
        assert!(text.contains("x_seconds{interval=\"15s\",quantile=\"0.99\"} 99\n"), "{text}");
        assert!(text.contains("x_seconds_count{interval=\"15s\"} 100\n"), "{text}");
        assert!(text.contains("x_seconds_sum{interval=\"15s\"} 5050\n"), "{text}");
    }
}
