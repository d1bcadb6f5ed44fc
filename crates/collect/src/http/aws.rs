//! Where keys of AWS come from: the places that its tools ask, in their order, and the roles that are taken with what is found.
//!
//! The configuration, the environment, the files of profiles, tokens of service accounts, the services of containers and of machines.
//! What would need a process or a log-in is named and not done. Does not sign.

use std::time::Duration;

use base::{Error, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;
use url::form_urlencoded;

use super::aws_profile::{Base, Profiles};
use super::token::{Credentials, FORM, Question, Token, refusal, secure};
use super::{HttpTransport, internal, read_small_file, sigv4};
use crate::config::{AwsRole, Secret, SigV4Config};
use crate::limits::{AWS_KEY_RENEWED_BEFORE, AWS_ROLE_LASTS, METADATA_WAIT};

/// Where a container asks for its key.
const CONTAINER_SERVICE: &str = "http://169.254.170.2";

/// The metadata service of a machine at AWS.
const METADATA: &str = "http://169.254.169.254";

/// How long a session with that service is good for, in seconds: the most that it gives.
const METADATA_SESSION_SECONDS: &str = "21600";

/// Whom roles are given to, in the logs of their owners.
const SESSION_NAME: &str = "bellwether";

/// A key, and until when it is one.
struct Found {
    id: String,
    secret: Secret,
    session: Option<Secret>,
    ends: Ends,
}

/// When a key ends.
enum Ends {
    Never,
    /// It stands in a file, which is read for every request.
    Soon,
    /// In milliseconds since 1970.
    At(i64),
}

/// The service that gives roles.
struct Sts<'a> {
    region: &'a str,
    url: String,
}

impl HttpTransport {
    /// Finds a key for this configuration.
    pub(super) async fn aws_key(&self, config: &SigV4Config) -> Result<Token> {
        let env = |name: &str| self.aws_variable(name);
        let profiles = Profiles::read(config.profile.as_deref(), &env).await?;
        let region =
            config.region.clone().or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let region = region.or_else(|| profiles.region()).ok_or_else(|| {
            Error::invalid("no region is configured in sigv4, in AWS_REGION or in the profile")
        })?;
        let sts = self.sts(&region, config.use_fips_sts_endpoint);
        let mut found = Box::pin(self.find_key(config, &profiles, &sts)).await?;
        if let Some(role) = &config.role {
            found = Box::pin(self.assume_role(&sts, found, role)).await?;
        }
        let now = self.clock.monotonic();
        let until = match found.ends {
            Ends::Never => None,
            Ends::Soon => Some(now),
            Ends::At(ms) => {
                let left = u64::try_from(ms.saturating_sub(self.clock.now_ms())).unwrap_or(0);
                Some(now.saturating_add(Duration::from_millis(left).saturating_sub(AWS_KEY_RENEWED_BEFORE)))
            }
        };
        let credentials = Credentials::Aws(found.key(&region));
        Ok(Token { credentials, secret: String::new(), until })
    }

