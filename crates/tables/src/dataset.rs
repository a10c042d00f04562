//! A dataset folder that Hugging Face `datasets` loads, written as the rows come.
//!
//! Memory stays flat: at most one row group of encoded pages per split and a few megabytes of rows are
//! held. The folder is written beside its place under another name and renamed when it is whole, so a
//! reader never finds half of one. Calls block on the disk.

pub use diptych_core::Split;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;

use crate::TableError;
use crate::card::{self, Card, SplitFacts};
use crate::cells::{Row, Rows};
use crate::features::{Column, Features, Kind};

/// How large things may get. The defaults are those of the Hub's viewer, with room to spare.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of a row group.
    pub group_rows: usize,
    /// Bytes of values of a row group. They pass through memory several times: 8 MiB stay near the processor.
    pub group_bytes: usize,
    /// Bytes of a Parquet file.
    pub shard_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { group_rows: 100, group_bytes: 8 << 20, shard_bytes: 490_000_000 }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Rows of `train` and `test`, and their bytes.
    pub splits: Vec<SplitFacts>,
    /// Parquet files.
    pub shards: usize,
}

/// Writes one dataset; see the module. Dropped before [`DatasetWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct DatasetWriter {
    target: PathBuf,
    partial: PathBuf,
    features: Features,
    limits: Limits,
    splits: BTreeMap<Split, SplitWriter>,
    finished: bool,
}

impl DatasetWriter {
    /// Begins a dataset at `target`. What stands there is kept until the new one is whole.
    ///
    /// # Errors
    /// Where `target` holds something that was not written here, or the disk refuses.
    pub fn create(target: &Path, features: Features) -> Result<Self, TableError> {
        Self::with_limits(target, features, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`DatasetWriter::create`].
    pub fn with_limits(target: &Path, features: Features, limits: Limits) -> Result<Self, TableError> {
        let target = std::path::absolute(target).map_err(|error| TableError::io(target, error))?;
        replaceable(&target)?;
        let partial = sibling(&target, "partial")?;
        remove(&partial)?;
        keep_freed_memory();
        let data = partial.join("data");
        fs::create_dir_all(&data).map_err(|error| TableError::io(&data, error))?;
        let mut writer = Self { target, partial, features, limits, splits: BTreeMap::new(), finished: false };
        // A dataset without rows has its columns all the same. (Parquet readers take it; `datasets` itself
        // calls a split without rows an error, so whoever publishes had better say that there is nothing.)
        writer.split(Split::Train)?;
        Ok(writer)
    }

    /// Adds a row. An image's bytes are written as they are, never packed again.
    ///
    /// # Errors
    /// Where the row does not fit the columns or the disk refuses.
    pub fn push(&mut self, split: Split, row: impl Into<Row>) -> Result<(), TableError> {
        let (row, limits) = (row.into(), self.limits);
        self.split(split)?.push(row, limits)
    }

    /// Puts a file into the dataset, at a path such as `images/{hash}.jpg`. One that is there stays.
    ///
    /// # Errors
    /// Where the path leaves `images`, or the disk refuses.
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), TableError> {
        let parts: Vec<Component> = Path::new(path).components().collect();
        let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
        if !plain || parts.len() < 2 || parts[0] != Component::Normal("images".as_ref()) {
            return Err(TableError::FilePath(path.to_owned()));
        }
        let file = self.partial.join(path);
        if file.exists() {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(&self.partial);
        fs::create_dir_all(folder).map_err(|error| TableError::io(folder, error))?;
        fs::write(&file, bytes).map_err(|error| TableError::io(&file, error))
    }

    /// Ends the dataset: the last row groups, the card, the names, and the folder into its place.
    ///
    /// # Errors
    /// Where the disk refuses; what stood at the target then still does.
    pub fn finish(mut self, card: &Card) -> Result<Written, TableError> {
        let mut written = Written { splits: Vec::new(), shards: 0 };
        let any = self.splits.values().any(|writer| writer.totals.rows > 0);
        for (split, writer) in std::mem::take(&mut self.splits) {
            // `datasets` calls a split without rows an error.
            if any && writer.totals.rows == 0 {
                writer.discard()?;
                continue;
            }
            let shards = writer.finish(&self.partial.join("data"))?;
            written.shards += shards.count;
            written.splits.push(SplitFacts {
                name: split.as_str(),
                rows: shards.rows,
                bytes: shards.bytes,
                file_bytes: shards.file_bytes,
            });
        }
        let readme = self.partial.join("README.md");
        fs::write(&readme, card::render(card, &self.features, &written.splits))
            .map_err(|error| TableError::io(&readme, error))?;
        replaceable(&self.target)?;
        let old = sibling(&self.target, "old")?;
        remove(&old)?;
        let replaced = self.target.exists();
        if replaced {
            rename(&self.target, &old)?;
        }
        if let Err(error) = rename(&self.partial, &self.target) {
            if replaced {
                rename(&old, &self.target)?;
            }
            return Err(error);
        }
        self.finished = true;
        remove(&old)?;
        Ok(written)
    }

    fn split(&mut self, split: Split) -> Result<&mut SplitWriter, TableError> {
        let (features, partial) = (&self.features, &self.partial);
        match self.splits.entry(split) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                Ok(entry.insert(SplitWriter::new(split, features, &partial.join("data"))?))
            }
        }
    }
}

