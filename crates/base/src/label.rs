//! Label sets, packed into one allocation.
//!
//! A label set is a sorted list of name/value pairs. It is built once and then compared, hashed, cloned and stored
//! millions of times, so all pairs lie in one shared byte buffer: for each pair, name length, name, value length and
//! value, with lengths as LEB128. Equal sets have equal bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Error, Result};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set, sorted by name. Cloning shares the buffer.
#[derive(Clone)]
pub struct Labels {
    packed: Arc<[u8]>,
    hash: u64,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self::from_packed_unchecked(&[])
    }

    /// A set from pairs in any order. A pair with an empty value is the same as none; of two with one name the last counts.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        // Stable, so that of several with one name the last one given ends up last.
        pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let mut packed = Vec::new();
        for (i, (name, value)) in pairs.iter().enumerate() {
            let (name, value) = (name.as_ref(), value.as_ref());
            let is_last = pairs.get(i + 1).is_none_or(|(next, _)| next.as_ref() != name);
            if is_last && !value.is_empty() {
                put(&mut packed, name);
                put(&mut packed, value);
            }
        }
        Self::from_packed_unchecked(&packed)
    }

    /// A set from bytes that [`Labels::as_packed`] gave, checked for truncation, order and UTF-8.
    pub fn from_packed(bytes: &[u8]) -> Result<Self> {
        check_packed(bytes)?;
        Ok(Self::from_packed_unchecked(bytes))
    }

    fn from_packed_unchecked(bytes: &[u8]) -> Self {
        Self::from_checked(bytes, hash_packed(bytes))
    }

    /// A set from bytes that were checked, and their hash.
    pub(crate) fn from_checked(bytes: &[u8], hash: u64) -> Self {
        Self { packed: bytes.into(), hash }
    }

    /// The packed form, the same on every machine; see the module's documentation.
    pub fn as_packed(&self) -> &[u8] {
        &self.packed
    }

    /// Whether two sets share one buffer, which is cheaper than to compare them and says nothing if they do not.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.packed, &other.packed)
    }

    /// xxh3 of the packed form, computed once. Stable across processes.
    pub fn stable_hash(&self) -> u64 {
        self.hash
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> LabelIter<'_> {
        LabelIter { rest: &self.packed }
    }

    /// The value of a label, if the set has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The value of a label, or the empty string, which PromQL takes as the same as absence.
    pub fn get_or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric's name, or the empty string.
    pub fn metric(&self) -> &str {
        self.get_or_empty(METRIC_NAME)
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no labels.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The set without the metric's name.
    #[must_use]
    pub fn without_metric(&self) -> Self {
        if self.get(METRIC_NAME).is_none() { self.clone() } else { self.filtered(|n| n != METRIC_NAME) }
    }

    /// The labels whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut packed = Vec::with_capacity(self.packed.len());
        for (n, v) in self.iter() {
            if keep(n) {
                put(&mut packed, n);
                put(&mut packed, v);
            }
        }
        Self::from_packed_unchecked(&packed)
    }

    /// A builder that starts with this set's labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.into(), v.into())).collect() }
    }

    /// Bytes held by the buffer, shared between clones.
    pub fn size_bytes(&self) -> usize {
        self.packed.len()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.packed == other.packed
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.packed, &other.packed) {
            Ordering::Equal
        } else {
            cmp_packed(&self.packed, &other.packed)
        }
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelIter<'a>;

    fn into_iter(self) -> LabelIter<'a> {
        self.iter()
    }
}

/// Writes the set as PromQL does: `name{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.metric();
        let bare = is_legacy_metric_name(metric);
        if bare {
            f.write_str(metric)?;
        }
        if bare && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        let mut first = true;
        for (n, v) in self.iter().filter(|(n, _)| !(bare && *n == METRIC_NAME)) {
            f.write_str(if first { "" } else { ", " })?;
            first = false;
            if is_legacy_label_name(n) { write!(f, "{n}={v:?}")? } else { write!(f, "{n:?}={v:?}")? }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Iterates over the pairs of a [`Labels`].
#[derive(Clone)]
pub struct LabelIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some((take(&mut self.rest), take(&mut self.rest)))
    }
}

