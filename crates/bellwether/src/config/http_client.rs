//! How to talk HTTP to something: the keys that scrape configurations, discovery and remote endpoints share.

use std::path::Path;

use collect::config::{
    Authorization, Grant, HttpConfig, JwtAlgorithm, JwtGrant, OAuth2Config, ProxyAddress, ProxyChoice,
    ProxyConfig, Secret, Source, TlsConfig, TlsIdentity,
};

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;
use super::scalar;

const NO_REF: &str = "there is no secret manager to look it up in";

/// The keys, without those that a section has in a form of its own.
pub(super) const KEYS: &[Key] = &[
    Key::new("basic_auth", Shape::Section(&BASIC_AUTH)),
    Key::new("authorization", Shape::Section(&AUTHORIZATION)),
    Key::new("oauth2", Shape::Section(&OAUTH2)),
    Key::new("bearer_token", Shape::Secret),
    Key::new("bearer_token_file", Shape::Text),
    Key::new("tls_config", Shape::Section(&TLS)),
    Key::new("follow_redirects", Shape::Bool),
    Key::new("enable_http2", Shape::Bool),
    Key::new("http_headers", Shape::NamedSections(&HEADER)),
    Key::new("proxy_url", Shape::Url),
    Key::new("no_proxy", Shape::Text),
    Key::new("proxy_from_environment", Shape::Bool),
    Key::new("proxy_connect_header", Shape::SecretsMap),
];

static BASIC_AUTH: Section = Section {
    name: "basic_auth",
    keys: &[&[
        Key::new("username", Shape::Text),
        Key::new("username_file", Shape::Text),
        Key::new("username_ref", Shape::Text).without_effect(NO_REF),
        Key::new("password", Shape::Secret),
        Key::new("password_file", Shape::Text),
        Key::new("password_ref", Shape::Text).without_effect(NO_REF),
    ]],
    check: no_rules,
};

static AUTHORIZATION: Section = Section {
    name: "authorization",
    keys: &[&[
        Key::new("type", Shape::Text),
        Key::new("credentials", Shape::Secret),
        Key::new("credentials_file", Shape::Text),
        Key::new("credentials_ref", Shape::Text).without_effect(NO_REF),
    ]],
    check: no_rules,
};

static OAUTH2: Section = Section {
    name: "oauth2",
    keys: &[&[
        Key::new("client_id", Shape::Text),
        Key::new("client_secret", Shape::Secret),
        Key::new("client_secret_file", Shape::Text),
        Key::new("client_secret_ref", Shape::Text).without_effect(NO_REF),
        Key::new("client_certificate_key_id", Shape::Text),
        Key::new("client_certificate_key", Shape::Secret),
        Key::new("client_certificate_key_file", Shape::Text),
        Key::new("client_certificate_key_ref", Shape::Text).without_effect(NO_REF),
        Key::new("grant_type", Shape::Text),
        Key::new("signature_algorithm", Shape::Text),
        Key::new("iss", Shape::Text),
        Key::new("audience", Shape::Text),
        Key::new("claims", Shape::Any),
        Key::new("scopes", Shape::Texts),
        Key::new("token_url", Shape::Url),
        Key::new("endpoint_params", Shape::SecretMap),
        Key::new("tls_config", Shape::Section(&TLS)),
        Key::new("proxy_url", Shape::Url),
        Key::new("no_proxy", Shape::Text),
        Key::new("proxy_from_environment", Shape::Bool),
        Key::new("proxy_connect_header", Shape::SecretsMap),
    ]],
    check: check_proxy,
};

/// TLS settings.
pub(super) static TLS: Section = Section {
    name: "tls_config",
    keys: &[&[
        Key::new("ca", Shape::Text),
        Key::new("cert", Shape::Text),
        Key::new("key", Shape::Secret),
        Key::new("ca_file", Shape::Text),
        Key::new("cert_file", Shape::Text),
        Key::new("key_file", Shape::Text),
        Key::new("ca_ref", Shape::Text).without_effect(NO_REF),
        Key::new("cert_ref", Shape::Text).without_effect(NO_REF),
        Key::new("key_ref", Shape::Text).without_effect(NO_REF),
        Key::new("server_name", Shape::Text),
        Key::new("insecure_skip_verify", Shape::Bool),
        Key::new("min_version", Shape::Text).without_effect_unless("TLS12", "TLS 1.2 and 1.3 are spoken"),
        Key::new("max_version", Shape::Text).without_effect_unless("TLS13", "TLS 1.2 and 1.3 are spoken"),
    ]],
    check: check_tls,
};

