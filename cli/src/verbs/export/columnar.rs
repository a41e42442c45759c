//! Parquet and Arrow files, written page by page.

use std::{fs::File, io::BufWriter};

use anyhow::Result;
use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};
use arrow_schema::SchemaRef;
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{columns::Columns, pages::Take};

/// Rows of one group of a Parquet file, which is held in memory until it is full.
const GROUP_ROWS: usize = 131_072;
/// Bytes of one group, so that wide rows are held in bounds too.
const GROUP_BYTES: usize = 32 << 20;

/// Which columnar file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Parquet,
    Arrow,
}

enum Writer {
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
}

impl Writer {
    fn start(form: Form, file: &File, schema: &SchemaRef) -> Result<Self> {
        let file = BufWriter::new(file.try_clone()?);
        match form {
            Form::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_statistics_enabled(EnabledStatistics::Chunk)
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .set_max_row_group_bytes(Some(GROUP_BYTES))
                    .build();
                Ok(Self::Parquet(Box::new(ArrowWriter::try_new(file, schema.clone(), Some(properties))?)))
            }
            Form::Arrow => {
                let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
                Ok(Self::Arrow(Box::new(FileWriter::try_new_with_options(file, schema, options)?)))
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => Ok(writer.write(batch)?),
            Self::Arrow(writer) => Ok(writer.write(batch)?),
        }
    }

    fn finish(self) -> Result<()> {
        let file = match self {
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
        };
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(())
    }
}

/// Writes every page that `pages` shows to `file`; how many items that are.
pub(super) fn write(form: Form, mut columns: Columns, file: &File, pages: impl FnOnce(&mut Take<'_>) -> Result<()>) -> Result<u64> {
    let (mut writer, mut count) = (None, 0);
    pages(&mut |page| {
        let (schema, writer) = match &mut writer {
            Some(started) => started,
            none => none.insert(start(form, &columns, file, page.about.clone())?),
        };
        if !page.items.is_empty() {
            writer.write(&columns.batch(schema, &page.items)?)?;
        }
        count += page.items.len() as u64;
        Ok(())
    })?;
    let (_, writer) = match writer {
        Some(started) => started,
        None => start(form, &columns, file, Vec::new())?,
    };
    writer.finish()?;
    Ok(count)
}

fn start(form: Form, columns: &Columns, file: &File, about: Vec<(String, String)>) -> Result<(SchemaRef, Writer)> {
    let schema = columns.schema(about);
    let writer = Writer::start(form, file, &schema)?;
    Ok((schema, writer))
}
