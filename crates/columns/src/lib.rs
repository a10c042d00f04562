//! Prompts out of Parquet files, row by row: only the column asked for is read, a page at a time.
//!
//! A crate of its own, so that it can be fuzzed without all that queries need.

mod bounds;
mod thrift;

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Why a column could not be read. The messages name the column, the caller names the file in front.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("`{}` cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no Parquet, or a broken one.
    #[error("`{}` is no whole Parquet file", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: ParquetError,
    },
    /// Its data break off or do not decode after so many rows.
    #[error("`{}` cannot be read after row {row}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// The last row that was read, from 1; 0 where none was.
        row: u64,
        /// What the reader said.
        source: ArrowError,
    },
    /// There is no such column.
    #[error("there is no column `{column}`; the columns are: {there}")]
    NoColumn {
        /// What was asked for.
        column: String,
        /// What there is.
        there: String,
    },
    /// The column cannot be read as text.
    #[error("the column `{column}` holds {kind}, not text")]
    NotText {
        /// The column.
        column: String,
        /// Its type.
        kind: DataType,
    },
}

/// The values of one column of a Parquet file, with their row numbers, counted from 1. A value is
/// `None` where the row has none. After an error nothing more comes.
///
/// # Errors
/// Where the file cannot be opened or is broken, and where there is no such column of text.
pub fn read_parquet_column(path: &Path, column: &str) -> Result<ColumnRows, SourceError> {
    let file = File::open(path).map_err(|source| SourceError::Open { path: path.to_owned(), source })?;
    rows(file, path, column)
}

/// The same of what is opened already; `path` is what messages call it.
///
/// # Errors
/// As [`read_parquet_column`].
pub fn rows(file: impl ChunkReader + 'static, path: &Path, column: &str) -> Result<ColumnRows, SourceError> {
    let broken = |source| SourceError::Broken { path: path.to_owned(), source };
    // What Arrow adds tells no more than the schema of Parquet itself: any text is read as text.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = Arc::new(file);
    let load =
        || bounds::footer(file.as_ref()).and_then(|()| ArrowReaderMetadata::load(file.as_ref(), options));
    let metadata = guarded(load).unwrap_or_else(gave_up).map_err(broken)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Shared(Arc::clone(&file)), metadata);
    let Ok(place) = builder.schema().index_of(column) else {
        let there = builder.schema().fields().iter().map(|field| format!("`{}`", field.name()));
        return Err(SourceError::NoColumn {
            column: column.to_owned(),
            there: there.collect::<Vec<_>>().join(", "),
        });
    };
    let kind = builder.schema().field(place).data_type().clone();
    if kind.is_nested() || kind.is_binary() || !can_cast_types(&kind, &DataType::Utf8) {
        return Err(SourceError::NotText { column: column.to_owned(), kind });
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), [place]);
    let largest = guarded(|| bounds::pages(&file, builder.metadata(), &mask)).unwrap_or_else(gave_up);
    let batch = (BATCH_BYTES / largest.map_err(broken)?.max(1)).clamp(1, BATCH);
    let reader = guarded(|| builder.with_projection(mask).with_batch_size(batch).build())
        .unwrap_or_else(gave_up)
        .map_err(broken)?;
    Ok(ColumnRows { path: path.to_owned(), reader, batch: None, next: 0, row: 0, ended: false })
}

const GAVE_UP: &str = "its reader gave up";

fn gave_up<T>() -> Result<T, ParquetError> {
    Err(ParquetError::General(GAVE_UP.to_owned()))
}

/// A file that is looked through first, and then read.
struct Shared<R>(Arc<R>);

impl<R: ChunkReader> Length for Shared<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Shared<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> Result<R::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        self.0.get_bytes(start, length)
    }
}

/// Runs a reader that panics on some damaged files (arrow-ipc and parquet 59.3.2: `fuzz/corpus`); none where it did.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    // What a reader leaves half-done is dropped with it, or read no more.
    std::panic::catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Rows decoded at once, at the most; prompts are short.
const BATCH: usize = 1024;

/// What the rows decoded at once may take, in bytes, unless a single one is longer.
const BATCH_BYTES: usize = 64 << 20;

/// The rows of a column; see [`read_parquet_column`].
pub struct ColumnRows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<StringArray>,
    next: usize,
    row: u64,
    ended: bool,
}