impl Drop for DatasetWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Whatever stopped the writing is already on its way to the caller.
            let _ = remove(&self.partial);
        }
    }
}

/// Rows gathered before they are encoded.
const BATCH_BYTES: usize = 4 << 20;
/// What a cell costs in a file beside its value, at most: its page header, its place in the footer.
const CELL_COST: usize = 48;

#[derive(Debug)]
struct SplitWriter {
    name: &'static str,
    data: PathBuf,
    features: Features,
    rows: Rows,
    batch_bytes: usize,
    group_rows: usize,
    group_bytes: usize,
    shard_bytes: usize,
    writer: ArrowWriter<File>,
    closed: usize,
    totals: Totals,
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    count: usize,
    rows: u64,
    bytes: u64,
    file_bytes: u64,
}

impl SplitWriter {
    fn new(split: Split, features: &Features, data: &Path) -> Result<Self, TableError> {
        let name = split.as_str();
        Ok(Self {
            name,
            data: data.to_owned(),
            features: features.clone(),
            rows: Rows::new(features),
            batch_bytes: 0,
            group_rows: 0,
            group_bytes: 0,
            shard_bytes: 0,
            writer: open(&shard_path(data, name, 0), features)?,
            closed: 0,
            totals: Totals::default(),
        })
    }

    fn push(&mut self, row: Row, limits: Limits) -> Result<(), TableError> {
        let size = row.size();
        let in_file = size + CELL_COST * self.features.columns().len();
        if self.shard_bytes > 0 && self.shard_bytes + in_file > limits.shard_bytes {
            self.close_shard()?;
            self.closed += 1;
            self.writer = open(&shard_path(&self.data, self.name, self.closed), &self.features)?;
            self.shard_bytes = 0;
        }
        let group_is_full =
            self.group_rows >= limits.group_rows || self.group_bytes + size > limits.group_bytes;
        if self.group_rows > 0 && group_is_full {
            self.close_group()?;
        }
        self.rows.push(row)?;
        self.batch_bytes += size;
        self.group_rows += 1;
        self.group_bytes += size;
        self.shard_bytes += in_file;
        self.totals.rows += 1;
        self.totals.bytes += size as u64;
        if self.batch_bytes >= BATCH_BYTES {
            self.encode()?;
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<(), TableError> {
        self.batch_bytes = 0;
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch = self.rows.take()?;
        self.writer.write(&batch).map_err(|source| self.parquet_error(source))
    }

    fn close_group(&mut self) -> Result<(), TableError> {
        self.encode()?;
        self.group_rows = 0;
        self.group_bytes = 0;
        self.writer.flush().map_err(|source| self.parquet_error(source))
    }

    fn close_shard(&mut self) -> Result<(), TableError> {
        self.close_group()?;
        self.writer.finish().map_err(|source| self.parquet_error(source))?;
        self.totals.file_bytes += self.writer.bytes_written() as u64;
        self.totals.count += 1;
        Ok(())
    }

    /// Closes the last shard and gives all of them the names that tell how many there are.
    fn finish(mut self, data: &Path) -> Result<Totals, TableError> {
        self.close_shard()?;
        let count = self.totals.count;
        for shard in 0..count {
            let named = data.join(format!("{}-{shard:05}-of-{count:05}.parquet", self.name));
            rename(&shard_path(data, self.name, shard), &named)?;
        }
        Ok(self.totals)
    }

    /// Takes the files away; there is one, and it has no rows.
    fn discard(self) -> Result<(), TableError> {
        let path = shard_path(&self.data, self.name, self.closed);
        drop(self.writer);
        fs::remove_file(&path).map_err(|error| TableError::io(&path, error))
    }

    fn parquet_error(&self, source: datafusion::parquet::errors::ParquetError) -> TableError {
        TableError::Parquet { path: shard_path(&self.data, self.name, self.closed), source }
    }
}

fn shard_path(data: &Path, name: &str, number: usize) -> PathBuf {
    data.join(format!("{name}-{number:05}.parquet"))
}

fn open(path: &Path, features: &Features) -> Result<ArrowWriter<File>, TableError> {
    let file = File::create(path).map_err(|error| TableError::io(path, error))?;
    let options = ArrowWriterOptions::new()
        .with_properties(properties(features))
        // Arrow's own account of the schema would tell readers of views, which are ours, not the file's.
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, features.schema(), options)
        .map_err(|source| TableError::Parquet { path: path.to_owned(), source })
}

/// Much of the time of writing went into fresh pages of memory: the GNU allocator gives each row group's
/// buffers back to the system and asks for them again. It stops once it has seen a block of this size
/// come and go (up to 64 MiB stay); other allocators do not mind.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
}

