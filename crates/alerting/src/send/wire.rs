//! Alerts as Alertmanager's API version 2 takes them in: `POST /api/v2/alerts`.

use std::sync::Arc;

use base::Labels;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::Outgoing;

/// The body of a request.
pub(super) fn body(alerts: &[Arc<Outgoing>]) -> Vec<u8> {
    let all: Vec<_> = alerts.iter().map(|a| PostableAlert(a)).collect();
    serde_json::to_vec(&all).expect("maps have text as keys and no serializer fails")
}

struct PostableAlert<'a>(&'a Outgoing);

impl Serialize for PostableAlert<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let alert = self.0;
        let mut out = s.serialize_struct("alert", 5)?;
        out.serialize_field("labels", &LabelSet(&alert.labels))?;
        out.serialize_field("annotations", &Annotations(&alert.annotations))?;
        out.serialize_field("startsAt", &date_time(alert.starts_at_ms))?;
        out.serialize_field("endsAt", &date_time(alert.ends_at_ms))?;
        out.serialize_field("generatorURL", &*alert.generator_url)?;
        out.end()
    }
}

struct LabelSet<'a>(&'a Labels);

impl Serialize for LabelSet<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

struct Annotations<'a>(&'a [(String, String)]);

impl Serialize for Annotations<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(n, v)| (n, v)))
    }
}

/// RFC 3339 in UTC with milliseconds.
fn date_time(t_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(t_ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_written_as_alertmanager_reads_it() {
        let alert = Outgoing {
            labels: Labels::from_pairs([("alertname", "Down"), ("job", "a\"b")]),
            annotations: Arc::from([("summary".to_owned(), "it is\ndown".to_owned())]),
            starts_at_ms: 1_435_781_451_781,
            ends_at_ms: 1_435_781_460_000,
            generator_url: "http://h/graph?g0.expr=up".into(),
        };
        let text = String::from_utf8(body(&[Arc::new(alert)])).unwrap();
        assert_eq!(
            text,
            r#"[{"labels":{"alertname":"Down","job":"a\"b"},"annotations":{"summary":"it is\ndown"},"startsAt":"2015-07-01T20:10:51.781Z","endsAt":"2015-07-01T20:11:00.000Z","generatorURL":"http://h/graph?g0.expr=up"}]"#
        );
    }
}
