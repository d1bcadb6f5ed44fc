//! `rules`, `alerts`, `alertmanagers`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use alerting::{ActiveAlert, GroupView, RuleKind, RuleView};
use axum::extract::State;
use axum::response::Response;
use base::Matcher;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Number;
use sha2::{Digest, Sha256};

use super::json;
use super::series::matcher_sets;
use super::targets::LabelsJson;
use crate::error::{ApiError, ApiResult};
use crate::params::Params;
use crate::state::ServerState;

/// Pairs as a JSON object, empty values included.
struct PairsJson<'a>(&'a [(String, String)]);

impl Serialize for PairsJson<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson<'a> {
    labels: LabelsJson<'a>,
    annotations: PairsJson<'a>,
    state: &'static str,
    active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

impl<'a> From<&'a ActiveAlert> for AlertJson<'a> {
    fn from(a: &'a ActiveAlert) -> Self {
        Self {
            labels: LabelsJson(&a.labels),
            annotations: PairsJson(&a.annotations),
            state: a.state.as_str(),
            active_at: json::rfc3339(a.active_at_ms),
            keep_firing_since: a.keep_firing_since_ms.map(json::rfc3339),
            value: exponential(a.value),
        }
    }
}

#[derive(Serialize)]
struct AlertsJson<'a> {
    alerts: Vec<AlertJson<'a>>,
}

pub(crate) async fn alerts(State(state): State<Arc<ServerState>>) -> Response {
    let groups = state.rules.groups();
    let rules = groups.iter().flat_map(|g| &g.rules);
    let alerts = rules.flat_map(|r| &r.alerts).map(AlertJson::from).collect();
    json::success(&AlertsJson { alerts })
}

#[derive(Serialize)]
#[serde(untagged)]
enum RuleJson<'a> {
    Alerting(Box<AlertingJson<'a>>),
    Recording(RecordingJson<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingJson<'a> {
    state: &'static str,
    name: &'a str,
    query: &'a str,
    duration: Number,
    keep_firing_for: Number,
    labels: PairsJson<'a>,
    annotations: PairsJson<'a>,
    /// `null` where they were not asked for.
    alerts: Option<Vec<AlertJson<'a>>>,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: Number,
    last_evaluation: String,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingJson<'a> {
    name: &'a str,
    query: &'a str,
    labels: PairsJson<'a>,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: Number,
    last_evaluation: String,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson<'a> {
    name: &'a str,
    file: &'a str,
    rules: Vec<RuleJson<'a>>,
    interval: Number,
    limit: usize,
    evaluation_time: Number,
    last_evaluation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RulesJson<'a> {
    groups: Vec<GroupJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

/// What a request asks for.
struct Wanted<'a> {
    alerting: bool,
    recording: bool,
    with_alerts: bool,
    names: HashSet<&'a str>,
    groups: HashSet<&'a str>,
    files: HashSet<&'a str>,
    matchers: Vec<Vec<Matcher>>,
    group_limit: Option<usize>,
    next_token: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(params: &'a Params) -> ApiResult<Self> {
        let set = |name| params.all(name).collect::<HashSet<_>>();
        let matchers = matcher_sets(params)?;
        let kind = params.get("type").unwrap_or("").to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(ApiError::invalid_parameter("type", format_args!("not supported value {kind:?}")));
        }
        let exclude = params.get("exclude_alerts").unwrap_or("").to_lowercase();
        let with_alerts = match exclude.as_str() {
            "" | "0" | "f" | "false" => true,
            "1" | "t" | "true" => false,
            other => {
                let cause = format!(
                    "error converting exclude_alerts: strconv.ParseBool: parsing {other:?}: invalid syntax"
                );
                return Err(ApiError::invalid_parameter("exclude_alerts", cause));
            }
        };
        let (group_limit, next_token) = page(params)?;
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            with_alerts,
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            matchers,
            group_limit,
            next_token,
        })
    }

    fn rule(&self, rule: &RuleView) -> bool {
        let config = &rule.config;
        let of_kind = match config.kind {
            RuleKind::Alerting(_) => self.alerting,
            RuleKind::Recording => self.recording,
        };
        let value = |name: &str| alerting::pair(&config.labels, name).unwrap_or("");
        of_kind
            && (self.names.is_empty() || self.names.contains(config.name.as_str()))
            && (self.matchers.is_empty()
                || self.matchers.iter().any(|set| set.iter().all(|m| m.matches(value(m.name())))))
    }

    fn group(&self, group: &GroupView) -> bool {
        (self.groups.is_empty() || self.groups.contains(group.name.as_str()))
            && (self.files.is_empty() || self.files.contains(group.file.as_str()))
    }
}

