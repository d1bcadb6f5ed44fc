//! The labels of one `prometheus.TimeSeries`, packed as `base::Labels` packs them.
//!
//! Senders give labels sorted, each once and none empty: [`pack_sorted`] takes those as they come. Everything else, and everything
//! that is wrong, goes to [`pack_any`], which takes its time and says what is wrong.

use base::{Error, METRIC_NAME, Result};

use crate::LabelLimits;
use crate::limits::{LABEL_SET_BYTES, QUOTED_CHARS};
use crate::protobuf::{Malformed, Reader};

/// Name and value as sent.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// What a first look at a series finds.
pub(super) struct Found<'a> {
    /// Whether its labels are packed. They are in order, named, within the limits, and not known to be UTF-8.
    pub(super) sorted: bool,
    /// The fields from the first on that is no label.
    pub(super) rest: &'a [u8],
    /// Samples and histograms among them.
    pub(super) samples: usize,
}

/// Looks at every field of a series and packs its labels, if they are as they should be.
pub(super) fn pack_sorted<'a>(
    message: &'a [u8],
    limits: LabelLimits,
    packed: &mut Vec<u8>,
) -> Result<Found<'a>, Malformed> {
    packed.clear();
    // Packed labels are shorter than the message that they come in.
    packed.reserve(message.len());
    let mut reader = Reader::new(message);
    let mut found = Found { sorted: true, rest: &[], samples: 0 };
    let (mut last, mut labels, mut named): (&[u8], usize, bool) = (&[], 0, false);
    loop {
        let before = reader.rest();
        let Some((number, value)) = reader.field()? else { break };
        if number == 1 {
            let (name, text) = pair(value.bytes()?)?;
            let sound = name > last
                && !text.is_empty()
                && name.len() <= limits.name_bytes
                && text.len() <= limits.value_bytes;
            found.sorted &= sound;
            named |= name == METRIC_NAME.as_bytes();
            labels += 1;
            last = name;
            put(packed, name);
            put(packed, text);
            continue;
        }
        if found.rest.is_empty() {
            found.rest = before;
        }
        found.samples += usize::from(number == 2 || number == 4);
    }
    found.sorted &= named && labels <= limits.labels && packed.len() <= LABEL_SET_BYTES;
    Ok(found)
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
    Ok(check(pairs, limits).map(|()| {
        packed.clear();
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            put(packed, name);
            put(packed, value);
        }
    }))
}

/// Sorts the pairs and finds what is wrong with them.
fn check(pairs: &mut [Pair<'_>], limits: LabelLimits) -> Result<()> {
    pairs.sort_by_key(|(name, _)| *name);
    within(pairs, limits)?;
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
fn pair(message: &[u8]) -> Result<Pair<'_>, Malformed> {
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
fn quote(pairs: &[Pair<'_>]) -> String {
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
