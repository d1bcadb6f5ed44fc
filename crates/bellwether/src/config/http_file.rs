//! A file with nothing but the keys of an HTTP client, as promtool's `--http.config.file` names it.

use std::path::Path;

use base::Result;
use collect::config::HttpConfig;

use super::checked::read_file;
use super::grammar::{self, Map, Section};
use super::http_client;
use super::raw::{self, Problem};

static FILE: Section = Section { name: "", keys: &[http_client::KEYS], check: http_client::check };

/// Reads such a file. Relative file names in it are relative to its folder.
pub fn load_http_config(path: &Path) -> Result<HttpConfig> {
    let failed = |e: base::Error| e.context(format!("cannot load {}", path.display()));
    let from_problem = |p: Problem| failed(p.into_error());
    let text = read_file(path).map_err(failed)?;
    let document = raw::parse(&text).map_err(from_problem)?;
    let mut notices = Vec::new();
    grammar::check(&FILE, &document, &mut notices).map_err(from_problem)?;
    if let Some(notice) = notices.first() {
        let text = format!("line {}: {}: {}", notice.line, notice.key, notice.text);
        return Err(failed(base::Error::invalid(text)));
    }
    http_client::read(&Map::of(&document), path.parent().unwrap_or(Path::new(""))).map_err(from_problem)
}
