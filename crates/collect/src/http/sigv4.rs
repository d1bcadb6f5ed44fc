//! Signatures of AWS, version 4.
//!
//! Owns finding a key and signing. Of the places where the tools of AWS find keys it knows the configuration, the environment and the
//! file of credentials; roles and the metadata service of machines it does not.

use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use base::{Error, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Environment, internal, read_small_file, sensitive};
use crate::config::{Secret, SigV4Config};

/// What stands in addresses as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same with the separator of a path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// A key, and the region that it signs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: String,
    secret: Secret,
    session: Option<Secret>,
    region: String,
}

impl Key {
    /// The key that a configuration names, or else the environment.
    pub(super) async fn find(config: &SigV4Config, environment: Environment) -> Result<Self> {
        let env = |name| environment(name).filter(|text| !text.is_empty());
        let region =
            config.region.clone().or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| {
            Error::invalid("cannot sign for AWS: no region is configured in sigv4 or in AWS_REGION")
        })?;
        if let Some((id, secret)) = &config.key {
            return Ok(Self { id: id.clone(), secret: secret.clone(), session: None, region });
        }
        if config.profile.is_none()
            && let (Some(id), Some(secret)) = (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"))
        {
            let session = env("AWS_SESSION_TOKEN").map(Secret::new);
            return Ok(Self { id, secret: Secret::new(secret), session, region });
        }
        let profile = config.profile.clone().or_else(|| env("AWS_PROFILE")).unwrap_or("default".into());
        let path = env("AWS_SHARED_CREDENTIALS_FILE")
            .map(PathBuf::from)
            .or_else(|| env("HOME").map(|home| Path::new(&home).join(".aws/credentials")));
        let none = |why: &str| Error::unavailable(format!("cannot sign for AWS: {why}"));
        let Some(path) = path else {
            return Err(none("there is no key in sigv4, in the environment or in a file of credentials"));
        };
        let text = read_small_file(&path).await.map_err(|e| e.context("cannot sign for AWS"))?;
        let value = |key: &str| in_profile(&text, &profile, key);
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(id), Some(secret)) => {
                let session = value("aws_session_token").map(Secret::new);
                Ok(Self { id: id.to_owned(), secret: Secret::new(secret), session, region })
            }
            _ => Err(none(&format!("{} has no key for the profile {profile:?}", path.display()))),
        }
    }
}

/// The value of a key in a section of a file of credentials.
fn in_profile<'a>(text: &'a str, profile: &str, key: &str) -> Option<&'a str> {
    let lines = text.lines().map(str::trim);
    let of_profile = lines
        .skip_while(|line| {
            line.strip_prefix('[').and_then(|l| l.strip_suffix(']')).map(str::trim) != Some(profile)
        })
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    of_profile.filter_map(|line| line.split_once('=')).find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim())
}

/// Adds the headers of a signature. `host` is signed as the connection will send it.
pub(super) fn sign(
    request: &mut Request<Full<Bytes>>,
    body: &[u8],
    key: &Key,
    service: &str,
    now_ms: i64,
) -> Result<()> {
    let now = jiff::Timestamp::from_millisecond(now_ms).map_err(|e| internal(&e))?;
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let hash = hex(digest::digest(&digest::SHA256, body).as_ref());
    let host = request.uri().authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    let mut signed: Vec<(&str, String)> =
        vec![("host", host), ("x-amz-content-sha256", hash.clone()), ("x-amz-date", time.clone())];
    if let Some(content_type) = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) {
        signed.push(("content-type", content_type.to_owned()));
    }
    if let Some(token) = &key.session {
        signed.push(("x-amz-security-token", token.expose().to_owned()));
    }
    signed.sort();
    let authorization =
        authorization(request.method().as_str(), request.uri(), &signed, &hash, &time, key, service);
    for (name, value) in signed {
        if name.starts_with("x-amz-") {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).map_err(|e| internal(&e))?;
            let value = HeaderValue::from_str(&value).map_err(|e| internal(&e))?;
            request.headers_mut().insert(name, super::hidden(value));
        }
    }
    request.headers_mut().insert(AUTHORIZATION, sensitive(&authorization)?);
    Ok(())
}