impl ColumnRows {
    fn load(&mut self) -> Result<bool, ArrowError> {
        let next = || self.reader.next().map(|batch| cast(batch?.column(0), &DataType::Utf8)).transpose();
        let texts = guarded(next).unwrap_or_else(|| Err(ArrowError::ParquetError(GAVE_UP.to_owned())))?;
        let Some(texts) = texts else { return Ok(false) };
        self.batch = Some(texts.as_string::<i32>().clone());
        self.next = 0;
        Ok(true)
    }
}

impl Iterator for ColumnRows {
    type Item = Result<(u64, Option<String>), SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = &self.batch
                && self.next < batch.len()
            {
                let value = batch.is_valid(self.next).then(|| batch.value(self.next).to_owned());
                self.next += 1;
                self.row += 1;
                return Some(Ok((self.row, value)));
            }
            if self.ended {
                return None;
            }
            match self.load() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(source) => {
                    self.ended = true;
                    self.batch = None;
                    return Some(Err(SourceError::Data { path: self.path.clone(), row: self.row, source }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn write(path: &Path, rows: i64) {
        let prompts = (0..rows).map(|row| (row != 1).then(|| format!("prompt {row}")));
        let mut tags = ListBuilder::new(StringBuilder::new());
        (0..rows).for_each(|_| tags.append(false));
        let columns: [(&str, ArrayRef); 3] = [
            ("number", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("prompt", Arc::new(StringArray::from_iter(prompts))),
            ("tags", Arc::new(tags.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn rows_come_with_their_numbers_and_numbers_are_read_as_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, 3000);
        let rows: Vec<_> = read_parquet_column(&path, "prompt").unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3000);
        assert_eq!(rows[0], (1, Some("prompt 0".into())));
        assert_eq!(rows[1], (2, None));
        assert_eq!(rows[2999], (3000, Some("prompt 2999".into())));
        let number = read_parquet_column(&path, "number").unwrap().nth(7).unwrap().unwrap();
        assert_eq!(number, (8, Some("7".into())));
    }

    #[test]
    fn a_long_text_that_a_small_file_names_often_is_read_a_few_rows_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let long = "very ".repeat(1 << 20);
        let texts = StringArray::from_iter_values([&long; 20]);
        let batch = RecordBatch::try_from_iter([("prompt", Arc::new(texts) as ArrayRef)]).unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_page_size_limit(64 << 20)
            .set_compression(Compression::SNAPPY);
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties.build()))
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
        let mut rows = read_parquet_column(&path, "prompt").unwrap();
        assert_eq!(rows.next().unwrap().unwrap(), (1, Some(long.clone())));
        assert_eq!(rows.batch.as_ref().unwrap().len(), 12, "64 MB of texts of 5 MB");
        assert!(rows.zip(2..).all(|(row, number)| row.unwrap() == (number, Some(long.clone()))));
    }

    #[test]
    fn damaged_files_are_rows_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, 3);
        let whole = std::fs::read(&path).unwrap();
        let (mut read, mut refused) = (0, 0);
        for place in 0..whole.len() {
            for byte in [0, 0x7F, 0xFF] {
                let mut damaged = whole.clone();
                damaged[place] = byte;
                std::fs::write(&path, damaged).unwrap();
                match read_parquet_column(&path, "prompt").map(|rows| rows.take(10).all(|row| row.is_ok())) {
                    Ok(true) => read += 1,
                    _ => refused += 1,
                }
            }
        }
        assert!(read > 0 && refused > 0, "{read} are read, {refused} are not");
    }

    #[test]
    fn a_wrong_column_and_a_broken_file_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, 10);
        let error = |column| read_parquet_column(&path, column).err().unwrap().to_string();
        assert_eq!(error("text"), "there is no column `text`; the columns are: `number`, `prompt`, `tags`");
        assert!(error("tags").starts_with("the column `tags` holds List"), "{}", error("tags"));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(error("prompt").ends_with("is no whole Parquet file"));
        // The footer stands, the pages do not.
        let mut spoilt = whole;
        for byte in &mut spoilt[4..80] {
            *byte = 0xFF;
        }
        std::fs::write(&path, &spoilt).unwrap();
        let Err(SourceError::Broken { source, .. }) = read_parquet_column(&path, "number") else {
            panic!("its pages are read")
        };
        assert!(source.to_string().contains("the page at byte 4 claims more"), "{source}");
        assert!(matches!(
            read_parquet_column(&folder.path().join("none.parquet"), "a"),
            Err(SourceError::Open { .. })
        ));
    }
}
