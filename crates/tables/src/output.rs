//! The answer to a query as text or as a file: a table, CSV, JSON, Parquet.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::{ArrayWriter, LineDelimitedWriter, WriterBuilder, writer::JsonArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::errors::ParquetError;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Columns and lines for people.
    Table,
    /// With a header; lists and groups as JSON text.
    Csv,
    /// One array of rows, nulls written out.
    Json,
    /// A Parquet file.
    Parquet,
}

/// Why an answer was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The disk or the reader at the other end refused.
    #[error("the answer cannot be written")]
    Io(#[from] std::io::Error),
    /// A value that the format cannot hold.
    #[error("the answer cannot be written in this format")]
    Arrow(#[from] ArrowError),
    /// The same, of Parquet.
    #[error("the answer cannot be written as Parquet")]
    Parquet(#[from] ParquetError),
}

/// Writes an answer of [`crate::sql::query`].
///
/// # Errors
/// Where `out` refuses, or the format cannot hold a value.
pub fn write(batches: &[RecordBatch], format: Format, mut out: impl Write + Send) -> Result<(), OutputError> {
    match format {
        Format::Table => writeln!(out, "{}", pretty_format_batches(batches)?)?,
        Format::Csv => {
            let mut writer = csv::Writer::new(&mut out);
            for batch in batches {
                writer.write(&flat(batch)?)?;
            }
        }
        Format::Json => {
            let builder = WriterBuilder::new().with_explicit_nulls(true);
            let mut writer: ArrayWriter<_> = builder.build::<_, JsonArray>(&mut out);
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
            writeln!(out)?;
        }
        Format::Parquet => {
            if let Some(first) = batches.first() {
                let mut writer = ArrowWriter::try_new(&mut out, first.schema(), None)?;
                for batch in batches {
                    writer.write(batch)?;
                }
                writer.close()?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// The batch with its nested columns as JSON text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(as_json(column)?);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn as_json(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Field::new("v", column.data_type().clone(), true);
    let alone = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(column)])?;
    let mut lines = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut lines);
    writer.write(&alone)?;
    writer.finish()?;
    drop(writer);
    let lines = String::from_utf8_lossy(&lines);
    let texts = lines.lines().enumerate().map(|(row, line)| {
        // Each line is `{"v":VALUE}`, or `{}` where the value is null.
        let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        value.filter(|_| column.is_valid(row))
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::{Cell, Row, Rows};
    use crate::features::{Column, Features, Kind};

    fn answer(rows: bool) -> Vec<RecordBatch> {
        let features = Features::new(vec![
            Column::new("name", Kind::Text),
            Column::new("n", Kind::Int),
            Column::new("list", Kind::Texts),
        ])
        .unwrap();
        let mut table = Rows::new(&features);
        if rows {
            let list = Cell::Texts(vec!["x".into(), "y,\"z".into()]);
            table.push(Row(vec![Cell::Text("a".into()), Cell::Int(1), list])).unwrap();
            table.push(Row(vec![Cell::Null, Cell::Null, Cell::Null])).unwrap();
        }
        vec![table.take().unwrap()]
    }

    fn text(batches: &[RecordBatch], format: Format) -> String {
        let mut out = Vec::new();
        write(batches, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_format_holds_the_rows() {
        let answer = answer(true);
        assert_eq!(
            text(&answer, Format::Json),
            "[{\"name\":\"a\",\"n\":1,\"list\":[\"x\",\"y,\\\"z\"]},{\"name\":null,\"n\":null,\"list\":null}]\n"
        );
        assert_eq!(text(&answer, Format::Csv), "name,n,list\na,1,\"[\"\"x\"\",\"\"y,\\\"\"z\"\"]\"\n,,\n");
        assert!(text(&answer, Format::Table).contains("| a    | 1 |"));
        let mut out = Vec::new();
        write(&answer, Format::Parquet, &mut out).unwrap();
        assert!(out.starts_with(b"PAR1") && out.ends_with(b"PAR1"));
    }

    #[test]
    fn an_answer_without_rows_is_whole_too() {
        let answer = answer(false);
        assert_eq!(text(&answer, Format::Json), "[]\n");
        assert_eq!(text(&answer, Format::Csv), "name,n,list\n");
        assert!(text(&answer, Format::Table).contains("| name | n | list |"));
    }
}
