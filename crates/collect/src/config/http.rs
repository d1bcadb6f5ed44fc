//! How to talk HTTP to something: credentials, TLS, proxies and headers.

use std::fmt;
use std::path::PathBuf;

use base::{Error, Result};
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use url::Url;

use super::credentials::{AzureAdConfig, GoogleIamConfig, OAuth2Config, SigV4Config};

/// How to talk to a target over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// How requests are authorized.
    pub authorization: Authorization,
    /// Headers that are added, each with its values.
    pub headers: Vec<(String, Vec<Source<Secret>>)>,
    /// Through what requests go.
    pub proxy: ProxyConfig,
    /// TLS settings for `https` targets.
    pub tls: TlsConfig,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered to `https` targets.
    pub enable_http2: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            authorization: Authorization::None,
            headers: Vec::new(),
            proxy: ProxyConfig::default(),
            tls: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
        }
    }
}

impl HttpConfig {
    /// Takes a user's name and password out of an address: they become what `basic_auth` says, as Go's HTTP client takes them, unless
    /// the configuration has other credentials. An address that is none stays as it is: requests to it fail and say so.
    pub fn take_credentials(&mut self, address: &mut String) {
        let Ok(mut url) = Url::parse(address) else { return };
        if url.username().is_empty() && url.password().is_none() {
            return;
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        if self.authorization == Authorization::None {
            self.authorization = Authorization::Basic {
                username: Source::Inline(plain(url.username())),
                password: Source::Inline(Secret::new(plain(url.password().unwrap_or_default()))),
            };
        }
        // Only addresses without a host refuse, and they have no credentials.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        *address = url.into();
    }
}

/// How a request is authorized.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Authorization {
    /// None.
    #[default]
    None,
    /// `Basic`.
    Basic {
        /// The user's name.
        username: Source<String>,
        /// The password; the empty string where the configuration has none.
        password: Source<Secret>,
    },
    /// `<scheme> <credentials>`; a bearer token has the scheme `Bearer`.
    Credentials {
        /// Such as `Bearer`.
        scheme: String,
        /// Such as the token.
        credentials: Source<Secret>,
    },
    /// A token that another server gives.
    OAuth2(Box<OAuth2Config>),
    /// A signature, as services of AWS want it.
    SigV4(Box<SigV4Config>),
    /// A token of Microsoft Entra ID, which was Azure Active Directory.
    AzureAd(Box<AzureAdConfig>),
    /// A token of Google Cloud for Monitoring.
    GoogleIam(Box<GoogleIamConfig>),
}

/// Through what requests go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyConfig {
    /// Which proxy.
    pub choice: ProxyChoice,
    /// Headers for the proxy where it opens a tunnel, each with its values.
    pub connect_headers: Vec<(String, Vec<Secret>)>,
}

/// Which proxy a request goes through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// None.
    #[default]
    None,
    /// This one, but for the hosts of `no_proxy`.
    Url {
        /// Where it is.
        address: ProxyAddress,
        /// Hosts, domains and networks that are asked without it, with commas between them; empty means that all go through it.
        no_proxy: String,
    },
    /// What the environment names: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or the same in lower case.
    FromEnvironment,
}

/// Where a proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// Scheme, host and port.
    pub url: String,
    /// User and password.
    pub login: Option<(String, Secret)>,
}

impl ProxyAddress {
    /// Reads an address, with a user and a password or without.
    pub fn parse(text: &str) -> Result<Self> {
        let mut url = Url::parse(text)
            .map_err(|e| Error::invalid(format!("cannot read the address of the proxy: {e}")))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !url.has_host() {
            return Err(Error::invalid(format!(
                "cannot use a proxy with the scheme {:?}: write it as http://host:port, https://host:port or socks5://host:port",
                url.scheme()
            )));
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let named = !url.username().is_empty() || url.password().is_some();
        let login =
            named.then(|| (plain(url.username()), Secret::new(plain(url.password().unwrap_or_default()))));
        // Only addresses without a host refuse.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.set_path("");
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url: url.into(), login })
    }

    /// User and password as a header has them.
    pub(crate) fn authorization(&self) -> Option<Secret> {
        let (user, password) = self.login.as_ref()?;
        let pair = format!("{user}:{}", password.expose());
        Some(Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))))
    }

    /// Whether it speaks SOCKS, version 5: it knows nothing of HTTP.
    pub(crate) fn is_socks(&self) -> bool {
        self.url.starts_with("socks5")
    }
}

/// A setting that is written in the configuration or stands in a file, which is read anew for every scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<T> {
    /// The value itself.
    Inline(T),
    /// A file that holds the value; white space around it is dropped.
    File(PathBuf),
}

/// TLS settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsConfig {
    /// Certificate authorities to trust in place of the system's.
    pub ca: Option<Source<String>>,
    /// Certificate and key to present; both or neither.
    pub identity: Option<TlsIdentity>,
    /// Name that the target's certificate has to carry, where it is not the host of the URL.
    pub server_name: Option<String>,
    /// Whether the target's certificate goes unchecked.
    pub insecure_skip_verify: bool,
}

/// A client certificate with its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate chain.
    pub cert: Source<String>,
    /// The private key.
    pub key: Source<Secret>,
}

/// A string that is never shown: `Debug` and `Display` write `<secret>`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides a string.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The string, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let config = HttpConfig {
            authorization: Authorization::Credentials {
                scheme: "Bearer".into(),
                credentials: Source::Inline(Secret::new("hunter2")),
            },
            ..HttpConfig::default()
        };
        let shown = format!("{config:?} {}", Secret::new("hunter2"));
        assert!(shown.contains("<secret>") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn credentials_in_an_address_become_a_header() {
        let (mut http, mut url) = (HttpConfig::default(), "https://me:a%40b@h:9090/write".to_owned());
        http.take_credentials(&mut url);
        assert_eq!(url, "https://h:9090/write");
        let want = Authorization::Basic {
            username: Source::Inline("me".into()),
            password: Source::Inline(Secret::new("a@b")),
        };
        assert_eq!(http.authorization, want);
        let (mut other, mut plain) = (HttpConfig::default(), "localhost:9090".to_owned());
        other.take_credentials(&mut plain);
        assert_eq!((other, plain.as_str()), (HttpConfig::default(), "localhost:9090"));
    }

    #[test]
    fn a_proxys_password_becomes_a_header_that_is_not_shown() {
        let address = ProxyAddress::parse("http://me:a%40b@proxy:3128/x").unwrap();
        assert_eq!(address.url, "http://proxy:3128/");
        assert_eq!(address.authorization().as_ref().map(Secret::expose), Some("Basic bWU6YUBi"));
        assert!(!format!("{address:?}").contains("a@b"));
        let socks = ProxyAddress::parse("socks5://me:pw@h").unwrap();
        assert!(socks.is_socks() && socks.url == "socks5://h" && !address.is_socks(), "{socks:?}");
        assert!(ProxyAddress::parse("socks4://h:1080").is_err());
        assert!(ProxyAddress::parse("h:1080").is_err());
    }
}
