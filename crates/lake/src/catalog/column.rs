//! How the catalogue describes a column, and what follows from it for the lake.

use std::sync::Arc;

use arrow::array::{MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::Encoding;

/// A column of a table of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// What its values mean.
    pub about: &'static str,
    dictionary: bool,
    encoding: Option<Encoding>,
    statistics: bool,
    bloom: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text.
    Text,
    /// Four bytes, signed.
    Int,
    /// Eight bytes, signed.
    Long,
    /// A floating-point number of eight bytes.
    Double,
    /// A decimal number of 38 digits, 18 of them behind the point.
    Decimal,
    /// Microseconds since 1970, UTC.
    Timestamp,
    /// Yes or no.
    Bool,
    /// Names and values, both text.
    Attributes,
    /// A list of structures, without nulls in it.
    List(&'static [Column]),
}

pub(super) const fn text(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Text, about)
}

pub(super) const fn int(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Int, about)
}

pub(super) const fn long(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Long, about)
}

/// Names and values; never null, for a map may be empty.
pub(super) const fn attributes(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Kind::Attributes, about).required().dictionary()
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            nullable: true,
            about,
            dictionary: false,
            encoding: None,
            statistics: false,
            bloom: false,
        }
    }

    /// Without nulls.
    pub(super) const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// Values repeat.
    pub(super) const fn dictionary(mut self) -> Self {
        self.dictionary = true;
        self
    }

    /// Text of many lengths: the lengths are stored apart, so that the text compresses as one.
    pub(super) const fn lengths_apart(mut self) -> Self {
        self.encoding = Some(Encoding::DELTA_LENGTH_BYTE_ARRAY);
        self
    }

    /// Prunes by least and greatest value.
    pub(super) const fn statistics(mut self) -> Self {
        self.statistics = true;
        self
    }

    /// Prunes row groups in the search for single values.
    pub(super) const fn bloom(mut self) -> Self {
        self.bloom = true;
        self
    }

    /// Whether it has least and greatest values beside those of the first sort column and the times.
    pub fn has_statistics(&self) -> bool {
        self.statistics
    }

    /// Whether it has bloom filters.
    pub fn has_bloom(&self) -> bool {
        self.bloom
    }

    fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), self.nullable)
    }
}

impl Kind {
    /// The type in memory.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal => DataType::Decimal128(38, 18),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bool => DataType::Boolean,
            Self::Attributes => {
                // The names that the Parquet format gives to the parts of a map.
                let key = Field::new("key", DataType::Utf8, false);
                let value = Field::new("value", DataType::Utf8, true);
                let entry = DataType::Struct(Fields::from(vec![key, value]));
                DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
            }
            Self::List(columns) => {
                let fields: Fields = columns.iter().map(Column::field).collect();
                DataType::List(Arc::new(Field::new("element", DataType::Struct(fields), false)))
            }
        }
    }
}

/// Builds a column of attributes.
pub type AttributesBuilder = MapBuilder<StringBuilder, StringBuilder>;

/// A builder whose arrays have the type of the catalogue's attributes.
pub fn attributes_builder() -> AttributesBuilder {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

/// What the columns of a table come to.
pub(super) struct Lists {
    pub(super) schema: SchemaRef,
    pub(super) dictionary: Vec<&'static str>,
    pub(super) encodings: Vec<(&'static str, Encoding)>,
    pub(super) statistics: Vec<&'static str>,
    pub(super) bloom: Vec<&'static str>,
}

impl Lists {
    pub(super) fn of(columns: impl Iterator<Item = &'static Column>) -> Self {
        let columns: Vec<&'static Column> = columns.collect();
        let names = |of: fn(&Column) -> bool| columns.iter().filter(|c| of(c)).map(|c| c.name).collect();
        let fields: Vec<Field> = columns.iter().map(|c| c.field()).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            dictionary: names(|c| c.dictionary),
            encodings: columns.iter().filter_map(|c| Some((c.name, c.encoding?))).collect(),
            statistics: names(|c| c.statistics),
            bloom: names(|c| c.bloom),
        }
    }
}