fn page(params: &Params) -> ApiResult<(Option<usize>, Option<&str>)> {
    let (limit, token) = (params.get("group_limit"), params.get("group_next_token"));
    let Some(limit) = limit else {
        if token.is_some() {
            let cause = "group_limit needs to be present in order to paginate over the groups";
            return Err(ApiError::invalid_parameter("group_next_token", cause));
        }
        return Ok((None, None));
    };
    let n: i32 = limit.parse().map_err(|_| {
        let cause = format!(
            "group_limit needs to be a valid number: strconv.ParseInt: parsing {limit:?}: invalid syntax"
        );
        ApiError::invalid_parameter("group_limit", cause)
    })?;
    match usize::try_from(n) {
        Ok(n) if n > 0 => Ok((Some(n), token)),
        _ => Err(ApiError::invalid_parameter("group_limit", "group_limit needs to be greater than 0")),
    }
}

pub(crate) async fn rules(State(state): State<Arc<ServerState>>, params: Params) -> ApiResult<Response> {
    let wanted = Wanted::read(&params)?;
    let groups = state.rules.groups();
    Ok(json::success(&select(&groups, &wanted)?))
}

/// The groups that are asked for, without those that have no rule left, and the token of the next page.
fn select<'a>(groups: &'a [GroupView], wanted: &Wanted<'_>) -> ApiResult<RulesJson<'a>> {
    let from = match wanted.next_token {
        None => 0,
        Some(token) => groups.iter().position(|g| next_token(g) == token).ok_or_else(|| {
            let cause = format!("invalid group_next_token '{token}'. were rule groups changed?");
            ApiError::invalid_parameter("group_next_token", cause)
        })?,
    };
    let mut out = RulesJson { groups: Vec::new(), group_next_token: None };
    for group in groups[from..].iter().filter(|g| wanted.group(g)) {
        let rules: Vec<_> =
            group.rules.iter().filter(|r| wanted.rule(r)).map(|r| rule_json(r, wanted.with_alerts)).collect();
        if rules.is_empty() {
            continue;
        }
        if wanted.group_limit == Some(out.groups.len()) {
            out.group_next_token = Some(next_token(group));
            break;
        }
        out.groups.push(GroupJson {
            name: &group.name,
            file: &group.file,
            rules,
            interval: seconds(group.interval),
            limit: group.limit,
            evaluation_time: seconds(group.evaluation_time),
            last_evaluation: time(group.last_evaluation_ms),
        });
    }
    Ok(out)
}

fn rule_json(rule: &RuleView, with_alerts: bool) -> RuleJson<'_> {
    let config = &rule.config;
    let (health, last_error) = (rule.health.as_str(), rule.last_error.as_str());
    let (evaluation_time, last_evaluation) = (seconds(rule.evaluation_time), time(rule.last_evaluation_ms));
    match &config.kind {
        RuleKind::Recording => RuleJson::Recording(RecordingJson {
            name: &config.name,
            query: &config.query,
            labels: PairsJson(&config.labels),
            health,
            last_error,
            evaluation_time,
            last_evaluation,
            r#type: "recording",
        }),
        RuleKind::Alerting(terms) => RuleJson::Alerting(Box::new(AlertingJson {
            state: rule.state.as_str(),
            name: &config.name,
            query: &config.query,
            duration: seconds(terms.hold),
            keep_firing_for: seconds(terms.keep_firing_for),
            labels: PairsJson(&config.labels),
            annotations: PairsJson(&terms.annotations),
            alerts: with_alerts.then(|| rule.alerts.iter().map(AlertJson::from).collect()),
            health,
            last_error,
            evaluation_time,
            last_evaluation,
            r#type: "alerting",
        })),
    }
}

