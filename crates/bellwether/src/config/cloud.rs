//! How requests log in to clouds: the sections `sigv4`, `azuread` and `google_iam`. Texts of errors are Prometheus'.

use std::path::PathBuf;

use collect::config::{
    Authorization, AwsRole, AzureAdConfig, AzureCloud, AzureIdentity, GoogleIamConfig, Secret, SigV4Config,
};
use uuid::Uuid;

use super::grammar::{Key, Map, Section, Shape, no_rules};
use super::raw::Outcome;

const NO_PFX: &str = "certificates are read in PEM, where there is no password";

/// Signing of requests for AWS.
pub(super) static SIGV4: Section = Section {
    name: "sigv4",
    keys: &[&[
        Key::new("region", Shape::Text),
        Key::new("access_key", Shape::Text),
        Key::new("secret_key", Shape::Secret),
        Key::new("profile", Shape::Text),
        Key::new("role_arn", Shape::Text),
        Key::new("external_id", Shape::Text),
        Key::new("use_fips_sts_endpoint", Shape::Bool),
        Key::new("service_name", Shape::Text),
    ]],
    check: check_sigv4,
};

/// Tokens of Microsoft Entra ID.
pub(super) static AZUREAD: Section = Section {
    name: "azuread",
    keys: &[&[
        Key::new("managed_identity", Shape::Section(&MANAGED_IDENTITY)),
        Key::new("workload_identity", Shape::Section(&WORKLOAD_IDENTITY)),
        Key::new("oauth", Shape::Section(&OAUTH)),
        Key::new("sdk", Shape::Section(&SDK)),
        Key::new("certificate", Shape::Section(&CERTIFICATE)),
        Key::new("cloud", Shape::Text),
        Key::new("scope", Shape::Text),
    ]],
    check: check_azuread,
};

static MANAGED_IDENTITY: Section =
    Section { name: "managed_identity", keys: &[&[Key::new("client_id", Shape::Text)]], check: no_rules };

static WORKLOAD_IDENTITY: Section = Section {
    name: "workload_identity",
    keys: &[&[
        Key::new("client_id", Shape::Text),
        Key::new("tenant_id", Shape::Text),
        Key::new("token_file_path", Shape::Text),
    ]],
    check: no_rules,
};

static OAUTH: Section = Section {
    name: "oauth",
    keys: &[&[
        Key::new("client_id", Shape::Text),
        Key::new("client_secret", Shape::Secret),
        Key::new("tenant_id", Shape::Text),
    ]],
    check: no_rules,
};

static SDK: Section =
    Section { name: "sdk", keys: &[&[Key::new("tenant_id", Shape::Text)]], check: no_rules };

static CERTIFICATE: Section = Section {
    name: "certificate",
    keys: &[&[
        Key::new("client_id", Shape::Text),
        Key::new("tenant_id", Shape::Text),
        Key::new("certificate_path", Shape::Text),
        Key::new("certificate_key_path", Shape::Text),
        Key::new("certificate_password", Shape::Secret).without_effect(NO_PFX),
        Key::new("send_certificate_chain", Shape::Bool),
    ]],
    check: no_rules,
};

/// Tokens of Google Cloud.
pub(super) static GOOGLE_IAM: Section =
    Section { name: "google_iam", keys: &[&[Key::new("credentials_file", Shape::Text)]], check: no_rules };

fn check_sigv4(map: &Map<'_>) -> Outcome<()> {
    map.require(
        map.filled("access_key") == map.filled("secret_key"),
        "access_key",
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
    )?;
    map.require(
        map.filled("role_arn") || !map.filled("external_id"),
        "external_id",
        "external_id can only be used with role_arn",
    )
}

fn cloud(map: &Map<'_>) -> Outcome<AzureCloud> {
    match map.text("cloud")? {
        "" | "AzurePublic" => Ok(AzureCloud::Public),
        "AzureGovernment" => Ok(AzureCloud::Government),
        "AzureChina" => Ok(AzureCloud::China),
        _ => map.problem("cloud", "must provide a cloud in the Azure AD config"),
    }
}

