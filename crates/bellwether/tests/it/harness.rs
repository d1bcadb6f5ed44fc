//! Starts programs on loopback, waits for them, talks to them, and stops them by their own process id.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take to come about before a test fails. Generous, as the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The content type of OpenMetrics.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An application whose page depends on the head of the request: content type and body. Returns its port on loopback.
pub(crate) fn application(page: impl Fn(&str) -> (&'static str, Vec<u8>) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 8192];
            let length = stream.read(&mut request).unwrap_or(0);
            let (content_type, body) = page(&String::from_utf8_lossy(&request[..length]));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            // Whoever asked may be gone already.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    port
}

/// Says that a test did not run. In CI everything has to be there, so it fails instead.
pub(crate) fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} cannot run in CI: {reason}");
    eprintln!("SKIPPED {test}: {reason}");
}

/// Where the conformance data is, by default beside the repository. Without it a suite counts as skipped, in CI too: it is not ours
/// to give.
pub(crate) fn conformance(test: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = std::env::var_os("BELLWETHER_CONFORMANCE").map_or_else(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED {test}: no conformance data");
        return None;
    }
    Some(folder)
}

/// A program from the path or a well-known folder, or `None`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file())
}

/// A running Bellwether with a data folder of its own.
pub(crate) struct Bellwether {
    process: Process,
    pub(crate) url: String,
    folder: Option<TempDir>,
}

impl Bellwether {
    /// Starts with a fresh data folder; `configuration` becomes the file, if given.
    pub(crate) fn start(configuration: Option<&str>) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), configuration)
    }

    /// Starts on a folder that is there.
    pub(crate) fn start_in(folder: TempDir, configuration: Option<&str>) -> Self {
        Self::start_with(folder, configuration, &[])
    }

    /// The same with more on the command line.
    pub(crate) fn start_with(folder: TempDir, configuration: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = Self::command(folder.path());
        command.args(arguments);
        Self::start_command(command, folder, configuration)
    }

    /// Starts a command for a server, whose files lie in the folder.
    pub(crate) fn start_command(command: Command, folder: TempDir, configuration: Option<&str>) -> Self {
        Self::start_watched(command, folder, configuration, |_| {})
    }

    /// The same, and shows each line of its log.
    pub(crate) fn start_watched(
        mut command: Command,
        folder: TempDir,
        configuration: Option<&str>,
        watch: impl Fn(&str) + Send + Sync + Clone + 'static,
    ) -> Self {
        if let Some(text) = configuration {
            let file = folder.path().join("prometheus.yml");
            std::fs::write(&file, text).expect("the configuration is written");
            command.arg("--config").arg(file);
        }
        let (process, url) = Process::start_until(&mut command, move |line| {
            watch(line);
            address_in(line)
        });
        let this = Self { process, url, folder: Some(folder) };
        eventually("it is ready", || ureq::get(format!("{}/-/ready", this.url)).call().is_ok().then_some(()));
        this
    }

    /// `bellwether serve` on a folder and a free port.
    pub(crate) fn command(folder: &Path) -> Command {
        let mut command = bellwether();
        command
            .args(["serve", "--web.listen-address", "127.0.0.1:0", "--storage.path"])
            .arg(folder.join("data"));
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it is there until the process is gone").path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Sends SIGKILL, as a crash does, and hands the folder on.
    pub(crate) fn kill(mut self) -> TempDir {
        self.process.child.kill().expect("it is still running");
        self.process.child.wait().expect("it ends");
        self.folder.take().expect("taken once")
    }

    /// Sends SIGTERM and returns whether it stopped without an error, and the folder.
    pub(crate) fn terminate(mut self) -> (bool, TempDir) {
        signal(self.pid(), "TERM");
        let status = eventually("it stops", || self.process.child.try_wait().expect("it can be waited for"));
        (status.success(), self.folder.take().expect("taken once"))
    }

    /// The `data` of a successful answer.
    pub(crate) fn data(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!((status, body["status"].as_str()), (200, Some("success")), "{path}: {body}");
        body["data"].clone()
    }

    /// Status and JSON of any answer.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get_text(path);
        let json =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path} answers {status} {text:?}: {e}"));
        (status, json)
    }

    /// Status and text of any answer.
    pub(crate) fn get_text(&self, path: &str) -> (u16, String) {
        fetch(&format!("{}{path}", self.url))
    }

    /// The first value of an instant query, if it has a result.
    pub(crate) fn value(&self, query: &str) -> Option<f64> {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let data = self.data(&format!("/api/v1/query?query={encoded}"));
        let first = match data["resultType"].as_str() {
            Some("scalar") => &data["result"],
            _ => &data["result"][0]["value"],
        };
        first[1].as_str().map(|v| v.parse().expect("values are numbers"))
    }

    /// Posts a form.
    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let answer = ureq::post(format!("{}{path}", self.url))
            .config()
            .http_status_as_error(false)
            .build()
            .content_type("application/x-www-form-urlencoded")
            .send(body.finish())
            .expect("it answers");
        read(answer)
    }
}

/// The address that a line of the log says.
pub(crate) fn address_in(line: &str) -> Option<String> {
    let at = line.find("http://127.0.0.1:")?;
    let address = line[at..].split(|c: char| c.is_whitespace() || c == '"' || c == ',').next()?;
    Some(address.trim_end_matches('/').to_string())
}

/// The binary under test.
pub(crate) fn bellwether() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.env_remove("RUST_LOG");
    command
}

/// Status and text of an address. Characters that an address cannot have are escaped, so that tests can write queries.
pub(crate) fn fetch(url: &str) -> (u16, String) {
    let escape = |c: char| match c {
        '{' | '}' | '"' | ' ' | '|' | '^' | '<' | '>' | '\\' | '`' => format!("%{:02X}", u32::from(c)),
        _ => c.to_string(),
    };
    let url: String = url.chars().map(escape).collect();
    let answer = ureq::get(&url).config().http_status_as_error(false).build().call();
    read(answer.unwrap_or_else(|e| panic!("{url} answers: {e}")))
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, String) {
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
}

/// A child process that is gone when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
}

impl Process {
    /// Starts a program and waits for the line of its output that `ready` recognises. Later output is dropped.
    pub(crate) fn start_until<T: Send + 'static>(
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T> + Send + Sync + Clone + 'static,
    ) -> (Self, T) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let (found, results) = mpsc::channel();
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let (found, ready) = (found.clone(), ready.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if let Some(value) = ready(&line) {
                        let _ = found.send(Ok(value));
                    } else {
                        let _ = found.send(Err(line));
                    }
                }
            });
        }
        drop(found);
        let (process, mut seen) = (Self { child }, String::new());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match results.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Ok(value)) => return (process, value),
                Ok(Err(line)) => seen = seen + &line + "\n",
                Err(_) => panic!("{command:?} does not get ready; it said:\n{seen}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill is there").success(), "cannot send SIG{name} to {pid}");
}

/// Tries until there is a result.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port on loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}