static HEADER: Section = Section {
    name: "http_headers",
    keys: &[&[
        Key::new("values", Shape::Texts),
        Key::new("secrets", Shape::Secrets),
        Key::new("files", Shape::Texts),
    ]],
    check: no_rules,
};

/// Headers that the client sets itself, in lower case.
pub(super) const RESERVED_HEADERS: &[&str] = &[
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

fn filled_of(map: &Map<'_>, keys: &[&str]) -> usize {
    keys.iter().filter(|k| map.filled(k)).count()
}

fn check_tls(map: &Map<'_>) -> Outcome<()> {
    for key in ["min_version", "max_version"] {
        let version = map.text(key)?;
        if map.has(key) && !["TLS10", "TLS11", "TLS12", "TLS13"].contains(&version) {
            return map.problem(key, format!("unknown TLS version: {version}"));
        }
    }
    let one = |keys: &[&str], text| map.require(filled_of(map, keys) <= 1, keys[0], text);
    one(&["ca", "ca_file", "ca_ref"], "at most one of ca, ca_file & ca_ref must be configured")?;
    one(&["cert", "cert_file", "cert_ref"], "at most one of cert, cert_file & cert_ref must be configured")?;
    one(&["key", "key_file", "key_ref"], "at most one of key and key_file must be configured")?;
    let cert = filled_of(map, &["cert", "cert_file", "cert_ref"]) > 0;
    let key = filled_of(map, &["key", "key_file", "key_ref"]) > 0;
    map.require(
        key || !cert,
        "cert",
        "exactly one of key or key_file must be configured when a client certificate is configured",
    )?;
    map.require(
        cert || !key,
        "key",
        "exactly one of cert or cert_file must be configured when a client key is configured",
    )
}

fn check_proxy(map: &Map<'_>) -> Outcome<()> {
    let (url, from_env) = (map.filled("proxy_url"), map.flag("proxy_from_environment", false)?);
    map.require(
        map.map("proxy_connect_header").entries.is_empty() || url || from_env,
        "proxy_connect_header",
        "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
    )?;
    map.require(
        !(from_env && url),
        "proxy_url",
        "if proxy_from_environment is configured, proxy_url must not be configured",
    )?;
    let bypass = map.filled("no_proxy");
    map.require(
        !(from_env && bypass),
        "no_proxy",
        "if proxy_from_environment is configured, no_proxy must not be configured",
    )?;
    map.require(url || !bypass, "no_proxy", "if no_proxy is configured, proxy_url must also be configured")
}

/// The grant for which the client signs what it asks.
const JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

fn check_oauth2(oauth2: &Map<'_>) -> Outcome<()> {
    oauth2.require(oauth2.filled("client_id"), "client_id", "oauth2 client_id must be configured")?;
    oauth2.require(oauth2.filled("token_url"), "token_url", "oauth2 token_url must be configured")?;
    if oauth2.text("grant_type")? != JWT {
        return oauth2.require(
            filled_of(oauth2, &["client_secret", "client_secret_file", "client_secret_ref"]) <= 1,
            "client_secret",
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials",
        );
    }
    let keys = ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"];
    oauth2.require(
        filled_of(oauth2, &keys) <= 1,
        keys[0],
        &format!("at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type={JWT}"),
    )?;
    oauth2.require(
        ["", "RS256", "RS384", "RS512"].contains(&oauth2.text("signature_algorithm")?),
        "signature_algorithm",
        "valid signature algorithms are RS256, RS384 and RS512",
    )
}

/// The rules between the shared keys. The messages are Prometheus'.
pub(super) fn check(map: &Map<'_>) -> Outcome<()> {
    let bearer = filled_of(map, &["bearer_token", "bearer_token_file"]);
    let (basic, oauth2) = (map.has("basic_auth"), map.has("oauth2"));
    map.require(
        bearer <= 1,
        "bearer_token",
        "at most one of bearer_token & bearer_token_file must be configured",
    )?;
    map.require(
        bearer == 0 || !(basic || oauth2),
        "basic_auth",
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
    )?;
    let user = map.map("basic_auth");
    user.require(
        filled_of(&user, &["username", "username_file", "username_ref"]) <= 1,
        "username",
        "at most one of basic_auth username, username_file & username_ref must be configured",
    )?;
    user.require(
        filled_of(&user, &["password", "password_file", "password_ref"]) <= 1,
        "password",
        "at most one of basic_auth password, password_file & password_ref must be configured",
    )?;
    if map.has("authorization") {
        let authorization = map.map("authorization");
        map.require(
            bearer == 0,
            "authorization",
            "authorization is not compatible with bearer_token & bearer_token_file",
        )?;
        authorization.require(
            filled_of(&authorization, &["credentials", "credentials_file", "credentials_ref"]) <= 1,
            "credentials",
            "at most one of authorization credentials & credentials_file must be configured",
        )?;
        authorization.require(
            !authorization.text("type")?.trim().eq_ignore_ascii_case("basic"),
            "type",
            r#"authorization type cannot be set to "basic", use "basic_auth" instead"#,
        )?;
    }
    map.require(
        [basic, oauth2, map.has("authorization")].iter().filter(|x| **x).count() <= 1,
        "authorization",
        "at most one of basic_auth, oauth2 & authorization must be configured",
    )?;
    if oauth2 {
        check_oauth2(&map.map("oauth2"))?;
    }
    check_proxy(map)?;
    for header in map.map("http_headers").entries {
        let name = header.key.text.to_ascii_lowercase();
        let reserved = RESERVED_HEADERS.contains(&name.as_str())
            || name == "authorization"
            || name == "x-prometheus-scrape-timeout-seconds";
        map.require(
            !reserved,
            "http_headers",
            &format!("setting header {:?} is not allowed", header.key.text),
        )?;
    }
    Ok(())
}

/// Whether any of the shared keys is given, so that the client is not the default one.
pub(super) fn is_custom(map: &Map<'_>) -> bool {
    KEYS.iter().any(|k| map.has(k.name))
}

/// Reads the shared keys after they were checked. File names are relative to `dir`.
pub(super) fn read(map: &Map<'_>, dir: &Path) -> Outcome<HttpConfig> {
    let default = HttpConfig::default();
    Ok(HttpConfig {
        authorization: read_authorization(map, dir)?,
        headers: read_headers(map, dir)?,
        proxy: read_proxy(map)?,
        tls: read_tls(&map.map("tls_config"), dir)?,
        follow_redirects: map.flag("follow_redirects", default.follow_redirects)?,
        enable_http2: map.flag("enable_http2", default.enable_http2)?,
    })
}

fn read_authorization(map: &Map<'_>, dir: &Path) -> Outcome<Authorization> {
    if map.has("basic_auth") {
        let user = map.map("basic_auth");
        return Ok(Authorization::Basic {
            username: source(&user, "username", "username_file", dir, str::to_owned)?
                .unwrap_or(Source::Inline(String::new())),
            password: source(&user, "password", "password_file", dir, |s| Secret::new(s))?
                .unwrap_or_else(|| Source::Inline(Secret::default())),
        });
    }
    let credentials = |map: &Map<'_>, scheme: &str, key, file_key| {
        let credentials = source(map, key, file_key, dir, |s| Secret::new(s))?;
        Ok(credentials.map_or(Authorization::None, |credentials| Authorization::Credentials {
            scheme: scheme.into(),
            credentials,
        }))
    };
    if map.has("oauth2") {
        return read_oauth2(&map.map("oauth2"), dir);
    }
    if map.has("authorization") {
        let authorization = map.map("authorization");
        let scheme = match authorization.text("type")?.trim() {
            "" => "Bearer",
            scheme => scheme,
        };
        return credentials(&authorization, scheme, "credentials", "credentials_file");
    }
    credentials(map, "Bearer", "bearer_token", "bearer_token_file")
}

