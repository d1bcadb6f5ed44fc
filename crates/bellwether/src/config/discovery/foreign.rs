//! Discovery from registries and orchestrators that one runs oneself: checked, not run yet. The messages are Prometheus'.

use super::super::grammar::{Key, Map, Section, Shape, no_rules};
use super::super::http_client;
use super::super::raw::Outcome;
use super::super::url;

const PORT: Key = Key::new("port", Shape::Integer);
const REFRESH: Key = Key::new("refresh_interval", Shape::Duration);

pub(super) static CONSUL: Section = Section {
    name: "consul_sd_configs",
    keys: &[
        &[
            Key::new("server", Shape::Text),
            Key::new("path_prefix", Shape::Text),
            Key::new("token", Shape::Secret),
            Key::new("datacenter", Shape::Text),
            Key::new("namespace", Shape::Text),
            Key::new("partition", Shape::Text),
            Key::new("tag_separator", Shape::Text),
            Key::new("scheme", Shape::Text),
            Key::new("username", Shape::Text),
            Key::new("password", Shape::Secret),
            Key::new("allow_stale", Shape::Bool),
            REFRESH,
            Key::new("services", Shape::Texts),
            Key::new("tags", Shape::Texts),
            Key::new("node_meta", Shape::TextMap),
            Key::new("filter", Shape::Text),
            Key::new("health_filter", Shape::Text),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        let server = map.text_or("server", "localhost:8500")?.trim();
        map.require(!server.is_empty(), "server", "consul SD configuration requires a server address")?;
        map.require(
            !(map.has("basic_auth") && (map.filled("username") || map.filled("password"))),
            "username",
            "at most one of consul SD configuration username and password and basic auth can be configured",
        )?;
        map.require(
            !(map.filled("token") && (map.has("authorization") || map.has("oauth2"))),
            "token",
            "at most one of consul SD token, authorization, or oauth2 can be configured",
        )?;
        http_client::check(map)
    },
};

pub(super) static DNS: Section = Section {
    name: "dns_sd_configs",
    keys: &[&[Key::new("names", Shape::Texts), REFRESH, Key::new("type", Shape::Text), PORT]],
    check: |map| {
        let names = map.texts("names")?;
        map.require(!names.is_empty(), "names", "DNS-SD config must contain at least one SRV record name")?;
        let kind = map.text_or("type", "SRV")?;
        match kind.to_uppercase().as_str() {
            "SRV" => Ok(()),
            "A" | "AAAA" | "MX" | "NS" => map.require(
                map.integer("port", 0)? != 0,
                "port",
                "a port is required in DNS-SD configs for all record types except SRV",
            ),
            _ => map.problem("type", format!("invalid DNS-SD records type {kind}")),
        }
    },
};

static FILTER: Section = Section {
    name: "filters",
    keys: &[&[Key::new("name", Shape::Text), Key::new("values", Shape::Texts)]],
    check: no_rules,
};

pub(super) static DOCKER: Section = Section {
    name: "docker_sd_configs",
    keys: &[
        &[
            Key::new("host", Shape::Url),
            PORT,
            Key::new("filters", Shape::Sections(&FILTER, None)),
            Key::new("host_networking_host", Shape::Text),
            REFRESH,
            Key::new("match_first_network", Shape::Bool),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(map.filled("host"), "host", "host missing")?;
        http_client::check(map)
    },
};

pub(super) static DOCKERSWARM: Section = Section {
    name: "dockerswarm_sd_configs",
    keys: &[
        &[
            Key::new("host", Shape::Url),
            Key::new("role", Shape::Text),
            PORT,
            Key::new("filters", Shape::Sections(&FILTER, None)),
            REFRESH,
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(map.filled("host"), "host", "host missing")?;
        match map.text("role")? {
            "services" | "nodes" | "tasks" => http_client::check(map),
            "" => map.problem("role", "role missing (one of: tasks, services, nodes)"),
            role => map.problem("role", format!("invalid role {role}, expected tasks, services, or nodes")),
        }
    },
};

pub(super) static EUREKA: Section = Section {
    name: "eureka_sd_configs",
    keys: &[&[Key::new("server", Shape::Url), REFRESH], http_client::KEYS],
    check: |map| {
        let server = map.text("server")?;
        map.require(!server.is_empty(), "server", "eureka_sd: empty or null eureka server")?;
        let (scheme, host) = url::scheme_and_host(server);
        map.require(
            !scheme.is_empty() && !host.is_empty(),
            "server",
            "eureka_sd: invalid eureka server URL",
        )?;
        http_client::check(map)
    },
};

/// What Prometheus asks of an address.
pub(super) fn check_http_url(map: &Map<'_>) -> Outcome<()> {
    let text = map.text("url")?;
    map.require(!text.is_empty(), "url", "URL is missing")?;
    let (scheme, host) = url::scheme_and_host(text);
    map.require(scheme == "http" || scheme == "https", "url", "URL scheme must be 'http' or 'https'")?;
    map.require(!host.is_empty(), "url", "host is missing in URL")
}

pub(super) static KUMA: Section = Section {
    name: "kuma_sd_configs",
    keys: &[
        &[
            Key::new("server", Shape::Url),
            Key::new("client_id", Shape::Text),
            REFRESH,
            Key::new("fetch_timeout", Shape::Duration),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        let (scheme, host) = url::scheme_and_host(map.text("server")?);
        map.require(
            !scheme.is_empty() && !host.is_empty(),
            "server",
            "kuma SD server must not be empty and have a scheme",
        )?;
        http_client::check(map)
    },
};

pub(super) static MARATHON: Section = Section {
    name: "marathon_sd_configs",
    keys: &[
        &[
            Key::new("servers", Shape::Texts),
            REFRESH,
            Key::new("auth_token", Shape::Secret),
            Key::new("auth_token_file", Shape::Text),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(
            !map.nodes("servers")?.is_empty(),
            "servers",
            "marathon_sd: must contain at least one Marathon server",
        )?;
        let (token, file) = (map.filled("auth_token"), map.filled("auth_token_file"));
        map.require(
            !(token && file),
            "auth_token",
            "marathon_sd: at most one of auth_token & auth_token_file must be configured",
        )?;
        if token || file {
            let bearer = map.filled("bearer_token") || map.filled("bearer_token_file");
            map.require(
                !map.has("basic_auth"),
                "basic_auth",
                "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured",
            )?;
            map.require(
                !bearer,
                "bearer_token",
                "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file must be configured",
            )?;
            map.require(
                !map.has("authorization"),
                "authorization",
                "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured",
            )?;
        }
        http_client::check(map)
    },
};

const ZOOKEEPER_KEYS: &[Key] = &[
    Key::new("servers", Shape::Texts),
    Key::new("paths", Shape::Texts),
    Key::new("timeout", Shape::Duration),
];

fn check_zookeeper(map: &Map<'_>, what: &str) -> Outcome<()> {
    map.require(
        !map.nodes("servers")?.is_empty(),
        "servers",
        &format!("{what} SD config must contain at least one Zookeeper server"),
    )?;
    let paths = map.texts("paths")?;
    map.require(!paths.is_empty(), "paths", &format!("{what} SD config must contain at least one path"))?;
    match paths.iter().find(|p| !p.starts_with('/')) {
        Some(path) => map.problem("paths", format!("{what} SD config paths must begin with '/': {path}")),
        None => Ok(()),
    }
}

pub(super) static NERVE: Section =
    Section { name: "nerve_sd_configs", keys: &[ZOOKEEPER_KEYS], check: |map| check_zookeeper(map, "nerve") };

pub(super) static SERVERSET: Section = Section {
    name: "serverset_sd_configs",
    keys: &[ZOOKEEPER_KEYS],
    check: |map| check_zookeeper(map, "serverset"),
};

pub(super) static NOMAD: Section = Section {
    name: "nomad_sd_configs",
    keys: &[
        &[
            Key::new("allow_stale", Shape::Bool),
            Key::new("namespace", Shape::Text),
            REFRESH,
            Key::new("region", Shape::Text),
            Key::new("server", Shape::Url),
            Key::new("tag_separator", Shape::Text),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        let server = map.text_or("server", "http://localhost:4646")?.trim();
        map.require(!server.is_empty(), "server", "nomad SD configuration requires a server address")?;
        http_client::check(map)
    },
};

pub(super) static PUPPETDB: Section = Section {
    name: "puppetdb_sd_configs",
    keys: &[
        &[
            REFRESH,
            Key::new("url", Shape::Url),
            Key::new("query", Shape::Text),
            Key::new("include_parameters", Shape::Bool),
            PORT,
        ],
        http_client::KEYS,
    ],
    check: |map| {
        check_http_url(map)?;
        map.require(map.filled("query"), "query", "query missing")?;
        http_client::check(map)
    },
};

pub(super) static UYUNI: Section = Section {
    name: "uyuni_sd_configs",
    keys: &[
        &[
            Key::new("server", Shape::Url),
            Key::new("username", Shape::Text),
            Key::new("password", Shape::Secret),
            Key::new("entitlement", Shape::Text),
            Key::new("separator", Shape::Text),
            REFRESH,
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(map.filled("server"), "server", "Uyuni SD configuration requires server host")?;
        map.require(map.filled("username"), "username", "Uyuni SD configuration requires a username")?;
        map.require(map.filled("password"), "password", "Uyuni SD configuration requires a password")?;
        http_client::check(map)
    },
};