/// An image above this has a page to itself, whose buffer is then allocated once, at its size; a page of
/// several would be copied as it grows.
const PAGE_BYTES: usize = 64 << 10;

fn properties(features: &Features) -> WriterProperties {
    let text = ZstdLevel::try_new(1).map_or(Compression::UNCOMPRESSED, Compression::ZSTD);
    let mut properties = WriterProperties::builder()
        .set_compression(text)
        .set_max_row_group_row_count(None)
        // Row groups are so small that what stands in their pages needs no further index.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), features.hugging_face())]));
    for column in features.columns() {
        if let Some(path) = image_bytes(column) {
            // Encoded images do not shrink again, and their smallest and largest bytes tell nothing.
            properties = properties
                .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_data_page_size_limit(path.clone(), PAGE_BYTES)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    properties.build()
}

fn image_bytes(column: &Column) -> Option<ColumnPath> {
    (column.kind == Kind::Image).then(|| ColumnPath::new(vec![column.name.clone(), "bytes".to_owned()]))
}

/// `.NAME.WHAT` beside the folder.
fn sibling(target: &Path, what: &str) -> Result<PathBuf, TableError> {
    let Some(name) = target.file_name() else {
        return Err(TableError::Occupied { path: target.to_owned(), reason: "it has no name".to_owned() });
    };
    Ok(target.with_file_name(format!(".{}.diptych-{what}", name.to_string_lossy())))
}

/// Nothing, an empty folder, or a dataset that was written here.
fn replaceable(target: &Path) -> Result<(), TableError> {
    let occupied = |reason: String| TableError::Occupied { path: target.to_owned(), reason };
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(occupied("it is a file".to_owned()));
        }
        Err(error) => return Err(TableError::io(target, error)),
    };
    let mut empty = true;
    for entry in entries {
        let name = entry.map_err(|error| TableError::io(target, error))?.file_name();
        if !["README.md", "data", "images"].iter().any(|ours| name == *ours) {
            return Err(occupied(format!("it holds `{}`", name.to_string_lossy())));
        }
        empty = false;
    }
    if empty {
        return Ok(());
    }
    let readme = fs::read_to_string(target.join("README.md")).unwrap_or_default();
    let front = readme.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    let tag = format!("- \"{}\"", card::TAG);
    if front.is_some_and(|(front, _)| front.lines().any(|line| line == tag)) {
        return Ok(());
    }
    Err(occupied(format!("its card lacks the tag `{}`", card::TAG)))
}

fn rename(from: &Path, to: &Path) -> Result<(), TableError> {
    fs::rename(from, to).map_err(|error| TableError::io(to, error))
}

fn remove(folder: &Path) -> Result<(), TableError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(TableError::io(folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
