//! How rows lie in a frame of the log. `docs/format/wal.md` is the specification.

use arrow::array::{RecordBatch, new_null_array};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base::{Error, Result};

use crate::table::TableSpec;

const VERSION: u8 = 1;

/// A frame's payload: version, tenant, and the rows as an Arrow IPC stream, which says what its columns are.
pub(super) fn encode(tenant: &str, batch: &RecordBatch) -> Result<Vec<u8>> {
    let len = u8::try_from(tenant.len())
        .map_err(|_| Error::internal("cannot log rows: the tenant's name is too long"))?;
    let mut out = vec![VERSION, len];
    out.extend_from_slice(tenant.as_bytes());
    let fail = |e| Error::internal(format!("cannot log rows: {e}"));
    let mut writer = StreamWriter::try_new(&mut out, batch.schema_ref()).map_err(fail)?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(fail)?;
    drop(writer);
    Ok(out)
}

/// Tenant and rows of a payload.
pub(super) fn decode(payload: &[u8]) -> Result<(String, RecordBatch)> {
    let fail = |why: &dyn std::fmt::Display| Error::corrupt(format!("cannot read logged rows: {why}"));
    let [version, len, rest @ ..] = payload else { return Err(fail(&"they are cut off")) };
    if *version != VERSION {
        return Err(fail(&format!("they have version {version}, this program reads version {VERSION}")));
    }
    let (tenant, stream) =
        rest.split_at_checked(usize::from(*len)).ok_or_else(|| fail(&"they are cut off"))?;
    let tenant = std::str::from_utf8(tenant).map_err(|e| fail(&e))?;
    let mut reader = StreamReader::try_new(stream, None).map_err(|e| fail(&e))?;
    match (reader.next(), reader.next()) {
        (Some(batch), None) => Ok((tenant.to_owned(), batch.map_err(|e| fail(&e))?)),
        _ => Err(fail(&"they are not one batch")),
    }
}

/// Brings rows that were logged under an earlier description into the columns of today's: those that are new are null.
pub(super) fn adapt(spec: &TableSpec, batch: &RecordBatch) -> Result<RecordBatch> {
    let fail = |why: &dyn std::fmt::Display| {
        Error::corrupt(format!("cannot read logged rows of table {}: {why}", spec.name))
    };
    let unknown = batch.schema_ref().fields().iter().find(|f| spec.schema.index_of(f.name()).is_err());
    if let Some(unknown) = unknown {
        return Err(fail(&format!("this program does not know their column {:?}", unknown.name())));
    }
    let columns = spec.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), batch.num_rows()),
    });
    RecordBatch::try_new(spec.schema.clone(), columns.collect()).map_err(|e| fail(&e))
}
