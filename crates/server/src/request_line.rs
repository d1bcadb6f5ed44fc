//! Mends request lines that Go's server takes and ours would not: `curl -g 'http://host/api/v1/query?query=up{job="x"}'` sends the
//! quotes as they are, which no URI has, and which an HTTP library that goes by the RFC answers with an empty 400.
//!
//! Bytes of a target that cannot stand in a URI are percent-encoded as they come; nothing is held back, whatever the size of reads.
//! Owns no parsing: what is wrong otherwise is found by who reads next. Where a request ends is only known while requests have no body,
//! so that after the first with one everything passes as it is.

/// The methods whose requests are mended.
const METHODS: [&[u8]; 5] = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"];

/// The longest of them.
const METHOD_LEN: usize = 6;

/// Headers after which it is not known where the next request begins.
const ENDS_WATCH: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"upgrade"];

/// The longest of them, and one byte more to tell longer names apart.
const NAME_LEN: usize = 18;

/// Where in a connection's bytes the next one is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the method, or before it.
    Method(Start<METHOD_LEN>),
    /// At the first byte of the target.
    Slash,
    /// After that.
    Target,
    /// After the target, up to the end of the line.
    Version,
    /// In the name of a header.
    Name(Start<NAME_LEN>),
    /// In the value of a header.
    Value,
    /// After a CR where a header could begin: a LF ends the head.
    HeadEnd,
    /// In a body, in another protocol, or in what nobody can read: nothing is looked at again.
    Unwatched,
}

/// The first bytes of a word.
#[derive(Clone, Copy, Debug)]
struct Start<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Start<N> {
    const NOTHING: Self = Self { bytes: [0; N], len: 0 };

    /// With one byte more; none if there is no room for it.
    fn and(mut self, byte: u8) -> Option<Self> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(self)
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Follows what a connection of HTTP/1 sends, and says which of its bytes have to be replaced.
#[derive(Debug)]
pub(crate) struct RequestLines {
    place: Place,
}

impl RequestLines {
    /// Before the first byte of a connection.
    pub(crate) fn new() -> Self {
        Self { place: Place::Method(Start::NOTHING) }
    }

    /// Takes the next bytes of the connection. What has to take their place, from the first that changes, and where that is.
    pub(crate) fn mend(&mut self, bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        if matches!(self.place, Place::Unwatched) {
            return None;
        }
        let first = bytes.iter().position(|&byte| self.has_to_go(byte))?;
        let mut mended = Vec::with_capacity((bytes.len() - first).saturating_mul(2));
        encode(bytes[first], &mut mended);
        for &byte in &bytes[first + 1..] {
            if self.has_to_go(byte) {
                encode(byte, &mut mended);
            } else {
                mended.push(byte);
            }
        }
        Some((first, mended))
    }

