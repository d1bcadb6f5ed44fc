//! `kubernetes_sd_configs`: checked, not run yet.

use super::super::grammar::{Key, Map, Section, Shape, no_rules};
use super::super::http_client;
use super::super::raw::Outcome;

/// One cluster.
pub(super) static SECTION: Section = Section {
    name: "kubernetes_sd_configs",
    keys: &[
        &[
            Key::new("api_server", Shape::Url),
            Key::new("role", Shape::Text),
            Key::new("kubeconfig_file", Shape::Text),
            Key::new("namespaces", Shape::Section(&NAMESPACES)),
            Key::new("selectors", Shape::Sections(&SELECTOR, None)),
            Key::new("attach_metadata", Shape::Section(&ATTACH_METADATA)),
        ],
        http_client::KEYS,
    ],
    check: check_rules,
};

static NAMESPACES: Section = Section {
    name: "namespaces",
    keys: &[&[Key::new("own_namespace", Shape::Bool), Key::new("names", Shape::Texts)]],
    check: no_rules,
};

static SELECTOR: Section = Section {
    name: "selectors",
    keys: &[&[Key::new("role", Shape::Text), Key::new("label", Shape::Text), Key::new("field", Shape::Text)]],
    check: |map| check_role(map).map(drop),
};

static ATTACH_METADATA: Section = Section {
    name: "attach_metadata",
    keys: &[&[
        Key::new("node", Shape::Bool),
        Key::new("namespace", Shape::Bool),
        Key::new("deployment", Shape::Bool),
        Key::new("job", Shape::Bool),
        Key::new("cronjob", Shape::Bool),
    ]],
    check: no_rules,
};

fn check_role<'a>(map: &Map<'a>) -> Outcome<&'a str> {
    const ROLES: [&str; 6] = ["node", "pod", "service", "endpoints", "endpointslice", "ingress"];
    let role = map.text("role")?;
    if map.has("role") && !ROLES.contains(&role) {
        return map.problem("role", format!("unknown Kubernetes SD role {role:?}"));
    }
    Ok(role)
}

fn check_rules(map: &Map<'_>) -> Outcome<()> {
    let role = check_role(map)?;
    map.require(
        !role.is_empty(),
        "role",
        "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)",
    )?;
    http_client::check(map)?;
    let (server, kubeconfig) = (map.filled("api_server"), map.filled("kubeconfig_file"));
    let custom = http_client::is_custom(map);
    let own_namespace = map.map("namespaces").flag("own_namespace", false)?;
    map.require(
        !(server && kubeconfig),
        "kubeconfig_file",
        "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
    )?;
    map.require(
        !(kubeconfig && custom),
        "kubeconfig_file",
        "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
    )?;
    map.require(
        server || !custom,
        "api_server",
        "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
    )?;
    map.require(
        !(server && own_namespace),
        "namespaces",
        "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
    )?;
    map.require(
        !(kubeconfig && own_namespace),
        "namespaces",
        "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously",
    )?;
    check_selectors(map, role)
}

fn check_selectors(map: &Map<'_>, role: &str) -> Outcome<()> {
    let allowed: &[&str] = match role {
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "endpoints" => &["pod", "service", "endpoints"],
        "node" => &["node"],
        _ => &["ingress"],
    };
    let mut seen = Vec::new();
    for selector in map.maps("selectors")? {
        let of = selector.text("role")?;
        selector.require(!seen.contains(&of), "role", &format!("duplicated selector role: {of}"))?;
        seen.push(of);
        let text = format!("{role} role supports only {} selectors", allowed.join(", "));
        selector.require(allowed.contains(&of), "role", &text)?;
        let field = selector.text("field")?;
        for part in field.split(',').filter(|p| !p.is_empty()) {
            let text = format!("invalid selector: '{field}'; can't understand '{part}'");
            selector.require(part.contains('='), "field", &text)?;
        }
    }
    Ok(())
}