/// A duration in seconds; as Go writes it, without a fraction if there is none.
fn seconds(d: Duration) -> Number {
    match d.subsec_nanos() {
        0 => Number::from(d.as_secs()),
        _ => Number::from_f64(d.as_secs_f64()).expect("a duration is a finite number of seconds"),
    }
}

fn time(t_ms: Option<i64>) -> String {
    t_ms.map_or_else(|| json::NEVER.into(), json::rfc3339)
}

/// Names a group for the page that begins with it.
fn next_token(group: &GroupView) -> String {
    let digest = Sha256::digest(format!("{};{}", group.file, group.name));
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// A value as Go writes it with an exponent: `1e+00`.
fn exponential(value: f64) -> String {
    if !value.is_finite() {
        let mut out = String::new();
        base::format_float(value, &mut out);
        return out;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[derive(Serialize)]
struct UrlJson {
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertmanagersJson {
    active_alertmanagers: Vec<UrlJson>,
    dropped_alertmanagers: Vec<UrlJson>,
}

pub(crate) async fn alertmanagers(State(state): State<Arc<ServerState>>) -> Response {
    let known = state.notifier.alertmanagers();
    let list = |urls: Vec<String>| urls.into_iter().map(|url| UrlJson { url }).collect();
    json::success(&AlertmanagersJson {
        active_alertmanagers: list(known.active),
        dropped_alertmanagers: list(known.dropped),
    })
}

#[cfg(test)]
mod tests {
    use alerting::rule_file::{CheckOptions, GroupSource, Place, Placed, RuleSource, check};
    use alerting::{AlertState, Health};
    use base::Labels;

    use super::*;

    fn view() -> GroupView {
        let placed = |text: &str| Placed { text: text.into(), place: Place::default() };
        let pair = |n: &str, v: &str| vec![(n.to_owned(), v.to_owned())];
        let source = GroupSource {
            name: "g".into(),
            rules: vec![
                RuleSource {
                    record: placed("job:up:sum"),
                    expr: placed("sum(up)"),
                    labels: pair("team", "a"),
                    ..RuleSource::default()
                },
                RuleSource {
                    alert: placed("Down"),
                    expr: placed("up==0"),
                    hold: Duration::from_secs(300),
                    annotations: pair("summary", "it is down"),
                    ..RuleSource::default()
                },
            ],
            ..GroupSource::default()
        };
        let config = check("r.yml", &[source], &CheckOptions::default()).unwrap().remove(0);
        let alert = ActiveAlert {
            state: AlertState::Pending,
            labels: Labels::from_pairs([("alertname", "Down"), ("job", "a")]),
            annotations: Arc::from(pair("summary", "it is down")),
            value: 0.0,
            active_at_ms: 1_435_781_451_781,
            fired_at_ms: None,
            resolved_at_ms: None,
            last_sent_ms: None,
            valid_until_ms: 0,
            keep_firing_since_ms: None,
        };
        let rule = |i: usize| RuleView {
            config: Arc::clone(&config.rules[i]),
            health: [Health::Bad, Health::Good][i],
            last_error: ["boom", ""][i].into(),
            evaluation_time: Duration::from_millis(2),
            last_evaluation_ms: [None, Some(1_435_781_451_781)][i],
            state: AlertState::Pending,
            alerts: [vec![], vec![alert.clone()]][i].clone(),
        };
        GroupView {
            name: "g".into(),
            file: "r.yml".into(),
            interval: Duration::from_secs(15),
            limit: 0,
            evaluation_time: Duration::from_millis(5),
            last_evaluation_ms: None,
            rules: vec![rule(0), rule(1)],
        }
    }

    fn ask(query: &str, groups: &[GroupView]) -> Result<String, String> {
        let params = Params::from_query(query);
        let wanted = Wanted::read(&params).map_err(|e| e.message)?;
        let selected = select(groups, &wanted).map_err(|e| e.message)?;
        Ok(serde_json::to_string(&selected).unwrap())
    }

    #[test]
    fn rules_are_as_prometheus_writes_them() {
        let recording = r#"{"name":"job:up:sum","query":"sum(up)","labels":{"team":"a"},"health":"err","lastError":"boom","evaluationTime":0.002,"lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"}"#;
        let alert = r#"{"labels":{"alertname":"Down","job":"a"},"annotations":{"summary":"it is down"},"state":"pending","activeAt":"2015-07-01T20:10:51.781Z","value":"0e+00"}"#;
        let alerting = |alerts: &str| {
            format!(
                r#"{{"state":"pending","name":"Down","query":"up == 0","duration":300,"keepFiringFor":0,"labels":{{}},"annotations":{{"summary":"it is down"}},"alerts":{alerts},"health":"ok","evaluationTime":0.002,"lastEvaluation":"2015-07-01T20:10:51.781Z","type":"alerting"}}"#
            )
        };
        let group = |rules: &str| {
            format!(
                r#"{{"groups":[{{"name":"g","file":"r.yml","rules":[{rules}],"interval":15,"limit":0,"evaluationTime":0.005,"lastEvaluation":"0001-01-01T00:00:00Z"}}]}}"#
            )
        };
        let check = |query: &str, want: &str| assert_eq!(ask(query, &[view()]).unwrap(), want, "{query}");
        let alerts = alerting(&format!("[{alert}]"));
        check("", &group(&format!("{recording},{alerts}")));
        check("type=record", &group(recording));
        check("type=ALERT&exclude_alerts=true", &group(&alerting("null")));
        check("match[]={team=\"a\"}", &group(recording));
        check("rule_name[]=Down", &group(&alerts));
        check("rule_name[]=Up", r#"{"groups":[]}"#);
        check("rule_group[]=h", r#"{"groups":[]}"#);
        check("file[]=s.yml", r#"{"groups":[]}"#);
    }

    #[test]
    fn pages_begin_where_the_last_one_ended() {
        let groups: Vec<_> = ["a", "b", "c"].map(|n| GroupView { name: n.into(), ..view() }).into();
        let names = |query: &str| {
            let answer: serde_json::Value = serde_json::from_str(&ask(query, &groups).unwrap()).unwrap();
            let of = |g: &serde_json::Value| g["name"].as_str().unwrap().to_owned();
            let names: String = answer["groups"].as_array().unwrap().iter().map(of).collect();
            (names, answer["groupNextToken"].as_str().map(str::to_owned))
        };
        let (first, token) = names("group_limit=2");
        assert_eq!(first, "ab");
        assert_eq!(token.as_deref(), Some(next_token(&groups[2]).as_str()));
        let (rest, none) = names(&format!("group_limit=2&group_next_token={}", token.unwrap()));
        assert_eq!((rest.as_str(), none), ("c", None));
        let fails = |query: &str, want: &str| {
            let message = ask(query, &groups).unwrap_err();
            assert!(message.contains(want), "{message}");
        };
        fails("group_limit=2&group_next_token=x", "invalid group_next_token 'x'. were rule groups changed?");
        fails("group_next_token=x", "group_limit needs to be present");
        fails("group_limit=0", "group_limit needs to be greater than 0");
        fails("group_limit=x", "group_limit needs to be a valid number");
        fails("type=x", "not supported value \"x\"");
        fails("exclude_alerts=x", "error converting exclude_alerts");
    }

    #[test]
    fn values_have_exponents_as_in_go() {
        for (value, want) in [(1.0, "1e+00"), (0.00012, "1.2e-04"), (-1e100, "-1e+100"), (f64::NAN, "NaN")] {
            assert_eq!(exponential(value), want);
        }
        assert_eq!(exponential(f64::INFINITY), "+Inf");
    }
}
