//! What the columns of a segment take, from its footer.

use base::Result;
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ColumnChunkMetaData;

use super::{Segment, Table};

/// What a column takes, with all that is nested in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSize {
    /// Its name.
    pub name: String,
    /// Bytes in the file.
    pub stored_bytes: u64,
    /// Bytes of its values, neither encoded nor compressed.
    pub plain_bytes: u64,
}

impl Table {
    /// What each column of a segment takes, in the order of the file.
    pub async fn column_sizes(&self, segment: &Segment) -> Result<Vec<ColumnSize>> {
        let (metadata, _) = self.metadata_of(segment).await?;
        let mut columns: Vec<ColumnSize> = Vec::new();
        for chunk in metadata.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let name = chunk.column_path().parts().first().map_or("", String::as_str);
            let column = match columns.iter_mut().find(|c| c.name == name) {
                Some(column) => column,
                None => {
                    columns.push(ColumnSize { name: name.to_owned(), stored_bytes: 0, plain_bytes: 0 });
                    columns.last_mut().expect("one was pushed")
                }
            };
            column.stored_bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
            column.plain_bytes += plain_bytes(chunk);
        }
        Ok(columns)
    }
}

fn plain_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    let values = u64::try_from(chunk.num_values()).unwrap_or(0);
    match chunk.column_type() {
        PhysicalType::BOOLEAN => values.div_ceil(8),
        PhysicalType::INT32 | PhysicalType::FLOAT => values * 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => values * 8,
        PhysicalType::INT96 => values * 12,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            values * u64::try_from(chunk.column_descr().type_length()).unwrap_or(0)
        }
        // A writer that does not tell leaves what the pages have before compression.
        PhysicalType::BYTE_ARRAY => {
            let bytes = chunk.unencoded_byte_array_data_bytes().unwrap_or_else(|| chunk.uncompressed_size());
            u64::try_from(bytes).unwrap_or(0)
        }
    }
}
