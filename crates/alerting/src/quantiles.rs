//! A summary with quantiles, which the metrics library does not have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};

use crate::limits::QUANTILE_OBSERVATIONS;

/// A summary over the latest observations, by one label or by none.
#[derive(Clone)]
pub(crate) struct Quantiles {
    desc: Desc,
    label: Option<&'static str>,
    quantiles: &'static [f64],
    series: Arc<Mutex<BTreeMap<String, Observations>>>,
}

#[derive(Default)]
struct Observations {
    latest: VecDeque<f64>,
    sum: f64,
    count: u64,
}

impl Quantiles {
    pub(crate) fn new(
        name: &str,
        help: &str,
        label: Option<&'static str>,
        quantiles: &'static [f64],
    ) -> prometheus::Result<Self> {
        let labels = label.iter().map(|l| (*l).into()).collect();
        let desc = Desc::new(name.into(), help.into(), labels, Default::default())?;
        let series = Arc::<Mutex<BTreeMap<_, _>>>::default();
        if label.is_none() {
            series.lock().insert(String::new(), Observations::default());
        }
        Ok(Self { desc, label, quantiles, series })
    }

    /// Adds an observation; the label's value is empty where there is no label.
    pub(crate) fn observe(&self, label: &str, value: f64) {
        let mut series = self.series.lock();
        if !series.contains_key(label) {
            series.insert(label.to_owned(), Observations::default());
        }
        let Some(o) = series.get_mut(label) else { return };
        if o.latest.len() == QUANTILE_OBSERVATIONS {
            o.latest.pop_front();
        }
        o.latest.push_back(value);
        o.sum += value;
        o.count += 1;
    }

    /// Forgets what was observed for a label's value.
    pub(crate) fn forget(&self, label: &str) {
        self.series.lock().remove(label);
    }

    fn metric(&self, value: &str, o: &Observations) -> Metric {
        let mut sorted: Vec<f64> = o.latest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: &f64| {
            let rank = (q * sorted.len() as f64).ceil() as usize;
            let mut out = Quantile::default();
            out.set_quantile(*q);
            out.set_value(sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN));
            out
        };
        let mut summary = Summary::default();
        summary.set_sample_count(o.count);
        summary.set_sample_sum(o.sum);
        summary.set_quantile(self.quantiles.iter().map(quantile).collect());
        let mut metric = Metric::default();
        metric.set_summary(summary);
        if let Some(name) = self.label {
            let mut pair = LabelPair::default();
            pair.set_name(name.into());
            pair.set_value(value.into());
            metric.set_label(vec![pair]);
        }
        metric
    }
}

impl Collector for Quantiles {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.series.lock();
        if series.is_empty() {
            return vec![];
        }
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(series.iter().map(|(value, o)| self.metric(value, o)).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_observed() {
        let q = Quantiles::new("a_seconds", "A.", None, &[0.5, 0.99]).unwrap();
        for v in 1..=100 {
            q.observe("", f64::from(v));
        }
        let families = q.collect();
        let summary = families[0].get_metric()[0].get_summary();
        assert_eq!((summary.sample_count(), summary.sample_sum()), (100, 5050.0));
        let values: Vec<_> = summary.get_quantile().iter().map(|q| q.value()).collect();
        assert_eq!(values, [50.0, 99.0]);
    }
}
