//! Google Cloud Storage, with the settings that Google's tools read.

use std::sync::Arc;

use base::{Error, Result};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, StaticCredentialProvider};

use super::{Environment, client_options, retries};
use crate::location::Bucket;

pub(super) fn build(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    // The metadata service of a machine at Google, which hands out tokens, speaks plain HTTP.
    let mut options = client_options().with_allow_http(true);
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in environment.starting_with("GOOGLE_") {
        match name.to_ascii_lowercase().parse() {
            Ok(GoogleConfigKey::Client(key)) => options = options.with_config(key, value),
            Ok(key) => builder = builder.with_config(key, value),
            Err(_) => {}
        }
    }
    if let Some(emulator) = environment.get("STORAGE_EMULATOR_HOST") {
        let url = if emulator.contains("://") { emulator.to_owned() } else { format!("http://{emulator}") };
        // The library asks for a token before each upload even where nothing is to be signed.
        let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
        builder = builder.with_base_url(&url).with_skip_signature(true).with_credentials(Arc::new(nobody));
    }
    let store = builder
        .with_url(bucket.url.as_str())
        .with_client_options(options)
        .with_retry(retries())
        .build()
        .map_err(|e| Error::invalid(super::explain::cause(&e)))?;
    Ok(Arc::new(store))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    #[test]
    fn a_credentials_file_that_cannot_be_used_is_named() {
        let Ok(Location::Bucket(bucket)) = "gs://bucket/prefix".parse() else { panic!("it is a bucket") };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("federation.json");
        std::fs::write(&file, r#"{"type": "external_account", "audience": "x"}"#).unwrap();
        for (path, want) in
            [("/nonexistent.json", "/nonexistent.json"), (file.to_str().unwrap(), "external_account")]
        {
            let variables = [("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), path.to_owned())];
            let e = build(&bucket, &Environment::new(variables, None)).unwrap_err();
            assert!(e.message().contains(want), "{e}");
        }
    }
}
