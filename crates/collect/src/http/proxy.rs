//! Which requests go through which proxy.
//!
//! The rules are those of Go's `httpproxy`, as Prometheus has them. Does not connect.

use std::net::IpAddr;

use base::Result;
use hyper::Uri;

use super::Environment;
use crate::config::{ProxyAddress, ProxyChoice, ProxyConfig, Secret};

/// The way of requests: straight, or through proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Route {
    http: Option<ProxyAddress>,
    https: Option<ProxyAddress>,
    bypass: Option<Bypass>,
    /// Headers for the proxy where it opens a tunnel.
    pub(super) connect_headers: Vec<(String, Vec<Secret>)>,
}

impl Route {
    /// The way that a configuration asks for.
    pub(super) fn new(config: &ProxyConfig, environment: Environment) -> Result<Self> {
        let connect_headers = config.connect_headers.clone();
        Ok(match &config.choice {
            ProxyChoice::None => Self::default(),
            ProxyChoice::Url { address, no_proxy } => Self {
                http: Some(address.clone()),
                https: Some(address.clone()),
                // A proxy without exceptions is also asked for what runs on this host.
                bypass: (!no_proxy.is_empty()).then(|| Bypass::parse(no_proxy)),
                connect_headers,
            },
            ProxyChoice::FromEnvironment => {
                let read = |upper: &str, lower: &str| {
                    environment(upper).or_else(|| environment(lower)).filter(|text| !text.is_empty())
                };
                let address = |upper, lower| {
                    read(upper, lower)
                        .map(|text| {
                            let full = if text.contains("://") { text } else { format!("http://{text}") };
                            ProxyAddress::parse(&full).map_err(|e| e.context(upper.to_owned()))
                        })
                        .transpose()
                };
                Self {
                    http: address("HTTP_PROXY", "http_proxy")?,
                    https: address("HTTPS_PROXY", "https_proxy")?,
                    bypass: Some(Bypass::parse(&read("NO_PROXY", "no_proxy").unwrap_or_default())),
                    connect_headers,
                }
            }
        })
    }

    /// The proxy for an address, if there is one.
    pub(super) fn proxy(&self, uri: &Uri) -> Option<&ProxyAddress> {
        let https = uri.scheme_str() == Some("https");
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        match &self.bypass {
            Some(bypass) if bypass.matches(host, port) => None,
            _ => Some(proxy),
        }
    }

    /// The credentials for the proxy that go with a request itself, since nothing else goes to the proxy.
    pub(super) fn plain_proxy_authorization(&self, uri: &Uri) -> Option<Secret> {
        let proxy = self.proxy(uri).filter(|proxy| uri.scheme_str() != Some("https") && !proxy.is_socks())?;
        proxy.authorization()
    }
}

/// Hosts that are asked without a proxy: this one, and those of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Bypass {
    all: bool,
    networks: Vec<(IpAddr, u8)>,
    hosts: Vec<(IpAddr, Option<u16>)>,
    domains: Vec<Domain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Domain {
    /// With a dot before it.
    suffix: String,
    port: Option<u16>,
    /// Whether the domain itself is meant, and not only what is below it.
    itself: bool,
}

