//! A `prometheus.Exemplar`, and what both versions have in common.

use base::{Error, Exemplar, Labels, Result};

use super::labels::{self, Pair};
use crate::limits::EXEMPLAR_LABELS;
use crate::protobuf::{Malformed, Reader};

/// Reads an exemplar of remote write 1.0. The inner error says why it cannot be taken.
pub(super) fn read(message: &[u8]) -> Result<Result<Exemplar>, Malformed> {
    let (mut pairs, mut value, mut t_ms) = (Vec::new(), 0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => pairs.push(labels::pair(field.bytes()?)?),
            2 => value = field.double()?,
            3 => t_ms = field.int64()?,
            _ => {}
        }
        if pairs.len() > EXEMPLAR_LABELS {
            return Ok(Err(too_many()));
        }
    }
    Ok(labels_of(&pairs).map(|labels| Exemplar { labels, value, t_ms }))
}

/// The labels of an exemplar.
pub(super) fn labels_of(pairs: &[Pair<'_>]) -> Result<Labels> {
    let text = |bytes| {
        std::str::from_utf8(bytes)
            .map_err(|_| Error::invalid("cannot take exemplar: a label of it is not UTF-8"))
    };
    let mut texts = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        texts.push((text(name)?, text(value)?));
    }
    if texts.iter().any(|(name, _)| name.is_empty()) {
        return Err(Error::invalid("cannot take exemplar: a label of it has no name"));
    }
    Ok(Labels::from_pairs(texts))
}

pub(super) fn too_many() -> Error {
    Error::limit(format!(
        "cannot take exemplar: it has more than {EXEMPLAR_LABELS} labels (limit exemplar_labels)"
    ))
}