/// The `Authorization` header over these headers, which are sorted.
fn authorization(
    method: &str,
    uri: &hyper::Uri,
    headers: &[(&str, String)],
    body_hash: &str,
    time: &str,
    key: &Key,
    service: &str,
) -> String {
    // All services but S3 want the path, which is encoded already, encoded again.
    let path = utf8_percent_encode(uri.path(), PATH).to_string();
    let mut query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .map(|(n, v)| {
                let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
                (encode(&n), encode(&v))
            })
            .collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    let names: Vec<&str> = headers.iter().map(|(n, _)| *n).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(n, v)| format!("{n}:{}\n", v.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let canonical = format!("{method}\n{path}\n{}\n{lines}\n{names}\n{body_hash}", query.join("&"));
    let date = &time[..8];
    let scope = format!("{date}/{}/{service}/aws4_request", key.region);
    let canonical_hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical_hash}");
    let seed = format!("AWS4{}", key.secret.expose()).into_bytes();
    let derived = [date, &key.region, service, "aws4_request"]
        .iter()
        .fold(seed, |secret, part| mac(&secret, part.as_bytes()));
    let signature = hex(&mac(&derived, to_sign.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.id)
}

fn mac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            id: "AKIDEXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session: None,
            region: "us-east-1".into(),
        }
    }

    #[test]
    fn signs_as_the_published_examples_are_signed() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let headers =
            [("host", "example.amazonaws.com".to_owned()), ("x-amz-date", "20150830T123600Z".to_owned())];
        let check = |uri: &str, want: &str| {
            let uri = uri.parse().unwrap();
            let got = authorization("GET", &uri, &headers, EMPTY, "20150830T123600Z", &key(), "service");
            assert_eq!(
                got,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={want}"
                )
            );
        };
        // The examples `get-vanilla` and `get-vanilla-query-order-key-case` of AWS' suite.
        check(
            "https://example.amazonaws.com/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
        check(
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
    }

    #[test]
    fn a_request_gets_the_headers_of_its_signature() {
        let mut request = Request::post("https://aps.example/w/remote_write").body(Full::default()).unwrap();
        let with_session = Key { session: Some(Secret::new("hunter2")), ..key() };
        sign(&mut request, b"body", &with_session, "aps", 1_440_938_160_000).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        assert_eq!(header("x-amz-security-token"), "hunter2");
        assert!(header("authorization").contains(
            "/aps/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
        ));
        assert!(!format!("{:?}", request.headers()).contains("hunter2"), "not for logs");
    }

    #[tokio::test]
    async fn a_key_comes_from_the_configuration_the_environment_or_a_file() {
        let config = |key: bool, profile: Option<&str>| SigV4Config {
            region: Some("eu-1".into()),
            key: key.then(|| ("id".into(), Secret::new("s"))),
            profile: profile.map(str::to_owned),
            service: "aps".into(),
        };
        let nothing: Environment = |_| None;
        assert_eq!(Key::find(&config(true, None), nothing).await.unwrap().id, "id");
        let error = Key::find(&config(false, None), nothing).await.unwrap_err();
        assert!(error.message().contains("there is no key"), "{error}");
        let env: Environment = |name| match name {
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some(name.to_lowercase()),
            _ => None,
        };
        let found = Key::find(&config(false, None), env).await.unwrap();
        assert_eq!(
            (found.id.as_str(), found.session.unwrap().expose()),
            ("aws_access_key_id", "aws_session_token")
        );
        let no_region = SigV4Config { region: None, ..config(true, None) };
        assert!(Key::find(&no_region, nothing).await.unwrap_err().message().contains("no region"));
        let text =
            "[default]\naws_access_key_id = a\naws_secret_access_key=b\n\n[other]\n aws_access_key_id=c\n";
        assert_eq!(in_profile(text, "default", "aws_secret_access_key"), Some("b"));
        assert_eq!(in_profile(text, "other", "aws_access_key_id"), Some("c"));
        assert_eq!(in_profile(text, "other", "aws_secret_access_key"), None);
        assert_eq!(in_profile(text, "third", "aws_access_key_id"), None);
    }
}