/// Collects labels in any order; [`LabelsBuilder::build`] sorts and packs them.
#[derive(Debug, Default, Clone)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self.remove(name);
        }
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) => {
                v.clear();
                v.push_str(value);
            }
            None => self.pairs.push((name.into(), value.into())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// Keeps the labels that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|(n, v)| keep(n, v));
        self
    }

    /// The value of a label, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// The pairs in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The finished set.
    pub fn build(mut self) -> Labels {
        self.pairs.sort_unstable();
        let mut packed = Vec::with_capacity(self.pairs.iter().map(|(n, v)| n.len() + v.len() + 2).sum());
        for (n, v) in &self.pairs {
            put(&mut packed, n);
            put(&mut packed, v);
        }
        Labels::from_packed_unchecked(&packed)
    }
}

/// Checks packed bytes for truncation, order and UTF-8.
pub(crate) fn check_packed(bytes: &[u8]) -> Result<()> {
    // A length below 128 is an ASCII byte: where all are, each text is UTF-8 exactly if the whole is.
    let mut one_by_one = std::str::from_utf8(bytes).is_err();
    let mut rest = bytes;
    let mut last: &[u8] = &[];
    let mut first = true;
    while let [name_len, ..] = rest {
        one_by_one |= *name_len >= 0x80;
        let name = take_bytes(&mut rest)?;
        one_by_one |= rest.first().is_some_and(|value_len| *value_len >= 0x80);
        let value = take_bytes(&mut rest)?;
        if value.is_empty() || (last >= name && !first) {
            return Err(Error::corrupt("cannot read label set: names are not in order or a value is empty"));
        }
        (last, first) = (name, false);
    }
    let mut rest = bytes;
    while one_by_one && !rest.is_empty() {
        take_checked(&mut rest)?;
    }
    Ok(())
}

/// The hash of packed bytes, the same in every process.
pub(crate) fn hash_packed(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

fn put(out: &mut Vec<u8>, s: &str) {
    let mut n = s.len();
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(s.as_bytes());
}

/// The order of packed label sets: name, value, next name and so on. Bytes that are no label set have some order, too.
pub fn cmp_packed(a: &[u8], b: &[u8]) -> Ordering {
    let same = common_prefix(a, b);
    // Texts that end before the first difference are equal, so that only lengths are looked at there.
    let mut rest_a = a;
    while !rest_a.is_empty() {
        let at = a.len() - rest_a.len();
        let Ok(in_a) = take_bytes(&mut rest_a) else { return a.cmp(b) };
        if a.len() - rest_a.len() > same {
            let mut rest_b = &b[at..];
            return match (rest_b.is_empty(), take_bytes(&mut rest_b)) {
                (true, _) => Ordering::Greater,
                (false, Ok(in_b)) => in_a.cmp(in_b),
                (false, Err(_)) => a.cmp(b),
            };
        }
    }
    a.len().cmp(&b.len())
}

/// Bytes that both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const STRIDE: usize = 16;
    let strides = a.chunks_exact(STRIDE).zip(b.chunks_exact(STRIDE)).take_while(|(x, y)| x == y).count();
    let skipped = strides * STRIDE;
    skipped + a[skipped..].iter().zip(&b[skipped..]).take_while(|(x, y)| x == y).count()
}

#[inline]
#[expect(
    unsafe_code,
    reason = "labels are read millions of times a query; checking their text again took a quarter of one"
)]
fn take<'a>(rest: &mut &'a [u8]) -> &'a str {
    let text = take_bytes(rest).expect("a label set is checked when it is built");
    debug_assert!(std::str::from_utf8(text).is_ok());
    // SAFETY: the texts of a `Labels` are UTF-8: they come from `str`s, or `check_packed` has looked at each of them.
    unsafe { std::str::from_utf8_unchecked(text) }
}

fn take_checked<'a>(rest: &mut &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(take_bytes(rest)?)
        .map_err(|_| Error::corrupt("cannot read label set: it is not UTF-8"))
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    if let [len @ 0..0x80, tail @ ..] = *rest
        && let Some((text, tail)) = tail.split_at_checked(usize::from(*len))
    {
        *rest = tail;
        return Ok(text);
    }
    take_long(rest)
}

