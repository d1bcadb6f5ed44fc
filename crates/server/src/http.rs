//! The router, and the server around it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::prometheus::Registry;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use base::{Error, Result};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_service::Service;

use crate::client::ClientAddress;
use crate::connection::Connection;
use crate::limits::{HEADER_READ_TIMEOUT, MAX_CONNECTIONS, SHUTDOWN_GRACE};
use crate::state::ServerState;
use crate::{assets, cors, exposition, federate, lifecycle, metrics, otlp, prometheus};

/// Bodies below this are not worth the compressor's time, in bytes: they fit one packet.
const COMPRESS_ABOVE_BYTES: u16 = 1024;

/// Where Prometheus' API is.
const API: &str = "/api/v1";

/// A path and what answers there, by method.
pub(crate) type Route = (&'static str, MethodRouter<Arc<ServerState>>);

/// All routes.
pub fn router(state: Arc<ServerState>) -> Router {
    let compress = SizeAbove::new(COMPRESS_ABOVE_BYTES)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("font/"))
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/x-protobuf"))
        .and(NotForContentType::const_new("application/x-streamed-protobuf"));
    let router =
        outside().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router
        .nest(
            API,
            prometheus::routes().layer(middleware::from_fn_with_state(Arc::clone(&state), cors::allow)),
        )
        .fallback(assets::serve)
        .layer(middleware::from_fn(security_headers))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), metrics::observe))
        .layer(CompressionLayer::new().compress_when(compress))
        .layer(CatchPanicLayer::new())
        .with_state(state)
}

/// The routes outside of Prometheus' API.
fn outside() -> Vec<Route> {
    vec![
        ("/-/healthy", get(lifecycle::healthy).head(lifecycle::healthy)),
        ("/-/ready", get(lifecycle::ready)),
        ("/-/reload", post(lifecycle::reload).put(lifecycle::reload)),
        ("/metrics", get(exposition::own)),
        ("/version", get(prometheus::version)),
        ("/federate", get(federate::federate)),
        ("/node/metrics", get(exposition::node)),
        ("/v1/metrics", post(otlp::http::metrics)),
    ]
}

/// The paths of all routes but the pages'.
pub fn route_paths() -> Vec<String> {
    let api = prometheus::list().into_iter().map(|(path, _)| format!("{API}{path}"));
    outside().into_iter().map(|(path, _)| path.to_owned()).chain(api).collect()
}

/// Who answers: at first only that the process is alive, as the replay of a large log takes a while; then all routes.
pub struct Front {
    starting: Router,
    routes: OnceLock<Router>,
}

impl Front {
    /// A front for a process that starts, and has its own metrics to show.
    pub fn new(registry: Registry) -> Self {
        let starting = Router::new()
            .route("/-/healthy", get(lifecycle::healthy).head(lifecycle::healthy))
            .route("/metrics", get(async move || exposition::of(&registry)))
            .fallback(lifecycle::starting)
            .layer(middleware::from_fn(security_headers));
        Self { starting, routes: OnceLock::new() }
    }

    /// Hands over to the routes. To be called once.
    pub fn open(&self, routes: Router) {
        let first = self.routes.set(routes).is_ok();
        debug_assert!(first, "a process starts once");
    }
}

async fn front(State(front): State<Arc<Front>>, request: Request) -> Response {
    let mut routes = front.routes.get().unwrap_or(&front.starting).clone();
    match routes.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A page of ours is never framed by another, nor is an answer taken for another type than it says.
async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}

/// A bound server that does not serve yet.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Takes the address, so that a wrong one is known before anything else starts.
    pub async fn bind(address: &str) -> Result<Self> {
        let fail = |e: std::io::Error| Error::invalid(format!("cannot listen on {address}: {e}"));
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address =
            listener.local_addr().map_err(|e| Error::internal(format!("cannot read own address: {e}")))?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves; then takes no new request and gives open ones a grace period.
    pub async fn serve(
        self,
        front: Arc<Front>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        self.serve_within(HEADER_READ_TIMEOUT, front, stop).await
    }

    /// The same, with so much time for the head of a request.
    async fn serve_within(
        self,
        head: Duration,
        front: Arc<Front>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let router = Router::new().fallback(self::front).with_state(front);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
        // gRPC comes by HTTP/2. Its clients may be silent for long, but have to answer when they are asked whether they are there.
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(head).keep_alive_timeout(head);
        let graceful = GracefulShutdown::new();
        let (running, stopped) = tokio::sync::watch::channel(());
        let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        tokio::pin!(stop);
        loop {
            let (connection, address) = tokio::select! {
                accepted = accept(&self.listener, &free) => accepted,
                () = &mut stop => break,
            };
            let service = answer(router.clone(), ClientAddress(address));
            let (builder, watcher, mut stopped) = (builder.clone(), graceful.watcher(), stopped.clone());
            tokio::spawn(async move {
                let has_begun = tokio::select! {
                    in_time = tokio::time::timeout(head, has_begun(connection.stream())) => in_time.is_ok(),
                    _ = stopped.changed() => false,
                };
                if !has_begun {
                    tracing::debug!(%address, "a connection ended before its first request");
                    return;
                }
                let serving = builder.serve_connection(TokioIo::new(connection), service);
                if let Err(error) = watcher.watch(serving.into_owned()).await {
                    tracing::debug!(%address, error, "a connection ended");
                }
            });
        }
        drop(self.listener);
        drop(running);
        if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                grace_seconds = SHUTDOWN_GRACE.as_secs(),
                "closing connections that are still busy"
            );
        }
        Ok(())
    }
}

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const PREFACE_LEN: usize = HTTP2_PREFACE.len();

