//! Connections, straight or through a proxy.
//!
//! To a plain address the proxy gets the whole request; to one with TLS it opens a tunnel, and TLS is spoken through it. A proxy of SOCKS
//! opens a connection to either. A socket of this machine is connected to in place of any host.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_socks::tcp::Socks5Stream;
use tower_service::Service;

use super::proxy::Route;
use crate::config::ProxyAddress;
use crate::limits::PROXY_ANSWER_BYTES_MAX;

/// The port of a SOCKS proxy whose address has none.
const SOCKS_PORT: u16 = 1080;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to hosts.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) straight: HttpConnector,
    pub(super) to_proxy: HttpsConnector<HttpConnector>,
    pub(super) route: Arc<Route>,
    pub(super) socket: Option<PathBuf>,
}

/// A connection to a host, or to a proxy that takes requests for it.
pub(super) struct Link {
    stream: Pipe,
    takes_whole_requests: bool,
}

/// What bytes go through.
enum Pipe {
    Network(Box<Stream>),
    Socket(TokioIo<UnixStream>),
}

/// Does the same with either kind of stream.
macro_rules! either {
    ($link:ident, $stream:ident => $what:expr) => {
        match &mut $link.stream {
            Pipe::Network($stream) => $what,
            Pipe::Socket($stream) => $what,
        }
    };
}

/// Why there is no way through a proxy.
#[derive(Debug)]
struct ProxyError(String);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProxyError {}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Link, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The connectors below are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut connector = self.clone();
        Box::pin(async move {
            let link = |stream| Link { stream: Pipe::Network(Box::new(stream)), takes_whole_requests: false };
            if let Some(path) = &connector.socket {
                let failed = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                return Ok(Link { stream: Pipe::Socket(TokioIo::new(stream)), takes_whole_requests: false });
            }
            let route = Arc::clone(&connector.route);
            let Some(proxy) = route.proxy(&to) else {
                return Ok(link(MaybeHttpsStream::Http(connector.straight.call(to).await?)));
            };
            let failed = |cause: String| ProxyError(format!("proxy {}: {cause}", proxy.url));
            if proxy.is_socks() {
                let stream = through_socks(&mut connector.straight, proxy, &to).await.map_err(failed)?;
                return Ok(link(MaybeHttpsStream::Http(stream)));
            }
            let address: Uri = proxy.url.parse().map_err(|e| failed(format!("{e}")))?;
            let stream = connector.to_proxy.call(address).await.map_err(|e| failed(innermost(&*e)))?;
            if to.scheme_str() != Some("https") {
                return Ok(Link { takes_whole_requests: true, ..link(stream) });
            }
            Ok(link(open_tunnel(stream, &to, proxy, &route).await.map_err(failed)?))
        })
    }
}

fn innermost(e: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Asks a proxy of SOCKS version 5 (RFC 1928) for a connection. It resolves names itself, as Go's client has it do.
async fn through_socks(
    straight: &mut HttpConnector,
    proxy: &ProxyAddress,
    to: &Uri,
) -> Result<TokioIo<TcpStream>, String> {
    let address = url::Url::parse(&proxy.url).map_err(|e| e.to_string())?;
    let host = address.host_str().unwrap_or_default();
    let address = format!("http://{host}:{}", address.port().unwrap_or(SOCKS_PORT));
    let address: Uri = address.parse().map_err(|e| format!("{e}"))?;
    let stream = straight.call(address).await.map_err(|e| innermost(&e))?.into_inner();
    let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let usual = if to.scheme_str() == Some("https") { 443 } else { 80 };
    let target = (host, to.port_u16().unwrap_or(usual));
    let opened = match &proxy.login {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password.expose()).await
        }
    };
    let opened = opened.map_err(|e| format!("it opens no connection to {host}:{}: {e}", target.1))?;
    Ok(TokioIo::new(opened.into_inner()))
}

async fn open_tunnel(
    stream: Stream,
    to: &Uri,
    proxy: &ProxyAddress,
    route: &Route,
) -> Result<Stream, String> {
    let host = format!("{}:{}", to.host().unwrap_or_default(), to.port_u16().unwrap_or(443));
    let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
    let mut header = |name: &str, value: &str| {
        // A line end would begin a header of its own.
        if name.contains(['\r', '\n', ':']) || value.contains(['\r', '\n']) {
            return Err(format!("the header {name:?} for it holds bytes that it cannot"));
        }
        request.push_str(&format!("{name}: {value}\r\n"));
        Ok(())
    };
    header("User-Agent", super::USER_AGENT)?;
    for (name, values) in &route.connect_headers {
        values.iter().try_for_each(|value| header(name, value.expose()))?;
    }
    if let Some(credentials) = &proxy.authorization() {
        header("Proxy-Authorization", credentials.expose())?;
    }
    request.push_str("\r\n");
    let mut stream = TokioIo::new(stream);
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // By single bytes: what comes after the head is the host's.
        head.push(stream.read_u8().await.map_err(|e| format!("it hung up: {e}"))?);
        if head.len() > PROXY_ANSWER_BYTES_MAX {
            return Err(format!("the head of its answer has more than {PROXY_ANSWER_BYTES_MAX} bytes"));
        }
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_once(' ')).map(|(_, status)| status);
    match status {
        Some(status) if status.starts_with('2') => Ok(stream.into_inner()),
        Some(status) => Err(format!("it opens no tunnel to {host}: {status}")),
        None => Err("its answer is no HTTP".to_owned()),
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        match &self.stream {
            Pipe::Network(stream) => stream.connected().proxy(self.takes_whole_requests),
            Pipe::Socket(_) => Connected::new(),
        }
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Pipe::Network(stream) => stream.is_write_vectored(),
            Pipe::Socket(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }
}