    fn aws_variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|text| !text.is_empty())
    }

    fn sts<'a>(&self, region: &'a str, fips: bool) -> Sts<'a> {
        let ignored = self.aws_variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let named =
            self.aws_variable("AWS_ENDPOINT_URL_STS").or_else(|| self.aws_variable("AWS_ENDPOINT_URL"));
        let named = named.filter(|_| !ignored.is_some_and(|text| text.eq_ignore_ascii_case("true")));
        let url = named.unwrap_or_else(|| {
            let host = if fips { "sts-fips" } else { "sts" };
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{host}.{region}.{domain}/")
        });
        Sts { region, url }
    }

    /// The order is that of AWS' SDK for Go.
    async fn find_key(&self, config: &SigV4Config, profiles: &Profiles, sts: &Sts<'_>) -> Result<Found> {
        if let Some((id, secret)) = &config.key {
            let (id, secret) = (id.clone(), secret.clone());
            return Ok(Found { id, secret, session: None, ends: Ends::Never });
        }
        if config.profile.is_none() {
            if let Some(found) = self.key_of_environment() {
                return Ok(found);
            }
            if let (Some(file), Some(arn)) =
                (self.aws_variable("AWS_WEB_IDENTITY_TOKEN_FILE"), self.aws_variable("AWS_ROLE_ARN"))
            {
                let session = self.aws_variable("AWS_ROLE_SESSION_NAME");
                return self.web_identity(sts, &file, &arn, session.as_deref()).await;
            }
        }
        let way = profiles.way()?;
        let mut found = match way.base {
            Base::Key { id, secret, session } => Found { id, secret, session, ends: Ends::Soon },
            Base::WebIdentity { file, role, session } => {
                self.web_identity(sts, &file, &role, session.as_deref()).await?
            }
            Base::Environment => self.key_of_environment().ok_or_else(|| {
                Error::unavailable("the profile names the environment, and there is no key in it")
            })?,
            Base::Container => {
                let found = self.key_of_container().await?;
                found.ok_or_else(|| {
                    Error::unavailable("the profile names the container's service, and there is none")
                })?
            }
            Base::Machine => self.key_of_machine().await?,
            Base::Nothing => match self.key_of_container().await? {
                Some(found) => found,
                None => self.key_of_machine().await?,
            },
        };
        for role in &way.roles {
            found = self.assume_role(sts, found, role).await?;
        }
        Ok(found)
    }

    fn key_of_environment(&self) -> Option<Found> {
        Some(Found {
            id: self.aws_variable("AWS_ACCESS_KEY_ID")?,
            secret: Secret::new(self.aws_variable("AWS_SECRET_ACCESS_KEY")?),
            session: self.aws_variable("AWS_SESSION_TOKEN").map(Secret::new),
            ends: Ends::Never,
        })
    }

    async fn key_of_container(&self) -> Result<Option<Found>> {
        let url = match self.aws_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("{CONTAINER_SERVICE}{path}"),
            None => match self.aws_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                None => return Ok(None),
                // The services of ECS and EKS, which SDKs ask without TLS.
                Some(url)
                    if url.starts_with("http://169.254.170.2/")
                        || url.starts_with("http://169.254.170.23/")
                        || url.starts_with("http://[fd00:ec2::23]/") =>
                {
                    url
                }
                Some(url) => {
                    secure(&url)?;
                    url
                }
            },
        };
        let token = match self.aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(read_small_file(file.as_ref()).await?),
            None => self.aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().collect();
        let text = self.ask_service(
            "the container's service",
            Question { url: &url, headers: &headers, ..Question::default() },
        );
        key_of_json(&text.await?).map(Some)
    }

    /// By version 2 of the metadata service alone: it takes a request that no page can make.
    async fn key_of_machine(&self) -> Result<Found> {
        if self.aws_variable("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            let text =
                "there is no key in sigv4, in the environment, in a profile or at a container's service";
            return Err(Error::unavailable(text));
        }
        let host =
            self.aws_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| METADATA.to_owned());
        let base = format!("{}/latest", host.trim_end_matches('/'));
        let what = "there is no key in sigv4, in the environment or in a profile, and the machine's metadata service";
        let session = Question {
            url: &format!("{base}/api/token"),
            headers: &[("x-aws-ec2-metadata-token-ttl-seconds", METADATA_SESSION_SECONDS.to_owned())],
            method_put: true,
            body: Some(String::new()),
            ..Question::default()
        };
        let headers = &[("x-aws-ec2-metadata-token", self.ask_service(what, session).await?)];
        let list = format!("{base}/meta-data/iam/security-credentials/");
        let names = self.ask_service(what, Question { url: &list, headers, ..Question::default() }).await?;
        let Some(name) = names.lines().next().map(str::trim).filter(|name| !name.is_empty()) else {
            return Err(Error::unavailable("the machine has no role"));
        };
        let url = format!("{list}{name}");
        key_of_json(&self.ask_service(what, Question { url: &url, headers, ..Question::default() }).await?)
    }

    /// Asks a service of the machine itself, which answers soon or is not there.
    async fn ask_service(&self, what: &str, question: Question<'_>) -> Result<String> {
        let fail = |cause: &str| Error::unavailable(format!("{what} gives none: {cause}"));
        let question = Question { direct: true, ..question };
        let answer = match tokio::time::timeout(METADATA_WAIT, self.ask(question)).await {
            Ok(answer) => answer.map_err(|e| fail(e.message()))?,
            Err(_) => return Err(fail(&format!("no answer within {METADATA_WAIT:?}"))),
        };
        if !answer.is_success() {
            return Err(fail(&format!("HTTP status {}", answer.status)));
        }
        String::from_utf8(answer.body).map_err(|_| fail("its answer is no text"))
    }

    async fn assume_role(&self, sts: &Sts<'_>, by: Found, role: &AwsRole) -> Result<Found> {
        let lasts = AWS_ROLE_LASTS.as_secs().to_string();
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", SESSION_NAME),
            ("DurationSeconds", &lasts),
        ];
        form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(&sts.url)
            .header(CONTENT_TYPE, FORM)
            .body(Full::<Bytes>::default())
            .map_err(|e| Error::invalid(format!("the address of STS cannot be read: {e}")))?;
        sigv4::sign(&mut request, body.as_bytes(), &by.key(sts.region), "sts", self.clock.now_ms())?;
        let text = |value: &hyper::header::HeaderValue| value.to_str().map(str::to_owned);
        let headers = request.headers().iter().map(|(n, v)| Ok((n.as_str(), text(v)?)));
        let headers: Vec<_> = headers
            .collect::<std::result::Result<_, hyper::header::ToStrError>>()
            .map_err(|e| internal(&e))?;
        self.ask_sts(sts, &headers, body).await.map_err(|e| e.context(format!("role {}", role.arn)))
    }

    async fn web_identity(
        &self,
        sts: &Sts<'_>,
        file: &str,
        arn: &str,
        session: Option<&str>,
    ) -> Result<Found> {
        let token = read_small_file(file.as_ref()).await?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", arn),
            ("RoleSessionName", session.unwrap_or(SESSION_NAME)),
            ("WebIdentityToken", &token),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers = [("content-type", FORM.to_owned())];
        self.ask_sts(sts, &headers, body).await.map_err(|e| e.context(format!("role {arn}")))
    }

    async fn ask_sts(&self, sts: &Sts<'_>, headers: &[(&str, String)], body: String) -> Result<Found> {
        let question = Question { url: &sts.url, headers, body: Some(body), ..Question::default() };
        let answer = self.ask(question).await?;
        let xml = String::from_utf8_lossy(&answer.body);
        if !answer.is_success() {
            let said = [element(&xml, "Code"), element(&xml, "Message")];
            let said = said.into_iter().flatten().collect::<Vec<_>>().join(": ");
            return Err(refusal(answer.status, &said, ""));
        }
        let field = |name: &str| {
            element(&xml, name).ok_or_else(|| Error::unavailable(format!("the answer of STS has no {name}")))
        };
        Ok(Found {
            id: field("AccessKeyId")?.to_owned(),
            secret: Secret::new(field("SecretAccessKey")?),
            session: Some(Secret::new(field("SessionToken")?)),
            ends: Ends::At(time(field("Expiration")?)?),
        })
    }
}

impl Found {
    fn key(&self, region: &str) -> sigv4::Key {
        let (id, secret, session) = (self.id.clone(), self.secret.clone(), self.session.clone());
        sigv4::Key { id, secret, session, region: region.to_owned() }
    }
}

/// The key in an answer of a container's or a machine's service.
fn key_of_json(text: &str) -> Result<Found> {
    // No part of the text is repeated: it holds the key.
    let json: Value = serde_json::from_str(text).map_err(|_| Error::unavailable("the answer is no JSON"))?;
    let field = |name: &str| {
        let text = json[name].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| Error::unavailable(format!("the answer has no {name}")))
    };
    Ok(Found {
        id: field("AccessKeyId")?.to_owned(),
        secret: Secret::new(field("SecretAccessKey")?),
        session: field("Token").ok().map(Secret::new),
        ends: Ends::At(time(field("Expiration")?)?),
    })
}

fn time(text: &str) -> Result<i64> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| Error::unavailable("the answer does not say when the key ends"))?;
    Ok(time.as_millisecond())
}

/// The text of the first element of a name. Those of STS' answers that are read hold no others, nor anything that is escaped.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}
