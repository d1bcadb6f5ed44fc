//! Makes the binary follow changes of the web UI, and says so when there is none.

use std::path::Path;
use std::process::Command;

#[expect(clippy::disallowed_macros, reason = "a build script speaks to cargo through its standard output")]
fn main() {
    println!("cargo::rerun-if-changed=../../ui/dist");
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/logs/HEAD");
    if !Path::new("../../ui/dist/index.html").is_file() {
        println!(
            "cargo::warning=ui/dist is not built, so the binary will have no pages: run `make ui` first"
        );
    }
    let revision = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let revision =
        revision.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
    println!("cargo::rustc-env=BELLWETHER_REVISION={}", revision.as_deref().map_or("unknown", str::trim));
}
