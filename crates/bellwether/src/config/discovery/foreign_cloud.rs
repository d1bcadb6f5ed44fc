//! Discovery from cloud providers' APIs: checked, not run yet. The messages are Prometheus'.

use super::super::grammar::{Key, Map, Section, Shape, no_rules};
use super::super::http_client;
use super::super::raw::Outcome;
use super::super::url;

const PORT: Key = Key::new("port", Shape::Integer);
const REFRESH: Key = Key::new("refresh_interval", Shape::Duration);
const REGION: Key = Key::new("region", Shape::Text);
const ROLE: Key = Key::new("role", Shape::Text);

const AWS_KEYS: &[Key] = &[
    REGION,
    Key::new("endpoint", Shape::Text),
    Key::new("access_key", Shape::Text),
    Key::new("secret_key", Shape::Secret),
    Key::new("profile", Shape::Text),
    Key::new("role_arn", Shape::Text),
    Key::new("external_id", Shape::Text),
    REFRESH,
    PORT,
];
const FILTERS: Key = Key::new("filters", Shape::Sections(&FILTER, None));
const CLUSTERS: Key = Key::new("clusters", Shape::Texts);
const CONCURRENCY: Key = Key::new("request_concurrency", Shape::Integer);

static FILTER: Section = Section {
    name: "filters",
    keys: &[&[Key::new("name", Shape::Text), Key::new("values", Shape::Texts)]],
    check: no_rules,
};

pub(super) static AWS: Section = Section {
    name: "aws_sd_configs",
    keys: &[AWS_KEYS, &[ROLE, FILTERS, CLUSTERS], http_client::KEYS],
    check: |map| {
        let known = ["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"];
        let role = map.text("role")?;
        map.require(known.contains(&role), "role", &format!("unknown AWS SD role {role:?}"))?;
        http_client::check(map)
    },
};

pub(super) static EC2: Section = Section {
    name: "ec2_sd_configs",
    keys: &[AWS_KEYS, &[FILTERS], http_client::KEYS],
    check: |map| {
        for filter in map.maps("filters")? {
            filter.require(
                !filter.nodes("values")?.is_empty(),
                "values",
                "EC2 SD configuration filter values cannot be empty",
            )?;
        }
        http_client::check(map)
    },
};

/// Clusters of containers, caches and brokers have the same keys.
pub(super) static ECS: Section = Section {
    name: "the discovery of AWS clusters",
    keys: &[AWS_KEYS, &[CLUSTERS, CONCURRENCY], http_client::KEYS],
    check: http_client::check,
};

pub(super) static RDS: Section = Section {
    name: "rds_sd_configs",
    keys: &[AWS_KEYS, &[CLUSTERS, CONCURRENCY, FILTERS], http_client::KEYS],
    check: http_client::check,
};

pub(super) static LIGHTSAIL: Section =
    Section { name: "lightsail_sd_configs", keys: &[AWS_KEYS, http_client::KEYS], check: http_client::check };

