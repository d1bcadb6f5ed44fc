//! Resources and scopes: what all data points below them have in common.

use base::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

use super::labels::{Origin, bad_value};
use super::metric::Metric;
use super::value::{self, Attribute, BadValue};
use super::{Request, target};
use crate::decoded::Stop;
use crate::protobuf::{Malformed, Reader};

/// The attributes that `job` is made of, and the one that `instance` is.
pub(super) const SERVICE_NAMESPACE: &str = "service.namespace";
pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const SERVICE_INSTANCE: &str = "service.instance.id";

/// What a resource's data points are told.
pub(super) struct Context {
    /// Tells it, and the scope within, from others.
    pub(super) identity: Xxh3,
    /// The earliest and the latest time of a data point, in nanoseconds.
    pub(super) times_ns: Option<(u64, u64)>,
}

impl Context {
    pub(super) fn note(&mut self, time_ns: u64) {
        let (first, last) = self.times_ns.unwrap_or((time_ns, time_ns));
        self.times_ns = Some((first.min(time_ns), last.max(time_ns)));
    }
}

impl<'a> Request<'a, '_> {
    pub(super) fn resource_metrics(&mut self, message: &'a [u8]) -> Result<(), Stop> {
        let mut resource: &[u8] = &[];
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if number == 1 {
                resource = value.bytes()?;
            }
        }
        let start = self.labels.mark();
        match self.resource(resource) {
            Err(why) => self.refuse(count_points(message, RESOURCE_TO_POINTS)?, why),
            Ok(attributes) => {
                let mut context = Context { identity: identity(&attributes), times_ns: None };
                let mut reader = Reader::new(message);
                while let Some((number, value)) = reader.field()? {
                    if number == 2 {
                        self.scope_metrics(value.bytes()?, &mut context)?;
                    }
                }
                self.labels.back_to(start);
                if let Some(times_ns) = context.times_ns {
                    let told = target::tell(self, &attributes, times_ns);
                    self.settle_target(told)?;
                }
            }
        }
        self.labels.back_to(start);
        Ok(())
    }

    /// Adds the labels that all series of a resource have; returns its attributes in order of their names.
    fn resource(&mut self, message: &'a [u8]) -> Result<Vec<Attribute<'a>>> {
        let mut attributes = Vec::new();
        gather(message, 1, &mut attributes, self.limits.labels)
            .map_err(|e| e.context("cannot take resource"))?;
        sort(&mut attributes);
        for attribute in attributes.iter().filter(|(name, _)| self.settings.promotion.promotes(name)) {
            self.labels.push_attribute("", *attribute, self.settings, Origin::Promoted)?;
        }
        self.push_identity(&attributes)?;
        Ok(attributes)
    }

    /// Adds `job` and `instance`, as far as the attributes of a resource say what they are.
    pub(super) fn push_identity(&mut self, attributes: &[Attribute<'a>]) -> Result<()> {
        let text = |name: &str| match attributes.iter().find(|(n, _)| *n == name) {
            Some((_, value)) => value::text(value).map(Some).map_err(|why| bad_value(name, why)),
            None => Ok(None),
        };
        if let Some(name) = text(SERVICE_NAME)? {
            match text(SERVICE_NAMESPACE)? {
                Some(space) => self.labels.push("job", &format!("{space}/{name}"), Origin::Identity),
                None if !name.is_empty() => self.labels.push("job", &name, Origin::Identity),
                None => {}
            }
        }
        if let Some(instance) = text(SERVICE_INSTANCE)?.filter(|i| !i.is_empty()) {
            self.labels.push("instance", &instance, Origin::Identity);
        }
        Ok(())
    }

    fn scope_metrics(&mut self, message: &'a [u8], context: &mut Context) -> Result<(), Stop> {
        let (mut scope, mut schema_url): (&[u8], &[u8]) = (&[], &[]);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => scope = value.bytes()?,
                3 => schema_url = value.bytes()?,
                _ => {}
            }
        }
        let start = self.labels.mark();
        let outer = context.identity.clone();
        match self.scope(scope, schema_url, context) {
            Err(why) => self.refuse(count_points(message, SCOPE_TO_POINTS)?, why),
            Ok(()) => {
                let mut reader = Reader::new(message);
                while let Some((number, value)) = reader.field()? {
                    if number == 2 {
                        self.metric(&Metric::read(value.bytes()?)?, context)?;
                    }
                }
            }
        }
        context.identity = outer;
        self.labels.back_to(start);
        Ok(())
    }

    /// Adds the labels that all series of a scope have, if scopes are promoted.
    fn scope(&mut self, message: &'a [u8], schema_url: &'a [u8], context: &mut Context) -> Result<()> {
        let malformed = |m: Malformed| Error::invalid(format!("cannot take scope: {}", m.cause()));
        let (mut name, mut version): (&[u8], &[u8]) = (&[], &[]);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field().map_err(malformed)? {
            match number {
                1 => name = value.bytes().map_err(malformed)?,
                2 => version = value.bytes().map_err(malformed)?,
                _ => {}
            }
        }
        [name, version].into_iter().for_each(|part| hash_part(&mut context.identity, part));
        if !self.settings.promote_scope_metadata || name.is_empty() {
            return Ok(());
        }
        let text = |bytes| {
            std::str::from_utf8(bytes)
                .map_err(|_| Error::invalid("cannot take scope: a text of it is not UTF-8"))
        };
        let mut attributes = Vec::new();
        gather(message, 3, &mut attributes, self.limits.labels)
            .map_err(|e| e.context("cannot take scope"))?;
        for attribute in attributes {
            self.labels.push_attribute("otel_scope_", attribute, self.settings, Origin::ScopeAttribute)?;
        }
        self.labels.push("otel_scope_name", text(name)?, Origin::Scope);
        self.labels.push("otel_scope_version", text(version)?, Origin::Scope);
        self.labels.push("otel_scope_schema_url", text(schema_url)?, Origin::Scope);
        Ok(())
    }
}

