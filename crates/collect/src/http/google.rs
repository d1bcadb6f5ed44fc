//! Tokens of Google Cloud, as Prometheus' section `google_iam` asks for them.
//!
//! Owns the files with credentials, of service accounts and of users, and the metadata service of a machine. Federated identities and
//! service accounts that others act as are named and not followed.

use std::path::{Path, PathBuf};

use base::{Error, Result};
use serde_json::{Map, Value, json};

use super::token::{Question, Token, read_answer, read_json_file, read_token, refused};
use super::{HttpTransport, jwt, oauth2};
use crate::config::{GoogleIamConfig, JwtAlgorithm};
use crate::limits::METADATA_WAIT;

/// What the token is to allow.
const SCOPE: &str = "https://www.googleapis.com/auth/monitoring.write";

/// Who gives tokens.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// How long what a service account signs is valid, in seconds: the most that Google takes.
const SIGNED_LASTS_SECONDS: i64 = 3600;

/// The metadata service of a machine at Google.
const METADATA: &str = "169.254.169.254";

impl HttpTransport {
    /// Gets a token of Google Cloud.
    pub(super) async fn google_token(&self, config: &GoogleIamConfig) -> Result<Token> {
        let variable = |name: &str| (self.environment)(name).filter(|text| !text.is_empty());
        let json = if let Some(file) = &config.credentials_file {
            let credentials = read_json_file(file).await?;
            let kind = credentials["type"].as_str().unwrap_or_default();
            if !matches!(kind, "service_account" | "authorized_user") {
                return Err(not_known(file, kind));
            }
            self.token_by_file(file, &credentials).await?
        } else if let Some(file) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            let file = PathBuf::from(file);
            self.token_by_file(&file, &read_json_file(&file).await?).await?
        } else if let Some(file) = well_known_file(&variable).await {
            self.token_by_file(&file, &read_json_file(&file).await?).await?
        } else {
            let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
            self.token_of_google_machine(&host).await?
        };
        read_token(&json, String::new(), self.clock.monotonic())
    }

    async fn token_by_file(&self, file: &Path, credentials: &Value) -> Result<Value> {
        let field = |name: &str| {
            credentials[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::invalid(format!("cannot use the credentials in {}: no {name}", file.display()))
            })
        };
        let url = credentials["token_uri"].as_str().filter(|url| !url.is_empty()).unwrap_or(TOKEN_URL);
        match field("type")? {
            "service_account" => {
                let key = field("private_key")?;
                let assertion =
                    self.service_account_assertion(field("client_email")?, credentials, key, url)?;
                let form = [("grant_type", oauth2::JWT_BEARER), ("assertion", &assertion)];
                self.ask_by_form(url, &form, &assertion).await
            }
            "authorized_user" => {
                let secret = field("refresh_token")?;
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", field("client_id")?),
                    ("client_secret", field("client_secret")?),
                    ("refresh_token", secret),
                ];
                self.ask_by_form(url, &form, secret).await
            }
            other => Err(not_known(file, other)),
        }
    }

    fn service_account_assertion(
        &self,
        email: &str,
        credentials: &Value,
        key: &str,
        url: &str,
    ) -> Result<String> {
        let now = self.clock.now_ms().div_euclid(1000);
        let claims = Map::from_iter([
            ("iss".to_owned(), json!(email)),
            ("scope".to_owned(), json!(SCOPE)),
            ("aud".to_owned(), json!(url)),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + SIGNED_LASTS_SECONDS)),
        ]);
        let mut header = Map::new();
        if let Some(id) = credentials["private_key_id"].as_str().filter(|id| !id.is_empty()) {
            header.insert("kid".into(), json!(id));
        }
        jwt::sign(JwtAlgorithm::Rs256, header, &claims, key)
    }

    async fn token_of_google_machine(&self, host: &str) -> Result<Value> {
        let url = format!(
            "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={SCOPE}"
        );
        let headers = &[("metadata-flavor", "Google".to_owned())];
        let question = Question { url: &url, headers, direct: true, ..Question::default() };
        let none = || {
            Error::unavailable(
                "there are no credentials: neither credentials_file, nor GOOGLE_APPLICATION_CREDENTIALS, nor those of \
                 gcloud, nor a metadata service",
            )
        };
        let answer = match tokio::time::timeout(METADATA_WAIT, self.ask(question)).await {
            Ok(answer) => answer.map_err(|_| none())?,
            Err(_) => return Err(none()),
        };
        if !answer.is_success() {
            return Err(refused(&answer, ""));
        }
        read_answer(&answer)
    }
}

fn not_known(file: &Path, kind: &str) -> Error {
    Error::invalid(format!(
        "cannot use the credentials in {}: type {kind:?} is not known here, but service_account and authorized_user are",
        file.display()
    ))
}

/// The file that gcloud leaves, if it is there.
async fn well_known_file(variable: &(dyn Fn(&str) -> Option<String> + Sync)) -> Option<PathBuf> {
    let folder = match variable("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&variable("HOME")?).join(".config/gcloud"),
    };
    let file = folder.join("application_default_credentials.json");
    tokio::fs::try_exists(&file).await.unwrap_or(false).then_some(file)
}
