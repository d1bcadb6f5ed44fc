//! The HTTP transport against a small server on the loopback interface.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{ErrorKind, ManualClock, Result};
use collect::config::{Authorization, HttpConfig, Scheme, Secret, Source, TlsConfig, TlsIdentity};
use collect::http::HttpTransport;
use collect::post::{Post, PostRequest, PostResponse};
use collect::scrape::{FetchRequest, FetchedBody, Purpose, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers by path; keeps the heads of the requests.
pub(crate) struct Server {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, tls) = (seen.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub(crate) fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Mutex<Vec<String>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(b) => head.push(b),
                Err(_) => return,
            }
        }
        let mut head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut body = vec![0; header(&head, "content-length").map_or(0, |n| n.parse().unwrap())];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        head.push_str(&String::from_utf8(body).unwrap());
        seen.lock().unwrap().push(head);
        if path == "/never" {
            return std::future::pending().await;
        }
        let response = response(&path);
        if stream.write_all(&response).await.is_err() || path == "/cut" {
            return;
        }
    }
}

fn response(path: &str) -> Vec<u8> {
    let plain = |status: &str, headers: &str, body: &[u8]| {
        let mut out =
            format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        out.extend_from_slice(body);
        out
    };
    match path {
        "/metrics" => plain("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", b"m 1\n"),
        "/gzip" => plain("200 OK", "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", &gzip(b"m 2\n")),
        "/bomb" => plain("200 OK", "Content-Encoding: gzip\r\n", &gzip(&vec![b' '; 10 << 20])),
        "/nogzip" => plain("200 OK", "Content-Encoding: gzip\r\n", b"m 1\n"),
        "/brotli" => plain("200 OK", "Content-Encoding: br\r\n", b"m 1\n"),
        "/moved" => plain("302 Found", "Location: /metrics\r\n", b""),
        "/kept" => plain("307 Temporary Redirect", "Location: /write\r\n", b""),
        "/write" => plain("204 No Content", "X-Written: 7\r\n", b""),
        "/refuse" => plain("400 Bad Request", "", &b"why ".repeat(5000)),
        "/loop" => plain("302 Found", "Location: /loop\r\n", b""),
        "/away" => plain("302 Found", "Location: file:///etc/passwd\r\n", b""),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nm 1\n".to_vec(),
        _ => plain("404 Not Found", "", b""),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn transport() -> HttpTransport {
    HttpTransport::new(Arc::new(ManualClock::new(0)), |_| None)
}

pub(crate) fn request(url: &str, http: HttpConfig) -> FetchRequest {
    FetchRequest {
        purpose: Purpose::Scrape,
        scheme: Scheme::Http,
        address: String::new(),
        url: url.into(),
        accept: "text/plain;version=0.0.4".into(),
        timeout: Duration::from_millis(2_500),
        compression: true,
        socket: None,
        body_size_limit: 1 << 20,
        http: Arc::new(http),
    }
}

async fn fetch(server: &Server, path: &str, http: HttpConfig) -> Result<FetchedBody> {
    transport().fetch(&request(&format!("http://{}{path}", server.address), http)).await
}

pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|l| l.split_once(": "));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).next()
}

#[tokio::test]
async fn fetches_with_the_headers_of_a_scrape() {
    let server = Server::start().await;
    let body = fetch(&server, "/metrics", HttpConfig::default()).await.unwrap();
    assert_eq!((body.content_type.as_str(), &*body.bytes), ("text/plain; version=0.0.4", &b"m 1\n"[..]));
    let head = server.last_head();
    assert_eq!(header(&head, "accept").as_deref(), Some("text/plain;version=0.0.4"));
    assert_eq!(header(&head, "accept-encoding").as_deref(), Some("gzip"));
    assert_eq!(header(&head, "X-Prometheus-Scrape-Timeout-Seconds").as_deref(), Some("2.5"));
    assert_eq!(header(&head, "host").as_deref(), Some(server.address.as_str()));
    assert!(header(&head, "user-agent").is_some_and(|v| v.starts_with("Bellwether/")));
    assert_eq!(header(&head, "authorization"), None);
}

async fn post(server: &Server, path: &str, http: HttpConfig) -> Result<PostResponse> {
    let request = PostRequest {
        url: format!("http://{}{path}", server.address),
        headers: vec![("content-type".into(), "text/x".into()), ("X-Scope".into(), "me".into())],
        body: "the body".into(),
        http,
    };
    transport().post(request).await
}

