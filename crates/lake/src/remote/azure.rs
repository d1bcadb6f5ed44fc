//! Azure Blob Storage, with the settings that Azure's tools read.

use std::sync::Arc;

use base::{Error, Result};
use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::{Environment, client_options, retries};
use crate::location::Bucket;

/// Names that Azure's tools know and the object store's library does not.
const ALIASES: [(&str, AzureConfigKey); 3] = [
    ("AZURE_STORAGE_ACCOUNT", AzureConfigKey::AccountName),
    ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
];

pub(super) fn build(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    let mut options = client_options();
    let mut builder = MicrosoftAzureBuilder::new();
    let connection = environment.get("AZURE_STORAGE_CONNECTION_STRING").map(connection_string).transpose()?;
    for (key, value) in connection.into_iter().flatten() {
        builder = builder.with_config(key, value);
    }
    let identity = environment.starting_with("IDENTITY_ENDPOINT");
    for (name, value) in environment.starting_with("AZURE_").chain(identity) {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, key)| *key);
        match alias.or_else(|| name.to_ascii_lowercase().parse().ok()) {
            Some(AzureConfigKey::Client(key)) => options = options.with_config(key, value),
            Some(key) => builder = builder.with_config(key, value),
            None => {}
        }
    }
    let emulator = builder.get_config_value(&AzureConfigKey::UseEmulator).is_some_and(|v| v == "true");
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    if emulator || endpoint.is_some_and(|e| e.starts_with("http://")) {
        options = options.with_allow_http(true);
    }
    let store = builder
        .with_url(bucket.url.as_str())
        .with_client_options(options)
        .with_retry(retries())
        .build()
        .map_err(|e| Error::invalid(super::explain::cause(&e)))?;
    Ok(Arc::new(store))
}

/// The parts of a connection string that a blob store needs.
fn connection_string(text: &str) -> Result<Vec<(AzureConfigKey, String)>> {
    let mut found = Vec::new();
    let (mut account, mut suffix, mut protocol) = (None, None, "https");
    for part in text.split(';').filter(|p| !p.trim().is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            Error::invalid("AZURE_STORAGE_CONNECTION_STRING is not of the form Name=Value;Name=Value")
        })?;
        match name.trim() {
            "AccountName" => account = Some(value),
            "AccountKey" => found.push((AzureConfigKey::AccessKey, value.to_owned())),
            "SharedAccessSignature" => found.push((AzureConfigKey::SasKey, value.to_owned())),
            "BlobEndpoint" => found.push((AzureConfigKey::Endpoint, value.trim_end_matches('/').to_owned())),
            "EndpointSuffix" => suffix = Some(value),
            "DefaultEndpointsProtocol" => protocol = value,
            "UseDevelopmentStorage" => found.push((AzureConfigKey::UseEmulator, value.to_owned())),
            _ => {}
        }
    }
    if let Some(account) = account {
        found.push((AzureConfigKey::AccountName, account.to_owned()));
        let has_endpoint = found.iter().any(|(key, _)| *key == AzureConfigKey::Endpoint);
        if let Some(suffix) = suffix.filter(|_| !has_endpoint) {
            found.push((AzureConfigKey::Endpoint, format!("{protocol}://{account}.blob.{suffix}")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    fn build_with(variables: &[(&str, &str)]) -> Result<String> {
        let Ok(Location::Bucket(bucket)) = "az://container/prefix".parse() else { panic!("it is a bucket") };
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        build(&bucket, &Environment::new(variables, None)).map(|store| store.to_string())
    }

    #[test]
    fn accounts_come_in_the_ways_of_azures_tools() {
        for ways in [
            &[("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_KEY", "a2V5")][..],
            &[("AZURE_STORAGE_ACCOUNT_NAME", "acc"), ("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=x")],
            &[("AZURE_STORAGE_ACCOUNT", "acc"), ("IDENTITY_ENDPOINT", "http://169.254.169.254/x")],
            &[(
                "AZURE_STORAGE_CONNECTION_STRING",
                "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net",
            )],
        ] {
            let store = build_with(ways).unwrap();
            assert!(store.contains("acc") && store.contains("container"), "{store}");
        }
        let e = build_with(&[]).unwrap_err();
        assert!(e.message().contains("AZURE_STORAGE_ACCOUNT"), "{e}");
    }
}
