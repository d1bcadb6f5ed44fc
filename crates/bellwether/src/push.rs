//! What the receivers of pushed samples are told by the command line, the features and the configuration.

use std::sync::Arc;

use ingest::remote_write;
use server::WriteOptions;

use crate::cli::Serve;
use crate::features::Features;

/// What remote write takes, and what is made of it.
pub(crate) fn write_options(options: &Serve, features: &Features) -> WriteOptions {
    let mut write = WriteOptions {
        features: remote_write::Features {
            start_zeros: features.has("created-timestamp-zero-ingestion").then(Arc::default),
            type_and_unit_labels: features.has("type-and-unit-labels"),
        },
        ..WriteOptions::default()
    };
    if !options.web_accepted_messages.is_empty() {
        write.accepted.clone_from(&options.web_accepted_messages);
    }
    write
}
