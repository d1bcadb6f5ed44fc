//! No file may know the machine it was written on: its host name, its home folders, its package mirrors.

use super::{Complaint, File};

/// What names the machine that runs the check.
pub(super) struct Machine {
    host: String,
    home: String,
    root: String,
}

impl Machine {
    /// The machine this runs on.
    #[allow(
        clippy::disallowed_methods,
        reason = "the home folder of whoever runs the check is what it looks for"
    )]
    pub(super) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            host: read("/proc/sys/kernel/hostname"),
            home: std::env::var("HOME").unwrap_or_default(),
            root: std::env::current_dir().map(|d| d.to_string_lossy().into_owned()).unwrap_or_default(),
        }
    }

    /// Words that are telling enough: a host called `box` or a home `/` would be found everywhere.
    fn words(&self) -> impl Iterator<Item = &str> {
        let host = Some(self.host.as_str()).filter(|h| h.len() >= 6 && *h != "localhost" && *h != "debian");
        let paths = [self.home.as_str(), self.root.as_str()].into_iter().filter(|p| p.len() >= 5);
        host.into_iter().chain(paths)
    }
}

/// What cargo writes into its lock file for a package of the public registry. npm's lock file names no place at all.
const CARGO_REGISTRY: &str = "registry+";

/// Complains of every line that names the machine, or a mirror in a lock file.
pub(super) fn check(file: &File, machine: &Machine) -> Vec<Complaint> {
    if is_lock(&file.path) {
        return check_lock(file);
    }
    // A frozen `/proc` has mount points and users of the machine it was taken from, which is its purpose.
    if file.path.contains("/fixtures/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        if let Some(word) = machine.words().find(|w| names(line, w)) {
            let text = format!("names the machine it was written on: {word:?}");
            complaints.push(Complaint::new(&file.path, i + 1, text));
        } else if let Some(path) = home_folder(line) {
            complaints.push(Complaint::new(
                &file.path,
                i + 1,
                format!("names somebody's home folder: {path:?}"),
            ));
        }
    }
    complaints
}

/// Whether a word stands in a line on its own, not as a part of a longer word.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

/// A path below a folder of homes.
fn home_folder(line: &str) -> Option<&str> {
    const HOMES: [&str; 2] = [concat!("/ho", "me/"), concat!("/Use", "rs/")];
    HOMES.iter().find_map(|homes| {
        let at = line.find(homes)?;
        let rest = &line[at + homes.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        let starts_a_path = !line[..at].ends_with(|c: char| c.is_alphanumeric());
        (end > 0 && starts_a_path).then(|| &line[at..at + homes.len() + end])
    })
}

fn is_lock(path: &str) -> bool {
    path.ends_with("package-lock.json") || path.ends_with("Cargo.lock")
}

fn check_lock(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let line = line.trim();
        let named_by_npm = line.starts_with("\"resolved\": \"http");
        let source = line.strip_prefix("source = \"");
        if named_by_npm || source.is_some_and(|s| !s.starts_with(CARGO_REGISTRY)) {
            complaints.push(Complaint::new(
                &file.path,
                i + 1,
                "names a place to download from: the client's settings decide that",
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<usize> {
        let machine = Machine { host: "buildbox7".into(), home: "/srv/ann".into(), root: "/w".into() };
        let file = File { path: path.into(), text: text.into() };
        check(&file, &machine).into_iter().map(|c| c.line).collect()
    }

    #[test]
    fn finds_hosts_and_homes() {
        assert_eq!(complaints("a.md", "fine\non buildbox7.\n"), [2]);
        assert_eq!(complaints("a.md", "mybuildbox7 buildbox77\n"), [0; 0]);
        assert_eq!(complaints("a.rs", "let p = \"/srv/ann/x\";\n"), [1]);
        assert_eq!(complaints("a.rs", concat!("cd /ho", "me/ann/src\n")), [1]);
        assert_eq!(complaints("a.rs", concat!("mounted at /ho", "me\nGET /ho", "me/\n")), [0; 0]);
        assert_eq!(complaints("tests/fixtures/mounts", concat!("/ho", "me/ann\n")), [0; 0]);
    }

    #[test]
    fn finds_places_in_lock_files() {
        let npm = "\"version\": \"1.0.0\",\n\"resolved\": \"http://mirror/a\",\n";
        assert_eq!(complaints("ui/package-lock.json", npm), [2]);
        let cargo = "source = \"registry+https://index\"\nsource = \"git+https://x\"\n";
        assert_eq!(complaints("Cargo.lock", cargo), [2]);
    }
}
