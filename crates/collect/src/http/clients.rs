//! HTTP clients, one for each set of settings of TLS and proxies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::proxy::Route;
use super::tunnel::Connector;
use super::{Environment, read_small_file, reveal};
use crate::config::{HttpConfig, ProxyChoice, ProxyConfig, Source, TlsConfig};
use crate::limits::{HTTP_CLIENTS_MAX, IDLE_CONNECTIONS_PER_HOST};

/// A client, and the way of its requests.
#[derive(Clone)]
pub(super) struct HttpClient {
    pub(super) http: Client<HttpsConnector<Connector>, Full<Bytes>>,
    pub(super) route: Arc<Route>,
}

/// Clients that are in use, by what they were built from.
#[derive(Default)]
pub(super) struct Clients {
    built: Mutex<Vec<(Key, HttpClient)>>,
}

/// Everything a client depends on, with the contents of files: a new certificate makes a new client.
#[derive(PartialEq, Eq)]
struct Key {
    ca: Option<String>,
    /// Certificate chain and key.
    identity: Option<(String, String)>,
    server_name: Option<String>,
    insecure: bool,
    http2: bool,
    route: Route,
    socket: Option<PathBuf>,
}

impl Clients {
    /// The client for these settings. One of a socket connects to nothing else, and needs no proxy for it.
    pub(super) async fn get(
        &self,
        config: &HttpConfig,
        socket: Option<&Path>,
        environment: Environment,
    ) -> Result<HttpClient> {
        let near = ProxyConfig { choice: ProxyChoice::None, ..ProxyConfig::default() };
        let route = Route::new(if socket.is_some() { &near } else { &config.proxy }, environment)?;
        let socket = socket.map(Path::to_owned);
        let key = Key { socket, ..key(&config.tls, config.enable_http2, route).await? };
        if let Some((_, client)) = self.built.lock().iter().find(|(k, _)| *k == key) {
            return Ok(client.clone());
        }
        let client = build(&key)?;
        let mut built = self.built.lock();
        if built.len() == HTTP_CLIENTS_MAX {
            built.remove(0);
        }
        built.push((key, client.clone()));
        Ok(client)
    }
}

async fn key(tls: &TlsConfig, http2: bool, route: Route) -> Result<Key> {
    let ca = match &tls.ca {
        None => None,
        Some(source) => Some(text(source).await?),
    };
    let identity = match &tls.identity {
        None => None,
        Some(id) => Some((text(&id.cert).await?, reveal(&id.key).await?)),
    };
    let (server_name, insecure) = (tls.server_name.clone(), tls.insecure_skip_verify);
    Ok(Key { ca, identity, server_name, insecure, http2, route, socket: None })
}

async fn text(source: &Source<String>) -> Result<String> {
    match source {
        Source::Inline(text) => Ok(text.clone()),
        Source::File(path) => read_small_file(path).await,
    }
}

fn build(key: &Key) -> Result<HttpClient> {
    let tls = client_config(key)?;
    let https = |tls: ClientConfig| -> Result<_> {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        Ok(match &key.server_name {
            None => builder,
            Some(name) => {
                let name = ServerName::try_from(name.clone())
                    .map_err(|e| Error::invalid(format!("server_name {name:?} is not a host name: {e}")))?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
        })
    };
    let mut straight = HttpConnector::new();
    straight.enforce_http(false);
    let route = Arc::new(key.route.clone());
    let to_proxy = https(tls.clone())?.enable_http1().wrap_connector(straight.clone());
    let connector = Connector { straight, to_proxy, route: Arc::clone(&route), socket: key.socket.clone() };
    let https = https(tls)?;
    let connector = match key.http2 {
        true => https.enable_all_versions().wrap_connector(connector),
        false => https.enable_http1().wrap_connector(connector),
    };
    let http = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
        .build(connector);
    Ok(HttpClient { http, route })
}

fn client_config(key: &Key) -> Result<ClientConfig> {
    let fail = |what: &str, e: &dyn std::fmt::Display| Error::invalid(format!("cannot use {what}: {e}"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| fail("TLS", &e))?;
    let builder = if key.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
    } else {
        builder.with_root_certificates(roots(key.ca.as_deref())?)
    };
    let Some((chain, private)) = &key.identity else { return Ok(builder.with_no_client_auth()) };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| fail("the client certificate", &e))?;
    let private =
        PrivateKeyDer::from_pem_slice(private.as_bytes()).map_err(|e| fail("the client's key", &e))?;
    builder.with_client_auth_cert(chain, private).map_err(|e| fail("the client certificate", &e))
}

/// The certificate authorities of the settings, or else those of the system.
fn roots(ca: Option<&str>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        // A system without any is no error: plain HTTP needs none, and HTTPS then fails and says so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let fail =
        |e: &dyn std::fmt::Display| Error::invalid(format!("cannot use the certificate authority: {e}"));
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
    }
    if roots.is_empty() { Err(fail(&"it holds no certificate")) } else { Ok(roots) }
}

/// Takes every certificate, as `insecure_skip_verify` asks; signatures are still checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
