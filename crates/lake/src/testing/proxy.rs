//! An HTTP proxy on loopback that fails on purpose: stands between a client and a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The server answers it.
    Pass,
    /// The server answers it as if this header had not been sent.
    PassWithout(&'static str),
    /// It never reaches the server, and the connection breaks.
    Lose,
    /// The server carries it out, and the connection breaks before the answer.
    LoseAnswer,
    /// It is answered with status 500, without the server.
    Fail,
    /// The server carries it out; the answer says 500.
    FailAfter,
    /// Nothing happens for as long as anybody waits.
    Hang,
}

type Rule = Arc<dyn Fn(&str) -> Action + Send + Sync>;

/// A running proxy. Connections end with their first answer.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    upstream: u16,
    rule: Mutex<Rule>,
    /// Gone while connections are refused.
    listener: Mutex<Option<TcpListener>>,
    requests: AtomicU64,
}

impl Proxy {
    /// Starts before a server on loopback, and passes everything on.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let rule: Rule = Arc::new(|_| Action::Pass);
        let state = Arc::new(State {
            upstream,
            rule: Mutex::new(rule),
            listener: Mutex::new(None),
            requests: AtomicU64::new(0),
        });
        let this = Self { port, state };
        this.listen(listener);
        this
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Decides from now on by the request line, such as `PUT /bucket/object HTTP/1.1`.
    pub fn rule(&self, rule: impl Fn(&str) -> Action + Send + Sync + 'static) {
        *self.state.rule.lock() = Arc::new(rule);
    }

    /// Passes everything on again.
    pub fn pass(&self) {
        self.rule(|_| Action::Pass);
    }

    /// Requests that came.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Refuses connections, as a server that is gone does.
    pub fn close(&self) {
        self.state.listener.lock().take();
        // Wakes the thread that waits for connections, so that it lets go of its own handle.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }

    /// Takes connections again.
    pub fn open(&self) {
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.port)) {
                Ok(listener) => break listener,
                // The thread of the listener before may not have let go of it.
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        self.listen(listener);
    }

    fn listen(&self, listener: TcpListener) {
        let accepting = listener.try_clone().expect("a handle of the same listener");
        *self.state.listener.lock() = Some(listener);
        let state = self.state.clone();
        std::thread::spawn(move || {
            for stream in accepting.incoming() {
                if state.listener.lock().is_none() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let state = state.clone();
                // What goes wrong with a connection is what its client is to see.
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.requests.fetch_add(1, Ordering::SeqCst);
        let rule = self.rule.lock().clone();
        let action = rule(head.lines().next().unwrap_or_default());
        let failure = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        match action {
            Action::Lose => return client.shutdown(Shutdown::Both),
            Action::Fail => return client.write_all(failure),
            Action::Hang => {
                // The client closes when its patience ends.
                let mut rest = [0; 1];
                return reader.read(&mut rest).map(|_| ());
            }
            Action::PassWithout(header) => {
                let name = format!("{}:", header.to_ascii_lowercase());
                let keep = |line: &&str| !line.to_ascii_lowercase().starts_with(&name);
                head = head.split_inclusive("\r\n").filter(keep).collect();
            }
            Action::Pass | Action::LoseAnswer | Action::FailAfter => {}
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.upstream))?;
        server.write_all(head.as_bytes())?;
        server.write_all(b"Connection: close\r\n\r\n")?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        match action {
            Action::LoseAnswer => client.shutdown(Shutdown::Both),
            Action::FailAfter => client.write_all(failure),
            _ => client.write_all(&answer),
        }
    }
}