/// Gathers the attributes that are fields of one number of a message.
pub(super) fn gather<'a>(
    message: &'a [u8],
    field: u64,
    out: &mut Vec<Attribute<'a>>,
    limit: usize,
) -> Result<()> {
    let bad = |why| bad_value("", why);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field().map_err(|m| bad(m.into()))? {
        if number == field {
            let bytes = value.bytes().map_err(|m| bad(m.into()))?;
            out.push(value::attribute(bytes).map_err(bad)?);
            if out.len() > limit {
                return Err(Error::limit(format!(
                    "it has more than {limit} attributes (limit label_limit is {limit})"
                )));
            }
        }
    }
    Ok(())
}

/// Puts attributes in order of their names, of several with one name the last.
pub(super) fn sort(attributes: &mut Vec<Attribute<'_>>) {
    // Names may be long and alike, but there are few of them.
    attributes.sort_by_key(|(name, _)| *name);
    attributes.reverse();
    attributes.dedup_by_key(|(name, _)| *name);
    attributes.reverse();
}

/// Hashes attributes that are in order.
pub(super) fn hash_attributes(hash: &mut Xxh3, attributes: &[Attribute<'_>]) {
    hash_part(hash, &attributes.len().to_le_bytes());
    for (name, value) in attributes {
        hash_part(hash, name.as_bytes());
        hash_part(hash, value);
    }
}

/// Hashes a part so that what lies on both sides of its ends makes a difference.
pub(super) fn hash_part(hash: &mut Xxh3, part: &[u8]) {
    hash.update(&part.len().to_le_bytes());
    hash.update(part);
}

fn identity(attributes: &[Attribute<'_>]) -> Xxh3 {
    let mut hash = Xxh3::new();
    hash_attributes(&mut hash, attributes);
    hash
}

/// The fields that lead from a resource, or a scope, to its data points; the metrics' are those of all kinds of data.
const RESOURCE_TO_POINTS: &[&[u64]] = &[&[2], &[2], &[5, 7, 9, 10, 11], &[1]];
const SCOPE_TO_POINTS: &[&[u64]] = &[&[2], &[5, 7, 9, 10, 11], &[1]];

/// Counts what lies at the end of a path of fields.
fn count_points(message: &[u8], path: &[&[u64]]) -> Result<u64, Malformed> {
    let Some((fields, rest)) = path.split_first() else { return Ok(1) };
    let mut count = 0;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if fields.contains(&number) {
            count += count_points(value.bytes()?, rest)?;
        }
    }
    Ok(count)
}

impl From<BadValue> for super::Bad {
    fn from(why: BadValue) -> Self {
        match why {
            BadValue::Malformed(m) => m.into(),
            other => Self::Point(bad_value("", other)),
        }
    }
}
