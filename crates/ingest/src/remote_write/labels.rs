//! The labels of one `prometheus.TimeSeries`, packed as `base::Labels` packs them.
//!
//! Senders give labels sorted, each once and none empty: [`pack_as_sent`] takes those as they come. Everything else, and everything
//! that is wrong, goes to [`pack_any`], which takes its time and says what is wrong.

use base::{Error, METRIC_NAME, Result};

use crate::LabelLimits;
use crate::limits::{LABEL_SET_BYTES, QUOTED_CHARS};
use crate::protobuf::{Malformed, Reader};

/// Name and value as sent.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// What a first look at a series finds.
pub(super) struct Found<'a> {
    /// Whether its labels are packed as they came: named and within the limits. The batch finds out whether they are in order, none of them
    /// empty, and UTF-8.
    pub(super) packed: bool,
    /// The fields from the first on that is no label.
    pub(super) rest: &'a [u8],
    /// Samples and histograms among them.
    pub(super) samples: usize,
}

/// Looks at every field of a series and packs its labels, if they are as they should be.
pub(super) fn pack_as_sent<'a>(
    message: &'a [u8],
    limits: LabelLimits,
    packed: &mut Vec<u8>,
) -> Result<Found<'a>, Malformed> {
    packed.clear();
    // Packed labels are shorter than the message that they come in.
    packed.reserve(message.len());
    let mut found = Found { packed: true, rest: &[], samples: 0 };
    let (mut labels, mut named) = (0, false);
    let mut rest = message;
    // What senders send: labels first, all lengths of one byte, which stand in the packed form as they do here.
    while let Some((label, after)) = plain_label(rest) {
        rest = after;
        labels += 1;
        named |= label.name() == METRIC_NAME.as_bytes();
        found.packed &= label.name().len() <= limits.name_bytes && label.value().len() <= limits.value_bytes;
        packed.extend_from_slice(label.name);
        packed.extend_from_slice(label.value);
    }
    let mut reader = Reader::new(rest);
    loop {
        let before = reader.rest();
        let Some((number, value)) = reader.field()? else { break };
        if number == 1 {
            let (name, text) = pair(value.bytes()?)?;
            labels += 1;
            named |= name == METRIC_NAME.as_bytes();
            found.packed &= name.len() <= limits.name_bytes && text.len() <= limits.value_bytes;
            put(packed, name);
            put(packed, text);
            continue;
        }
        if found.rest.is_empty() {
            found.rest = before;
        }
        found.samples += usize::from(number == 2 || number == 4);
    }
    found.packed &= named && labels <= limits.labels && packed.len() <= LABEL_SET_BYTES;
    Ok(found)
}

/// A label whose name and value are shorter than 128 bytes, each with its length in front.
struct PlainLabel<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> PlainLabel<'a> {
    fn name(&self) -> &'a [u8] {
        &self.name[1..]
    }

    fn value(&self) -> &'a [u8] {
        &self.value[1..]
    }
}

/// The label at the beginning of a series, if it is one that is written in the plainest way, and what comes after it.
#[inline]
fn plain_label(series: &[u8]) -> Option<(PlainLabel<'_>, &[u8])> {
    let [0x0a, len, rest @ ..] = series else { return None };
    let (label, after) = rest.split_at_checked(usize::from(*len))?;
    let [0x0a, fields @ ..] = label else { return None };
    let (name, value) = fields.split_at_checked(1 + usize::from(*fields.first()?))?;
    let [0x12, value @ ..] = value else { return None };
    let plain = *len < 0x80 && value.len() == 1 + usize::from(*value.first()?);
    plain.then_some((PlainLabel { name, value }, after))
}

/// Packs labels in any order. The inner error says why a series cannot be taken, in Prometheus' words where it has some.
pub(super) fn pack_any<'a>(
    message: &'a [u8],
    limits: LabelLimits,
    pairs: &mut Vec<Pair<'a>>,
    packed: &mut Vec<u8>,
) -> Result<Result<()>, Malformed> {
    pairs.clear();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == 1 {
            pairs.push(pair(value.bytes()?)?);
        }
    }
    Ok(pack_pairs(pairs, limits, packed))
}

/// Packs pairs in any order. An error says why a series cannot be taken, in Prometheus' words where it has some.
pub(super) fn pack_pairs(pairs: &mut [Pair<'_>], limits: LabelLimits, packed: &mut Vec<u8>) -> Result<()> {
    check(pairs, limits)?;
    packed.clear();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        put(packed, name);
        put(packed, value);
    }
    Ok(())
}

/// Sorts the pairs and finds what is wrong with them.
fn check(pairs: &mut [Pair<'_>], limits: LabelLimits) -> Result<()> {
    // Sorting compares texts, of which a request may refer to one many times: the bounds come first.
    within(pairs, limits)?;
    pairs.sort_by_key(|(name, _)| *name);
    let is_utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    let named = pairs.iter().any(|(name, value)| *name == METRIC_NAME.as_bytes() && !value.is_empty());
    if !named || !pairs.iter().all(|(name, value)| !name.is_empty() && is_utf8(name) && is_utf8(value)) {
        return Err(Error::invalid(format!("invalid metric name or labels, got {}", quote(pairs))));
    }
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        let name = String::from_utf8_lossy(twice[0].0);
        let text = format!("invalid labels for series, labels {}, duplicated label {name}", quote(pairs));
        return Err(Error::invalid(text));
    }
    Ok(())
}

fn within(pairs: &[Pair<'_>], limits: LabelLimits) -> Result<()> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let longest = |of: fn(&Pair<'_>) -> usize| pairs.iter().map(of).max().unwrap_or(0);
    for (what, got, name, limit) in [
        ("labels", pairs.len(), "label_limit", limits.labels),
        ("bytes in a label's name", longest(|p| p.0.len()), "label_name_length_limit", limits.name_bytes),
        ("bytes in a label's value", longest(|p| p.1.len()), "label_value_length_limit", limits.value_bytes),
        ("bytes of labels", bytes, "label_set_bytes", LABEL_SET_BYTES),
    ] {
        if got > limit {
            return Err(Error::limit(format!(
                "cannot take series {}: it has {got} {what} (limit {name} is {limit})",
                quote(pairs)
            )));
        }
    }
    Ok(())
}

#[inline]
pub(super) fn pair(message: &[u8]) -> Result<Pair<'_>, Malformed> {
    let (mut name, mut value): Pair<'_> = (&[], &[]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// A length as LEB128, then the bytes.
#[inline]
fn put(out: &mut Vec<u8>, text: &[u8]) {
    let mut n = text.len();
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(text);
}

/// The labels as people read them, cut where they get long.
pub(super) fn quote(pairs: &[Pair<'_>]) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in pairs.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        let cut =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED_CHARS)]).into_owned();
        out += &format!("{comma}{}={:?}", cut(name), cut(value));
        if out.len() > QUOTED_CHARS {
            out = out.chars().take(QUOTED_CHARS).collect::<String>() + "…";
            break;
        }
    }
    out + "}"
}