    /// Moves past a byte, and says whether it is to be percent-encoded.
    fn has_to_go(&mut self, byte: u8) -> bool {
        let encoded = matches!(self.place, Place::Target) && is_foreign(byte);
        self.place = self.place.after(byte);
        encoded
    }
}

/// Whether a byte of a target is taken by Go's server but not, or as something else, by a reader of URIs. A target has no fragment, so that
/// `#` stands for itself.
fn is_foreign(byte: u8) -> bool {
    matches!(byte, b'"' | b'#' | b'<' | b'>' | b'`' | 0x80..)
}

fn encode(byte: u8, to: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    to.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            // Empty lines before a request are skipped.
            (Self::Method(seen), b'\r' | b'\n') if seen.len == 0 => self,
            (Self::Method(seen), b' ') if METHODS.contains(&seen.get()) => Self::Slash,
            (Self::Method(seen), _) => seen.and(byte).map_or(Self::Unwatched, Self::Method),
            (Self::Slash, b'/') | (Self::Target, b'!'..) => Self::Target,
            (Self::Target, b' ') => Self::Version,
            (Self::Version | Self::Value, b'\n') => Self::Name(Start::NOTHING),
            (Self::Version | Self::Value, _) => self,
            (Self::Name(name), _) => Self::in_name(name, byte),
            (Self::HeadEnd, b'\n') => Self::Method(Start::NOTHING),
            (Self::Slash | Self::Target | Self::HeadEnd | Self::Unwatched, _) => Self::Unwatched,
        }
    }

    fn in_name(name: Start<NAME_LEN>, byte: u8) -> Self {
        match byte {
            b'\n' if name.len == 0 => Self::Method(Start::NOTHING),
            b'\r' if name.len == 0 => Self::HeadEnd,
            b':' if ENDS_WATCH.iter().any(|end| name.get().eq_ignore_ascii_case(end)) => Self::Unwatched,
            b':' => Self::Value,
            // Neither a name nor the end of one, such as a value that goes on in the next line: who reads next refuses it.
            0..=b' ' => Self::Unwatched,
            // A name that is longer than all that matter is not kept whole.
            _ => Self::Name(name.and(byte).unwrap_or(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out if bytes come in pieces of these sizes, the last as often as it takes.
    fn mended(bytes: &[u8], sizes: &[usize]) -> String {
        let mut lines = RequestLines::new();
        let (mut rest, mut out, mut piece) = (bytes, Vec::new(), 0);
        while !rest.is_empty() {
            let size = sizes[piece.min(sizes.len() - 1)].clamp(1, rest.len());
            let (now, later) = rest.split_at(size);
            match lines.mend(now) {
                Some((first, instead)) => {
                    out.extend_from_slice(&now[..first]);
                    out.extend(instead);
                }
                None => out.extend_from_slice(now),
            }
            (rest, piece) = (later, piece + 1);
        }
        String::from_utf8(out).unwrap()
    }

    fn check(sent: &str, wanted: &str) {
        for split in 1..=sent.len() {
            assert_eq!(mended(sent.as_bytes(), &[split, usize::MAX]), wanted, "split at {split}");
        }
        for step in [1, 2, 3, 7] {
            assert_eq!(mended(sent.as_bytes(), &[step]), wanted, "in pieces of {step}");
        }
    }

    #[test]
    fn what_no_uri_has_is_encoded() {
        check(
            "GET /api/v1/query?query=up{job=\"a<b>#`é|\\^\"}&x=%22 HTTP/1.1\r\nHost: \"a\"\r\n\r\n",
            "GET /api/v1/query?query=up{job=%22a%3Cb%3E%23%60%C3%A9|\\^%22}&x=%22 HTTP/1.1\r\nHost: \"a\"\r\n\r\n",
        );
    }

    /// Every byte that a target may have gets through a reader of URIs, and means the same.
    #[test]
    fn all_bytes_of_a_target_can_be_read_after() {
        for place in ["/", "/?q="] {
            for byte in (b'!'..=0xFF).filter(|byte| *byte != 0x7F) {
                let sent = [b"GET ", place.as_bytes(), &[byte], b" HTTP/1.1\r\n\r\n"].concat();
                let line = mended(&sent, &[usize::MAX]);
                let target = line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1\r\n\r\n").unwrap();
                let uri: axum::http::Uri = target.parse().unwrap_or_else(|e| panic!("{target:?}: {e}"));
                assert_eq!(uri.to_string(), target, "a part got lost");
                let plain = [place.as_bytes(), &[byte]].concat();
                if place == "/?q=" && !b"&+=%".contains(&byte) {
                    let query = uri.query().unwrap().as_bytes();
                    let (_, value) = form_urlencoded::parse(query).next().unwrap();
                    assert_eq!(value, String::from_utf8_lossy(&[byte]), "{plain:?}");
                }
            }
        }
    }

    #[test]
    fn requests_without_a_body_are_followed_by_others() {
        check(
            "\r\nGET /a?\" HTTP/1.1\r\nhost: a\r\n\r\nHEAD /b?\" HTTP/1.1\nx: \"\n\n\nPOST /c?\" HTTP/1.1\r\n\r\nGET /?\" HTTP/1.0\r\n",
            "\r\nGET /a?%22 HTTP/1.1\r\nhost: a\r\n\r\nHEAD /b?%22 HTTP/1.1\nx: \"\n\n\nPOST /c?%22 HTTP/1.1\r\n\r\nGET /?%22 HTTP/1.0\r\n",
        );
    }

    #[test]
    fn after_a_body_or_an_upgrade_everything_passes() {
        for header in ["Content-Length: 1", "content-length: 0", "TRANSFER-encoding: chunked", "Upgrade: h2c"]
        {
            let rest = format!("HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n");
            check(&format!("POST /?\" {rest}"), &format!("POST /?%22 {rest}"));
        }
        let long = "content-length-of-something-else: 1";
        check(
            &format!("GET /?\" HTTP/1.1\r\n{long}\r\n\r\nGET /?\" HTTP/1.1\r\n"),
            &format!("GET /?%22 HTTP/1.1\r\n{long}\r\n\r\nGET /?%22 HTTP/1.1\r\n"),
        );
    }

    #[test]
    fn what_is_no_such_request_passes() {
        for sent in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\"\"\"GET /?\" HTTP/1.1\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "OPTIONS /?\" HTTP/1.1\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "GET http://a/?\" HTTP/1.1\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "get /?\" HTTP/1.1\r\n\r\n",
            " GET /?\" HTTP/1.1\r\n\r\n",
            "GETGETGET /?\" HTTP/1.1\r\n\r\n",
            // A line that is continued, a name without an end, and a CR without LF.
            "GET / HTTP/1.1\r\na: b\r\n Content-Length: 7\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length : 7\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nabc\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\rGET /?\" HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
        ] {
            check(sent, sent);
        }
        check("GET /?q=a b\" HTTP/1.1\r\n\r\n", "GET /?q=a b\" HTTP/1.1\r\n\r\n");
    }
}
