//! Files of results as a table: found by a pattern, typed by all their rows.
//!
//! Parquet brings its types. JSON is typed by reading all of it first, since the first rows of an export
//! may have nothing but nulls where later ones have lists; columns known from `results` keep its types
//! where the files do not say. CSV has no lists: the three lists of `results` are read from their text.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, ListBuilder, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader::{infer_json_schema, infer_json_schema_from_iterator};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::parquet::file::reader::SerializedFileReader;
use url::Url;

use crate::features::list_element;
use crate::rows::{self, RESPONSE_LISTS};
use crate::sql::plain;

/// Why files are no table.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The pattern itself is wrong.
    #[error("`{pattern}` is no pattern of file names")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// Nothing is there.
    #[error("no file matches `{0}`")]
    Nothing(String),
    /// A file that cannot be told or is not known.
    #[error("`{}` is no .parquet, .jsonl, .ndjson, .json or .csv file", .0.display())]
    Format(PathBuf),
    /// Files of several formats.
    #[error("`{0}` matches files of several formats; name one of them")]
    Mixed(String),
    /// A file could not be opened or read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("`{}` is broken", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What its reader said.
        source: ArrowError,
    },
    /// The text of a list in a CSV file.
    #[error("`{}`: row {row} of `{column}` is no list: {text}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// There is nothing in it.
    #[error("`{}` is empty", .0.display())]
    Empty(PathBuf),
    /// The files do not make one table.
    #[error("the files do not make one table: {0}")]
    Table(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Jsonl,
    JsonArray,
    Csv,
}

/// The files that `pattern` names, as one table. A folder stands for its `data/train-*.parquet`, or else
/// for the Parquet files in it.
pub(crate) async fn open(
    context: &SessionContext,
    pattern: &str,
) -> Result<Arc<dyn TableProvider>, FilesError> {
    let paths = find(pattern)?;
    let mut formats = paths.iter().map(|path| format_of(path)).collect::<Result<Vec<_>, _>>()?;
    formats.dedup();
    let [format] = formats[..] else {
        return Err(FilesError::Mixed(pattern.to_owned()));
    };
    match format {
        Format::Parquet => {
            whole_parquet(&paths)?;
            listing(context, &paths, Arc::new(ParquetFormat::default()), None).await
        }
        Format::Jsonl | Format::JsonArray => {
            let schema = json_schema(&paths, format)?;
            let reader = JsonFormat::default().with_newline_delimited(format == Format::Jsonl);
            listing(context, &paths, Arc::new(reader), Some(schema)).await
        }
        Format::Csv => csv_table(&paths),
    }
}

