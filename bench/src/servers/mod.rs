//! The servers that are compared: which there are, how each is started, and what it is called.

pub(crate) mod client;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// One of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bellwether,
    Prometheus,
    VictoriaMetrics,
}

/// All of them, in the order of the tables.
pub(crate) const KINDS: [Kind; 3] = [Kind::Bellwether, Kind::Prometheus, Kind::VictoriaMetrics];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bellwether => "Bellwether",
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        })
    }
}

impl Kind {
    /// What the program is called in the path, as Debian packages it.
    fn program(self) -> &'static str {
        match self {
            Self::Bellwether => "bellwether",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    fn version_argument(self) -> &'static str {
        match self {
            Self::Bellwether => "version",
            Self::Prometheus | Self::VictoriaMetrics => "--version",
        }
    }

    /// Answers 200 once writes and queries are accepted.
    pub(super) fn ready_path(self) -> &'static str {
        match self {
            Self::Bellwether | Self::Prometheus => "/-/ready",
            Self::VictoriaMetrics => "/health",
        }
    }

    /// The command that serves `folder` on a port of the loopback interface, with nothing to scrape.
    pub(super) fn command(self, program: &Path, folder: &Path, port: u16) -> Command {
        let mut command = Command::new(program);
        let data = folder.join("data");
        let configuration = configuration_file(folder);
        match self {
            Self::Bellwether => {
                command.arg("serve").arg("--config").arg(configuration).arg("--storage.path").arg(data);
                command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            }
            Self::Prometheus => {
                command.arg(format!("--config.file={}", configuration.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
                command.arg("--log.level=warn");
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            }
            Self::VictoriaMetrics => {
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
                // A month, so that all of a data set is within; the limit on selected series is lifted as one of the
                // data sets has more.
                command.args(["-retentionPeriod=1", "-search.maxUniqueTimeseries=5000000"]);
                command.args(["-search.maxSeries=5000000", "-loggerLevel=WARN"]);
            }
        }
        command
    }
}

/// The configuration of those that read one: nothing is scraped.
pub(super) const CONFIGURATION: &str = "global: {}\n";

pub(super) fn configuration_file(folder: &Path) -> PathBuf {
    folder.join("prometheus.yml")
}

/// The programs of this run.
pub(crate) struct Programs {
    paths: BTreeMap<Kind, PathBuf>,
    versions: BTreeMap<Kind, String>,
}

impl Programs {
    /// Finds each wanted server, at a given place or in the path, and asks it for its version.
    pub(crate) fn find(wanted: &[(Kind, Option<PathBuf>)], search: &[PathBuf]) -> Result<Self> {
        let mut programs = Self { paths: BTreeMap::new(), versions: BTreeMap::new() };
        for (kind, given) in wanted {
            let found = given.clone().or_else(|| {
                search.iter().map(|folder| folder.join(kind.program())).find(|path| path.is_file())
            });
            let Some(path) = found else {
                bail!(
                    "cannot find {}: install it (Debian: apt-get install {}), or name the peers to compare with \
                     --peer",
                    kind.program(),
                    kind.program()
                );
            };
            let output = Command::new(&path)
                .arg(kind.version_argument())
                .output()
                .with_context(|| format!("cannot run {}", path.display()))?;
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            let version = version(&text).or_else(|| packaged_version(*kind));
            programs.versions.insert(*kind, version.unwrap_or_else(|| "?".to_owned()));
            programs.paths.insert(*kind, path);
        }
        Ok(programs)
    }

    /// Those that take part, in the order of the tables.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.paths.keys().copied().collect()
    }

    pub(crate) fn path(&self, kind: Kind) -> Result<&Path> {
        self.paths.get(&kind).map(PathBuf::as_path).with_context(|| format!("{kind} does not take part"))
    }

    pub(crate) fn version(&self, kind: Kind) -> &str {
        self.versions.get(&kind).map_or("?", String::as_str)
    }
}

/// The first thing in a text that looks like a version.
fn version(text: &str) -> Option<String> {
    let is_version = |word: &&str| {
        let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.split('.').count() >= 3 && digits.split('.').take(2).all(|p| p.parse::<u32>().is_ok())
    };
    let word = text.split(|c: char| c.is_whitespace() || c == ',' || c == '(').find(is_version)?;
    let word = word.trim_start_matches(|c: char| !c.is_ascii_digit());
    // What follows a plus sign is how a distribution built it.
    word.split('+').next().map(str::to_owned)
}

/// What Debian's package manager says, for a build that does not know its own version.
fn packaged_version(kind: Kind) -> Option<String> {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Version}", kind.program()]).output().ok()?;
    version(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_versions() {
        for (text, want) in [
            (
                "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+b5)\n",
                Some("2.42.0"),
            ),
            ("1.79.5+ds1-2+b5", Some("1.79.5")),
            ("bellwether 0.1.0 (abc)", Some("0.1.0")),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(version(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_missing_program_is_an_error_that_says_what_to_do() {
        let e =
            Programs::find(&[(Kind::VictoriaMetrics, None)], &[]).err().expect("it is not there").to_string();
        assert!(e.contains("apt-get install victoria-metrics") && e.contains("--peer"), "{e}");
    }
}
