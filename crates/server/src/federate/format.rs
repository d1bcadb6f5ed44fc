//! Which format a client wants.

use axum::http::{HeaderMap, header};

use super::names::Escaping;

/// A format of exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' text, of a version.
    Text(&'static str),
    /// OpenMetrics text, of a version.
    OpenMetrics(&'static str),
    /// Prometheus' messages, each after its length.
    Protobuf,
}

impl Format {
    pub(super) fn content_type(self, escaping: Escaping) -> String {
        let base = match self {
            Self::Text(version) => format!("text/plain; version={version}; charset=utf-8"),
            Self::OpenMetrics(version) => {
                format!("application/openmetrics-text; version={version}; charset=utf-8")
            }
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
                    .to_owned()
            }
        };
        format!("{base}; escaping={}", escaping.as_str())
    }
}

/// The format that the client wants most of those there are, and how it wants names written.
pub(super) fn negotiate(headers: &HeaderMap) -> (Format, Escaping) {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let mut clauses: Vec<Clause<'_>> =
        accepted.flat_map(|v| v.split(',')).map(Clause::read).filter(|c| c.weight > 0.0).collect();
    // Stable: of equal weight the first counts.
    clauses.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let wanted = clauses.iter().find_map(|c| Some((c.format()?, c)));
    match wanted {
        Some((format, clause)) => (format, clause.escaping()),
        None => (Format::Text("0.0.4"), Escaping::Underscores),
    }
}

/// A part of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: f64,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameters: Vec<_> = parts
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.trim(), v.trim().trim_matches('"')))
            .collect();
        let q = parameters.iter().find(|(name, _)| *name == "q").and_then(|(_, v)| v.parse().ok());
        Self { media, parameters, weight: q.unwrap_or(1.0) }
    }

    fn get(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    fn format(&self) -> Option<Format> {
        match (self.media, self.get("version")) {
            ("text/plain" | "text/*" | "*/*", "" | "0.0.4") => Some(Format::Text("0.0.4")),
            ("text/plain", "1.0.0") => Some(Format::Text("1.0.0")),
            ("application/openmetrics-text", "" | "0.0.1") => Some(Format::OpenMetrics("0.0.1")),
            ("application/openmetrics-text", "1.0.0") => Some(Format::OpenMetrics("1.0.0")),
            ("application/vnd.google.protobuf", _) => {
                let proto = self.get("proto") == "io.prometheus.client.MetricFamily";
                (proto && self.get("encoding") == "delimited").then_some(Format::Protobuf)
            }
            _ => None,
        }
    }

    fn escaping(&self) -> Escaping {
        Escaping::by_name(self.get("escaping")).unwrap_or(Escaping::Underscores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_by_weight() {
        let check = |accept: &str, format, escaping| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(negotiate(&headers), (format, escaping), "{accept}");
        };
        assert_eq!(negotiate(&HeaderMap::new()), (Format::Text("0.0.4"), Escaping::Underscores));
        check("*/*", Format::Text("0.0.4"), Escaping::Underscores);
        check("application/json", Format::Text("0.0.4"), Escaping::Underscores);
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics("1.0.0"),
            Escaping::Underscores,
        );
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6",
            Format::Text("1.0.0"),
            Escaping::AllowUtf8,
        );
        check(
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited, text/plain;q=0.9",
            Format::Protobuf,
            Escaping::Underscores,
        );
        check(
            "application/vnd.google.protobuf;encoding=text, text/plain;q=0.1",
            Format::Text("0.0.4"),
            Escaping::Underscores,
        );
    }
}
