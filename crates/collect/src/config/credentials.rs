//! Where tokens and keys come from that are not in the configuration themselves.

use std::path::PathBuf;

use super::http::{ProxyConfig, Secret, Source, TlsConfig};

/// Where a token comes from, by a grant of OAuth 2.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Config {
    /// Who asks.
    pub client_id: String,
    /// How it shows that it may.
    pub grant: Grant,
    /// What the token is to allow.
    pub scopes: Vec<String>,
    /// The address of who gives it, in which there may be credentials.
    pub token_url: Secret,
    /// Further parameters of the request for it.
    pub endpoint_params: Vec<(String, Secret)>,
    /// TLS settings of that request.
    pub tls: TlsConfig,
    /// Through what it goes.
    pub proxy: ProxyConfig,
}

/// How a client shows that it may have a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Grant {
    /// By a secret: client credentials (RFC 6749, section 4.4).
    Secret(Source<Secret>),
    /// By what it signs (RFC 7523, section 2.1).
    Jwt(Box<JwtGrant>),
}

/// What is signed, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtGrant {
    /// An RSA key in PEM; the empty string where the configuration has none.
    pub key: Source<Secret>,
    /// Which key that is, for the server.
    pub key_id: String,
    /// How it is signed.
    pub algorithm: JwtAlgorithm,
    /// The issuer, where it is not the client.
    pub issuer: Option<String>,
    /// For whom it is, where that is not the token's address.
    pub audience: Option<String>,
    /// Further claims, which go over the usual ones.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// A signature of a JSON web token with an RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JwtAlgorithm {
    /// PKCS #1 1.5 with SHA-256.
    #[default]
    Rs256,
    /// PKCS #1 1.5 with SHA-384.
    Rs384,
    /// PKCS #1 1.5 with SHA-512.
    Rs512,
    /// PSS with SHA-256.
    Ps256,
}

/// With what requests are signed. What is `None` the environment says, as it does to the tools of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigV4Config {
    /// The region of the service.
    pub region: Option<String>,
    /// Name and secret of a key.
    pub key: Option<(String, Secret)>,
    /// The section of the files of AWS' tools that leads to one.
    pub profile: Option<String>,
    /// The role that is taken with it, and whose key signs.
    pub role: Option<AwsRole>,
    /// Whether roles are taken where FIPS 140 holds.
    pub use_fips_sts_endpoint: bool,
    /// The service, such as `aps`.
    pub service: String,
}

/// A role of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRole {
    /// Its name.
    pub arn: String,
    /// What its owner agreed upon with who takes it.
    pub external_id: Option<String>,
}

/// Who asks Microsoft Entra ID for a token, and for what.
#[derive(Debug, Clone, PartialEq)]
pub struct AzureAdConfig {
    /// Which of its clouds.
    pub cloud: AzureCloud,
    /// What the token is to allow, where that is not to write samples.
    pub scope: Option<String>,
    /// Who asks.
    pub identity: AzureIdentity,
}

/// A cloud of Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AzureCloud {
    /// For everybody.
    #[default]
    Public,
    /// For the government of the United States.
    Government,
    /// China's.
    China,
}

/// Who asks for a token of Azure.
#[derive(Debug, Clone, PartialEq)]
pub enum AzureIdentity {
    /// What Azure knows this machine as, or the one of several identities that is named.
    Managed {
        /// Which of several.
        client_id: Option<String>,
    },
    /// A service account of Kubernetes, whose token stands in a file.
    Workload {
        /// The application.
        client_id: String,
        /// Its tenant.
        tenant_id: String,
        /// The file, where it is not the one that the environment names.
        token_file: Option<PathBuf>,
    },
    /// An application, by its secret.
    Secret {
        /// The application.
        client_id: String,
        /// Its tenant.
        tenant_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application, by a certificate.
    Certificate {
        /// The application.
        client_id: String,
        /// Its tenant.
        tenant_id: String,
        /// The file with the certificate in PEM, and with its key if there is no other.
        certificate: PathBuf,
        /// The file with the key.
        key: Option<PathBuf>,
        /// Whether all certificates are sent along, so that one that follows is known by its issuer.
        send_chain: bool,
    },
    /// Whatever the environment names.
    Environment {
        /// The tenant, where the environment does not say.
        tenant_id: Option<String>,
    },
}

/// Who asks Google Cloud for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleIamConfig {
    /// The file with the key of a service account; without it, whatever the environment names.
    pub credentials_file: Option<PathBuf>,
}
