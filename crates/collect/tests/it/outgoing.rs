//! Tokens, proxies and headers of requests, against small servers on the loopback interface.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{ErrorKind, ManualClock, Result};
use collect::config::{
    Authorization, Grant, HttpConfig, OAuth2Config, ProxyAddress, ProxyChoice, ProxyConfig, Secret,
    SigV4Config, Source, TlsConfig,
};
use collect::http::{Environment, HttpTransport};
use collect::post::{Post as _, PostRequest};
use collect::scrape::{FetchRequest, Transport as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::http_transport::{Server, header, request, tls};

const NOTHING: Environment = |_| None;

/// What a server does with a request.
pub(crate) enum Reply {
    Answer(&'static str, String),
    Hang,
    /// Becomes a connection to this address.
    Tunnel(String),
}

/// Answers as a function of the head and the body of a request says; keeps all it got.
pub(crate) struct Small {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Small {
    pub(crate) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let keep = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, answer) = (Arc::clone(&keep), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &keep, &*answer).await });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &(impl Fn(&str) -> Reply + Sync)) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(request.clone()).unwrap();
        let mut body = vec![0; header(&head, "content-length").map_or(0, |n| n.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let request = head + &String::from_utf8(body).unwrap();
        seen.lock().unwrap().push(request.clone());
        match answer(&request) {
            Reply::Hang => return std::future::pending().await,
            Reply::Answer(status, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Reply::Tunnel(to) => {
                let mut far = TcpStream::connect(to).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                // Ends when either side has enough, in whatever way.
                let _ = copy_bidirectional(&mut stream, &mut far).await;
                return;
            }
        }
    }
}

pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply::Answer("200 OK", body.into())
}

fn oauth2(token_url: String) -> HttpConfig {
    let config = OAuth2Config {
        client_id: "me&you".into(),
        grant: Grant::Secret(Source::Inline(Secret::new("hunter2"))),
        scopes: vec!["read".into(), "more".into()],
        token_url: Secret::new(token_url),
        endpoint_params: vec![("audience".into(), Secret::new("x y"))],
        tls: TlsConfig::default(),
        proxy: ProxyConfig::default(),
    };
    HttpConfig { authorization: Authorization::OAuth2(Box::new(config)), ..HttpConfig::default() }
}

fn soon(url: &str, http: HttpConfig) -> FetchRequest {
    FetchRequest { timeout: Duration::from_millis(500), ..request(url, http) }
}