fn read_oauth2(map: &Map<'_>, dir: &Path) -> Outcome<Authorization> {
    let secret = |key, file_key| {
        let found = source(map, key, file_key, dir, |s| Secret::new(s))?;
        Ok(found.unwrap_or_else(|| Source::Inline(Secret::default())))
    };
    let grant = match map.text("grant_type")? {
        JWT => Grant::Jwt(Box::new(read_jwt(
            map,
            secret("client_certificate_key", "client_certificate_key_file")?,
        )?)),
        _ => Grant::Secret(secret("client_secret", "client_secret_file")?),
    };
    let params = map.map("endpoint_params");
    let param = |name: &String| Ok((name.clone(), Secret::new(params.text(name)?)));
    Ok(Authorization::OAuth2(Box::new(OAuth2Config {
        client_id: map.text("client_id")?.to_owned(),
        grant,
        scopes: map.texts("scopes")?.into_iter().map(str::to_owned).collect(),
        token_url: Secret::new(map.text("token_url")?),
        endpoint_params: params.entries.iter().map(|e| param(&e.key.text)).collect::<Outcome<_>>()?,
        tls: read_tls(&map.map("tls_config"), dir)?,
        proxy: read_proxy(map)?,
    })))
}

fn read_jwt(map: &Map<'_>, key: Source<Secret>) -> Outcome<JwtGrant> {
    let filled = |key| Ok(Some(map.text(key)?).filter(|text| !text.is_empty()).map(str::to_owned));
    let claims = map.map("claims");
    Ok(JwtGrant {
        key,
        key_id: map.text("client_certificate_key_id")?.to_owned(),
        algorithm: match map.text("signature_algorithm")? {
            "RS384" => JwtAlgorithm::Rs384,
            "RS512" => JwtAlgorithm::Rs512,
            _ => JwtAlgorithm::Rs256,
        },
        issuer: filled("iss")?,
        audience: filled("audience")?,
        claims: claims.entries.iter().map(|e| (e.key.text.clone(), scalar::json(&e.value))).collect(),
    })
}

