//! A node_exporter of the system, started for a test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "/usr/bin/prometheus-node-exporter";

/// A running node_exporter; ends with this value.
pub(super) struct Peer {
    process: Child,
    address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Peer {
    /// Starts the peer on a free port of the loopback interface. Where it is not installed this prints that `suite` is
    /// skipped, and returns `None`; in CI that is a failure.
    pub(super) fn start(suite: &str, flags: &[String]) -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            let in_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
            assert!(!in_ci, "{suite}: {PROGRAM} is not installed");
            println!("SKIPPED {suite}: {PROGRAM} is not installed");
            return None;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("a listener has an address");
        drop(free);
        let process = Command::new(PROGRAM)
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the peer can be started");
        let mut peer = Self { process, address };
        peer.wait_until_ready();
        Some(peer)
    }

    fn wait_until_ready(&mut self) {
        for _ in 0..600 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            let ended = self.process.try_wait().expect("the peer can be asked");
            assert!(ended.is_none(), "the peer ended: {ended:?}");
            // Nothing tells when a foreign process listens; ask again soon.
            let (_never, wait) = std::sync::mpsc::channel::<()>();
            let _ = wait.recv_timeout(Duration::from_millis(50));
        }
        panic!("the peer does not listen on {}", self.address);
    }

    /// What it says now.
    pub(super) fn metrics(&self) -> String {
        let mut connection = TcpStream::connect(self.address).expect("the peer listens");
        connection.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("the peer reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("the peer answers in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.contains(" 200 "), "{head}");
        body.to_owned()
    }
}
