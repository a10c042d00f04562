//! The rows of a file of prompts, one by one, whatever its format. Bytes in, rows out: nothing here opens a file.
//!
//! A row that cannot be used is a row all the same: it is given with a reason. What cannot be read at
//! all is an error. However large a file is, and whatever stands in it, little of it is held at once.

use std::io::{BufRead, BufReader, Read};

mod json;
mod lines;
mod manifest;
mod pictures;
mod rationed;
mod separated;

#[cfg(test)]
mod tests;

pub use manifest::{Listed, manifest};
pub use pictures::{PictureOf, pictures};

/// A prompt as it stands in its source, or one word and one sentence that say why there is none.
pub type Outcome = Result<String, (&'static str, String)>;

/// A row of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the source, counted from 1.
    pub number: i64,
    /// What stands there.
    pub outcome: Outcome,
}

/// Who takes the rows; says whether it wants more.
pub type Sink<'a> = &'a mut dyn FnMut(Row) -> bool;

/// How rows stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A prompt a line.
    Text,
    /// Comma separated values with a header.
    Commas,
    /// Tab separated values with a header.
    Tabs,
    /// One JSON array.
    Json,
    /// A JSON value a line.
    JsonLines,
}

impl Format {
    /// The format of files whose names end so.
    pub fn of(ending: &str) -> Option<Self> {
        Some(match ending {
            "txt" => Self::Text,
            "csv" => Self::Commas,
            "tsv" => Self::Tabs,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => return None,
        })
    }
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// With gzip.
    Gzip,
    /// With Zstandard.
    Zstd,
}

/// Why a file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// Its bytes do not come, or are not packed as its name says.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is in an encoding that is not read.
    #[error("its text is UTF-16; save it as UTF-8")]
    Utf16,
    /// Nothing is in it.
    #[error("it has no rows")]
    NoRows,
    /// No row that has anything has the column. Says what the first one has.
    #[error("{0}")]
    NoField(String),
    /// The header does not name the column.
    #[error("there is no column `{column}` (columns: {there}): name it so, or set `column` in [collect]")]
    NoColumn {
        /// The column that was looked for.
        column: String,
        /// The columns that there are.
        there: String,
    },
    /// Its separated values begin with something else.
    #[error("its header cannot be read: {0}")]
    Header(csv::Error),
    /// A quote that is never closed.
    #[error("row {0} goes on for more than {LONGEST_RECORD} bytes: is a quote left open there?")]
    OpenQuote(i64),
    /// An element of a JSON array that would fill the memory.
    #[error("row {0} goes on for more than {LONGEST_RECORD} bytes")]
    Endless(i64),
    /// It is JSON of another shape, or none.
    #[error("it is not one JSON array of texts or objects: {0}")]
    NoArray(String),
}

/// The longest row that is read at all, in bytes. A longer one is dropped without being held in memory,
/// as far as its format allows.
const LONGEST: usize = 1 << 20;

/// The longest record of separated values, or element of an array, that is held at all: its end is not
/// known before it is read.
const LONGEST_RECORD: usize = 16 << 20;

/// So much of what there is stands in a message, in bytes.
const LONGEST_QUOTE: usize = 300;

const NO_FIELD: &str = "no_prompt";
const EMPTY: &str = "empty";

/// The bytes of a file without its packing.
///
/// # Errors
/// Where no unpacking can begin.
pub fn unpacked<'a>(
    file: impl Read + 'a,
    packing: Option<Packing>,
) -> std::io::Result<Box<dyn BufRead + 'a>> {
    const BUFFER: usize = 1 << 16;
    Ok(match packing {
        Some(Packing::Gzip) => {
            Box::new(BufReader::with_capacity(BUFFER, flate2::read::MultiGzDecoder::new(file)))
        }
        Some(Packing::Zstd) => Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(file)?)),
        None => Box::new(BufReader::with_capacity(BUFFER, file)),
    })
}

/// Reads rows into `sink`; the prompts stand in `column`, where the format has columns.
///
/// # Errors
/// Where the file as a whole cannot be used.
pub fn read(mut reader: impl BufRead, format: Format, column: &str, sink: Sink) -> Result<(), RowsError> {
    // What unpacks may give a byte at a time.
    let mut start = Vec::new();
    (&mut reader).take(3).read_to_end(&mut start).map_err(RowsError::Unreadable)?;
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(RowsError::Utf16);
    }
    let reader = start.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(&start).chain(reader);
    let mut seen = Seen::default();
    let mut counted = |row: Row| {
        seen.count(&row);
        sink(row)
    };
    match format {
        Format::Text => lines::read(reader, &mut counted, &|line| Ok(line.to_owned()))?,
        Format::JsonLines => lines::read(reader, &mut counted, &|line| json::prompt(line, column))?,
        Format::Json => json::read(reader, column, &mut counted)?,
        Format::Commas => separated::read(reader, b',', column, &mut counted)?,
        Format::Tabs => separated::read(reader, b'\t', column, &mut counted)?,
    }
    if seen.rows == 0 {
        return Err(RowsError::NoRows);
    }
    // Where no row that has anything has the column, its name is wrong, not the rows.
    if seen.without_field > 0 && seen.rows == seen.without_field + seen.empty {
        return Err(RowsError::NoField(seen.first_detail));
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    rows: u64,
    empty: u64,
    without_field: u64,
    first_detail: String,
}

impl Seen {
    fn count(&mut self, row: &Row) {
        self.rows += 1;
        if matches!(row.outcome, Err((EMPTY, _))) {
            self.empty += 1;
        }
        if let Err((NO_FIELD, detail)) = &row.outcome {
            if self.without_field == 0 {
                self.first_detail.clone_from(detail);
            }
            self.without_field += 1;
        }
    }
}

/// What a field that may be null holds.
///
/// # Errors
/// Where that is no prompt.
pub fn field(text: Option<String>, column: &str) -> Outcome {
    match text {
        Some(text) => usable(text),
        None => Err((EMPTY, format!("`{column}` is null"))),
    }
}

/// NUL is in no text that people write, and PostgreSQL keeps none.
fn usable(mut text: String) -> Outcome {
    if text.len() > LONGEST {
        return too_large();
    }
    text.retain(|character| character != '\0');
    if text.trim().is_empty() {
        return Err((EMPTY, "the prompt is empty".to_owned()));
    }
    Ok(text)
}

fn too_large() -> Outcome {
    Err(("too_large", format!("the row is longer than {LONGEST} bytes")))
}

fn not_utf8() -> Outcome {
    Err(("encoding", "the row is not UTF-8".to_owned()))
}

/// Names for a message; the first of them where they are many.
fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut list = String::new();
    for (place, name) in names.into_iter().enumerate() {
        let name = name.as_ref();
        if place > 0 {
            list.push_str(", ");
        }
        if list.len() + name.len() > LONGEST_QUOTE {
            list.push('…');
            break;
        }
        list.extend(name.chars().filter(|character| !character.is_control()));
    }
    list
}