fn read_proxy(map: &Map<'_>) -> Outcome<ProxyConfig> {
    let choice = if map.filled("proxy_url") {
        let address = ProxyAddress::parse(map.text("proxy_url")?)
            .or_else(|e| map.problem("proxy_url", format!("proxy_url: {}", e.message())))?;
        ProxyChoice::Url { address, no_proxy: map.text("no_proxy")?.to_owned() }
    } else if map.flag("proxy_from_environment", false)? {
        ProxyChoice::FromEnvironment
    } else {
        ProxyChoice::None
    };
    let headers = map.map("proxy_connect_header");
    let header =
        |name: &String| Ok((name.clone(), headers.texts(name)?.into_iter().map(Secret::new).collect()));
    let connect_headers = headers.entries.iter().map(|e| header(&e.key.text)).collect::<Outcome<_>>()?;
    Ok(ProxyConfig { choice, connect_headers })
}

fn read_headers(map: &Map<'_>, dir: &Path) -> Outcome<Vec<(String, Vec<Source<Secret>>)>> {
    let mut out = Vec::new();
    for entry in map.map("http_headers").entries {
        let header = Map::of(&entry.value);
        let inline = |value: &str| Source::Inline(Secret::new(value));
        let mut values: Vec<_> = header.texts("values")?.into_iter().map(inline).collect();
        values.extend(header.texts("secrets")?.into_iter().map(inline));
        values.extend(header.texts("files")?.into_iter().map(|file| Source::File(dir.join(file))));
        out.push((entry.key.text.clone(), values));
    }
    Ok(out)
}

fn read_tls(map: &Map<'_>, dir: &Path) -> Outcome<TlsConfig> {
    let cert = source(map, "cert", "cert_file", dir, str::to_owned)?;
    let key = source(map, "key", "key_file", dir, |s| Secret::new(s))?;
    Ok(TlsConfig {
        ca: source(map, "ca", "ca_file", dir, str::to_owned)?,
        identity: cert.zip(key).map(|(cert, key)| TlsIdentity { cert, key }),
        server_name: Some(map.text("server_name")?).filter(|n| !n.is_empty()).map(str::to_owned),
        insecure_skip_verify: map.flag("insecure_skip_verify", false)?,
    })
}

fn source<T>(
    map: &Map<'_>,
    key: &str,
    file_key: &str,
    dir: &Path,
    wrap: impl Fn(&str) -> T,
) -> Outcome<Option<Source<T>>> {
    if map.filled(key) {
        return Ok(Some(Source::Inline(wrap(map.text(key)?))));
    }
    Ok(if map.filled(file_key) { Some(Source::File(dir.join(map.text(file_key)?))) } else { None })
}
