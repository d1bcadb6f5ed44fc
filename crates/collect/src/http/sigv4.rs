//! Signatures of AWS, version 4.
//!
//! Owns finding a key and signing. Of the places where the tools of AWS find keys it knows the configuration, the environment and the
//! file of credentials; roles and the metadata service of machines it does not.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use base::{Error, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{Environment, internal, read_small_file};
use crate::config::{Secret, SigV4Config};

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

/// Adds the headers of a signature.
pub(super) fn sign(
    request: &mut Request<Full<Bytes>>,
    body: &[u8],
    key: &Key,
    service: &str,
    now_ms: i64,
) -> Result<()> {
    let now_ms = u64::try_from(now_ms).map_err(|e| internal(&e))?;
    let session = key.session.as_ref().map(|token| token.expose().to_owned());
    let credentials = Credentials::new(&key.id, key.secret.expose(), session, None, "bellwether");
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&key.region)
        .name(service)
        .time(UNIX_EPOCH + Duration::from_millis(now_ms))
        .settings(settings)
        .build()
        .map_err(|e| internal(&e))?;
    // What proxies on the way may change is not signed.
    let signed = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let signed = signed.map(|content_type| (CONTENT_TYPE.as_str(), content_type));
    let uri = request.uri().to_string();
    let signable =
        SignableRequest::new(request.method().as_str(), &uri, signed.into_iter(), SignableBody::Bytes(body))
            .map_err(|e| internal(&e))?;
    let (instructions, _) =
        http_request::sign(signable, &params.into()).map_err(|e| internal(&e))?.into_parts();
    instructions.apply_to_request_http1x(request);
    let secret = |name: &str| name == AUTHORIZATION.as_str() || name.starts_with("x-amz-");
    request.headers_mut().iter_mut().filter(|(name, _)| secret(name.as_str())).for_each(|(_, value)| {
        value.set_sensitive(true);
    });
    Ok(())
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

    /// Signed by botocore, with the same key at the same time.
    #[test]
    fn a_request_is_signed_as_amazons_own_library_signs_it() {
        let mut request = Request::post("https://aps.example/w/remote_write")
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::default())
            .unwrap();
        let with_session = Key { session: Some(Secret::new("hunter2")), ..key() };
        sign(&mut request, b"body", &with_session, "aps", 1_440_938_160_000).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        assert_eq!(header("x-amz-security-token"), "hunter2");
        assert_eq!(
            header("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/aps/aws4_request, \
             SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
             Signature=af4bc48bbb6063f3d7a54a073c017d6a7bc41e9e18bce0c13879fa81aefac5b0"
        );
        let shown = format!("{:?}", request.headers());
        assert!(!shown.contains("hunter2") && !shown.contains("af4bc48b"), "not for logs: {shown}");
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
