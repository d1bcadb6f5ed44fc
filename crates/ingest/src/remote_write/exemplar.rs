//! Exemplars of a series.

use base::{EXEMPLAR_LABEL_CHARS, Exemplar, LabelsBuilder};

use crate::protobuf::{Malformed, Reader};

/// Reads an exemplar; `None` if its labels are more than can be stored, or no text.
pub(super) fn read(message: &[u8]) -> Result<Option<Exemplar>, Malformed> {
    let (mut value, mut t_ms, mut sound) = (0.0, 0, true);
    let mut labels = LabelsBuilder::default();
    let mut count = 0;
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => {
                let (name, label_value) = label(field.bytes()?)?;
                count += 1;
                // With more labels than characters it could not be stored.
                match (std::str::from_utf8(name), std::str::from_utf8(label_value)) {
                    (Ok(name), Ok(label_value)) if count <= EXEMPLAR_LABEL_CHARS => {
                        labels.set(name, label_value);
                    }
                    _ => sound = false,
                }
            }
            2 => value = field.double()?,
            3 => t_ms = field.int64()?,
            _ => {}
        }
    }
    Ok(sound.then(|| Exemplar { labels: labels.build(), value, t_ms }))
}

fn label(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut value): (&[u8], &[u8]) = (b"", b"");
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
