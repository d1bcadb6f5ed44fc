//! Signatures of AWS, version 4.
//!
//! Owns signing with a key, and does not find one.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use base::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};

use super::internal;
use crate::config::Secret;

/// A key, and the region that it signs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) session: Option<Secret>,
    pub(super) region: String,
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
}