impl Bypass {
    fn parse(list: &str) -> Self {
        let mut out = Self::default();
        for entry in list.split(',').map(|e| e.trim().to_ascii_lowercase()) {
            if entry == "*" {
                return Self { all: true, ..Self::default() };
            }
            let network = entry.split_once('/').and_then(|(ip, bits)| {
                let (ip, bits): (IpAddr, u8) = (ip.parse().ok()?, bits.parse().ok()?);
                (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
            });
            if let Some(network) = network {
                out.networks.push(network);
                continue;
            }
            let (host, port) = split_port(&entry);
            if let Ok(ip) = host.parse::<IpAddr>() {
                out.hosts.push((ip, port));
                continue;
            }
            let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
            match host.strip_prefix('.') {
                _ if host.is_empty() => {}
                Some(_) => out.domains.push(Domain { suffix: host.to_owned(), port, itself: false }),
                None => out.domains.push(Domain { suffix: format!(".{host}"), port, itself: true }),
            }
        }
        out
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse::<IpAddr>().ok();
        if self.all || host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        let of_port = |p: Option<u16>| p.is_none_or(|p| p == port);
        if let Some(ip) = ip {
            return self.networks.iter().any(|(network, bits)| contains(*network, *bits, ip))
                || self.hosts.iter().any(|(other, p)| *other == ip && of_port(*p));
        }
        self.domains.iter().any(|d| {
            let same = d.itself && d.suffix.strip_prefix('.') == Some(host);
            (same || host.ends_with(&d.suffix)) && of_port(d.port)
        })
    }
}

/// The host and the port of `host:port`; an IPv6 address with a port stands in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let split = entry.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) = match split {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

fn contains(network: IpAddr, bits: u8, ip: IpAddr) -> bool {
    let first = |value: u128, width: u32| {
        let rest = width - u32::from(bits);
        value.checked_shr(rest).unwrap_or(0)
    };
    match (network, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            first(u128::from(a.to_bits()), 32) == first(u128::from(b.to_bits()), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => first(a.to_bits(), 128) == first(b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(route: &Route, uri: &str) -> Option<String> {
        route.proxy(&uri.parse().unwrap()).map(|p| p.url.clone())
    }

    #[test]
    fn a_list_names_who_is_asked_without_a_proxy() {
        let list = "intern.example, .only.below,*.star.example,10.0.0.0/8,192.0.2.7:81,[2001:db8::1]:80,host:8080,2001:db8:1::/48";
        let address = ProxyAddress::parse("http://p:1").unwrap();
        let choice = ProxyChoice::Url { address, no_proxy: list.into() };
        let route = Route::new(&ProxyConfig { choice, connect_headers: vec![] }, |_| None).unwrap();
        let straight = [
            "http://intern.example/",
            "http://a.Intern.example/",
            "https://x.only.below/",
            "http://x.star.example/",
            "http://10.200.0.1:9090/",
            "http://192.0.2.7:81/",
            "http://[2001:db8::1]/",
            "http://[2001:db8:1::9]/",
            "http://host:8080/",
            "http://localhost/",
            "http://127.0.0.9/",
        ];
        for uri in straight {
            assert_eq!(through(&route, uri), None, "{uri}");
        }
        let by_proxy = [
            "http://example/",
            "http://xintern.example/",
            "http://only.below/",
            "http://star.example/",
            "http://11.0.0.1/",
            "http://192.0.2.7/",
            "https://[2001:db8::1]/",
            "http://host/",
        ];
        for uri in by_proxy {
            assert_eq!(through(&route, uri).as_deref(), Some("http://p:1/"), "{uri}");
        }
    }

    #[test]
    fn without_a_list_all_goes_through_the_proxy_and_a_star_means_nothing_does() {
        let address = ProxyAddress::parse("http://p:1").unwrap();
        let route = |no_proxy: &str| {
            let choice = ProxyChoice::Url { address: address.clone(), no_proxy: no_proxy.into() };
            Route::new(&ProxyConfig { choice, connect_headers: vec![] }, |_| None).unwrap()
        };
        assert!(through(&route(""), "http://localhost/").is_some());
        assert!(through(&route("a,*"), "http://b/").is_none());
        assert!(through(&Route::default(), "http://b/").is_none());
    }

    #[test]
    fn the_environment_names_proxies() {
        let environment: Environment = |name| match name {
            "HTTP_PROXY" => Some("u:p@plain:3128".into()),
            "https_proxy" => Some("https://tls:443".into()),
            "no_proxy" => Some("near".into()),
            _ => None,
        };
        let config = ProxyConfig { choice: ProxyChoice::FromEnvironment, connect_headers: vec![] };
        let route = Route::new(&config, environment).unwrap();
        assert_eq!(through(&route, "http://a/").as_deref(), Some("http://plain:3128/"));
        assert_eq!(through(&route, "https://a/").as_deref(), Some("https://tls/"));
        assert_eq!(through(&route, "http://near/"), None);
        let named = route.plain_proxy_authorization(&"http://a/".parse().unwrap());
        assert_eq!(named.as_ref().map(Secret::expose), Some("Basic dTpw"));
        assert_eq!(route.plain_proxy_authorization(&"https://a/".parse().unwrap()), None);
        let bad: Environment = |_| Some("ftp://x".into());
        let error = Route::new(&config, bad).unwrap_err();
        assert!(error.message().contains("HTTP_PROXY"), "{error}");
        assert_eq!(through(&Route::new(&config, |_| None).unwrap(), "http://a/"), None);
    }
}
