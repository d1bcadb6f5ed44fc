//! `bellwether check web-config`: whether files that say how a server is reached can be used.

use std::path::Path;

use base::Error;

use crate::config::check_web_config;
use crate::report::{FAILURE, Report};

/// Checks the files.
pub(super) fn run(files: &[impl AsRef<Path>]) -> Report {
    let mut report = Report::default();
    for file in files {
        let file = file.as_ref();
        let name = file.display();
        match check_web_config(file) {
            Ok(()) => report.err(format_args!("{name} SUCCESS")),
            Err(e) => {
                let e: Error = e;
                report.err(format_args!("{name} FAILED: {e}"));
                report.code = FAILURE;
            }
        }
    }
    report
}
