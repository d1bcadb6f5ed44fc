//! Tokens of Microsoft Entra ID, as Prometheus' section `azuread` asks for them.
//!
//! Does not ask the command-line tools of Azure, nor read certificates in PKCS #12.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::token::{Question, Token, read_answer, read_token, refused, seconds};
use super::{HttpTransport, jwt, read_small_file};
use crate::config::{AzureAdConfig, AzureCloud, AzureIdentity, JwtAlgorithm};
use crate::limits::{JWT_LASTS, METADATA_WAIT};

/// Where the token of a service account stands if the environment does not say.
const TOKEN_FILE: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// The metadata service of a machine in Azure.
const METADATA: &str = "http://169.254.169.254";

/// By what a client shows a token of its own (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who asks, and how it shows who it is.
struct Application {
    client_id: String,
    tenant_id: String,
    proof: Proof,
}

enum Proof {
    Secret(String),
    /// A token in this file.
    File(PathBuf),
    Certificate {
        certificate: PathBuf,
        key: Option<PathBuf>,
        send_chain: bool,
    },
}

impl HttpTransport {
    /// Gets a token of Azure. It is used for half of the time that it lasts, as in Prometheus.
    pub(super) async fn azure_token(&self, config: &AzureAdConfig) -> Result<Token> {
        let (host, scope) = places(config.cloud);
        let scope = config.scope.as_deref().unwrap_or(scope);
        let mut json = match self.application(&config.identity)? {
            Ok(application) => {
                let host = self.variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| host.to_owned());
                self.token_of_application(&application, host.trim_end_matches('/'), scope).await?
            }
            Err(client_id) => self.token_of_machine(client_id.as_deref(), scope).await?,
        };
        if seconds(&json["expires_in"]).is_none()
            && let Some(at) = seconds(&json["expires_on"])
        {
            json["expires_in"] = json!(at - self.clock.now_ms() as f64 / 1000.0);
        }
        let lasts = seconds(&json["expires_in"]).filter(|s| *s > 0.0);
        let Some(lasts) = lasts.and_then(|s| Duration::try_from_secs_f64(s).ok()) else {
            return Err(Error::unavailable("its answer does not say how long the token lasts"));
        };
        let now = self.clock.monotonic();
        let token = read_token(&json, String::new(), now)?;
        Ok(Token { until: now.checked_add(lasts / 2), ..token })
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|text| !text.is_empty())
    }

    /// The application that asks; or that the machine does, under this name if it has one.
    fn application(
        &self,
        identity: &AzureIdentity,
    ) -> Result<std::result::Result<Application, Option<String>>> {
        let known = |client_id: &str, tenant_id: &str, proof| Application {
            client_id: client_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
            proof,
        };
        let named = || self.variable("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from);
        Ok(match identity {
            AzureIdentity::Managed { client_id } => Err(client_id.clone()),
            AzureIdentity::Workload { client_id, tenant_id, token_file } => {
                let file = token_file.clone().or_else(named).unwrap_or_else(|| TOKEN_FILE.into());
                Ok(known(client_id, tenant_id, Proof::File(file)))
            }
            AzureIdentity::Secret { client_id, tenant_id, secret } => {
                Ok(known(client_id, tenant_id, Proof::Secret(secret.expose().to_owned())))
            }
            AzureIdentity::Certificate { client_id, tenant_id, certificate, key, send_chain } => {
                let (certificate, key) = (certificate.clone(), key.clone());
                Ok(known(
                    client_id,
                    tenant_id,
                    Proof::Certificate { certificate, key, send_chain: *send_chain },
                ))
            }
            AzureIdentity::Environment { tenant_id } => {
                let client = self.variable("AZURE_CLIENT_ID");
                let tenant = self.variable("AZURE_TENANT_ID");
                let proof = self.variable("AZURE_CLIENT_SECRET").map(Proof::Secret).or_else(|| {
                    let certificate = self.variable("AZURE_CLIENT_CERTIFICATE_PATH")?.into();
                    let send_chain = self.variable("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
                    let send_chain = send_chain.is_some_and(|v| matches!(v.as_str(), "1" | "true"));
                    Some(Proof::Certificate { certificate, key: None, send_chain })
                });
                if let (Some(client), Some(tenant), Some(proof)) = (&client, &tenant, proof) {
                    return Ok(Ok(known(client, tenant, proof)));
                }
                let tenant = tenant_id.clone().or(tenant);
                match (client, tenant, named()) {
                    (Some(client), Some(tenant), Some(file)) => {
                        Ok(known(&client, &tenant, Proof::File(file)))
                    }
                    (client, ..) => Err(client),
                }
            }
        })
    }

    async fn token_of_application(&self, of: &Application, host: &str, scope: &str) -> Result<Value> {
        let url = format!("{host}/{}/oauth2/v2.0/token", of.tenant_id);
        let mut form =
            vec![("grant_type", "client_credentials"), ("client_id", &of.client_id), ("scope", scope)];
        let secret = match &of.proof {
            Proof::Secret(secret) => secret.clone(),
            Proof::File(file) => read_small_file(file).await?,
            Proof::Certificate { certificate, key, send_chain } => {
                let (chain, key) = certificate_and_key(certificate, key.as_deref()).await?;
                self.certificate_assertion(of, &url, &chain, &key, *send_chain)?
            }
        };
        match &of.proof {
            Proof::Secret(_) => form.push(("client_secret", &secret)),
            _ => form.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &secret)]),
        }
        self.ask_by_form(&url, &form, &secret).await
    }

    fn certificate_assertion(
        &self,
        of: &Application,
        url: &str,
        chain: &[CertificateDer<'_>],
        key: &str,
        send_chain: bool,
    ) -> Result<String> {
        let first =
            chain.first().ok_or_else(|| Error::invalid("the file with the certificate has none in PEM"))?;
        let mut header = Map::new();
        header.insert("x5t#S256".into(), json!(URL_SAFE_NO_PAD.encode(Sha256::digest(first))));
        if send_chain {
            header.insert("x5c".into(), chain.iter().map(|c| json!(STANDARD.encode(c))).collect());
        }
        let now = self.clock.now_ms().div_euclid(1000);
        let claims = Map::from_iter([
            ("aud".to_owned(), json!(url)),
            ("iss".to_owned(), json!(of.client_id)),
            ("sub".to_owned(), json!(of.client_id)),
            ("jti".to_owned(), json!(jwt::unique_id()?)),
            ("nbf".to_owned(), json!(now)),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + JWT_LASTS.as_secs() as i64)),
        ]);
        jwt::sign(JwtAlgorithm::Ps256, header, &claims, key)
    }

    /// What the machine's metadata service gives, or what an App Service has in its place.
    async fn token_of_machine(&self, client_id: Option<&str>, scope: &str) -> Result<Value> {
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let service = self.variable("IDENTITY_ENDPOINT").zip(self.variable("IDENTITY_HEADER"));
        let (base, version, header) = match service {
            Some((endpoint, secret)) => (endpoint, "2019-08-01", ("x-identity-header", secret)),
            None => {
                let host = self.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA.into());
                let url = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
                (url, "2018-02-01", ("metadata", "true".to_owned()))
            }
        };
        let mut url = Url::parse(&base)
            .map_err(|_| Error::invalid("the address of the machine's identities cannot be read"))?;
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(id) = client_id {
            url.query_pairs_mut().append_pair("client_id", id);
        }
        let headers = &[header];
        let question = Question { url: url.as_str(), headers, direct: true, ..Question::default() };
        let answer = match tokio::time::timeout(METADATA_WAIT, self.ask(question)).await {
            Ok(answer) => answer?,
            Err(_) => {
                let text = format!("the machine's metadata service did not answer within {METADATA_WAIT:?}");
                return Err(Error::unavailable(text));
            }
        };
        if !answer.is_success() {
            return Err(refused(&answer, ""));
        }
        read_answer(&answer)
    }
}

/// Who gives tokens in a cloud, and what one is to allow.
fn places(cloud: AzureCloud) -> (&'static str, &'static str) {
    match cloud {
        AzureCloud::Public => ("https://login.microsoftonline.com", "https://monitor.azure.com//.default"),
        AzureCloud::Government => ("https://login.microsoftonline.us", "https://monitor.azure.us//.default"),
        AzureCloud::China => ("https://login.chinacloudapi.cn", "https://monitor.azure.cn//.default"),
    }
}

async fn certificate_and_key(
    certificate: &Path,
    key: Option<&Path>,
) -> Result<(Vec<CertificateDer<'static>>, String)> {
    let text = read_small_file(certificate).await?;
    let chain = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<std::result::Result<_, _>>();
    let chain = chain.map_err(|_| {
        Error::invalid(format!("cannot read {}: it holds no certificates in PEM", certificate.display()))
    })?;
    let key = match key {
        Some(file) => read_small_file(file).await?,
        None => text,
    };
    Ok((chain, key))
}