#[tokio::test]
async fn a_token_is_got_once_and_anew_before_it_ends_or_when_it_is_refused() {
    let number = Mutex::new(0);
    let tokens = Small::start(move |_| {
        let mut number = number.lock().unwrap();
        *number += 1;
        ok(format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":60}}"#))
    })
    .await;
    let target = Small::start(|request| match header(request, "authorization").as_deref() {
        Some("Bearer t3") => Reply::Answer("401 Unauthorized", String::new()),
        _ => ok("m 1\n"),
    })
    .await;
    let clock = Arc::new(ManualClock::new(0));
    let transport = HttpTransport::new(clock.clone(), NOTHING);
    let http = oauth2(format!("http://{}/token", tokens.address));
    let scrape = request(&format!("http://{}/metrics", target.address), http);
    let sent = || header(target.seen().last().unwrap(), "authorization").unwrap();
    for (seconds, token) in [(0, "Bearer t1"), (49, "Bearer t1"), (2, "Bearer t2")] {
        clock.advance(Duration::from_secs(seconds));
        transport.fetch(&scrape).await.unwrap();
        assert_eq!(sent(), token);
    }
    let asked = tokens.seen();
    assert_eq!(asked.len(), 2);
    // RFC 6749, 2.3.1: both parts are encoded as in a form.
    assert_eq!(header(&asked[0], "authorization").as_deref(), Some("Basic bWUlMjZ5b3U6aHVudGVyMg=="));
    assert!(
        asked[0].ends_with("\r\n\r\ngrant_type=client_credentials&scope=read+more&audience=x+y"),
        "{}",
        asked[0]
    );
    clock.advance(Duration::from_secs(60));
    let refused = transport.fetch(&scrape).await.unwrap_err();
    assert_eq!(
        (sent().as_str(), refused.message()),
        ("Bearer t3", "server returned HTTP status 401 Unauthorized")
    );
    transport.fetch(&scrape).await.unwrap();
    assert_eq!(sent(), "Bearer t4", "one that was refused is not used again");
}

#[tokio::test]
async fn a_client_names_itself_in_the_form_where_a_header_is_refused() {
    let tokens = Small::start(|request| match header(request, "authorization") {
        Some(_) => Reply::Answer("401 Unauthorized", r#"{"error":"invalid_client"}"#.into()),
        None => ok(r#"{"access_token":"t"}"#),
    })
    .await;
    let target = Server::start().await;
    let transport = HttpTransport::new(Arc::new(ManualClock::new(0)), NOTHING);
    let scrape =
        request(&format!("http://{}/metrics", target.address), oauth2(format!("http://{}/", tokens.address)));
    transport.fetch(&scrape).await.unwrap();
    assert_eq!(header(&target.last_head(), "authorization").as_deref(), Some("Bearer t"));
    let asked = tokens.seen();
    assert!(asked[1].contains("&client_id=me%26you&client_secret=hunter2&"), "{}", asked[1]);
}

#[tokio::test]
async fn a_scrape_says_what_is_wrong_with_the_token_and_recovers() {
    let mode = Arc::new(Mutex::new("fails"));
    let now = Arc::clone(&mode);
    let tokens = Small::start(move |_| match *now.lock().unwrap() {
        "fails" => Reply::Answer("503 Service Unavailable", "hunter2 is what you sent".into()),
        "refuses" => Reply::Answer(
            "400 Bad Request",
            r#"{"error":"invalid_scope","error_description":"not with hunter2"}"#.into(),
        ),
        "babbles" => ok("<html>hunter2</html>"),
        "forgets" => ok(r#"{"expires_in":60}"#),
        "floods" => ok(" ".repeat(2 << 20)),
        "hangs" => Reply::Hang,
        _ => ok(r#"{"access_token":"t","expires_in":60}"#),
    })
    .await;
    let target = Server::start().await;
    let clock = Arc::new(ManualClock::new(0));
    let transport = HttpTransport::new(clock.clone(), NOTHING);
    let url = format!("http://{}/metrics", target.address);
    let scrape = soon(&url, oauth2(format!("http://u:hunter2@{}/token", tokens.address)));
    let cases = [
        ("fails", "server returned HTTP status 503"),
        ("refuses", "server returned HTTP status 400: invalid_scope: not with <secret>"),
        ("babbles", "its answer is no JSON"),
        ("forgets", "its answer has no access_token"),
        ("floods", "its answer is cut off, or too large"),
        ("hangs", "no answer within 400ms"),
    ];
    for (name, want) in cases {
        *mode.lock().unwrap() = name;
        clock.advance(Duration::from_secs(30));
        let error = transport.fetch(&scrape).await.unwrap_err();
        let begin = format!("cannot scrape {url}: cannot get a token from http://{}/token: ", tokens.address);
        assert!(error.message().starts_with(&begin) && error.message().ends_with(want), "{error}");
        assert!(
            !error.message().contains("hunter2") && !format!("{scrape:?}").contains("hunter2"),
            "{error}"
        );
    }
    assert_eq!(target.last_head(), "", "no request goes out without its token");
    *mode.lock().unwrap() = "works";
    let asked = tokens.seen().len();
    let error = transport.fetch(&scrape).await.unwrap_err();
    assert!(error.message().ends_with("no answer within 400ms"), "a pause after failures: {error}");
    assert_eq!(tokens.seen().len(), asked);
    clock.advance(Duration::from_secs(30));
    transport.fetch(&scrape).await.unwrap();
    let nobody = soon(&url, oauth2("http://127.0.0.1:1/token".into()));
    let error = transport.fetch(&nobody).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Unavailable && error.message().contains("Connection refused"),
        "{error}"
    );
}

fn by_proxy(address: &str, no_proxy: &str) -> HttpConfig {
    let address = ProxyAddress::parse(&format!("http://me:pw@{address}")).unwrap();
    let choice = ProxyChoice::Url { address, no_proxy: no_proxy.into() };
    let connect_headers = vec![("X-Team".into(), vec![Secret::new("a"), Secret::new("b")])];
    HttpConfig { proxy: ProxyConfig { choice, connect_headers }, ..HttpConfig::default() }
}

async fn fetch(environment: Environment, request: &FetchRequest) -> Result<Vec<u8>> {
    let transport = HttpTransport::new(Arc::new(ManualClock::new(0)), environment);
    transport.fetch(request).await.map(|body| body.bytes)
}

#[tokio::test]
async fn a_proxy_gets_requests_for_plain_addresses() {
    let proxy = Small::start(|request| match request.split(' ').nth(1) {
        Some("http://target.test:81/metrics") => ok("m 1\n"),
        _ => Reply::Answer("407 Proxy Authentication Required", String::new()),
    })
    .await;
    let scrape = |url: &str, no_proxy: &str| soon(url, by_proxy(&proxy.address, no_proxy));
    // No such host is known here: only the proxy can have answered.
    let got = fetch(NOTHING, &scrape("http://target.test:81/metrics", "")).await.unwrap();
    assert_eq!(got, b"m 1\n");
    let head = proxy.seen().remove(0);
    assert_eq!(header(&head, "proxy-authorization").as_deref(), Some("Basic bWU6cHc="));
    assert_eq!(header(&head, "host").as_deref(), Some("target.test:81"));
    let error = fetch(NOTHING, &scrape("http://other.test/", "")).await.unwrap_err();
    assert_eq!(error.message(), "server returned HTTP status 407 Proxy Authentication Required");
    assert!(
        fetch(NOTHING, &scrape("http://target.test:81/metrics", "test")).await.is_err(),
        "asked straight"
    );
    let straight = Server::start().await;
    let near = format!("http://{}/metrics", straight.address);
    assert!(fetch(NOTHING, &scrape(&near, "")).await.is_err(), "the proxy does not know it");
    assert_eq!(fetch(NOTHING, &scrape(&near, "else")).await.unwrap(), b"m 1\n");
    let gone = soon("http://target.test/", by_proxy("127.0.0.1:1", ""));
    let error = fetch(NOTHING, &gone).await.unwrap_err();
    let want = "cannot scrape http://target.test/: proxy http://127.0.0.1:1/: Connection refused";
    assert!(error.message().starts_with(want), "{error}");
    let from_environment = ProxyConfig { choice: ProxyChoice::FromEnvironment, ..ProxyConfig::default() };
    let by_environment =
        soon("http://target.test/", HttpConfig { proxy: from_environment, ..HttpConfig::default() });
    let environment: Environment = |name| (name == "http_proxy").then(|| "127.0.0.1:1".to_owned());
    let error = fetch(environment, &by_environment).await.unwrap_err();
    assert!(error.message().contains("proxy http://127.0.0.1:1/: Connection refused"), "{error}");
}

#[tokio::test]
async fn a_proxy_opens_a_tunnel_to_addresses_with_tls() {
    let target = tls::server(false).await;
    let to = target.address.clone();
    let proxy = Small::start(move |request| match request.split(' ').nth(1) {
        Some("target.test:443") => Reply::Tunnel(to.clone()),
        Some("long.test:443") => Reply::Answer("200 OK\r\nX: y", "x".repeat(10)),
        _ => Reply::Answer("403 Forbidden", String::new()),
    })
    .await;
    let scrape = |url: &str| {
        let with_tls = HttpConfig { tls: tls::trusting(), ..by_proxy(&proxy.address, "") };
        soon(url, with_tls)
    };
    assert_eq!(fetch(NOTHING, &scrape("https://target.test/metrics")).await.unwrap(), b"m 1\n");
    let head = proxy.seen().remove(0);
    assert!(head.starts_with("CONNECT target.test:443 HTTP/1.1\r\nHost: target.test:443\r\n"), "{head}");
    assert!(head.contains("X-Team: a\r\nX-Team: b\r\nProxy-Authorization: Basic bWU6cHc=\r\n"), "{head}");
    assert_eq!(header(&target.last_head(), "proxy-authorization"), None, "the target does not learn it");
    let error = fetch(NOTHING, &scrape("https://other.test/")).await.unwrap_err();
    assert!(error.message().ends_with("it opens no tunnel to other.test:443: 403 Forbidden"), "{error}");
    assert!(fetch(NOTHING, &scrape("https://long.test/")).await.is_err(), "what follows is no TLS");
}

#[tokio::test]
async fn headers_of_the_configuration_are_sent_to_the_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    std::fs::write(&file, "from a file\n").unwrap();
    let headers = vec![
        ("X-Two".into(), vec![Source::Inline(Secret::new("a")), Source::Inline(Secret::new("b"))]),
        ("X-File".into(), vec![Source::File(file)]),
    ];
    let http = HttpConfig { headers, ..HttpConfig::default() };
    let other = Server::start().await;
    let location = other.address.clone();
    let first = Small::start(move |_| {
        Reply::Answer(
            Box::leak(format!("307 Moved\r\nLocation: http://{location}/metrics").into_boxed_str()),
            String::new(),
        )
    })
    .await;
    fetch(NOTHING, &request(&format!("http://{}/", first.address), http)).await.unwrap();
    let head = first.seen().remove(0).to_lowercase();
    assert!(head.contains("x-two: a\r\nx-two: b\r\n") && head.contains("x-file: from a file\r\n"), "{head}");
    assert_eq!(header(&other.last_head(), "x-two"), None);
}

#[tokio::test]
async fn a_clients_secret_does_not_follow_a_redirect_to_another_server() {
    let other = Small::start(|_| ok(r#"{"access_token":"t"}"#)).await;
    let to_other: &'static str =
        Box::leak(format!("307 Moved\r\nLocation: http://{}/token", other.address).into_boxed_str());
    // The first takes the client's name in the form only, the second says at once that it has moved.
    for form_only in [true, false] {
        let tokens = Small::start(move |request| match header(request, "authorization") {
            Some(_) if form_only => Reply::Answer("401 Unauthorized", String::new()),
            _ => Reply::Answer(to_other, String::new()),
        })
        .await;
        let target = Small::start(|_| ok("m 1\n")).await;
        let http = oauth2(format!("http://{}/token", tokens.address));
        let url = format!("http://{}/metrics", target.address);
        let error = fetch(NOTHING, &request(&url, http)).await.unwrap_err();
        let want = "it redirects to http://127.0.0.1, another server, which does not get what is secret";
        assert!(error.message().contains(want), "{error}");
        assert_eq!(tokens.seen().len(), if form_only { 2 } else { 1 });
        assert_eq!((other.seen().len(), target.seen().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_clients_secret_follows_a_redirect_on_the_same_server() {
    let tokens = Small::start(|request| match request.starts_with("POST /new ") {
        true if header(request, "authorization").is_some() => ok(r#"{"access_token":"t"}"#),
        true => Reply::Answer("401 Unauthorized", String::new()),
        false => Reply::Answer("308 Moved\r\nLocation: /new", String::new()),
    })
    .await;
    let target = Small::start(|_| ok("m 1\n")).await;
    let http = oauth2(format!("http://{}/token", tokens.address));
    fetch(NOTHING, &request(&format!("http://{}/metrics", target.address), http)).await.unwrap();
    assert_eq!(header(&target.seen()[0], "authorization").as_deref(), Some("Bearer t"));
}

#[tokio::test]
async fn what_is_posted_is_signed_and_what_cannot_be_authorized_is_not_sent() {
    let server = Server::start().await;
    let post = async |authorization| {
        let http = HttpConfig { authorization, ..HttpConfig::default() };
        let url = format!("http://{}/write", server.address);
        let headers = vec![("content-type".into(), "text/x".into())];
        let transport = HttpTransport::new(Arc::new(ManualClock::new(1_440_938_160_000)), NOTHING);
        transport.post(PostRequest { url, headers, body: "the body".into(), http }).await
    };
    let sigv4 = SigV4Config {
        region: Some("eu-west-1".into()),
        key: Some(("AKID".into(), Secret::new("s"))),
        profile: None,
        role: None,
        use_fips_sts_endpoint: false,
        service: "aps".into(),
    };
    assert_eq!(post(Authorization::SigV4(Box::new(sigv4))).await.unwrap().status, 204);
    let head = server.last_head();
    let value = header(&head, "authorization").unwrap();
    let begin = "AWS4-HMAC-SHA256 Credential=AKID/20150830/eu-west-1/aps/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature=";
    assert!(value.starts_with(begin), "{value}");
    assert_eq!(header(&head, "x-amz-date").as_deref(), Some("20150830T123600Z"));
    let nothing = SigV4Config {
        region: Some("eu-west-1".into()),
        key: None,
        profile: Some("none".into()),
        role: None,
        use_fips_sts_endpoint: false,
        service: "aps".into(),
    };
    let error = post(Authorization::SigV4(Box::new(nothing))).await.unwrap_err();
    let want = "cannot get a key of AWS: the profile \"none\" is in none of the files of AWS' tools";
    assert!(error.message().ends_with(want), "{error}");
    assert_eq!(server.last_head(), head, "nothing went out");
}