pub(super) static AZURE: Section = Section {
    name: "azure_sd_configs",
    keys: &[
        &[
            Key::new("environment", Shape::Text),
            PORT,
            Key::new("subscription_id", Shape::Text),
            Key::new("tenant_id", Shape::Text),
            Key::new("client_id", Shape::Text),
            Key::new("client_secret", Shape::Secret),
            REFRESH,
            Key::new("authentication_method", Shape::Text),
            Key::new("resource_group", Shape::Text),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        let needs = |key: &str| {
            map.require(map.filled(key), key, &format!("azure SD configuration requires a {key}"))
        };
        needs("subscription_id")?;
        let method = map.text_or("authentication_method", "OAuth")?;
        match method {
            "OAuth" => ["tenant_id", "client_id", "client_secret"].into_iter().try_for_each(needs)?,
            "ManagedIdentity" | "SDK" | "WorkloadIdentity" => {}
            _ => {
                let text = format!(
                    "unknown authentication_type {method:?}. Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\""
                );
                return map.problem("authentication_method", text);
            }
        }
        http_client::check(map)
    },
};

/// A role out of a fixed list, with Prometheus' message for another.
fn check_role(map: &Map<'_>, roles: &[&str], default: &str, unknown: &str) -> Outcome<()> {
    let role = map.text_or("role", default)?;
    let missing = format!("role missing (one of: {})", roles.join(", "));
    map.require(!role.is_empty(), "role", &missing)?;
    map.require(roles.contains(&role), "role", &format!("{unknown} {role:?}"))
}

pub(super) static DIGITALOCEAN: Section = Section {
    name: "digitalocean_sd_configs",
    keys: &[&[REFRESH, PORT, ROLE], http_client::KEYS],
    check: |map| {
        check_role(map, &["droplets", "databases"], "droplets", "unknown DigitalOcean SD role")?;
        http_client::check(map)
    },
};

pub(super) static GCE: Section = Section {
    name: "gce_sd_configs",
    keys: &[&[
        Key::new("project", Shape::Text),
        Key::new("zone", Shape::Text),
        Key::new("filter", Shape::Text),
        REFRESH,
        PORT,
        Key::new("tag_separator", Shape::Text),
    ]],
    check: |map| {
        map.require(map.filled("project"), "project", "GCE SD configuration requires a project")?;
        map.require(map.filled("zone"), "zone", "GCE SD configuration requires a zone")
    },
};

pub(super) static HETZNER: Section = Section {
    name: "hetzner_sd_configs",
    keys: &[&[REFRESH, PORT, ROLE, Key::new("label_selector", Shape::Text)], http_client::KEYS],
    check: |map| {
        check_role(map, &["robot", "hcloud"], "", "unknown role")?;
        http_client::check(map)
    },
};

pub(super) static IONOS: Section = Section {
    name: "ionos_sd_configs",
    keys: &[&[Key::new("datacenter_id", Shape::Text), REFRESH, PORT], http_client::KEYS],
    check: |map| {
        map.require(map.filled("datacenter_id"), "datacenter_id", "datacenter id can't be empty")?;
        http_client::check(map)
    },
};

pub(super) static LINODE: Section = Section {
    name: "linode_sd_configs",
    keys: &[&[REFRESH, PORT, Key::new("tag_separator", Shape::Text), REGION], http_client::KEYS],
    check: http_client::check,
};

pub(super) static OCI: Section = Section {
    name: "oci_sd_configs",
    keys: &[
        &[
            Key::new("auth", Shape::Text),
            Key::new("tenancy", Shape::Text),
            Key::new("user", Shape::Text),
            Key::new("fingerprint", Shape::Text),
            Key::new("key_file", Shape::Text),
            Key::new("key_passphrase", Shape::Secret),
            Key::new("key_passphrase_file", Shape::Text),
            REGION,
            Key::new("compartments", Shape::Texts),
            PORT,
            REFRESH,
        ],
        http_client::KEYS,
    ],
    check: check_oci,
};

fn check_oci(map: &Map<'_>) -> Outcome<()> {
    map.require(map.filled("region"), "region", "oci_sd: region is required")?;
    let auth = map.text_or("auth", "api_key")?;
    match auth {
        "api_key" => {
            for key in ["tenancy", "user", "fingerprint", "key_file"] {
                map.require(map.filled(key), key, &format!("oci_sd: api_key auth requires {key}"))?;
            }
            map.require(
                !(map.filled("key_passphrase") && map.filled("key_passphrase_file")),
                "key_passphrase",
                "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured",
            )?;
        }
        "instance_principal" => {
            let of_user =
                ["tenancy", "user", "fingerprint", "key_file", "key_passphrase", "key_passphrase_file"];
            map.require(
                !of_user.iter().any(|k| map.filled(k)),
                "auth",
                "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or key_passphrase_file set",
            )?;
        }
        _ => {
            let text = format!(
                "oci_sd: unknown auth method {auth:?}, expected \"api_key\" or \"instance_principal\""
            );
            return map.problem("auth", text);
        }
    }
    if let Some(i) = map.texts("compartments")?.iter().position(|c| c.is_empty()) {
        return map.problem("compartments", format!("oci_sd: compartments[{i}] must not be empty"));
    }
    http_client::check(map)
}

pub(super) static OPENSTACK: Section = Section {
    name: "openstack_sd_configs",
    keys: &[&[
        Key::new("identity_endpoint", Shape::Url),
        Key::new("username", Shape::Text),
        Key::new("userid", Shape::Text),
        Key::new("password", Shape::Secret),
        Key::new("project_name", Shape::Text),
        Key::new("project_id", Shape::Text),
        Key::new("domain_name", Shape::Text),
        Key::new("domain_id", Shape::Text),
        Key::new("application_credential_name", Shape::Text),
        Key::new("application_credential_id", Shape::Text),
        Key::new("application_credential_secret", Shape::Secret),
        ROLE,
        REGION,
        REFRESH,
        PORT,
        Key::new("all_tenants", Shape::Bool),
        Key::new("tls_config", Shape::Section(&http_client::TLS)),
        Key::new("availability", Shape::Text),
    ]],
    check: |map| {
        if map.has("role") {
            check_role(map, &["instance", "hypervisor", "loadbalancer"], "", "unknown OpenStack SD role")?;
        }
        let availability = map.text_or("availability", "public")?;
        if !["public", "internal", "admin"].contains(&availability) {
            let text =
                format!("unknown availability {availability}, must be one of admin, internal or public");
            return map.problem("availability", text);
        }
        check_role(map, &["instance", "hypervisor", "loadbalancer"], "", "unknown OpenStack SD role")?;
        map.require(map.filled("region"), "region", "openstack SD configuration requires a region")
    },
};

fn check_secret_key(map: &Map<'_>) -> Outcome<()> {
    let (key, file) = (map.filled("secret_key"), map.filled("secret_key_file"));
    map.require(key || file, "secret_key", "one of secret_key & secret_key_file must be configured")?;
    map.require(
        !(key && file),
        "secret_key",
        "at most one of secret_key & secret_key_file must be configured",
    )
}

pub(super) static OUTSCALE: Section = Section {
    name: "outscale_sd_configs",
    keys: &[
        &[
            Key::new("endpoint", Shape::Url),
            REGION,
            Key::new("access_key", Shape::Text),
            Key::new("secret_key", Shape::Secret),
            Key::new("secret_key_file", Shape::Text),
            REFRESH,
            PORT,
        ],
        http_client::KEYS,
    ],
    check: |map| {
        map.require(map.filled("region"), "region", "outscale SD configuration requires a region")?;
        map.require(map.filled("access_key"), "access_key", "outscale SD configuration requires access_key")?;
        check_secret_key(map)?;
        http_client::check(map)
    },
};

pub(super) static OVHCLOUD: Section = Section {
    name: "ovhcloud_sd_configs",
    keys: &[&[
        Key::new("endpoint", Shape::Text),
        Key::new("application_key", Shape::Text),
        Key::new("application_secret", Shape::Secret),
        Key::new("consumer_key", Shape::Secret),
        REFRESH,
        Key::new("service", Shape::Text),
    ]],
    check: |map| {
        let endpoint = map.text_or("endpoint", "ovh-eu")?;
        map.require(!endpoint.is_empty(), "endpoint", "endpoint can not be empty")?;
        for key in ["application_key", "application_secret", "consumer_key"] {
            let text = format!("{} can not be empty", key.replace('_', " "));
            map.require(map.filled(key), key, &text)?;
        }
        match map.text("service")? {
            "dedicated_server" | "vps" => Ok(()),
            other => map.problem("service", format!("unknown service: {other}")),
        }
    },
};

pub(super) static SCALEWAY: Section = Section {
    name: "scaleway_sd_configs",
    keys: &[
        &[
            Key::new("project_id", Shape::Text),
            Key::new("api_url", Shape::Url),
            Key::new("zone", Shape::Text),
            Key::new("access_key", Shape::Text),
            Key::new("secret_key", Shape::Secret),
            Key::new("secret_key_file", Shape::Text),
            Key::new("name_filter", Shape::Text),
            Key::new("tags_filter", Shape::Texts),
            REFRESH,
            PORT,
            ROLE,
        ],
        http_client::KEYS,
    ],
    check: |map| {
        check_role(map, &["instance", "baremetal"], "", "unknown role")?;
        map.require(map.filled("project_id"), "project_id", "project_id is mandatory")?;
        check_secret_key(map)?;
        map.require(map.filled("access_key"), "access_key", "access_key is mandatory")?;
        http_client::check(map)
    },
};

pub(super) static STACKIT: Section = Section {
    name: "stackit_sd_configs",
    keys: &[
        &[
            Key::new("project", Shape::Text),
            REFRESH,
            PORT,
            REGION,
            Key::new("endpoint", Shape::Url),
            Key::new("service_account_key", Shape::Secret),
            Key::new("private_key", Shape::Secret),
            Key::new("service_account_key_path", Shape::Text),
            Key::new("private_key_path", Shape::Text),
            Key::new("credentials_file_path", Shape::Text),
        ],
        http_client::KEYS,
    ],
    check: |map| {
        let (endpoint, region) = (map.text("endpoint")?, map.text_or("region", "eu01")?);
        map.require(
            !(endpoint.is_empty() && region.is_empty()),
            "endpoint",
            "stackit_sd: endpoint and region missing",
        )?;
        map.require(
            !url::lacks_scheme(endpoint),
            "endpoint",
            &format!("stackit_sd: invalid endpoint {endpoint:?}: missing protocol scheme"),
        )?;
        http_client::check(map)
    },
};

pub(super) static TRITON: Section = Section {
    name: "triton_sd_configs",
    keys: &[&[
        Key::new("account", Shape::Text),
        ROLE,
        Key::new("dns_suffix", Shape::Text),
        Key::new("endpoint", Shape::Text),
        Key::new("groups", Shape::Texts),
        PORT,
        REFRESH,
        Key::new("tls_config", Shape::Section(&http_client::TLS)),
        Key::new("version", Shape::Integer),
    ]],
    check: |map| {
        let role = map.text_or("role", "container")?;
        map.require(
            role == "container" || role == "cn",
            "role",
            "triton SD configuration requires role to be 'container' or 'cn'",
        )?;
        map.require(map.filled("account"), "account", "triton SD configuration requires an account")?;
        map.require(map.filled("dns_suffix"), "dns_suffix", "triton SD configuration requires a dns_suffix")?;
        map.require(map.filled("endpoint"), "endpoint", "triton SD configuration requires an endpoint")
    },
};

pub(super) static VULTR: Section = Section {
    name: "vultr_sd_configs",
    keys: &[&[REFRESH, PORT], http_client::KEYS],
    check: http_client::check,
};