fn check_azuread(map: &Map<'_>) -> Outcome<()> {
    cloud(map)?;
    let ways = ["managed_identity", "workload_identity", "oauth", "sdk", "certificate"];
    let used: Vec<_> = ways.into_iter().filter(|way| map.has(way)).collect();
    let none = "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config";
    map.require(!used.is_empty(), "azuread", none)?;
    let many = "cannot provide multiple authentication methods in the Azure AD config";
    map.require(used.len() == 1, used[used.len() - 1], many)?;
    let way = map.map(used[0]);
    let given = |what: &str, keys: &[&str]| {
        keys.iter().try_for_each(|key| {
            way.require(
                way.filled(key),
                key,
                &format!("must provide an Azure {what} {key} in the Azure AD config"),
            )
        })
    };
    let uuid = |what: &str, key: &str| {
        let valid = Uuid::parse_str(way.text(key)?).is_ok();
        way.require(valid, key, &format!("the provided Azure {what} {key} is invalid"))
    };
    match used[0] {
        "managed_identity" if way.filled("client_id") => uuid("Managed Identity", "client_id")?,
        "workload_identity" => {
            given("Workload Identity", &["client_id", "tenant_id"])?;
            uuid("Workload Identity", "client_id")?;
            uuid("Workload Identity", "tenant_id")?;
        }
        "oauth" => {
            given("OAuth", &["client_id", "client_secret", "tenant_id"])?;
            uuid("OAuth", "client_id")?;
        }
        "certificate" => {
            given("Certificate", &["client_id", "tenant_id", "certificate_path"])?;
            uuid("Certificate", "client_id")?;
        }
        _ => {}
    }
    let usual = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "_:/.-".contains(c);
    map.require(
        map.text("scope")?.chars().all(usual),
        "scope",
        "the provided scope contains invalid characters",
    )
}

fn filled(map: &Map<'_>, key: &str) -> Outcome<Option<String>> {
    Ok(Some(map.text(key)?).filter(|text| !text.is_empty()).map(str::to_owned))
}

/// Reads how requests are signed.
pub(super) fn read_sigv4(map: &Map<'_>) -> Outcome<Authorization> {
    let key = match map.filled("access_key") {
        true => Some((map.text("access_key")?.to_owned(), Secret::new(map.text("secret_key")?))),
        false => None,
    };
    let external_id = filled(map, "external_id")?;
    Ok(Authorization::SigV4(Box::new(SigV4Config {
        region: filled(map, "region")?,
        key,
        profile: filled(map, "profile")?,
        role: filled(map, "role_arn")?.map(|arn| AwsRole { arn, external_id }),
        use_fips_sts_endpoint: map.flag("use_fips_sts_endpoint", false)?,
        service: filled(map, "service_name")?.unwrap_or_else(|| "aps".into()),
    })))
}

/// Reads who asks Azure for tokens, after that was checked.
pub(super) fn read_azuread(map: &Map<'_>) -> Outcome<Authorization> {
    let path = |map: &Map<'_>, key: &str| Ok(filled(map, key)?.map(PathBuf::from));
    let text = |map: &Map<'_>, key: &str| Ok(map.text(key)?.to_owned());
    let identity = if map.has("managed_identity") {
        AzureIdentity::Managed { client_id: filled(&map.map("managed_identity"), "client_id")? }
    } else if map.has("workload_identity") {
        let way = map.map("workload_identity");
        AzureIdentity::Workload {
            client_id: text(&way, "client_id")?,
            tenant_id: text(&way, "tenant_id")?,
            token_file: path(&way, "token_file_path")?,
        }
    } else if map.has("oauth") {
        let way = map.map("oauth");
        AzureIdentity::Secret {
            client_id: text(&way, "client_id")?,
            tenant_id: text(&way, "tenant_id")?,
            secret: Secret::new(way.text("client_secret")?),
        }
    } else if map.has("certificate") {
        let way = map.map("certificate");
        AzureIdentity::Certificate {
            client_id: text(&way, "client_id")?,
            tenant_id: text(&way, "tenant_id")?,
            certificate: text(&way, "certificate_path")?.into(),
            key: path(&way, "certificate_key_path")?,
            send_chain: way.flag("send_certificate_chain", false)?,
        }
    } else {
        AzureIdentity::Environment { tenant_id: filled(&map.map("sdk"), "tenant_id")? }
    };
    let config = AzureAdConfig { cloud: cloud(map)?, scope: filled(map, "scope")?, identity };
    Ok(Authorization::AzureAd(Box::new(config)))
}