#[tokio::test]
async fn posts_a_body_and_keeps_it_over_redirects_that_say_so() {
    let server = Server::start().await;
    let http = HttpConfig {
        authorization: Authorization::Basic {
            username: Source::Inline("u".into()),
            password: Source::Inline(Secret::new("p")),
        },
        ..HttpConfig::default()
    };
    for path in ["/write", "/kept"] {
        let answer = post(&server, path, http.clone()).await.unwrap();
        assert_eq!((answer.status, answer.header("x-written")), (204, Some("7")), "{path}");
        let head = server.last_head();
        assert!(head.starts_with("POST /write HTTP/1.1") && head.ends_with("\r\n\r\nthe body"), "{head}");
        assert_eq!(header(&head, "authorization").as_deref(), Some("Basic dTpw"));
        assert_eq!(
            (header(&head, "content-type"), header(&head, "x-scope")),
            (Some("text/x".into()), Some("me".into()))
        );
    }
    let stays = HttpConfig { follow_redirects: false, ..http.clone() };
    assert_eq!(post(&server, "/kept", stays).await.unwrap().status, 307);
    assert_eq!(post(&server, "/moved", http.clone()).await.unwrap().status, 302, "it would lose the body");
    let refused = post(&server, "/refuse", http.clone()).await.unwrap();
    assert_eq!((refused.status, refused.body.len()), (400, collect::limits::POST_ANSWER_BYTES_MAX));
    let nobody = Server { address: "127.0.0.1:1".into(), heads: Arc::default() };
    let error = post(&nobody, "/write", http).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn sends_credentials_from_the_configuration_and_from_files() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let check = async |authorization: Authorization, want: &str| {
        let http = HttpConfig { authorization, ..HttpConfig::default() };
        fetch(&server, "/moved", http).await.unwrap();
        assert_eq!(header(&server.last_head(), "authorization").as_deref(), Some(want));
    };
    let basic = |password| Authorization::Basic { username: Source::Inline("me".into()), password };
    check(basic(Source::Inline(Secret::new("pw"))), "Basic bWU6cHc=").await;
    check(basic(Source::File(path.clone())), "Basic bWU6czNjcmV0").await;
    let bearer = |credentials| Authorization::Credentials { scheme: "Bearer".into(), credentials };
    check(bearer(Source::Inline(Secret::new("tok"))), "Bearer tok").await;
    check(bearer(Source::File(path.clone())), "Bearer s3cret").await;
    std::fs::write(&path, "rotated").unwrap();
    check(bearer(Source::File(path.clone())), "Bearer rotated").await;

    let gone = HttpConfig {
        authorization: bearer(Source::File(folder.path().join("gone"))),
        ..HttpConfig::default()
    };
    assert!(fetch(&server, "/metrics", gone).await.unwrap_err().message().contains("cannot read"));
    let unsendable = HttpConfig {
        authorization: bearer(Source::Inline(Secret::new("hunter2\n\u{1}"))),
        ..HttpConfig::default()
    };
    let error = fetch(&server, "/metrics", unsendable).await.unwrap_err();
    assert!(!error.message().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let other = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let location = other.address.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await.unwrap();
        let response =
            format!("HTTP/1.1 307 Moved\r\nLocation: http://{location}/metrics\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
    });
    let authorization = Authorization::Credentials {
        scheme: "Bearer".into(),
        credentials: Source::Inline(Secret::new("tok")),
    };
    let http = HttpConfig { authorization, ..HttpConfig::default() };
    transport().fetch(&request(&format!("http://{address}/"), http)).await.unwrap();
    assert_eq!(header(&other.last_head(), "authorization"), None);
}

#[tokio::test]
async fn decompresses_and_follows_redirects() {
    let server = Server::start().await;
    assert_eq!(fetch(&server, "/gzip", HttpConfig::default()).await.unwrap().bytes, b"m 2\n");
    assert_eq!(fetch(&server, "/moved", HttpConfig::default()).await.unwrap().bytes, b"m 1\n");
    let stay = HttpConfig { follow_redirects: false, ..HttpConfig::default() };
    let error = fetch(&server, "/moved", stay).await.unwrap_err();
    assert_eq!(error.message(), "server returned HTTP status 302 Found");
}

