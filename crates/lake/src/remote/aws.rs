//! Amazon S3 and what speaks its protocol, with the settings that AWS' tools read.

use std::sync::Arc;

use base::{Error, Result};
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::client::{Certificate, ClientOptions};

use super::aws_profile::Profile;
use super::{Environment, client_options, retries};
use crate::location::Bucket;

/// Names that AWS' tools know and the object store's library does not.
const ALIASES: [(&str, AmazonS3ConfigKey); 1] =
    [("AWS_EC2_METADATA_SERVICE_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint)];

/// What leads to credentials, in the order in which it is asked; behind it comes the metadata service of a machine at AWS.
const CREDENTIALS: [AmazonS3ConfigKey; 4] = [
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
    AmazonS3ConfigKey::SkipSignature,
];

pub(super) fn build(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    let mut options = client_options();
    let mut builder = AmazonS3Builder::new();
    for (name, value) in environment.starting_with("AWS_") {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, key)| *key);
        match alias.or_else(|| name.to_ascii_lowercase().parse().ok()) {
            Some(AmazonS3ConfigKey::Client(key)) => options = options.with_config(key, value),
            Some(key) => builder = builder.with_config(key, value),
            None => {}
        }
    }
    builder = with_profile(builder, environment)?;
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key));
    if endpoint.is_some_and(|e| e.starts_with("http://")) {
        options = options.with_allow_http(true);
    }
    if let Some(file) = environment.get("AWS_CA_BUNDLE") {
        options = with_certificates(options, file)?;
    }
    let store = builder
        .with_url(bucket.url.as_str())
        .with_client_options(options)
        .with_retry(retries())
        // A commit to a Delta log is a put that must fail if the object is there.
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .map_err(|e| Error::invalid(super::explain::cause(&e)))?;
    Ok(Arc::new(store))
}

/// Adds what a profile says where the environment says nothing.
fn with_profile(mut builder: AmazonS3Builder, environment: &Environment) -> Result<AmazonS3Builder> {
    let profile = Profile::read(environment)?;
    let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
    if !has(&builder, AmazonS3ConfigKey::Region)
        && let Some(region) = profile.get("region")
    {
        builder = builder.with_region(region);
    }
    if !has(&builder, AmazonS3ConfigKey::Endpoint)
        && !has(&builder, AmazonS3ConfigKey::S3Endpoint)
        && let Some(endpoint) = profile.s3_endpoint()
    {
        builder = builder.with_endpoint(endpoint);
    }
    let of_environment = environment.get("AWS_ACCESS_KEY_ID").is_some()
        || environment.get("AWS_SECRET_ACCESS_KEY").is_some()
        || environment.get("AWS_SKIP_SIGNATURE").is_some();
    if of_environment {
        return Ok(builder);
    }
    let of_profile = [
        ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
        ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
        ("aws_session_token", AmazonS3ConfigKey::Token),
        ("web_identity_token_file", AmazonS3ConfigKey::WebIdentityTokenFile),
        ("role_session_name", AmazonS3ConfigKey::RoleSessionName),
    ];
    for (name, key) in of_profile {
        if let Some(value) = profile.get(name) {
            builder = builder.with_config(key, value);
        }
    }
    if profile.get("web_identity_token_file").is_some()
        && let Some(role) = profile.get("role_arn")
    {
        builder = builder.with_config(AmazonS3ConfigKey::RoleArn, role);
    }
    if has(&builder, AmazonS3ConfigKey::AccessKeyId) {
        return Ok(builder);
    }
    let named = environment.get("AWS_PROFILE").is_some();
    if let Some(way) = profile.unsupported().filter(|_| named || !has_credentials(environment)) {
        return Err(Error::invalid(format!(
            "profile {:?} gets its credentials by {way}, which is not supported; run `eval \"$(aws configure \
             export-credentials --profile {} --format env)\"` first, or use a profile with keys",
            profile.name, profile.name
        )));
    }
    let disabled =
        environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if disabled && !CREDENTIALS.iter().any(|key| has_value(&builder, *key)) {
        return Err(Error::invalid(super::explain::NO_AWS_CREDENTIALS));
    }
    Ok(builder)
}

fn has_value(builder: &AmazonS3Builder, key: AmazonS3ConfigKey) -> bool {
    builder.get_config_value(&key).is_some_and(|value| value != "false")
}

fn has_credentials(environment: &Environment) -> bool {
    [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .iter()
    .any(|name| environment.get(name).is_some())
}

fn with_certificates(mut options: ClientOptions, file: &str) -> Result<ClientOptions> {
    let fail = |e: &dyn std::fmt::Display| {
        Error::invalid(format!("cannot read the certificates in {file}, which AWS_CA_BUNDLE names: {e}"))
    };
    let pem = std::fs::read(file).map_err(|e| fail(&e))?;
    for certificate in Certificate::from_pem_bundle(&pem).map_err(|e| fail(&e))? {
        options = options.with_root_certificate(certificate);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    fn build_with(variables: &[(&str, &str)]) -> Result<String> {
        let Ok(Location::Bucket(bucket)) = "s3://bucket/prefix".parse() else { panic!("it is a bucket") };
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        build(&bucket, &Environment::new(variables, None)).map(|store| store.to_string())
    }

    #[test]
    fn missing_credentials_say_what_to_set() {
        let disabled = ("AWS_EC2_METADATA_DISABLED", "true");
        let e = build_with(&[disabled]).unwrap_err();
        assert!(e.message().contains("AWS_ACCESS_KEY_ID") && e.message().contains("AWS_PROFILE"), "{e}");
        let e = build_with(&[("AWS_ACCESS_KEY_ID", "a")]).unwrap_err();
        assert!(e.message().contains("SecretAccessKey"), "{e}");
        for enough in [
            &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), disabled][..],
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn"), disabled],
            &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"), disabled],
            &[("AWS_SKIP_SIGNATURE", "true"), disabled],
            &[],
        ] {
            assert!(build_with(enough).is_ok(), "{enough:?}");
        }
    }

    #[test]
    fn a_certificate_file_that_is_not_there_is_named() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_CA_BUNDLE", "/nonexistent.pem"),
        ];
        assert!(build_with(&keys).unwrap_err().message().contains("/nonexistent.pem"));
    }
}
