//! The file that says how a server is reached over HTTP: certificates, users, headers, as Prometheus' exporter-toolkit
//! has it. Owns its checks; nothing is served from it here.

use std::path::{Path, PathBuf};

use base::{Error, Result};

use super::checked::read_file;
use super::grammar::{self, Key, Map, Section, Shape, no_rules};
use super::raw::{self, Outcome, Problem};

static FILE: Section = Section {
    name: "",
    keys: &[&[
        Key::new("tls_server_config", Shape::Section(&TLS)),
        Key::new("http_server_config", Shape::Section(&HTTP)),
        Key::new("basic_auth_users", Shape::SecretMap),
        Key::new("rate_limit", Shape::Section(&RATE_LIMIT)),
    ]],
    check: no_rules,
};

static TLS: Section = Section {
    name: "tls_server_config",
    keys: &[&[
        Key::new("cert", Shape::Text),
        Key::new("key", Shape::Secret),
        Key::new("client_ca", Shape::Text),
        Key::new("cert_file", Shape::Text),
        Key::new("key_file", Shape::Text),
        Key::new("client_auth_type", Shape::Text),
        Key::new("client_ca_file", Shape::Text),
        Key::new("client_allowed_sans", Shape::Texts),
        Key::new("cipher_suites", Shape::Texts),
        Key::new("curve_preferences", Shape::Texts),
        Key::new("min_version", Shape::Text),
        Key::new("max_version", Shape::Text),
        Key::new("prefer_server_cipher_suites", Shape::Bool),
    ]],
    check: check_tls,
};

static HTTP: Section = Section {
    name: "http_server_config",
    keys: &[&[Key::new("http2", Shape::Bool), Key::new("headers", Shape::TextMap)]],
    check: check_http,
};

static RATE_LIMIT: Section = Section {
    name: "rate_limit",
    keys: &[&[Key::new("interval", Shape::Duration), Key::new("burst", Shape::Count)]],
    check: no_rules,
};

/// Headers that may be set, with the values that they may have; nothing stands for any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

const CLIENT_AUTH: [&str; 7] = [
    "",
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];

fn check_tls(map: &Map<'_>) -> Outcome<()> {
    let any = |keys: &[&str]| keys.iter().any(|k| map.filled(k));
    let (cert, key) = (any(&["cert", "cert_file"]), any(&["key", "key_file"]));
    let one = |a: &str, b: &str| map.filled(a) && map.filled(b);
    map.require(!one("cert", "cert_file"), "cert", "at most one of cert and cert_file can be configured")?;
    map.require(!one("key", "key_file"), "key", "at most one of key and key_file can be configured")?;
    map.require(
        !one("client_ca", "client_ca_file"),
        "client_ca",
        "at most one of client_ca and client_ca_file can be configured",
    )?;
    let auth = map.text("client_auth_type")?;
    if !CLIENT_AUTH.contains(&auth) {
        return map.problem("client_auth_type", format!("invalid ClientAuth: {auth}"));
    }
    if cert || key || !auth.is_empty() {
        map.require(cert, "cert_file", "missing one of cert or cert_file")?;
        map.require(key, "key_file", "missing one of key or key_file")?;
    }
    let asks = auth == "RequireAndVerifyClientCert" || auth == "VerifyClientCertIfGiven";
    let ca = any(&["client_ca", "client_ca_file"]);
    map.require(ca || !asks, "client_auth_type", "client_ca_file is required to verify client certificates")?;
    for version in ["min_version", "max_version"] {
        let text = map.text(version)?;
        if !["", "TLS10", "TLS11", "TLS12", "TLS13"].contains(&text) {
            return map.problem(version, format!("unknown TLS version: {text}"));
        }
    }
    Ok(())
}

fn check_http(map: &Map<'_>) -> Outcome<()> {
    let headers = map.map("headers");
    for entry in headers.entries {
        let name = entry.key.text.as_str();
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            return headers.problem(name, format!("HTTP header {name:?} can not be configured"));
        };
        let value = headers.text(name)?;
        if !values.is_empty() && !value.is_empty() && !values.contains(&value) {
            let text = format!("invalid value for {name}. Expected one of: {values:?}, but got: {value:?}");
            return headers.problem(name, text);
        }
    }
    Ok(())
}

