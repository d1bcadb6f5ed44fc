//! The files that AWS' tools keep their profiles in: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Owns their grammar and which of the two wins. Reads what stands in them; what would need a process or a log-in
//! (`credential_process`, single sign-on, assuming a role with another profile's keys) is named, not done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::{Error, Result};

use super::Environment;

/// A profile as both files describe it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    settings: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
}

/// A file: sections with their settings. A setting below another one, indented, is called `outer.inner`.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

impl Profile {
    /// Reads the profile that the environment names, or `default`.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let named = environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
        let name = named.unwrap_or("default");
        let credentials = file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let config = file(environment, "AWS_CONFIG_FILE", "config")?;
        let of_config = if name == "default" && config.contains_key("default") {
            config.get("default")
        } else {
            config.get(&format!("profile {name}"))
        };
        let of_credentials = credentials.get(name);
        if named.is_some() && of_config.is_none() && of_credentials.is_none() {
            return Err(Error::invalid(format!(
                "profile {name:?}, which AWS_PROFILE names, is neither in the credentials file nor in the configuration \
                 file of AWS' tools"
            )));
        }
        let mut settings = of_config.cloned().unwrap_or_default();
        settings.extend(of_credentials.cloned().unwrap_or_default());
        let services = settings.get("services").and_then(|s| config.get(&format!("services {s}")));
        let services = services.cloned().unwrap_or_default();
        Ok(Self { name: name.to_owned(), settings, services })
    }

    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Where S3 is, if not at AWS.
    pub(super) fn s3_endpoint(&self) -> Option<&str> {
        self.services.get("s3.endpoint_url").map(String::as_str).or_else(|| self.get("endpoint_url"))
    }

    /// A way to credentials that this program does not go.
    pub(super) fn unsupported(&self) -> Option<&'static str> {
        let has = |setting: &str| self.get(setting).is_some();
        if has("credential_process") {
            Some("credential_process")
        } else if has("sso_session") || has("sso_start_url") {
            Some("single sign-on")
        } else if has("role_arn") && (has("source_profile") || has("credential_source")) {
            Some("role_arn with source_profile or credential_source")
        } else if has("login_session") {
            Some("login_session")
        } else {
            None
        }
    }
}

fn file(environment: &Environment, variable: &str, usual: &str) -> Result<Sections> {
    let named = environment.get(variable).map(PathBuf::from);
    let must_exist = named.is_some();
    let Some(path) = named.or_else(|| Some(environment.home.as_ref()?.join(".aws").join(usual))) else {
        return Ok(Sections::new());
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(Sections::new()),
        Err(e) => Err(Error::invalid(format!("cannot read {}: {e}", path.display()))),
    }
}

fn parse(text: &str, path: &Path) -> Result<Sections> {
    let mut sections = Sections::new();
    let mut section: Option<String> = None;
    let mut outer = String::new();
    for (number, line) in text.lines().enumerate() {
        // No part of the line is repeated: it may hold a secret.
        let bad = |what: &str| {
            Error::invalid(format!("cannot read {}: line {} is {what}", path.display(), number + 1))
        };
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or_else(|| bad("a section without ']'"))?;
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(name.clone()).or_default();
            section = Some(name);
            outer.clear();
            continue;
        }
        let (key, value) = trimmed.split_once('=').ok_or_else(|| bad("no setting: it has no '='"))?;
        let (mut key, value) = (key.trim().to_ascii_lowercase(), without_comment(value.trim()));
        if line.starts_with([' ', '\t']) {
            key = format!("{outer}.{key}");
        } else {
            outer.clone_from(&key);
        }
        let section = section.as_ref().ok_or_else(|| bad("a setting before any section"))?;
        sections.entry(section.clone()).or_default().insert(key, value.to_owned());
    }
    Ok(sections)
}

/// A value ends where white space and a comment sign follow.
fn without_comment(value: &str) -> &str {
    let at = value
        .char_indices()
        .find(|(i, c)| (*c == '#' || *c == ';') && value[..*i].ends_with(char::is_whitespace))
        .map_or(value.len(), |(i, _)| i);
    value[..at].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(config: &str, credentials: &str, variables: &[(&str, &str)]) -> Result<Profile> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Profile::read(&Environment::new(variables, Some(home.path().into())))
    }

    const CONFIG: &str = "\
# of the company
[default]
region = eu-west-1
[profile work]
region=eu-central-1 ; the nearest
aws_access_key_id = from-config
services = local
[ profile sso ]
sso_start_url = https://example.com
[services local]
dynamodb =
  endpoint_url = http://127.0.0.1:1
s3 =
  endpoint_url = http://127.0.0.1:2
";

    const CREDENTIALS: &str = "\
[default]
aws_access_key_id = AK
aws_secret_access_key = S#K;with=signs
[work]
aws_access_key_id = from-credentials
";

    #[test]
    fn both_files_make_one_profile() {
        let p = profile(CONFIG, CREDENTIALS, &[]).unwrap();
        assert_eq!((p.get("region"), p.get("aws_access_key_id")), (Some("eu-west-1"), Some("AK")));
        assert_eq!(p.get("aws_secret_access_key"), Some("S#K;with=signs"));
        assert_eq!((p.s3_endpoint(), p.unsupported()), (None, None));
        let p = profile(CONFIG, CREDENTIALS, &[("AWS_PROFILE", "work")]).unwrap();
        assert_eq!(
            (p.get("region"), p.get("aws_access_key_id")),
            (Some("eu-central-1"), Some("from-credentials"))
        );
        assert_eq!(p.s3_endpoint(), Some("http://127.0.0.1:2"));
        let p = profile(CONFIG, CREDENTIALS, &[("AWS_PROFILE", "sso")]).unwrap();
        assert_eq!(p.unsupported(), Some("single sign-on"));
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not() {
        let missing = profile(CONFIG, CREDENTIALS, &[("AWS_PROFILE", "nobody")]).unwrap_err();
        assert!(missing.message().contains("\"nobody\""), "{missing}");
        for bad in [
            "[default\naws_secret_access_key = hidden",
            "[default]\nhidden",
            "aws_secret_access_key = hidden",
        ] {
            let e = profile("", bad, &[]).unwrap_err();
            assert!(e.message().contains("line") && !e.message().contains("hidden"), "{e}");
        }
        let gone = [("AWS_CONFIG_FILE", "/nonexistent/config")];
        assert!(profile("", "", &gone).unwrap_err().message().contains("/nonexistent/config"));
    }
}
