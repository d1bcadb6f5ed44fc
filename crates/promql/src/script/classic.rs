//! Classic histograms made native, for `load_with_nhcb`: the series of one become one of histograms with custom bounds.

use std::collections::BTreeMap;

use base::{CUSTOM_BUCKETS_SCHEMA, Error, Histogram, Labels, METRIC_NAME, Result, Span};

use super::parse::Load;
use super::sequence::Point;
use crate::histogram::compact;

/// What the series of a classic histogram say at one time.
#[derive(Default)]
struct Parts {
    /// Bound and count of the values up to it.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms that classic ones make, with labels and times.
pub(super) fn natives(load: &Load) -> Result<Vec<(Labels, i64, Histogram)>> {
    let mut by_time: BTreeMap<(Labels, i64), Parts> = BTreeMap::new();
    for (line, _) in &load.series {
        let metric = line.labels.metric();
        let suffix = ["_bucket", "_count", "_sum"].into_iter();
        let Some((name, kind)) = suffix.filter_map(|s| metric.strip_suffix(s).map(|name| (name, s))).next()
        else {
            continue;
        };
        let le = line.labels.get_or_empty("le").parse::<f64>().ok().filter(|le| !le.is_nan());
        if kind == "_bucket" && le.is_none() {
            continue;
        }
        let mut labels = line.labels.to_builder();
        labels.set(METRIC_NAME, name).remove("le");
        let labels = labels.build();
        for (i, point) in line.points.iter().enumerate() {
            let Point::Float(v) = point else { continue };
            let parts = by_time.entry((labels.clone(), load.step_ms * i as i64)).or_default();
            match (kind, le) {
                ("_bucket", Some(le)) => parts.buckets.push((le, *v)),
                ("_count", _) => parts.count = Some(*v),
                _ => parts.sum = *v,
            }
        }
    }
    let native = |((labels, t_ms), parts): ((Labels, i64), Parts)| {
        let h = parts.native().map_err(|e| e.context(format!("cannot make {labels} native")))?;
        Ok((labels, t_ms, h))
    };
    by_time.into_iter().map(native).collect()
}

impl Parts {
    fn native(mut self) -> Result<Histogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by_key(|b| b.0);
        let count = self.count.or(self.buckets.last().map(|b| b.1)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut positive = Vec::with_capacity(self.buckets.len());
        for (bound, up_to) in &self.buckets {
            if *up_to < before {
                return Err(Error::invalid(format!("the count up to {bound} is less than the one before")));
            }
            positive.push(up_to - before);
            before = *up_to;
        }
        if before != count {
            return Err(Error::invalid(format!(
                "its buckets have {before} observations, its count is {count}"
            )));
        }
        let length = u32::try_from(positive.len()).unwrap_or(u32::MAX);
        let mut h = Histogram {
            is_float: true,
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            positive,
            custom_bounds: self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..Histogram::default()
        };
        compact(&mut h);
        Ok(h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::literal;

    #[test]
    fn cumulative_counts_become_buckets() {
        let parts = Parts { buckets: vec![(2.0, 3.0), (1.0, 1.0)], count: Some(6.0), sum: 9.0 };
        assert_eq!(
            literal(&parts.native().unwrap()),
            "{{schema:-53 count:6 sum:9 custom_values:[1 2] buckets:[1 2 3]}}"
        );
        let falling = Parts { buckets: vec![(1.0, 3.0), (2.0, 1.0)], ..Parts::default() };
        assert!(falling.native().is_err());
    }
}