/// Checks a file with the certificates and hashes that it names.
pub fn check_web_config(path: &Path) -> Result<()> {
    let text = read_file(path)?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let from_problem = |p: Problem| p.into_error();
    let document = raw::parse(&text).map_err(from_problem)?;
    grammar::check(&FILE, &document, &mut Vec::new()).map_err(from_problem)?;
    let map = Map::of(&document);
    let tls = map.map("tls_server_config");
    for key in ["cert_file", "key_file", "client_ca_file"] {
        let file = tls.text(key).map_err(from_problem)?;
        if !file.is_empty() {
            check_pem(&dir.join(file), if key == "key_file" { "PRIVATE KEY" } else { "CERTIFICATE" })?;
        }
    }
    let users = map.map("basic_auth_users");
    for user in users.entries {
        let name = user.key.text.as_str();
        let hash = users.text(name).map_err(from_problem)?;
        if !is_bcrypt(hash) {
            let text = format!("the password of {name:?} is no bcrypt hash");
            return Err(from_problem(Problem::new(users.line_of(name), text)));
        }
    }
    Ok(())
}

fn check_pem(path: &Path, what: &str) -> Result<()> {
    let path: PathBuf = path.to_owned();
    let failed = |cause: String| Error::invalid(format!("cannot read {}: {cause}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?;
    let found =
        text.lines().any(|l| l.starts_with("-----BEGIN ") && l.trim_end().ends_with(&format!("{what}-----")));
    if found { Ok(()) } else { Err(failed(format!("it holds no PEM block of a {}", what.to_lowercase()))) }
}

/// `$2b$10$` and 53 characters of bcrypt's alphabet.
fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$');
    let (empty, version, cost, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
    let cost_is_good =
        cost.is_some_and(|c| c.len() == 2 && c.parse::<u8>().is_ok_and(|n| (4..=31).contains(&n)));
    empty == Some("")
        && version.is_some_and(|v| matches!(v, "2" | "2a" | "2b" | "2x" | "2y"))
        && cost_is_good
        && parts.next().is_none()
        && rest.is_some_and(|r| {
            r.len() == 53 && r.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        std::fs::write(&file, text).unwrap();
        std::fs::write(folder.path().join("a.crt"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        std::fs::write(folder.path().join("a.key"), "-----BEGIN EC PRIVATE KEY-----\n").unwrap();
        check_web_config(&file).map_or_else(|e| e.to_string(), |()| "good".into())
    }

    #[test]
    fn certificates_users_and_headers_are_checked() {
        let hash = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay";
        for good in [
            "",
            "tls_server_config: {cert_file: a.crt, key_file: a.key, min_version: TLS12}\n",
            &format!("basic_auth_users: {{admin: {hash}}}\n"),
            "http_server_config: {http2: true, headers: {X-Frame-Options: deny}}\n",
        ] {
            assert_eq!(check(good), "good", "{good}");
        }
        for (bad, why) in [
            ("tls_server_config: {cert_file: a.crt}\n", "missing one of key or key_file"),
            ("tls_server_config: {cert_file: b.crt, key_file: a.key}\n", "cannot read"),
            ("tls_server_config: {cert_file: a.key, key_file: a.key}\n", "no PEM block of a certificate"),
            ("basic_auth_users: {admin: secret}\n", "line 1: the password of \"admin\" is no bcrypt hash"),
            ("http_server_config: {headers: {Server: x}}\n", "HTTP header \"Server\" can not be configured"),
            (
                "http_server_config: {headers: {X-Frame-Options: maybe}}\n",
                "invalid value for X-Frame-Options",
            ),
            ("tls_config: {}\n", "unknown key \"tls_config\""),
        ] {
            let found = check(bad);
            assert!(found.contains(why), "{bad}: {found}");
        }
        assert!(!check("basic_auth_users: {admin: hunter2}\n").contains("hunter2"));
    }
}
