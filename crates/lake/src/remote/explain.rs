//! What an object store's error means, and what to do about it, in one sentence.
//!
//! The library's own messages hold whole requests and answers; here only what decides is left.

use std::error::Error as StdError;

/// What to do when nothing leads to AWS credentials.
pub(super) const NO_AWS_CREDENTIALS: &str = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
     or AWS_PROFILE for a profile in ~/.aws/credentials, or give this machine, task or pod a role";

const NO_GOOGLE_CREDENTIALS: &str = "there are no credentials; set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run \
     `gcloud auth application-default login`, or give this machine or pod a service account";

const NO_AZURE_CREDENTIALS: &str = "there are no credentials; set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or \
     AZURE_STORAGE_SAS_TOKEN, or give this machine or pod a managed identity";

/// What S3's error codes, and words of the library, mean. The first that an error's text has decides.
const MEANINGS: [(&str, &str); 22] = [
    ("NoSuchBucket", "the bucket does not exist; create it, or correct its name"),
    ("ContainerNotFound", "the container does not exist; create it, or correct its name"),
    ("The specified bucket does not exist", "the bucket does not exist; create it, or correct its name"),
    ("InvalidAccessKeyId", "the access key is not known there; check AWS_ACCESS_KEY_ID and the endpoint"),
    ("SignatureDoesNotMatch", "the secret key is wrong; check AWS_SECRET_ACCESS_KEY"),
    ("ExpiredToken", "the session's credentials have expired; get new ones"),
    ("RequestTimeTooSkewed", "this machine's clock is wrong by minutes; correct it"),
    ("AuthorizationHeaderMalformed", "the region is wrong; set AWS_REGION to the bucket's"),
    ("PermanentRedirect", "the bucket lies in another region; set AWS_REGION to the bucket's"),
    ("IllegalLocationConstraint", "the bucket lies in another region; set AWS_REGION to the bucket's"),
    ("incorrectly configured region", "the bucket lies in another region; set AWS_REGION to the bucket's"),
    (
        "AccessDenied",
        "the credentials do not allow it; they need to list, read, write and delete objects there",
    ),
    ("SlowDown", "the store asks for fewer requests; it is tried again later"),
    ("security-credentials", NO_AWS_CREDENTIALS),
    ("/latest/api/token", NO_AWS_CREDENTIALS),
    ("computeMetadata", NO_GOOGLE_CREDENTIALS),
    (
        "unknown variant `external_account`",
        "credentials of type external_account (workload identity federation) are not supported; \
      use a service account's key file, or the metadata service of a machine or pod at Google",
    ),
    ("/metadata/identity/oauth2/token", NO_AZURE_CREDENTIALS),
    ("Account must be specified", "there is no account; set AZURE_STORAGE_ACCOUNT"),
    ("Missing SecretAccessKey", "there is no SecretAccessKey; set AWS_SECRET_ACCESS_KEY as well"),
    ("Missing AccessKeyId", "there is no AccessKeyId; set AWS_ACCESS_KEY_ID as well"),
    ("InvalidBucketName", "the store allows no bucket of this name; correct it"),
];

/// Longest part of a foreign message that is shown, in characters.
const MESSAGE_CHARS: usize = 300;

/// What decides in an error of an object store, or of a library above it.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    let (mut text, mut root) = (String::new(), error.to_string());
    let mut kind = None;
    let mut at = Some(error);
    while let Some(e) = at {
        root = e.to_string();
        text.push_str(&root);
        text.push('\n');
        kind = kind.or_else(|| e.downcast_ref().and_then(meaning_of_kind));
        at = e.source();
    }
    if let Some((_, meaning)) = MEANINGS.iter().find(|(sign, _)| text.contains(sign)) {
        return (*meaning).to_owned();
    }
    for (sign, meaning) in [
        ("Connection refused", "the object store does not answer: connection refused"),
        ("dns error", "the object store does not answer: its name cannot be resolved"),
        ("operation timed out", "the object store does not answer in time"),
        ("deadline has elapsed", "the object store does not answer in time"),
    ] {
        if text.contains(sign) {
            return meaning.to_owned();
        }
    }
    if let Some(status) = status(&text) {
        return format!("the object store answers with status {status}");
    }
    match kind {
        Some(kind) => kind.to_owned(),
        None if text.lines().count() > 1 && is_remote(&text) => {
            format!("the object store cannot be reached: {}", shorten(&root))
        }
        None => shorten(&error.to_string()),
    }
}

fn meaning_of_kind(e: &object_store::Error) -> Option<&'static str> {
    match e {
        object_store::Error::PermissionDenied { .. } => {
            Some("the credentials do not allow it; they need to list, read, write and delete objects there")
        }
        object_store::Error::Unauthenticated { .. } => Some("the credentials are not accepted; check them"),
        object_store::Error::NotFound { .. } => Some("it is not there"),
        _ => None,
    }
}

/// The status of an answer that is not a success, as the library words it.
fn status(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.split([':', '\n'])
        .next()
        .map(str::trim)
        .filter(|s| s.starts_with(['4', '5']) && !s.starts_with("404"))
}

fn is_remote(text: &str) -> bool {
    text.contains("Error performing ")
}

fn shorten(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((at, _)) => format!("{}…", &message[..at]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (text, want) in [
            ("… <Code>NoSuchBucket</Code> …", "create it"),
            (
                "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
                "AWS_REGION",
            ),
            ("Error performing PUT http://169.254.169.254/latest/api/token in 4s", "AWS_ACCESS_KEY_ID"),
            (
                "Error performing GET http://x in 1s - Server returned non-2xx status code: 503 Service Unavailable: <x/>",
                "status 503",
            ),
            ("… Connection refused (os error 111)", "does not answer"),
        ] {
            let said = cause(&generic(text));
            assert!(said.contains(want) && !said.contains("169.254"), "{said}");
        }
        assert_eq!(cause(&generic("something else")), "Generic S3 error: something else");
    }
}