fn find(pattern: &str) -> Result<Vec<PathBuf>, FilesError> {
    let exact = Path::new(pattern);
    let mut paths = if exact.is_dir() {
        let folder = glob::Pattern::escape(pattern);
        let published = matches(&format!("{folder}/data/train-*.parquet"))?;
        if published.is_empty() { matches(&format!("{folder}/*.parquet"))? } else { published }
    } else if exact.is_file() {
        vec![exact.to_owned()]
    } else {
        matches(pattern)?
    };
    if paths.is_empty() {
        return Err(FilesError::Nothing(pattern.to_owned()));
    }
    if let Some(path) = paths.iter().find(|path| path.metadata().is_ok_and(|file| file.len() == 0)) {
        return Err(FilesError::Empty(path.clone()));
    }
    paths.sort();
    Ok(paths)
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, FilesError> {
    let found =
        glob::glob(pattern).map_err(|source| FilesError::Pattern { pattern: pattern.to_owned(), source })?;
    let mut paths = Vec::new();
    for path in found {
        let path =
            path.map_err(|error| FilesError::Io { path: error.path().to_owned(), source: error.into() })?;
        if path.is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn format_of(path: &Path) -> Result<Format, FilesError> {
    let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("parquet") => Ok(Format::Parquet),
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("json") => {
            let mut reader = reader(path)?;
            let start =
                reader.fill_buf().map_err(|source| FilesError::Io { path: path.to_owned(), source })?;
            let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
            Ok(if first == Some(&b'[') { Format::JsonArray } else { Format::Jsonl })
        }
        _ => Err(FilesError::Format(path.to_owned())),
    }
}

fn reader(path: &Path) -> Result<BufReader<File>, FilesError> {
    let file = File::open(path).map_err(|source| FilesError::Io { path: path.to_owned(), source })?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// Reads the footers, so that a broken file is told by its name.
fn whole_parquet(paths: &[PathBuf]) -> Result<(), FilesError> {
    for path in paths {
        let file = File::open(path).map_err(|source| FilesError::Io { path: path.clone(), source })?;
        if let Err(source) = SerializedFileReader::new(file) {
            let source = ArrowError::ParquetError(source.to_string());
            return Err(FilesError::Broken { path: path.clone(), source });
        }
    }
    Ok(())
}

async fn listing(
    context: &SessionContext,
    paths: &[PathBuf],
    format: Arc<dyn FileFormat>,
    schema: Option<SchemaRef>,
) -> Result<Arc<dyn TableProvider>, FilesError> {
    let wrong = |error: DataFusionError| FilesError::Table(plain(&error.strip_backtrace()));
    let mut urls = Vec::new();
    for path in paths {
        let absolute =
            fs::canonicalize(path).map_err(|source| FilesError::Io { path: path.clone(), source })?;
        let url =
            Url::from_file_path(&absolute).map_err(|()| FilesError::Nothing(path.display().to_string()))?;
        // A parsed address is taken as it stands; a path would be searched for wildcards once more.
        urls.push(ListingTableUrl::try_new(url, None).map_err(wrong)?);
    }
    let options = ListingOptions::new(format).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    let config = match schema {
        Some(schema) => config.with_schema(schema),
        None => config.infer_schema(&context.state()).await.map_err(wrong)?,
    };
    Ok(Arc::new(ListingTable::try_new(config).map_err(wrong)?))
}

fn json_schema(paths: &[PathBuf], format: Format) -> Result<SchemaRef, FilesError> {
    let mut schemas = Vec::new();
    for path in paths {
        let broken = |source| FilesError::Broken { path: path.clone(), source };
        let schema = if format == Format::JsonArray {
            let values: Vec<serde_json::Value> = serde_json::from_reader(reader(path)?)
                .map_err(|error| broken(ArrowError::JsonError(error.to_string())))?;
            infer_json_schema_from_iterator(values.iter().map(Ok)).map_err(broken)?
        } else {
            infer_json_schema(reader(path)?, None).map_err(broken)?.0
        };
        schemas.push(schema);
    }
    let merged = Schema::try_merge(schemas).map_err(|error| FilesError::Table(error.to_string()))?;
    Ok(Arc::new(Schema::new(settled(merged.fields(), rows::results().schema().fields()))))
}

/// The fields in a settled order (inference has none): those of `known` first, in its order, then the
/// others by name. What was null in every row has the type that `known` gives it, or is text.
fn settled(inferred: &Fields, known: &Fields) -> Fields {
    let mut ordered: Vec<&Arc<Field>> = inferred.iter().collect();
    let place = |name: &str| known.find(name).map_or(usize::MAX, |(place, _)| place);
    ordered.sort_by(|a, b| place(a.name()).cmp(&place(b.name())).then_with(|| a.name().cmp(b.name())));
    let settle = |field: &Arc<Field>| {
        let known = known.find(field.name()).map(|(_, field)| field.data_type());
        Field::new(field.name(), settled_type(field.data_type(), known), true)
    };
    ordered.into_iter().map(settle).collect()
}

fn settled_type(inferred: &DataType, known: Option<&DataType>) -> DataType {
    match inferred {
        DataType::Null => known.cloned().unwrap_or(DataType::Utf8),
        DataType::List(element) => {
            let element = settled_type(element.data_type(), None);
            DataType::List(Arc::new(list_element().with_data_type(element)))
        }
        DataType::Struct(fields) => {
            let known = match known {
                Some(DataType::Struct(known)) => known.clone(),
                _ => Fields::empty(),
            };
            DataType::Struct(settled(fields, &known))
        }
        other => other.clone(),
    }
}

fn csv_table(paths: &[PathBuf]) -> Result<Arc<dyn TableProvider>, FilesError> {
    let own = paths.iter().map(|path| csv_schema(path)).collect::<Result<Vec<_>, _>>()?;
    let texts = common(&own, paths)?;
    let listed = Arc::new(Schema::new(texts.fields().iter().map(|field| as_list(field)).collect::<Vec<_>>()));
    let mut batches = Vec::new();
    for (path, own) in paths.iter().zip(&own) {
        let broken = |source| FilesError::Broken { path: path.clone(), source };
        // Read in the file's own order of columns, then put into the table's.
        let fields = own.fields().iter().map(|field| texts.field_with_name(field.name()).unwrap_or(field));
        let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        let builder = csv::ReaderBuilder::new(schema).with_header(true).with_batch_size(8192);
        let mut before = 0;
        for batch in builder.build_buffered(reader(path)?).map_err(broken)? {
            let batch = batch.map_err(broken)?;
            let mut columns = Vec::new();
            for field in listed.fields() {
                let missing = || broken(ArrowError::SchemaError(format!("no column `{}`", field.name())));
                let column = batch.column_by_name(field.name()).ok_or_else(missing)?;
                columns.push(if matches!(field.data_type(), DataType::List(_)) {
                    parse_lists(path, field.name(), before, column)?
                } else {
                    Arc::clone(column)
                });
            }
            before += batch.num_rows();
            batches.push(RecordBatch::try_new(Arc::clone(&listed), columns).map_err(broken)?);
        }
    }
    let table = MemTable::try_new(listed, vec![batches])
        .map_err(|error| FilesError::Table(plain(&error.strip_backtrace())))?;
    Ok(Arc::new(table))
}

/// A CSV file's columns as all of its rows type them; lists and columns without any value are text.
fn csv_schema(path: &Path) -> Result<Schema, FilesError> {
    let (schema, _) = csv::reader::Format::default()
        .with_header(true)
        .infer_schema(reader(path)?, None)
        .map_err(|source| FilesError::Broken { path: path.to_owned(), source })?;
    let fields = schema.fields().iter().map(|field| {
        let text = *field.data_type() == DataType::Null || RESPONSE_LISTS.contains(&field.name().as_str());
        let kind = if text { DataType::Utf8 } else { field.data_type().clone() };
        Field::new(field.name(), kind, true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns of the first file. What is a number in one file and text in another is text.
fn common(schemas: &[Schema], paths: &[PathBuf]) -> Result<Schema, FilesError> {
    let mut fields = Vec::new();
    for first in schemas[0].fields() {
        let mut kind = first.data_type().clone();
        for (schema, path) in schemas.iter().zip(paths) {
            let Ok(field) = schema.field_with_name(first.name()) else {
                let (path, name) = (path.display(), first.name());
                return Err(FilesError::Table(format!("`{path}` has no column `{name}`, the first has")));
            };
            if *field.data_type() != kind {
                kind = DataType::Utf8;
            }
        }
        fields.push(Field::new(first.name(), kind, true));
    }
    Ok(Schema::new(fields))
}

fn as_list(field: &Field) -> Field {
    if RESPONSE_LISTS.contains(&field.name().as_str()) {
        return field.clone().with_data_type(DataType::List(Arc::new(list_element())));
    }
    field.clone()
}

fn parse_lists(
    path: &Path,
    column: &str,
    before: usize,
    texts: &dyn Array,
) -> Result<Arc<dyn Array>, FilesError> {
    let texts = cast(texts, &DataType::Utf8)
        .map_err(|source| FilesError::Broken { path: path.to_owned(), source })?;
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(list_element());
    for (place, text) in texts.as_string::<i32>().iter().enumerate() {
        match text.map(str::trim) {
            None | Some("" | "None" | "null" | "nan") => lists.append_null(),
            Some(text) => {
                let values = parse_list(text).ok_or_else(|| FilesError::List {
                    path: path.to_owned(),
                    row: before + place + 1,
                    column: column.to_owned(),
                    text: text.chars().take(60).collect(),
                })?;
                lists.append_value(values.into_iter().map(Some));
            }
        }
    }
    Ok(Arc::new(lists.finish()))
}

/// A list as JSON writes it (`["a", "b"]`), as Python prints it (`['a', 'b']`), as NumPy does (`['a' 'b']`).
fn parse_list(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim_start();
    let mut values = Vec::new();
    while let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let (value, after) = rest[1..].split_once(quote)?;
        values.push(value.to_owned());
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