/// Pause between looks at the beginning of a connection that comes in pieces.
const PEEK_INTERVAL: Duration = Duration::from_millis(5);

/// Ends when a connection's first bytes tell which version it speaks, or when there will be no more of them.
async fn has_begun(stream: &TcpStream) {
    let mut first = [0; PREFACE_LEN];
    // What was looked at stays there, so that the rest cannot be waited for otherwise.
    while let Ok(seen @ 1..PREFACE_LEN) = stream.peek(&mut first).await
        && HTTP2_PREFACE.starts_with(&first[..seen])
    {
        tokio::time::sleep(PEEK_INTERVAL).await;
    }
}

/// Answers the requests of a connection.
fn answer(
    router: Router,
    client: ClientAddress,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = std::result::Result<Response, Infallible>> + Send,
> {
    hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(client));
        router.clone().call(request)
    })
}

/// The next connection, once there are fewer than may be.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (Connection, SocketAddr) {
    let permit = Arc::clone(free).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                return (Connection::new(stream, permit), address);
            }
            Err(error) => {
                // Most often the process is out of file descriptors; trying again at once would only burn a core.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn serving(head: Duration) -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
        let server = HttpServer::bind("127.0.0.1:0").await.unwrap();
        let address = server.address();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let front = Arc::new(Front::new(Registry::new()));
        tokio::spawn(server.serve_within(head, front, async move { drop(stopped.await) }));
        (address, stop)
    }

    #[tokio::test]
    async fn a_head_that_trickles_in_is_not_waited_for() {
        let (address, _stop) = serving(Duration::from_millis(100)).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection stays open");
        let mut quick = TcpStream::connect(address).await.unwrap();
        quick.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        quick.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_keeps_no_place() {
        let (address, _stop) = serving(Duration::from_millis(100)).await;
        for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(beginning).await.unwrap();
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "the connection stays open after {beginning:?}");
        }
    }

    #[tokio::test]
    async fn idle_connections_do_not_delay_the_end() {
        let (address, stop) = serving(HEADER_READ_TIMEOUT).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        drop(stop);
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SHUTDOWN_GRACE / 2, idle.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection stays open");
    }

    /// Sends bytes in pieces of a size, and takes what comes until the end.
    async fn asked(address: SocketAddr, sent: &[u8], piece: usize) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for part in sent.chunks(piece) {
            stream.write_all(part).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_so() {
        let (address, _stop) = serving(HEADER_READ_TIMEOUT).await;
        let good = "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n";
        let large = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
        for (sent, status) in [
            ("nonsense\r\n\r\n", "400 Bad Request"),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", "400 Bad Request"),
            (&large, "431 Request Header Fields Too Large"),
        ] {
            for (before, answers) in [("", 1), (good, 2)] {
                let all = asked(address, format!("{before}{sent}").as_bytes(), usize::MAX).await;
                assert_eq!(all.matches("HTTP/1.1 ").count(), answers, "{all}");
                let (_, answer) = all.rsplit_once("HTTP/1.1 ").unwrap();
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(status) && head.contains("\r\ndate: "), "{head}");
                assert!(head.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{head}");
                assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
                assert!(body.starts_with(&format!("{status}: the request's ")), "{body}");
            }
        }
    }

    #[tokio::test]
    async fn raw_quotes_in_a_request_line_are_taken() {
        let (address, _stop) = serving(HEADER_READ_TIMEOUT).await;
        let head = |end: &str| {
            format!("GET /-/healthy?q=up{{a=\"<é>\"}} HTTP/1.1\r\nHost: a\r\n{end}\r\n").into_bytes()
        };
        let [open, last] = [head(""), head("Connection: close\r\n")];
        for piece in [1, 13, usize::MAX] {
            let answers = asked(address, &[&open[..], &open, &last].concat(), piece).await;
            assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "in pieces of {piece}: {answers}");
        }
        // Far longer than what is read at once: the answer is about the length, not about a byte.
        let long = [&b"GET /-/healthy?q="[..], &b"\"".repeat(100_000), b" HTTP/1.1\r\n\r\n"].concat();
        let answer = asked(address, &long, usize::MAX).await;
        assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
        assert!(
            answer
                .ends_with("\r\n\r\n414 URI Too Long: the request's address has more bytes than are read\n"),
            "{answer}"
        );
        let fits = [&b"GET /-/healthy?q="[..], &b"\"".repeat(20_000), b" HTTP/1.0\r\n\r\n"].concat();
        let answer = asked(address, &fits, usize::MAX).await;
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    }
}