/// A text of more than 127 bytes, or none.
#[cold]
fn take_long<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let cut = || Error::corrupt("cannot read label set: it is cut short");
    let (mut len, mut shift) = (0usize, 0u32);
    loop {
        let (&byte, tail) = rest.split_first().ok_or_else(cut)?;
        *rest = tail;
        len |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            if byte == 0 && shift > 0 {
                return Err(Error::corrupt("cannot read label set: a length is longer than it need be"));
            }
            break;
        }
        shift += 7;
        if shift > 28 {
            return Err(Error::corrupt("cannot read label set: a length is out of range"));
        }
    }
    let (text, tail) = rest.split_at_checked(len).ok_or_else(cut)?;
    *rest = tail;
    Ok(text)
}

/// Whether a name is `[a-zA-Z_:][a-zA-Z0-9_:]*`, so that PromQL and the text format take it without quotes.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let ok = |(i, b): (usize, u8)| {
        b.is_ascii_alphabetic() || b == b'_' || b == b':' || (i > 0 && b.is_ascii_digit())
    };
    !name.is_empty() && name.bytes().enumerate().all(ok)
}

/// Whether a label name is `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    is_legacy_metric_name(name) && !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_sorts_and_reads_back() {
        let long = "x".repeat(300);
        let l = Labels::from_pairs([("b", "2"), ("__name__", "up"), ("a", long.as_str()), ("gone", "")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("__name__", "up"), ("a", long.as_str()), ("b", "2")]);
        assert_eq!(Labels::from_packed(l.as_packed()), Ok(l.clone()));
        assert_eq!((l.metric(), l.get("b"), l.get("c"), l.len()), ("up", Some("2"), None, 3));
        assert_eq!(l.without_metric().metric(), "");
        let last_wins = Labels::from_pairs([("a", "1"), ("b", "1"), ("a", "2"), ("b", "")]);
        assert_eq!(last_wins.iter().collect::<Vec<_>>(), [("a", "2")]);
    }

    #[test]
    fn orders_by_name_then_value_as_prometheus_does() {
        let of = |p: &[(&str, &str)]| Labels::from_pairs(p.iter().copied());
        let mut sets = vec![of(&[("a", "2")]), of(&[("a", "10")]), of(&[("a", "10"), ("b", "1")]), of(&[])];
        sets.sort();
        assert_eq!(sets, [of(&[]), of(&[("a", "10")]), of(&[("a", "10"), ("b", "1")]), of(&[("a", "2")])]);
    }

    #[test]
    fn packed_sets_have_the_order_of_their_pairs() {
        let (long, longer) = ("x".repeat(127), "x".repeat(200));
        let values = ["1", "10", "2", "a value of more than sixteen bytes", long.as_str(), longer.as_str()];
        let mut sets = vec![Labels::empty()];
        for (name, value) in ["a", "aa", "b"].into_iter().flat_map(|name| values.map(|v| (name, v))) {
            let with = |l: &Labels| l.to_builder().set(name, value).clone().build();
            let (one, both) = (with(&sets[0]), with(&sets[sets.len() / 2]));
            sets.extend([one, both]);
        }
        for (a, b) in sets.iter().flat_map(|a| sets.iter().map(move |b| (a, b))) {
            assert_eq!(cmp_packed(a.as_packed(), b.as_packed()), a.iter().cmp(b.iter()), "{a} {b}");
        }
        assert_eq!(cmp_packed(&[9, 1], &[9, 2]), Ordering::Less, "bytes that are none do not panic");
        assert_eq!(cmp_packed(&[1, 1], &[1]), Ordering::Greater);
    }

    #[test]
    fn refuses_bytes_that_are_no_label_set() {
        for bad in [
            &b"\x05ab"[..],
            b"\x01a",
            b"\x01b\x011\x01a\x011",
            b"\x01a\x00",
            b"\xff\xff\xff\xff\xff\xff",
            b"\x81\x00a\x011",
            b"\x01\xff\x011",
            b"\x01a\x02\xc3\xa9\x01b\x01\xc3",
            b"\x01\xc3\x29\xa9aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(Labels::from_packed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn displays_as_promql() {
        let check = |pairs: &[(&str, &str)], want: &str| {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).to_string(), want);
        };
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b")], r#"up{job="a\"b"}"#);
        check(&[("job", "a")], r#"{job="a"}"#);
        check(&[("__name__", "my.metric"), ("a.b", "c")], r#"{__name__="my.metric", "a.b"="c"}"#);
        check(&[], "{}");
    }
}
