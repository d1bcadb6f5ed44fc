//! JSON of OTLP to protobuf's wire format, by the schema of its messages, so that there is one reader for both.
//!
//! A document is read once, without being kept; names that are unknown are passed over, at any depth.

use std::fmt;

use base::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::schema::{Field, Kind, Message, REQUEST};
use crate::put;

/// The bytes of an `ExportMetricsServiceRequest` that is given as JSON.
pub(super) fn to_wire(json: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    MessageSeed { message: &REQUEST, out: &mut out }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|e| Error::invalid(format!("cannot decode OTLP request: {e}")))?;
    Ok(out)
}

/// Reads an object as a message.
struct MessageSeed<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Null is a message that is not there.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(NameSeed(self.message))? {
            match field {
                Some(field) => map.next_value_seed(ValueSeed { field, out: self.out })?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// Finds the field that a name is of.
struct NameSeed(&'static Message);

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    /// OTLP has names in camel case only; the Collector, and so Prometheus, understands those of the schema as well.
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let letters =
            |text: &str| text.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).collect();
        let same = |field: &&Field| {
            field.name == name || (name.contains('_') && Vec::<u8>::eq(&letters(name), &letters(field.name)))
        };
        Ok(self.0.0.iter().find(same))
    }
}

/// Reads the value of a field.
struct ValueSeed<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.field.kind {
            Kind::Text => "a text",
            Kind::Bool => "true or false",
            Kind::Double => "a number",
            Kind::Int | Kind::Uint | Kind::Sint | Kind::Fixed | Kind::Sfixed | Kind::Names(_) => {
                "a whole number"
            }
            Kind::Base64 => "bytes in base64",
            Kind::Hex => "bytes in hexadecimal digits",
            Kind::Message(_) => "an object",
            Kind::Messages(_) | Kind::Doubles | Kind::Fixeds | Kind::Uints => "a list",
        };
        write!(f, "{what} for {}", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, b: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => put::number(self.out, self.field.number, b.into()),
            _ => return Err(E::invalid_type(Unexpected::Bool(b), &self)),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let wrong = || E::invalid_value(Unexpected::Str(text), &self);
        match self.field.kind {
            Kind::Text => put::bytes(self.out, self.field.number, text.as_bytes()),
            Kind::Base64 => {
                let bytes = from_base64(text).ok_or_else(wrong)?;
                put::bytes(self.out, self.field.number, &bytes);
            }
            Kind::Hex => {
                let bytes = from_hex(text).ok_or_else(wrong)?;
                put::bytes(self.out, self.field.number, &bytes);
            }
            Kind::Names(names) => {
                let at = names.iter().position(|name| *name == text).ok_or_else(wrong)?;
                put::number(self.out, self.field.number, at as u64);
            }
            _ => {
                let scalar = Scalar::of_text(text, self.field.kind).ok_or_else(wrong)?;
                self.put(scalar).map_err(|this| E::invalid_value(Unexpected::Str(text), &this))?;
            }
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<(), E> {
        self.put(Scalar::Whole(n.into())).map_err(|this| E::invalid_value(Unexpected::Unsigned(n), &this))
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<(), E> {
        self.put(Scalar::Whole(n.into())).map_err(|this| E::invalid_value(Unexpected::Signed(n), &this))
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<(), E> {
        self.put(Scalar::Float(v)).map_err(|this| E::invalid_value(Unexpected::Float(v), &this))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(serde::de::Error::invalid_type(Unexpected::Map, &self));
        };
        let mut inner = Vec::new();
        MessageSeed { message, out: &mut inner }.visit_map(map)?;
        put::bytes(self.out, self.field.number, &inner);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let number = self.field.number;
        match self.field.kind {
            Kind::Messages(message) => {
                let mut inner = Vec::new();
                while list.next_element_seed(MessageSeed { message, out: &mut inner })?.is_some() {
                    put::bytes(self.out, number, &inner);
                    inner.clear();
                }
            }
            Kind::Doubles | Kind::Fixeds | Kind::Uints => {
                let mut packed = Vec::new();
                while list.next_element_seed(ItemSeed { field: self.field, out: &mut packed })?.is_some() {}
                put::bytes(self.out, number, &packed);
            }
            _ => return Err(serde::de::Error::invalid_type(Unexpected::Seq, &self)),
        }
        Ok(())
    }
}

impl ValueSeed<'_> {
    /// Writes a number as the field has it; gives itself back if it cannot.
    fn put(self, scalar: Scalar) -> Result<(), Self> {
        let number = self.field.number;
        match (self.field.kind, scalar.unsigned(), scalar.signed()) {
            (Kind::Double, ..) => put::fixed64(self.out, number, scalar.float().to_bits()),
            (Kind::Fixed, Some(n), _) => put::fixed64(self.out, number, n),
            (Kind::Sfixed, _, Some(n)) => put::fixed64(self.out, number, n as u64),
            (Kind::Uint | Kind::Names(_), Some(n), _) => put::number(self.out, number, n),
            (Kind::Int, _, Some(n)) => put::number(self.out, number, n as u64),
            (Kind::Sint, _, Some(n)) if i32::try_from(n).is_ok() => {
                put::number(self.out, number, ((n << 1) ^ (n >> 63)) as u64);
            }
            _ => return Err(self),
        }
        Ok(())
    }
}

/// A number of a document.
#[derive(Clone, Copy)]
enum Scalar {
    Whole(i128),
    Float(f64),
}

impl Scalar {
    /// A number in a text, as protobuf has those of 64 bits.
    fn of_text(text: &str, kind: Kind) -> Option<Self> {
        match (kind, text) {
            (Kind::Double | Kind::Doubles, "NaN") => Some(Self::Float(f64::NAN)),
            (Kind::Double | Kind::Doubles, "Infinity") => Some(Self::Float(f64::INFINITY)),
            (Kind::Double | Kind::Doubles, "-Infinity") => Some(Self::Float(f64::NEG_INFINITY)),
            _ => match text.parse() {
                Ok(n) => Some(Self::Whole(n)),
                // Rust reads `inf` and the like as well.
                Err(_) => text.parse().ok().filter(|v: &f64| v.is_finite()).map(Self::Float),
            },
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Float(v) => v,
        }
    }

    fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(n) => Some(n),
            // Above 2^53 a float no longer says which number is meant.
            Self::Float(v) => (v.fract() == 0.0 && v.abs() <= 2f64.powi(53)).then_some(v as i128),
        }
    }

    fn unsigned(self) -> Option<u64> {
        self.whole().and_then(|n| n.try_into().ok())
    }

    fn signed(self) -> Option<i64> {
        self.whole().and_then(|n| n.try_into().ok())
    }
}

