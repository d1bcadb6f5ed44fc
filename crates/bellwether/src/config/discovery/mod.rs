//! Service discovery: the `*_sd_configs` lists and `static_configs`, in scrape configurations and for alertmanagers.

mod file;
mod foreign;
mod foreign_cloud;
mod http;
mod kubernetes;
mod static_config;

use super::grammar::{Key, Section, Shape};

pub(super) use file::read as read_files;
pub(super) use http::read as read_http;
pub(super) use static_config::{check_targets as check_static_targets, read as read_static};

/// Every list, by its key.
pub(super) const KEYS: &[Key] = &[
    Key::new("static_configs", Shape::Sections(&static_config::SECTION, None)),
    Key::new("file_sd_configs", Shape::Sections(&file::SECTION, None)),
    Key::new("http_sd_configs", Shape::Sections(&http::SECTION, None)),
    not_yet("aws_sd_configs", &foreign_cloud::AWS),
    not_yet("azure_sd_configs", &foreign_cloud::AZURE),
    not_yet("consul_sd_configs", &foreign::CONSUL),
    not_yet("digitalocean_sd_configs", &foreign_cloud::DIGITALOCEAN),
    not_yet("dns_sd_configs", &foreign::DNS),
    not_yet("docker_sd_configs", &foreign::DOCKER),
    not_yet("dockerswarm_sd_configs", &foreign::DOCKERSWARM),
    not_yet("ec2_sd_configs", &foreign_cloud::EC2),
    not_yet("ecs_sd_configs", &foreign_cloud::ECS),
    not_yet("elasticache_sd_configs", &foreign_cloud::ECS),
    not_yet("eureka_sd_configs", &foreign::EUREKA),
    not_yet("gce_sd_configs", &foreign_cloud::GCE),
    not_yet("hetzner_sd_configs", &foreign_cloud::HETZNER),
    not_yet("ionos_sd_configs", &foreign_cloud::IONOS),
    not_yet("kubernetes_sd_configs", &kubernetes::SECTION),
    not_yet("kuma_sd_configs", &foreign::KUMA),
    not_yet("lightsail_sd_configs", &foreign_cloud::LIGHTSAIL),
    not_yet("linode_sd_configs", &foreign_cloud::LINODE),
    not_yet("marathon_sd_configs", &foreign::MARATHON),
    not_yet("msk_sd_configs", &foreign_cloud::ECS),
    not_yet("nerve_sd_configs", &foreign::NERVE),
    not_yet("nomad_sd_configs", &foreign::NOMAD),
    not_yet("oci_sd_configs", &foreign_cloud::OCI),
    not_yet("openstack_sd_configs", &foreign_cloud::OPENSTACK),
    not_yet("outscale_sd_configs", &foreign_cloud::OUTSCALE),
    not_yet("ovhcloud_sd_configs", &foreign_cloud::OVHCLOUD),
    not_yet("puppetdb_sd_configs", &foreign::PUPPETDB),
    not_yet("rds_sd_configs", &foreign_cloud::RDS),
    not_yet("scaleway_sd_configs", &foreign_cloud::SCALEWAY),
    not_yet("serverset_sd_configs", &foreign::SERVERSET),
    not_yet("stackit_sd_configs", &foreign_cloud::STACKIT),
    not_yet("triton_sd_configs", &foreign_cloud::TRITON),
    not_yet("uyuni_sd_configs", &foreign::UYUNI),
    not_yet("vultr_sd_configs", &foreign_cloud::VULTR),
];

/// The ways of discovery by name, such as `file`, and whether they are run.
pub(crate) fn ways() -> impl Iterator<Item = (&'static str, bool)> {
    let name = |key: &Key| key.name.trim_end_matches("_configs").trim_end_matches("_sd");
    KEYS.iter().map(move |key| (name(key), key.is_honoured()))
}

const fn not_yet(name: &'static str, section: &'static Section) -> Key {
    Key::new(name, Shape::Sections(section, None))
        .without_effect("this discovery is not run yet; its targets are not scraped")
}
