//! The files that AWS' tools keep their profiles in, `~/.aws/credentials` and `~/.aws/config`, and where a profile leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::{Error, Result};

use super::read_small_file;
use crate::config::{AwsRole, Secret};

/// Profiles that one after the other name the next one as their source.
const SOURCES_MAX: usize = 5;

type Settings = BTreeMap<String, String>;

/// All profiles, and which is meant.
pub(super) struct Profiles {
    all: BTreeMap<String, Settings>,
    name: String,
    /// Whether somebody named it, so that it has to be there.
    named: bool,
}

/// Where a key comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) base: Base,
    /// What is taken with it, in this order.
    pub(super) roles: Vec<AwsRole>,
}

/// Where a way begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// A key in the file.
    Key { id: String, secret: Secret, session: Option<Secret> },
    /// A role for the token in a file.
    WebIdentity { file: String, role: String, session: Option<String> },
    /// The environment.
    Environment,
    /// A container's service.
    Container,
    /// A machine's metadata service.
    Machine,
    /// The profile does not say.
    Nothing,
}

impl Profiles {
    /// Reads both files, as far as they are there.
    pub(super) async fn read(
        profile: Option<&str>,
        env: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Self> {
        let named = profile.map(str::to_owned).or_else(|| env("AWS_PROFILE"));
        let path = |variable: &str, usual: &str| match env(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => env("HOME").map(|home| Path::new(&home).join(".aws").join(usual)),
        };
        let mut all = BTreeMap::new();
        if let Some(text) = text_of(path("AWS_CONFIG_FILE", "config")).await? {
            for (name, settings) in parse(&text) {
                let profile =
                    if name == "default" { Some(name.as_str()) } else { name.strip_prefix("profile ") };
                if let Some(profile) = profile {
                    all.entry(profile.trim().to_owned()).or_insert_with(Settings::new).extend(settings);
                }
            }
        }
        if let Some(text) = text_of(path("AWS_SHARED_CREDENTIALS_FILE", "credentials")).await? {
            for (name, settings) in parse(&text) {
                all.entry(name).or_insert_with(Settings::new).extend(settings);
            }
        }
        let name = named.clone().unwrap_or_else(|| "default".to_owned());
        Ok(Self { all, name, named: named.is_some() })
    }

    /// The region of the profile.
    pub(super) fn region(&self) -> Option<String> {
        self.all.get(&self.name)?.get("region").cloned()
    }

    /// Where the profile leads.
    pub(super) fn way(&self) -> Result<Way> {
        let mut roles = Vec::new();
        let mut name = &self.name;
        for _ in 0..=SOURCES_MAX {
            let Some(profile) = self.all.get(name) else {
                if self.named || !roles.is_empty() {
                    let text = format!("the profile {name:?} is in none of the files of AWS' tools");
                    return Err(Error::invalid(text));
                }
                return Ok(Way { base: Base::Nothing, roles });
            };
            let text = |setting: &str| profile.get(setting).filter(|text| !text.is_empty());
            let role = text("role_arn")
                .map(|arn| AwsRole { arn: arn.clone(), external_id: text("external_id").cloned() });
            if let (Some(role), Some(source)) = (&role, text("source_profile")) {
                roles.insert(0, role.clone());
                // A profile that is its own source has a key beside the role.
                if source == name {
                    let base = key(profile).ok_or_else(|| no_key(name))?;
                    return Ok(Way { base, roles });
                }
                name = source;
                continue;
            }
            let base = if let Some(key) = key(profile) {
                key
            } else if let (Some(role), Some(source)) = (&role, text("credential_source")) {
                roles.insert(0, role.clone());
                match source.as_str() {
                    "Environment" => Base::Environment,
                    "EcsContainer" => Base::Container,
                    "Ec2InstanceMetadata" => Base::Machine,
                    _ => {
                        return Err(Error::invalid(format!(
                            "the profile {name:?} has a credential_source that is not known"
                        )));
                    }
                }
            } else if let (Some(role), Some(file)) = (role, text("web_identity_token_file")) {
                let session = text("role_session_name").cloned();
                Base::WebIdentity { file: file.clone(), role: role.arn, session }
            } else if let Some(way) = ["credential_process", "sso_session", "sso_start_url", "login_session"]
                .iter()
                .find(|s| text(s).is_some())
            {
                let text = format!("the profile {name:?} gets its key by {way}, which is not done here");
                return Err(Error::invalid(text));
            } else if roles.is_empty() {
                Base::Nothing
            } else {
                return Err(no_key(name));
            };
            return Ok(Way { base, roles });
        }
        Err(Error::invalid(format!("the profile {:?} has more than {SOURCES_MAX} sources", self.name)))
    }
}

fn no_key(name: &str) -> Error {
    Error::invalid(format!("the profile {name:?} has no key"))
}

fn key(profile: &Settings) -> Option<Base> {
    Some(Base::Key {
        id: profile.get("aws_access_key_id")?.clone(),
        secret: Secret::new(profile.get("aws_secret_access_key")?),
        session: profile.get("aws_session_token").map(Secret::new),
    })
}

async fn text_of(path: Option<PathBuf>) -> Result<Option<String>> {
    match path {
        Some(path) if tokio::fs::try_exists(&path).await.unwrap_or(false) => {
            read_small_file(&path).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Sections with their settings. Those below another one, indented, are left out, as are lines that say nothing.
fn parse(text: &str) -> Vec<(String, Settings)> {
    let mut out: Vec<(String, Settings)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, _)) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            out.push((name.split_whitespace().collect::<Vec<_>>().join(" "), Settings::new()));
        } else if let (Some((key, value)), Some((_, settings))) = (trimmed.split_once('='), out.last_mut()) {
            // ` #` begins a comment; in a value it may stand.
            let value = value.split(" #").next().unwrap_or_default();
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(name: &str) -> Result<Way> {
        let text = "\
[default]
aws_access_key_id = a
aws_secret_access_key=b

[role]
role_arn = arn:1
source_profile = above # and so on
external_id = x
[above]
 role_arn = arn:2
 source_profile = default
[self]
role_arn = arn:3
source_profile = self
aws_access_key_id = c
aws_secret_access_key = d
aws_session_token = e
[machine]
role_arn = arn:4
credential_source = Ec2InstanceMetadata
[web]
role_arn = arn:5
web_identity_token_file = /token
[sso]
sso_session = s
[ring]
role_arn = arn:6
source_profile = rung
[rung]
role_arn = arn:7
source_profile = ring
";
        Profiles { all: parse(text).into_iter().collect(), name: name.into(), named: true }.way()
    }

    fn arns(way: &Way) -> Vec<&str> {
        way.roles.iter().map(|r| r.arn.as_str()).collect()
    }

    #[test]
    fn a_profile_leads_to_a_key_and_to_roles() {
        let key =
            |id: &str, secret: &str| Base::Key { id: id.into(), secret: Secret::new(secret), session: None };
        let found = way("role").unwrap();
        assert_eq!((&found.base, arns(&found)), (&key("a", "b"), vec!["arn:2", "arn:1"]));
        assert_eq!(found.roles[1].external_id.as_deref(), Some("x"));
        let found = way("self").unwrap();
        assert_eq!(arns(&found), ["arn:3"]);
        assert!(matches!(found.base, Base::Key { session: Some(_), .. }));
        let found = way("machine").unwrap();
        assert_eq!((&found.base, arns(&found)), (&Base::Machine, vec!["arn:4"]));
        let web = Base::WebIdentity { file: "/token".into(), role: "arn:5".into(), session: None };
        assert_eq!(way("web").unwrap(), Way { base: web, roles: vec![] });
        for (name, why) in [("sso", "sso_session"), ("ring", "more than 5"), ("none", "in none of the files")]
        {
            let error = way(name).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