/// Reads who asks Google Cloud for tokens.
pub(super) fn read_google_iam(map: &Map<'_>) -> Outcome<Authorization> {
    let credentials_file = filled(map, "credentials_file")?.map(PathBuf::from);
    Ok(Authorization::GoogleIam(Box::new(GoogleIamConfig { credentials_file })))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use collect::config::Authorization;

    use super::super::load_str;
    use super::*;

    fn read(keys: &str) -> Result<(Authorization, String), String> {
        let text = format!("remote_write:\n- url: http://h/w\n  {keys}\n");
        let checked = load_str(&text, Path::new("/etc"), &|_| None).map_err(|e| e.message().to_owned())?;
        assert!(checked.unsupported.is_empty(), "{:?}", checked.unsupported);
        Ok((checked.remote_write[0].http.authorization.clone(), checked.original_text_without_secrets))
    }

    const ID: &str = "00000000-a12b-3cd4-e56f-000000000000";

    #[test]
    fn every_way_to_a_cloud_is_read() {
        let azure = |keys: &str| match read(&format!("azuread: {{{keys}}}")).unwrap().0 {
            Authorization::AzureAd(config) => *config,
            other => panic!("{other:?}"),
        };
        let managed = azure("managed_identity: {}");
        assert_eq!((managed.cloud, managed.scope), (AzureCloud::Public, None));
        assert_eq!(managed.identity, AzureIdentity::Managed { client_id: None });
        let named = azure(&format!(
            "cloud: AzureChina, scope: 'https://x/.default', managed_identity: {{client_id: {ID}}}"
        ));
        assert_eq!((named.cloud, named.scope.as_deref()), (AzureCloud::China, Some("https://x/.default")));
        assert_eq!(named.identity, AzureIdentity::Managed { client_id: Some(ID.into()) });
        let workload =
            azure(&format!("workload_identity: {{client_id: {ID}, tenant_id: {ID}, token_file_path: /t}}"));
        assert!(
            matches!(workload.identity, AzureIdentity::Workload { token_file: Some(f), .. } if f == Path::new("/t"))
        );
        let certificate = azure(&format!(
            "certificate: {{client_id: {ID}, tenant_id: t, certificate_path: /c, send_certificate_chain: true}}"
        ));
        assert!(matches!(
            certificate.identity,
            AzureIdentity::Certificate { key: None, send_chain: true, .. }
        ));
        assert_eq!(
            azure("sdk: {tenant_id: t}").identity,
            AzureIdentity::Environment { tenant_id: Some("t".into()) }
        );
        let (oauth, shown) =
            read(&format!("azuread: {{oauth: {{client_id: {ID}, client_secret: hunter2, tenant_id: t}}}}"))
                .unwrap();
        assert!(
            matches!(&oauth, Authorization::AzureAd(c) if matches!(c.identity, AzureIdentity::Secret { .. }))
        );
        assert!(!format!("{oauth:?}{shown}").contains("hunter2"), "{shown}");
        let google = read("google_iam: {credentials_file: /g.json}").unwrap().0;
        assert!(
            matches!(google, Authorization::GoogleIam(c) if c.credentials_file.as_deref() == Some(Path::new("/g.json")))
        );
        let signed =
            read("sigv4: {region: r, role_arn: a, external_id: e, use_fips_sts_endpoint: true}").unwrap().0;
        let role = AwsRole { arn: "a".into(), external_id: Some("e".into()) };
        assert!(matches!(signed, Authorization::SigV4(c) if c.role == Some(role) && c.use_fips_sts_endpoint));
    }

    #[test]
    fn what_cannot_be_is_refused_in_prometheus_words() {
        for (keys, want) in [
            ("sigv4: {access_key: a}", "must provide a AWS SigV4 Access key"),
            ("sigv4: {region: r, external_id: a}", "external_id can only be used with role_arn"),
            ("azuread: {cloud: AzurePublic}", "must provide an Azure Managed Identity"),
            (
                "azuread: {cloud: Nowhere, managed_identity: {}}",
                "must provide a cloud in the Azure AD config",
            ),
            ("azuread: {sdk: {}, managed_identity: {}}", "cannot provide multiple authentication methods"),
            ("azuread: {managed_identity: {client_id: x}}", "Managed Identity client_id is invalid"),
            ("azuread: {oauth: {client_id: x}}", "must provide an Azure OAuth client_secret"),
            (
                "azuread: {workload_identity: {tenant_id: x}}",
                "must provide an Azure Workload Identity client_id",
            ),
            ("azuread: {certificate: {client_id: x, tenant_id: t}}", "Azure Certificate certificate_path"),
            ("azuread: {sdk: {client_id: x}}", "unknown key \"client_id\" in sdk"),
            ("azuread: {sdk: {}, scope: 'a$'}", "the provided scope contains invalid characters"),
        ] {
            let error = read(keys).unwrap_err();
            assert!(error.contains(want), "{keys}: {error}");
        }
    }
}
