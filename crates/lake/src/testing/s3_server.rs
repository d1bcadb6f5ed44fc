//! An S3 server that others wrote: PyPI's `moto`, as a process on loopback.
//!
//! Google Cloud Storage's XML API is S3's protocol with other names for conditions and credentials, so the same server stands in for it; no
//! emulator of Google's that can be installed here takes uploads through that API.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::python_with;
use crate::remote::Environment;

/// How long the server may take to answer for the first time: Python imports a lot.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts moto's server, with one change: it looks whether an object exists and stores it in two steps, between which another
/// of its threads may do the same, so that under load two conditional writes of one object both succeed. S3 promises one step. What
/// Google calls the generation 0 of an object is S3's condition that there is none, and who comes without credentials, as one does to an
/// emulator of Google's, is given some.
const MOTO: &str = "
import sys, threading
from moto.s3.responses import S3Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
put, one_step = S3Response.put_object, threading.Lock()
def put_in_one_step(self):
    with one_step:
        return put(self)
S3Response.put_object = put_in_one_step
dispatch = DomainDispatcherApplication.__call__
def understand_google(self, environ, start_response):
    if environ.get('HTTP_X_GOOG_IF_GENERATION_MATCH') == '0':
        environ['HTTP_IF_NONE_MATCH'] = '*'
    if environ.get('HTTP_AUTHORIZATION', '').startswith('Bearer'):
        environ['HTTP_AUTHORIZATION'] = 'AWS4-HMAC-SHA256 Credential=google/20260101/us-east-1/s3/aws4_request, Signature='
    signed = 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0'
    environ.setdefault('HTTP_AUTHORIZATION', signed)
    return dispatch(self, environ, start_response)
DomainDispatcherApplication.__call__ = understand_google
main(sys.argv[1:])
";

/// A running server, which is gone when this is dropped.
pub struct S3Server {
    child: Child,
    port: u16,
}

impl S3Server {
    /// Starts a server with one bucket, `bucket`; or says what is missing. With `CI` set something missing is a failure.
    pub fn start(test: &str) -> Option<Self> {
        let python = python_with(test, "moto.server, flask")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = Command::new(python)
            .args(["-c", MOTO, "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while server.request("PUT /bucket") != Some(200) {
            assert!(Instant::now() < deadline, "moto does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The variables that lead AWS' tools to a server on this port of loopback.
    pub fn variables(port: u16) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_TIMEOUT", "2s".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The variables that lead Google's tools to it.
    pub fn google_variables(port: u16) -> Vec<(String, String)> {
        vec![("STORAGE_EMULATOR_HOST".into(), format!("http://127.0.0.1:{port}"))]
    }

    /// Those of AWS, as a lake takes them.
    pub fn environment(port: u16) -> Environment {
        Environment::new(Self::variables(port), None)
    }

    /// Sends a request without body or signature; the status of the answer.
    pub fn request(&self, request: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let host = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close";
        write!(stream, "{request} HTTP/1.1\r\n{host}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
