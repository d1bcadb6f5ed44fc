//! An Azure Blob Storage server that others wrote: npm's `azurite`, as a process on loopback.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{python_with, skip};

/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAM: &str = "azurite-blob";

/// The account that every installation of the emulator has, with the key that its documentation prints.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Creates the container `bucket`, which needs a signed request; the arguments are port, account and key.
const CREATE: &str = r#"
import base64, email.utils, hashlib, hmac, sys, urllib.request
port, account, key = sys.argv[1:]
date, version = email.utils.formatdate(usegmt=True), "2021-12-02"
to_sign = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/{account}/{account}/bucket\nrestype:container"
signed = hmac.new(base64.b64decode(key), to_sign.encode(), hashlib.sha256).digest()
headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:" + base64.b64encode(signed).decode()}
url = f"http://127.0.0.1:{port}/{account}/bucket?restype=container"
urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers))
"#;

/// A running server, which is gone when this is dropped.
pub struct AzureServer {
    child: Child,
    port: u16,
}

impl AzureServer {
    /// Starts a server with one container, `bucket`; or says what is missing. With `CI` set something missing is a failure.
    pub fn start(test: &str) -> Option<Self> {
        let python = python_with(test, "hmac")?;
        let Some(program) = find() else {
            skip(test, &format!("{PROGRAM} is not installed: scripts/setup.sh test"));
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let child = Command::new(program)
            .args(["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("azurite starts");
        let server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        let create = || {
            let mut python = Command::new(&python);
            python.args(["-c", CREATE, &port.to_string(), ACCOUNT, KEY]).stderr(Stdio::null());
            python.status().is_ok_and(|status| status.success())
        };
        while !create() {
            assert!(Instant::now() < deadline, "azurite does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(server)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The variables that lead Azure's tools to a server on this port of loopback.
    pub fn variables(port: u16) -> Vec<(String, String)> {
        let text = format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        );
        vec![("AZURE_STORAGE_CONNECTION_STRING".into(), text)]
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|p| p.is_file())
}

impl Drop for AzureServer {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
