//! As much of URLs as a configuration needs: their scheme and host, and their password to hide.

/// The scheme and the host with its port; empty where missing.
pub(super) fn scheme_and_host(url: &str) -> (&str, &str) {
    let Some((scheme, rest)) = url.split_once("://") else { return ("", "") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (scheme, host)
}

/// Whether a text starts with `:`, which is where a URL's scheme should be.
pub(super) fn lacks_scheme(url: &str) -> bool {
    url.starts_with(':')
}

/// The URL with `xxxxx` in place of a password, as Prometheus shows it.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    match authority
        .rsplit_once('@')
        .and_then(|(user, host)| user.split_once(':').map(|(name, _)| (name, host)))
    {
        Some((name, host)) => format!("{scheme}://{name}:xxxxx@{host}{}", &rest[authority.len()..]),
        None => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_parts() {
        let check = |url, want| assert_eq!(scheme_and_host(url), want, "{url}");
        check("http://h:80/p?q", ("http", "h:80"));
        check("https://u:p@h", ("https", "h"));
        check("https://", ("https", ""));
        check("h:80", ("", ""));
        check("unix:///var/run/docker.sock", ("unix", ""));
    }

    #[test]
    fn hides_a_password() {
        let check = |url, want: &str| assert_eq!(without_password(url), want);
        check("http://u:hunter2@h/p", "http://u:xxxxx@h/p");
        check("http://u:a@b:c@h", "http://u:xxxxx@h");
        check("http://u@h/a:b@c", "http://u@h/a:b@c");
        check("localhost:9090", "localhost:9090");
    }
}