/// Reads a number of a packed list.
struct ItemSeed<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for ItemSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number in {}", self.field.name)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        match Scalar::of_text(text, self.field.kind) {
            Some(scalar) if self.put(scalar) => Ok(()),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(mut self, n: u64) -> Result<(), E> {
        let taken = self.put(Scalar::Whole(n.into()));
        if taken { Ok(()) } else { Err(E::invalid_value(Unexpected::Unsigned(n), &self)) }
    }

    fn visit_i64<E: serde::de::Error>(mut self, n: i64) -> Result<(), E> {
        let taken = self.put(Scalar::Whole(n.into()));
        if taken { Ok(()) } else { Err(E::invalid_value(Unexpected::Signed(n), &self)) }
    }

    fn visit_f64<E: serde::de::Error>(mut self, v: f64) -> Result<(), E> {
        let taken = self.put(Scalar::Float(v));
        if taken { Ok(()) } else { Err(E::invalid_value(Unexpected::Float(v), &self)) }
    }
}

impl ItemSeed<'_> {
    fn put(&mut self, scalar: Scalar) -> bool {
        match (self.field.kind, scalar.unsigned()) {
            (Kind::Doubles, _) => self.out.extend_from_slice(&scalar.float().to_le_bytes()),
            (Kind::Fixeds, Some(n)) => self.out.extend_from_slice(&n.to_le_bytes()),
            (Kind::Uints, Some(n)) => put::varint(self.out, n),
            _ => return false,
        }
        true
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Base64 with either alphabet, with or without what fills it up, as protobuf's JSON allows.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut out, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3 + 2), 0u32, 0);
    for b in text.bytes() {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(digit), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