#[tokio::test]
async fn bad_answers_are_errors_that_say_what_is_wrong() {
    let server = Server::start().await;
    let check = async |path: &str, kind: ErrorKind, want: &str| {
        let error = fetch(&server, path, HttpConfig::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(want), "{error}");
    };
    check("/missing", ErrorKind::Unavailable, "server returned HTTP status 404 Not Found").await;
    check("/bomb", ErrorKind::Limit, "body size limit exceeded").await;
    check("/nogzip", ErrorKind::Invalid, "cannot decompress the body").await;
    check("/brotli", ErrorKind::Invalid, "the encoding \"br\"").await;
    check("/loop", ErrorKind::Unavailable, "stopped after 10 redirects").await;
    check("/away", ErrorKind::Invalid, "cannot follow the redirect").await;
    check("/cut", ErrorKind::Unavailable, "cannot read the body").await;
    let unbound = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = transport()
        .fetch(&request(&format!("http://{unbound}/metrics"), HttpConfig::default()))
        .await
        .unwrap_err();
    assert!(error.message().contains("Connection refused"), "{error}");
}

pub(crate) mod tls {
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/");

    fn file(name: &str) -> std::path::PathBuf {
        Path::new(FOLDER).join(name)
    }

    /// A server with a certificate for `target.test`, which asks for a client's certificate if told to.
    pub(crate) async fn server(ask_client: bool) -> Server {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if ask_client {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = builder.with_single_cert(chain, key).unwrap();
        Server::start_with(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn fetch_tls(server: &Server, tls: TlsConfig) -> Result<FetchedBody> {
        let http = HttpConfig { tls, ..HttpConfig::default() };
        transport().fetch(&request(&format!("https://{}/metrics", server.address), http)).await
    }

    pub(crate) fn trusting() -> TlsConfig {
        TlsConfig {
            ca: Some(Source::File(file("ca.pem"))),
            server_name: Some("target.test".into()),
            ..TlsConfig::default()
        }
    }

    #[tokio::test]
    async fn checks_the_targets_certificate() {
        let server = server(false).await;
        assert_eq!(fetch_tls(&server, trusting()).await.unwrap().bytes, b"m 1\n");
        // By default neither the authority nor the name is the right one.
        assert!(fetch_tls(&server, TlsConfig::default()).await.is_err());
        assert!(fetch_tls(&server, TlsConfig { server_name: None, ..trusting() }).await.is_err());
        assert!(fetch_tls(&server, TlsConfig { ca: None, ..trusting() }).await.is_err());
        let unchecked = TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() };
        assert_eq!(fetch_tls(&server, unchecked).await.unwrap().bytes, b"m 1\n");
        let broken = TlsConfig { ca: Some(Source::Inline("no certificate".into())), ..trusting() };
        let error = fetch_tls(&server, broken).await.unwrap_err();
        assert!(error.message().contains("it holds no certificate"), "{error}");
    }

    #[tokio::test]
    async fn presents_its_own_certificate() {
        let server = server(true).await;
        assert!(fetch_tls(&server, trusting()).await.is_err());
        let identity =
            TlsIdentity { cert: Source::File(file("client.pem")), key: Source::File(file("client.key")) };
        let body = fetch_tls(&server, TlsConfig { identity: Some(identity), ..trusting() }).await;
        assert_eq!(body.unwrap().bytes, b"m 1\n");
    }
}

#[tokio::test]
async fn a_target_behind_a_socket_of_this_machine_is_asked_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.sock");
    let asked = |socket: &Path| FetchRequest {
        socket: Some(socket.to_owned()),
        // Nobody answers there, nor is there a proxy.
        ..request("http://nowhere.test:9/metrics", HttpConfig::default())
    };
    let with_proxy = |name: &str| (name == "http_proxy").then(|| "http://nowhere.test:8".to_owned());
    let transport = HttpTransport::new(Arc::new(ManualClock::new(0)), with_proxy);
    let error = transport.fetch(&asked(&path)).await.unwrap_err();
    assert!(error.message().contains(&format!("{}: No such file", path.display())), "{error}");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nm 1\n").await.unwrap();
        String::from_utf8(head).unwrap()
    });
    assert_eq!(transport.fetch(&asked(&path)).await.unwrap().bytes, b"m 1\n");
    let head = serving.await.unwrap();
    assert!(head.starts_with("GET /metrics HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host").as_deref(), Some("nowhere.test:9"));
}
