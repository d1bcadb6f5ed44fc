//! Requests through a proxy of SOCKS version 5 that the test is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{ManualClock, Result};
use collect::config::{HttpConfig, ProxyAddress, ProxyChoice, ProxyConfig};
use collect::http::HttpTransport;
use collect::scrape::{FetchRequest, Transport as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::http_transport::{Server, header, request, tls};

/// Connects whoever says `me` and `pw` to one address, and keeps for which hosts.
struct Socks {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let keep = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, to) = (keep.clone(), to.clone());
                // Who hangs up in between was refused.
                tokio::spawn(async move { drop(serve(stream, &keep, &to).await) });
            }
        });
        Self { address, asked }
    }
}

/// RFC 1928 and RFC 1929.
async fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, to: &str) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&2) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, 2]).await?;
    assert_eq!(stream.read_u8().await?, 1);
    let mut login = Vec::new();
    for _ in 0..2 {
        let mut text = vec![0; stream.read_u8().await?.into()];
        stream.read_exact(&mut text).await?;
        login.push(String::from_utf8(text).unwrap());
    }
    let known = login == ["me", "pw"];
    stream.write_all(&[1, u8::from(!known)]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
        4 => {
            let mut ip = [0; 16];
            stream.read_exact(&mut ip).await?;
            std::net::Ipv6Addr::from(ip).to_string()
        }
        other => panic!("address type {other}"),
    };
    let port = stream.read_u16().await?;
    let refused = host == "refused.test";
    asked.lock().unwrap().push(format!("{host}:{port}"));
    stream.write_all(&[5, if refused { 2 } else { 0 }, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if !refused {
        let mut far = TcpStream::connect(to).await?;
        copy_bidirectional(&mut stream, &mut far).await?;
    }
    Ok(())
}

async fn fetch(proxy: &str, url: &str) -> Result<Vec<u8>> {
    let choice = ProxyChoice::Url { address: ProxyAddress::parse(proxy).unwrap(), no_proxy: String::new() };
    let proxy = ProxyConfig { choice, ..ProxyConfig::default() };
    let http = HttpConfig { proxy, tls: tls::trusting(), ..HttpConfig::default() };
    let transport = HttpTransport::new(Arc::new(ManualClock::new(0)), |_| None);
    let request = FetchRequest { timeout: Duration::from_secs(5), ..request(url, http) };
    transport.fetch(&request).await.map(|body| body.bytes)
}

#[tokio::test]
async fn a_socks_proxy_connects_to_plain_addresses_and_to_those_with_tls() {
    let (plain, with_tls) = (Server::start().await, tls::server(false).await);
    let (to_plain, to_tls) =
        (Socks::start(plain.address.clone()).await, Socks::start(with_tls.address.clone()).await);
    let by = |proxy: &Socks, login: &str| format!("socks5://{login}{}", proxy.address);
    // No such host is known here: the proxy resolves names.
    let got = fetch(&by(&to_plain, "me:pw@"), "http://target.test/metrics").await.unwrap();
    assert_eq!(got, b"m 1\n");
    assert_eq!(header(&plain.last_head(), "host").as_deref(), Some("target.test"));
    assert!(plain.last_head().starts_with("GET /metrics "), "{}", plain.last_head());
    assert_eq!(header(&plain.last_head(), "proxy-authorization"), None);
    fetch(&by(&to_plain, "me:pw@"), "http://[2001:db8::1]:81/metrics").await.unwrap();
    assert_eq!(*to_plain.asked.lock().unwrap(), ["target.test:80", "2001:db8::1:81"]);
    assert_eq!(fetch(&by(&to_tls, "me:pw@"), "https://target.test/metrics").await.unwrap(), b"m 1\n");
    assert_eq!(*to_tls.asked.lock().unwrap(), ["target.test:443"]);
    let wrong = by(&to_plain, "me:hunter2@");
    for (proxy, url) in [
        (by(&to_plain, "me:pw@"), "http://refused.test/"),
        (by(&to_plain, ""), "http://target.test/"),
        (wrong, "http://target.test/"),
    ] {
        let error = fetch(&proxy, url).await.unwrap_err();
        let begin =
            format!("cannot scrape {url}: proxy socks5://{}: it opens no connection", to_plain.address);
        assert!(error.message().starts_with(&begin) && !error.message().contains("hunter2"), "{error}");
    }
    let gone = fetch("socks5://127.0.0.1:1", "http://target.test/").await.unwrap_err();
    assert!(gone.message().contains("proxy socks5://127.0.0.1:1: Connection refused"), "{gone}");
}
